"""What of a release people are told who do not watch it, and once only. Pure.

An occasion has a name of its own for each thing that can happen: what went live and is rolled back later is told twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from bgdeploy.config import Occasion as Kind
from bgdeploy.errors import Exit
from bgdeploy.release.cause import Kind as Cause
from bgdeploy.release.changes import Frame
from bgdeploy.release.ending import Ending
from bgdeploy.release.phase import Phase
from bgdeploy.release.snapshot import Snapshot

# Whoever comes later to a deployment tells nobody of what is old by then.
_STARTED = timedelta(minutes=10)
_ENDED = timedelta(hours=1)


@dataclass(frozen=True)
class Occasion:
    """Something that people are told."""

    kind: Kind
    name: str  # among those of its deployment
    snapshot: Snapshot
    ending: Ending | None = None  # of the kind "end"

    @property
    def deployment(self) -> str:
        return self.snapshot.deployment.id


def occasions(frame: Frame) -> Iterator[Occasion]:
    """Yield what people are told while a deployment is as `frame` shows it; the same again with every frame."""
    snapshot = frame.snapshot
    if snapshot.deployment.over:
        return
    if frame.now - snapshot.deployment.created <= _STARTED:
        yield Occasion("start", "start", snapshot)
    if frame.phase is Phase.READY:
        yield Occasion("approval", "approval", snapshot)
    if frame.checks and frame.checks.stage == "asking":
        yield Occasion("approval", "inconclusive", snapshot)


def at_end(frame: Frame, ended: Ending) -> Occasion | None:
    """Return what people are told of an ending, None when the deployment goes on or this is an old story."""
    snapshot = frame.snapshot
    left = ended.exit in {Exit.INTERRUPTED, Exit.GAVE_UP_WAITING} and ended.kind is not Cause.CANCELLED
    if left or snapshot.superseded_by or frame.now - _over(snapshot, frame.now) > _ENDED:
        return None
    if ended.kind is Cause.CANCELLED:
        return Occasion("end", "cancelled", snapshot, ended)
    live = frame.phase in {Phase.SHIFTED, Phase.FINISHED}
    return Occasion("end", ("live" if ended.good else "unwell") if live else "undone", snapshot, ended)


def _over(snapshot: Snapshot, now: datetime) -> datetime:
    """Return when it ended, its rollback with it; now while it goes on."""
    last = snapshot.rollback or snapshot.deployment
    return (last.completed or now) if last.over else now
