"""Makes way for a release: what is done when its version is live already, or when another deployment is active."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bgdeploy.aws import retry
from bgdeploy.errors import BgdeployError, Exit, InterruptError
from bgdeploy.release import operations, preflight
from bgdeploy.release.attending import stopping
from bgdeploy.release.ending import Ending
from bgdeploy.release.phase import Phase, new_version, phase
from bgdeploy.release.reader import Reader
from bgdeploy.release.snapshot import Snapshot
from bgdeploy.release.wanted import Wanted
from bgdeploy.release.watch import Show, follow

_PATIENCE = 30.0  # seconds for a wait to begin that is to be ended

IfActive = Literal["fail", "wait", "replace"]
Policy = Literal["fail", "wait", "replace", "undo"]  # undo: stop it and roll it back, wherever it is


@dataclass(frozen=True)
class Same:
    """What is wanted is there already: `deployment` is on its way with it, or it is live and nothing is active."""

    task_definition: str = ""
    deployment: str = ""


@dataclass(frozen=True)
class Way:
    """How to make way, and who hears of it."""

    if_active: Policy
    say: Callable[[str], None]
    show: Show  # what is waited for
    deadline: float | None = None  # monotonic, in seconds


def make_way(reader: Reader, wanted: Wanted | None, way: Way) -> Same | None:
    """Return None once nothing is in the way of a release, or what is there already of what is `wanted`.

    Without `wanted` nobody asks what is there. Raises BusyError when a deployment is active and is not to be waited
    for, InterruptError after Ctrl-C, BgdeployError (exit 6) when the deadline came first: nothing has been started
    then.
    """
    while True:
        active = reader.active()
        if active is None:
            live = wanted.live(reader) if wanted else None
            return Same(task_definition=live) if live else None
        if wanted and wanted.in_flight(reader, active):
            return Same(deployment=active)
        if way.if_active == "fail":
            raise preflight.busy(reader, active)
        _see_off(reader, active, way)


def _see_off(reader: Reader, active: str, way: Way) -> None:
    """Follow the active deployment to its end, having shortened its way there if it is to be replaced."""
    snapshot = reader.read(active)
    of = f" of {new_version(snapshot)}" if new_version(snapshot) else ""
    where = phase(snapshot)
    if snapshot.deployment.over:
        return  # it ended since somebody looked
    done = "" if way.if_active == "wait" else _shorten(reader, snapshot, way.if_active)
    way.say(f"deployment {active}{of} is {where}: {done or 'waiting for its end'}")
    left = None if way.deadline is None else max(way.deadline - reader.aws.clock.monotonic(), 0.0)
    ended = follow(reader, active, timeout=left, show=way.show)
    _require_over(ended, active)
    way.say(ended.headline)


def _shorten(reader: Reader, snapshot: Snapshot, policy: Policy) -> str:
    """End a deployment's last wait, or stop one that has not come so far, and return in words what was done.

    A rollback is neither: it goes where it goes, and is over soon.
    """
    ident = snapshot.deployment.id
    if snapshot.deployment.rolls_back:
        return ""
    try:
        if policy == "replace" and phase(snapshot) is Phase.SHIFTED:
            _end_wait(reader, ident)
            return "its old version is removed now"
        how = "`bgdeploy release --if-active replace`" if policy == "replace" else "`bgdeploy rollback --to`"
        stopping.stop(reader.aws, reader.target.bucket, ident, stopping.by_me(how))
    except BgdeployError as error:  # it has just ended, or left that wait
        return error.message
    return "it is stopped, and rolled back"


def _end_wait(reader: Reader, ident: str) -> None:
    """End the time for which blue is kept. It begins a moment after all events have passed (aws-facts 2.2)."""
    retry(
        reader.aws,
        lambda: operations.promote(reader.aws, ident, Phase.SHIFTED),
        lambda error: isinstance(error, BgdeployError) and reader.active() == ident,
        _PATIENCE,
    )


def _require_over(ended: Ending, active: str) -> None:
    """Raise what a wait that was given up comes to."""
    follow_it = f"`bgdeploy watch {active}` follows it"
    if ended.exit is Exit.INTERRUPTED:
        raise InterruptError(f"interrupted: nothing was started; deployment {active} goes on", follow_it)
    if ended.exit is Exit.GAVE_UP_WAITING:
        given_up = BgdeployError(f"{ended.headline}; nothing was started", follow_it, {"deployment": active})
        given_up.exit = Exit.GAVE_UP_WAITING
        raise given_up
