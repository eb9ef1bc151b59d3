"""Where a deployment stands, derived from one snapshot. Pure: no AWS, no clock."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from bgdeploy.names import PLACEHOLDER
from bgdeploy.release.snapshot import Event, Listener, Side, Snapshot
from bgdeploy.strategy import stepwise

# Every lifecycle event fails after this long, a held hook too (aws-facts 1.4, 1.5).
EVENT_LIMIT = timedelta(hours=1)

HELD = "AfterAllowTestTraffic"  # the event in which the hook holds the deployment while the checks run
_RELEASE = re.compile(r"^bgdeploy release (\S+)")


class Phase(str, Enum):
    """Where it stands, in the order in which a deployment gets there."""

    CREATED = "created"
    INSTALLING = "installing"
    TEST_TRAFFIC = "test traffic"
    CHECKING = "checking"
    READY = "ready"
    SHIFTING = "shifting"
    SHIFTED = "shifted"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"
    ROLLING_BACK = "rolling back"
    ROLLED_BACK = "rolled back"
    ROLLBACK_FAILED = "rollback failed"

    def __str__(self) -> str:
        return self.value


# The phase in which each lifecycle event is; any later one shifts.
OF_EVENT = {
    "BeforeInstall": Phase.INSTALLING,
    "Install": Phase.INSTALLING,
    "AfterInstall": Phase.INSTALLING,
    "AllowTestTraffic": Phase.TEST_TRAFFIC,
    HELD: Phase.CHECKING,
}

# The automatic rollback event that each way of ending badly counts as (aws-facts 4.1).
_TRIGGERS = {
    "ALARM_ACTIVE": "DEPLOYMENT_STOP_ON_ALARM",
    "MANUAL_STOP": "DEPLOYMENT_STOP_ON_REQUEST",
}


def phase(snapshot: Snapshot) -> Phase:
    """Return where the deployment of this snapshot stands."""
    deployment = snapshot.deployment
    if deployment.status == "Succeeded":
        return Phase.FINISHED
    if deployment.over:
        return _after_failure(snapshot)
    if deployment.status == "Ready":
        return Phase.READY
    if shifted(snapshot):
        return Phase.SHIFTED
    event = current_event(snapshot)
    if event is None:
        return Phase.CREATED
    return OF_EVENT.get(event.name, Phase.SHIFTING)


def _after_failure(snapshot: Snapshot) -> Phase:
    rollback = snapshot.rollback
    if rollback is None and snapshot.deployment.rollback_id is None:
        return Phase.FAILED if snapshot.deployment.status == "Failed" else Phase.STOPPED
    if rollback is None or not rollback.over:
        return Phase.ROLLING_BACK
    return Phase.ROLLED_BACK if rollback.status == "Succeeded" else Phase.ROLLBACK_FAILED


def shifted(snapshot: Snapshot) -> bool:
    """Tell whether all production traffic has moved to green for good, though blue may still be kept.

    The deployment stays InProgress while blue is kept; the flag and the events tell (aws-facts 2.2).
    """
    deployment = snapshot.deployment
    if deployment.over:
        return deployment.status == "Succeeded"
    done = bool(snapshot.events) and all(event.status == "Succeeded" for event in snapshot.events)
    return deployment.termination_wait_started or done


def current_event(snapshot: Snapshot) -> Event | None:
    """Return the lifecycle event that runs, or is the next to run; None before the first and after the last."""
    return next((e for e in snapshot.events if e.status not in {"Succeeded", "Skipped"}), None)


def failed_event(snapshot: Snapshot) -> Event | None:
    """Return the lifecycle event in which the deployment ended; stopping one fails it too (aws-facts 3)."""
    return next((event for event in snapshot.events if event.status == "Failed"), None)


def duration(event: Event, now: datetime) -> timedelta | None:
    """Return how long an event took, or has taken by now."""
    if event.start is None:
        return None
    return max((event.end or now) - event.start, timedelta())


def rollback_awaited(snapshot: Snapshot) -> bool:
    """Tell whether CodeDeploy will roll this back but has not said yet by which deployment (aws-facts 4.2).

    The status comes first, rollbackInfo may lag. A stop that asked for a rollback leaves no other trace
    (aws-facts 2.3), so every stop by hand counts.
    """
    deployment = snapshot.deployment
    if not deployment.over or deployment.status == "Succeeded" or deployment.rollback_id:
        return False
    if deployment.creator == "codeDeployRollback":
        return False
    trigger = _TRIGGERS.get(deployment.error_code, "DEPLOYMENT_FAILURE")
    return trigger in deployment.rollback_on or deployment.error_code == "MANUAL_STOP"


def settled(snapshot: Snapshot, until: str, *, overdue: bool = False) -> bool:
    """Tell whether nothing more will come: `until` ("shifted" or "finished") is reached, or it failed for good.

    `overdue` says that a rollback was awaited for long enough.
    """
    where = phase(snapshot)
    if where is Phase.SHIFTED:
        return until == "shifted" and not replaces_placeholder(snapshot)
    if where in {Phase.FAILED, Phase.STOPPED}:
        return overdue or not rollback_awaited(snapshot)
    return where in {Phase.FINISHED, Phase.ROLLED_BACK, Phase.ROLLBACK_FAILED}


# Who is who


def new_version(snapshot: Snapshot) -> str:
    """Return the version that is being released, "" when neither green nor the description tells."""
    green = snapshot.side("green")
    if green:
        return green.version
    said = _RELEASE.match(snapshot.deployment.description)
    return said.group(1) if said else ""


def old_version(snapshot: Snapshot) -> str:
    """Return the version that was live before, "" when its task set is gone."""
    blue = snapshot.side("blue")
    return blue.version if blue else ""


def replaces_placeholder(snapshot: Snapshot) -> bool:
    """Tell whether nothing was released before: nobody wants to go back to the placeholder."""
    return old_version(snapshot) == PLACEHOLDER


@dataclass(frozen=True)
class Share:
    """What part of a listener's requests goes to one target group, and who stands behind it."""

    target_group: str
    percent: int
    side: Side | None  # None: no task set of this deployment is registered there
    version: str


def shares(listener: Listener, snapshot: Snapshot) -> tuple[Share, ...]:
    """Return who answers at a listener, blue first. Groups without weight and without tasks are left out."""
    total = sum(listener.weights.values())
    found = []
    for group, weight in listener.weights.items():
        behind = [s for s in snapshot.task_sets if s.target_group == group]
        if weight or behind:
            percent = round(100 * weight / total) if total else 0
            here = behind[0] if behind else None
            found.append(Share(group, percent, here.side if here else None, here.version if here else ""))
    return tuple(sorted(found, key=lambda share: (share.side or "unknown", share.target_group)))


def described(share: Share) -> str:
    """Return a share in words: `blue v1 90%`."""
    who = f"{share.side} {share.version}" if share.side else f"{share.target_group} (no tasks)"
    return f"{who} {share.percent}%"


# Waits


@dataclass(frozen=True)
class Wait:
    """What a deployment waits for, and when CodeDeploy stops waiting."""

    what: str
    until: datetime
    at_most: bool = True  # False: nothing ends it sooner, and CodeDeploy is a few seconds late

    def text(self, now: datetime) -> str:
        """Return it with how long it still takes."""
        if self.at_most:
            return f"{self.what}, {length(self.until - now)} more at most"
        return (
            f"{self.what} in about {length(self.until - now)}"
            if now < self.until
            else f"{self.what} any moment"
        )


def wait(snapshot: Snapshot) -> Wait | None:
    """Return the wait that the deployment is in, None when it is in none that has an end."""
    where = phase(snapshot)
    held = snapshot.event(HELD)
    if where is Phase.CHECKING and held and held.start:
        return Wait("the hook holds the deployment", held.start + EVENT_LIMIT)
    if where is Phase.READY and snapshot.deployment.approval:
        # The pause comes after the test traffic's hook (aws-facts 2.2); nothing says when exactly.
        since = max((e.end for e in snapshot.events if e.end), default=snapshot.at)
        return Wait("it waits for `bgdeploy promote`", since + snapshot.deployment.approval)
    if where is Phase.SHIFTED:
        # The wait begins right after the last event (aws-facts 2.1).
        since = max((e.end for e in snapshot.events if e.end), default=snapshot.at)
        return Wait("blue is kept, a rollback is instant", since + snapshot.deployment.keep_blue)
    return _next_step(snapshot) if where is Phase.SHIFTING else None


def _next_step(snapshot: Snapshot) -> Wait | None:
    """Return the wait for the next part of production to move; the first moves at once (aws-facts 2.1)."""
    steps, event = stepwise(snapshot.deployment.config), snapshot.event("AllowTraffic")
    if steps is None or event is None or event.start is None or event.end or snapshot.production is None:
        return None
    moved = sum(share.percent for share in shares(snapshot.production, snapshot) if share.side == "green")
    if not 0 < moved < 100:
        return None
    done = 1 if steps.kind == "canary" else -(-moved // steps.percent)
    rest = steps.kind == "canary" or moved + steps.percent >= 100
    what = "the rest moves" if rest else f"the next {steps.percent}% move"
    return Wait(what, event.start + done * timedelta(minutes=steps.minutes), at_most=False)


def length(span: timedelta | float) -> str:
    """Return a span in words that fit a column: `4s`, `1m12s`, `2h05m`."""
    seconds = int(span.total_seconds() if isinstance(span, timedelta) else span)
    minutes, seconds = divmod(max(seconds, 0), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{seconds:02}s" if minutes else f"{seconds}s"
