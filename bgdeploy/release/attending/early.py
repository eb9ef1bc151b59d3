"""When to give a deployment up early: its new tasks stop, or nothing moves any more. Pure.

CodeDeploy itself waits an hour for tasks that never come up (aws-facts 1.4).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bgdeploy.config import EarlyFail
from bgdeploy.quantities import Duration
from bgdeploy.release.phase import Phase, phase
from bgdeploy.release.snapshot import Snapshot

# Until users are on it. Where the hook holds it, or it waits for approval, nothing needs to move.
_COMING = {Phase.INSTALLING, Phase.TEST_TRAFFIC}
_UNSEEN = _COMING | {Phase.CHECKING, Phase.READY}

# What of two snapshots lies further apart was not watched: this machine slept, or AWS was out of reach.
_GAP = timedelta(seconds=60)


@dataclass(frozen=True)
class Stillness:
    """For how long somebody has watched a deployment stand still."""

    gist: tuple[Any, ...] = ()
    at: datetime | None = None  # AWS's time of the newest snapshot
    span: timedelta = timedelta()


def watched(before: Stillness, snapshot: Snapshot) -> Stillness:
    """Return the stillness after one more snapshot. What nobody watched does not count."""
    gist = _gist(snapshot)
    if before.at is None or gist != before.gist:
        return Stillness(gist, snapshot.at)
    passed = snapshot.at - before.at
    counted = passed if timedelta() <= passed <= _GAP else timedelta()
    return Stillness(gist, snapshot.at, before.span + counted)


def _gist(snapshot: Snapshot) -> tuple[Any, ...]:
    """What moves while a deployment gets on: its events, the numbers of tasks, their targets' health."""
    return (
        snapshot.deployment.status,
        tuple((event.name, event.status) for event in snapshot.events),
        tuple(
            (one.id, one.status, one.desired, one.running, one.pending, one.healthy)
            for one in snapshot.task_sets
        ),
        tuple(task.id for task in snapshot.stopped),
    )


def doomed(snapshot: Snapshot, stillness: Stillness, limits: EarlyFail) -> str:
    """Return why a deployment is to be given up, "" while it is not."""
    where, most = phase(snapshot), limits.stopped_tasks
    failed = sum(task.failed for task in snapshot.stopped)
    if where in _UNSEEN and most != "none" and failed >= most:
        tasks = "1 of its tasks" if failed == 1 else f"{failed} of its tasks"
        return f"{tasks} stopped by themselves (early_fail.stopped_tasks: {most})"
    if where in _COMING and limits.no_progress and stillness.span.total_seconds() >= limits.no_progress:
        still = Duration(int(stillness.span.total_seconds()))
        return f"nothing has moved for {still} (early_fail.no_progress: {limits.no_progress})"
    return ""
