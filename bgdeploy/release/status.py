"""What is live right now, for `bgdeploy status`: the same numbers that AWS's own commands print, in one value."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from bgdeploy.aws import Attrs, Aws
from bgdeploy.release import parse
from bgdeploy.release.phase import new_version, old_version, phase, wait
from bgdeploy.release.reader import Reader
from bgdeploy.release.snapshot import Alarm, Listener, Snapshot


@dataclass(frozen=True)
class TargetStatus:
    """One target of a target group, as DescribeTargetHealth has it."""

    id: str
    port: int
    state: str
    reason: str = ""


@dataclass(frozen=True)
class TaskSetStatus:
    """One task set of the service, as DescribeServices has it, and its targets."""

    id: str
    status: str
    version: str
    task_definition: str
    target_group: str
    deployment: str
    desired: int
    running: int
    pending: int
    stability: str
    targets: tuple[TargetStatus, ...] = ()

    @property
    def healthy(self) -> int:
        """How many of its targets are healthy."""
        return sum(target.state == "healthy" for target in self.targets)


@dataclass(frozen=True)
class ListenerStatus:
    """Who answers at a listener: target group → weight, and version → percent."""

    url: str
    weights: dict[str, int]
    versions: dict[str, int]


@dataclass(frozen=True)
class DeploymentStatus:
    """A deployment: what runs, or what ran last."""

    id: str
    status: str
    phase: str
    version: str
    previous: str
    created: datetime
    completed: datetime | None
    error: str
    rollback: str
    wait: str
    until: datetime | None


@dataclass(frozen=True)
class Status:
    """All of it."""

    stack: str
    region: str
    service: str  # ACTIVE, DRAINING, INACTIVE
    desired: int
    running: int
    pending: int
    task_sets: tuple[TaskSetStatus, ...]
    production: ListenerStatus | None
    test: ListenerStatus | None
    alarms: tuple[Alarm, ...]
    active: DeploymentStatus | None  # the deployment in flight
    last: DeploymentStatus | None  # else the newest one that is over

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, for programs; moments as ISO 8601."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def read(reader: Reader) -> Status:
    """Return what is live at the reader's target, and what is in flight. It only reads."""
    service = reader.sides.service()
    task_sets = tuple(_task_set(reader, raw) for raw in service.get("taskSets") or ())
    production, test = reader.listeners()
    active = reader.active()
    newest = active or reader.latest()
    deployment = _deployment(reader.read(newest)) if newest else None
    return Status(
        stack=reader.target.group,
        region=reader.aws.region,
        service=service.get("status", "MISSING"),
        desired=service.get("desiredCount", 0),
        running=service.get("runningCount", 0),
        pending=service.get("pendingCount", 0),
        task_sets=task_sets,
        production=_listener(production, task_sets),
        test=_listener(test, task_sets),
        alarms=reader.alarms(),
        active=deployment if active else None,
        last=None if active else deployment,
    )


def _task_set(reader: Reader, raw: Attrs) -> TaskSetStatus:
    plain = parse.task_set(raw, "blue", reader.sides.version(raw["taskDefinition"]))
    return TaskSetStatus(
        id=plain.id,
        status=plain.status,
        version=plain.version,
        task_definition=plain.task_definition,
        target_group=plain.target_group,
        deployment=plain.deployment,
        desired=plain.desired,
        running=plain.running,
        pending=plain.pending,
        stability=raw.get("stabilityStatus", ""),
        targets=_targets(reader.aws, reader.target.target_groups.get(plain.target_group)),
    )


def _targets(aws: Aws, target_group: str | None) -> tuple[TargetStatus, ...]:
    if target_group is None:
        return ()
    described = aws.client("elbv2").describe_target_health(TargetGroupArn=target_group)
    return tuple(
        TargetStatus(
            found["Target"]["Id"],
            found["Target"]["Port"],
            found["TargetHealth"]["State"],
            found["TargetHealth"].get("Description", ""),
        )
        for found in described["TargetHealthDescriptions"]
    )


def _listener(listener: Listener | None, task_sets: tuple[TaskSetStatus, ...]) -> ListenerStatus | None:
    if listener is None:
        return None
    total = sum(listener.weights.values())
    versions: dict[str, int] = {}
    for group, weight in listener.weights.items():
        behind = next((s for s in task_sets if s.target_group == group and s.status != "DRAINING"), None)
        if weight:
            name = behind.version if behind else "nobody"
            versions[name] = versions.get(name, 0) + round(100 * weight / total)
    return ListenerStatus(listener.url, dict(listener.weights), versions)


def _deployment(snapshot: Snapshot) -> DeploymentStatus:
    deployment = snapshot.deployment
    waiting = wait(snapshot)
    error = f"{deployment.error_code}: {deployment.error_message}" if deployment.error_code else ""
    return DeploymentStatus(
        id=deployment.id,
        status=deployment.status,
        phase=phase(snapshot).value,
        version=new_version(snapshot),
        previous=old_version(snapshot),
        created=deployment.created,
        completed=deployment.completed,
        error=error,
        rollback=deployment.rollback_id or deployment.rolls_back or "",
        wait=waiting.what if waiting else "",
        until=waiting.until if waiting else None,
    )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value.isoformat() if isinstance(value, datetime) else value
