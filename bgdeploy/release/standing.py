"""What is live right now, as plain values. `status` fills them, `views.status` draws them. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from bgdeploy.release.snapshot import Alarm


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
    scaling: str = ""  # between which numbers of tasks it scales, and what of that is suspended

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, for programs; moments as ISO 8601."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value.isoformat() if isinstance(value, datetime) else value
