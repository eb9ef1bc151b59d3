"""Auto scaling holds still while a deployment runs, and is given back exactly as it was before.

CodeDeploy fails a shift that scaling disturbs, and target tracking takes the tasks of both colours for the service's
own (aws-facts 6.5). What scaling was before is remembered in the stack's bucket before it is suspended: whoever finds
the deployment over, on whatever machine, gives it back. Nobody who is killed in between leaves it suspended for good.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from bgdeploy import objects
from bgdeploy.aws import Attrs, Aws, absent, server_time
from bgdeploy.release.phase import length
from bgdeploy.release.snapshot import Target

OBJECT = "scaling/suspension.json"
_SWITCHES = {
    "DynamicScalingInSuspended": "in",
    "DynamicScalingOutSuspended": "out",
    "ScheduledScalingSuspended": "by schedule",
}
SUSPENDED = dict.fromkeys(_SWITCHES, True)
_COUNT = {"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount"}
# After which a release that has suspended scaling and started no deployment is taken for dead; it needs a second.
PATIENCE = timedelta(minutes=2)


class Reads(Protocol):
    """What this module needs of `reader.Reader`."""

    @property
    def aws(self) -> Aws: ...

    @property
    def target(self) -> Target: ...

    def active(self) -> str | None: ...


@dataclass(frozen=True)
class Suspension:
    """What a release has suspended, as the bucket has it."""

    release: str  # the key of its record; "" when it will start no deployment
    by: str  # user@host
    since: str  # ISO 8601, by AWS's clock
    before: Mapping[str, bool]
    over: bool = False  # it has been given back


@dataclass(frozen=True)
class Seen:
    """What the bucket had, and by which tag it is known whether it still has that."""

    suspension: Suspension
    etag: str
    at: datetime  # AWS's time of the answer

    @property
    def age(self) -> timedelta:
        """How long ago it was suspended, by AWS's clock."""
        return self.at - datetime.fromisoformat(self.suspension.since)


def suspend(aws: Aws, target: Target, release: str, by: str) -> Suspension | None:
    """Suspend a service's scaling for a release, and return what is remembered; None when there is none to suspend.

    A suspension that a release before has left behind is taken over: what it remembers is still what there was.
    """
    while True:
        state, at = _state(aws, target)
        if state is None:
            return None
        seen = _read(aws, target.bucket)
        left = seen.suspension if seen and not seen.suspension.over and state == SUSPENDED else None
        before = left.before if left else state
        if before == SUSPENDED:  # somebody has suspended all of it, and wants it so
            return None
        mine = Suspension(release, by, at.isoformat(timespec="seconds"), before)
        if _write(aws, target, mine, seen):
            _switch(aws, target, SUSPENDED)
            return mine


def restore(reader: Reads, ended: str | None = None) -> str:
    """Give scaling back what it was, and return in words what came of it; "" when there was nothing to give back.

    `ended` is the key of a release whose deployment is known to be over. While a deployment is active, scaling stays
    suspended; so it does for a moment when another release may be about to start one.
    """
    aws, target = reader.aws, reader.target
    seen = _read(aws, target.bucket)
    if seen is None or seen.suspension.over:
        return ""
    active = reader.active()
    if active:
        return f"auto scaling stays suspended until deployment {active} is over: `bgdeploy watch` gives it back then"
    if seen.suspension.release not in {ended, ""} and seen.age < PATIENCE:
        return (
            f"auto scaling was suspended {length(seen.age)} ago by {seen.suspension.by} for a release that has not "
            f"begun: when it does not, any `bgdeploy watch` or `bgdeploy provision` later than {length(PATIENCE)} "
            "gives it back"
        )
    return _give_back(aws, target, seen)


def withdraw(reader: Reads, mine: Suspension) -> None:
    """Undo what `suspend` did for a release that could start no deployment.

    When that is so because another one runs, scaling stays suspended, and is given back when that one is over.
    """
    active = reader.active()
    if active is None:
        restore(reader, mine.release)
        return
    seen = _read(reader.aws, reader.target.bucket)
    if seen and seen.suspension == mine:
        _write(reader.aws, reader.target, replace(mine, release=""), seen)


def _give_back(aws: Aws, target: Target, seen: Seen) -> str:
    state, _ = _state(aws, target)
    # What somebody has switched since then is theirs, and stays.
    if state == SUSPENDED:
        _switch(aws, target, seen.suspension.before)
    if not _write(aws, target, replace(seen.suspension, over=True), seen):
        now = _read(aws, target.bucket)
        if now and not now.suspension.over:  # another release suspended it meanwhile, and we have undone that
            _switch(aws, target, SUSPENDED)
            return ""
    return "auto scaling is as it was before the release" if state == SUSPENDED else ""


def standing(aws: Aws, target: Target) -> str:
    """Return in words between which numbers of tasks a service scales, "" when it does not. Changes nothing."""
    found = _scalable(aws, target)["ScalableTargets"]
    if not found:
        return ""
    held = [word for switch, word in _SWITCHES.items() if (found[0].get("SuspendedState") or {}).get(switch)]
    of = "" if len(held) in {0, len(_SWITCHES)} else f" in part: {', '.join(held)}"
    suspended = f", suspended{of}" if held else ""
    return f"{found[0]['MinCapacity']} to {found[0]['MaxCapacity']} tasks{suspended}"


# What is read and written


def _scalable(aws: Aws, target: Target) -> Attrs:
    answer: Attrs = aws.client("application-autoscaling").describe_scalable_targets(
        ResourceIds=[_id(target)], **_COUNT
    )
    return answer


def _state(aws: Aws, target: Target) -> tuple[dict[str, bool] | None, datetime]:
    """Return what of a service's scaling is suspended, None when it does not scale, and AWS's time."""
    answer = _scalable(aws, target)
    at = server_time(answer) or aws.clock.now()
    if not answer["ScalableTargets"]:
        return None, at
    told = answer["ScalableTargets"][0].get("SuspendedState") or {}
    return {switch: bool(told.get(switch)) for switch in _SWITCHES}, at


def _switch(aws: Aws, target: Target, state: Mapping[str, bool]) -> None:
    aws.client("application-autoscaling").register_scalable_target(
        ResourceId=_id(target), **_COUNT, SuspendedState=dict(state)
    )


def _id(target: Target) -> str:
    return f"service/{target.cluster}/{target.service}"


def remembered(aws: Aws, bucket: str) -> bool:
    """Tell whether a release has left word in the stack's bucket of what scaling was before it."""
    seen = _read(aws, bucket)
    return seen is not None and not seen.suspension.over


def _read(aws: Aws, bucket: str) -> Seen | None:
    with absent("NoSuchKey"):
        answer = aws.client("s3").get_object(Bucket=bucket, Key=OBJECT)
        told = json.loads(answer["Body"].read())
        known = {name: told[name] for name in Suspension.__dataclass_fields__ if name in told}
        return Seen(Suspension(**known), answer["ETag"], server_time(answer) or aws.clock.now())
    return None


def _write(aws: Aws, target: Target, suspension: Suspension, seen: Seen | None) -> bool:
    """Write a suspension where the bucket still has what was `seen`, and tell whether it did."""
    body = json.dumps({"schema": 1, **asdict(suspension)}, indent=2).encode()
    etag = seen.etag if seen else None
    return bool(objects.put(aws, target.bucket, OBJECT, body, etag, ContentType="application/json"))
