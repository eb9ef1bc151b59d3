"""Everything about a deployment at one instant, as plain values. `reader` fills them, `phase` and the views read them.

Blue and green are CodeDeploy's labels: blue is the original task set, green its replacement, whatever the target
groups are called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

Side = Literal["blue", "green"]


@dataclass(frozen=True)
class Listener:
    """One of the two doors of the load balancer, and who stands behind it."""

    arn: str
    url: str  # where people reach it
    weights: Mapping[str, int]  # target group name → weight


@dataclass(frozen=True)
class Reach:
    """How a load balancer is reached, whatever its visitors' name for it leads to at the moment."""

    balancer: str = ""  # its own name in the DNS
    host: str = ""  # the name that visitors use, and its certificate is for


@dataclass(frozen=True)
class Gate:
    """Who guards the test listener."""

    port: int
    security_groups: tuple[str, ...]  # of its load balancer


@dataclass(frozen=True)
class Target:
    """Where a deployment group acts. Read once: nothing in it moves during a deployment."""

    application: str
    group: str
    cluster: str
    service: str
    container: str
    port: int
    production_listener: str  # ARNs
    test_listener: str | None
    target_groups: Mapping[str, str]  # name → ARN
    alarms: tuple[str, ...]
    bucket: str
    log_group: str
    health_path: str = "/"  # what its health checks ask for
    urls: Mapping[str, str] = field(default_factory=dict)  # listener ARN → where people reach it
    reach: Reach = Reach()
    gate: Gate | None = None  # of the test listener
    rollback_on: tuple[str, ...] = ()  # the group's automatic rollback events; empty when switched off


@dataclass(frozen=True)
class Deployment:
    """What GetDeployment says."""

    id: str
    status: str  # Created, Queued, InProgress, Ready, Succeeded, Failed, Stopped, …
    creator: str  # user, codeDeployRollback, …
    description: str
    config: str
    created: datetime
    started: datetime | None = None
    completed: datetime | None = None
    error_code: str = ""
    error_message: str = ""
    rollback_id: str | None = None  # the deployment that rolls this one back
    rolls_back: str | None = None  # the deployment that this one rolls back
    rollback_on: tuple[str, ...] = ()  # its own automatic rollback events; empty when switched off
    termination_wait_started: bool = False
    approval: timedelta | None = None  # how long it waits in Ready
    keep_blue: timedelta = timedelta()

    @property
    def over(self) -> bool:
        return self.status in {"Succeeded", "Failed", "Stopped"}


@dataclass(frozen=True)
class Event:
    """One lifecycle event of a deployment."""

    name: str  # BeforeInstall, Install, AfterInstall, AllowTestTraffic, …
    status: str  # Pending, InProgress, Succeeded, Failed, Skipped, Unknown
    start: datetime | None = None
    end: datetime | None = None
    message: str = ""


@dataclass(frozen=True)
class TaskSet:
    """One side: the tasks of one version, and the target group they answer in."""

    id: str
    side: Side
    status: str  # PRIMARY, ACTIVE, DRAINING
    version: str  # from the task definition's tag, else "family:revision"
    task_definition: str
    target_group: str  # name
    desired: int
    running: int
    pending: int
    steady: bool
    healthy: int = 0
    deployment: str = ""  # which deployment made it; "" when the service itself did
    trouble: tuple[str, ...] = ()  # why tasks stopped or targets are unhealthy, newest first


@dataclass(frozen=True)
class StoppedTask:
    """A task of green's that stopped by itself, and not because somebody wanted fewer."""

    id: str
    why: str  # stoppedReason, with what its containers say
    failed: bool = True  # its application or its start did; a spot task that was reclaimed did not
    container: str = ""  # the one that ended it, else the first


@dataclass(frozen=True)
class Alarm:
    """A CloudWatch alarm that watches the deployment."""

    name: str
    state: str  # OK, ALARM, INSUFFICIENT_DATA, or MISSING
    reason: str = ""
    since: datetime | None = None
    value: float | None = None  # the newest datapoint that its state was decided by
    operator: str = ""  # ">=", ">", "<", "<="; "" when it compares with no fixed limit
    limit: float | None = None


@dataclass(frozen=True)
class Snapshot:
    """All of it. `at` is AWS's time, the one clock that everybody who watches shares."""

    at: datetime
    target: Target
    deployment: Deployment
    events: tuple[Event, ...] = ()
    task_sets: tuple[TaskSet, ...] = ()
    production: Listener | None = None
    test: Listener | None = None
    alarms: tuple[Alarm, ...] = ()
    rollback: Deployment | None = None  # the deployment that rolls this one back, once there is one
    rollback_events: tuple[Event, ...] = ()
    trouble: tuple[str, ...] = ()  # why green did not come up, kept when green is gone
    stopped: tuple[StoppedTask, ...] = ()  # green's, newest first, kept as well
    superseded_by: str = ""  # what is live by now, when a later deployment has replaced this one's outcome

    def event(self, name: str) -> Event | None:
        """Return the lifecycle event called `name`, None when the deployment has none such."""
        return next((event for event in self.events if event.name == name), None)

    def side(self, side: Side) -> TaskSet | None:
        """Return the task set of that side, None when it has none (any more)."""
        return next((task_set for task_set in self.task_sets if task_set.side == side), None)

    @property
    def primary(self) -> TaskSet | None:
        """The task set that ECS holds to be the service's own."""
        return next((task_set for task_set in self.task_sets if task_set.status == "PRIMARY"), None)
