"""Services, task sets and tasks: the sandbox's only truth about them."""

from __future__ import annotations

import math
import random
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bgdeploy.sandbox.tasks import Process
from bgdeploy.sandbox.world import ACCOUNT

_EVENTS = 100  # of a service, as many as DescribeServices tells


@dataclass
class Container:
    """One container of a task."""

    definition: Mapping[str, Any]
    starting: Future[Process] | None = None
    process: Process | None = None
    exit_code: int | None = None
    reason: str = ""
    silent: bool = False  # its role may not write to its log

    @property
    def name(self) -> str:
        return str(self.definition["name"])

    @property
    def essential(self) -> bool:
        return bool(self.definition.get("essential", True))


@dataclass
class Task:
    """One task. Its status moves PROVISIONING, PENDING, RUNNING, DEACTIVATING (draining), STOPPING, STOPPED."""

    id: str
    definition: Mapping[str, Any]
    ip: str
    subnet: str
    security_groups: tuple[str, ...]
    public: bool  # it has a public address
    containers: list[Container]
    created: datetime
    tags: Mapping[str, str] = field(default_factory=dict)  # of its task definition
    status: str = "PROVISIONING"
    desired: str = "RUNNING"
    launched: bool = False  # its containers are being started
    started: datetime | None = None
    stopping: datetime | None = None
    signalled: datetime | None = None
    stopped: datetime | None = None
    stop_code: str = ""
    stopped_reason: str = ""
    target: tuple[str, int] | None = None  # target group ARN and port, once it is registered
    eni: str = field(default_factory=lambda: f"eni-{uuid.uuid4().hex[:17]}")

    @property
    def over(self) -> bool:
        return self.status == "STOPPED"

    @property
    def serving(self) -> bool:
        """Tell whether it counts for its task set: not stopped, and not on its way there."""
        return self.desired == "RUNNING"


@dataclass
class TaskSet:
    """The tasks of one version of a service."""

    service: EcsService
    task_definition: str
    target_group_arn: str
    container_name: str
    container_port: int
    network: Mapping[str, Any]
    created_at: datetime
    external_id: str | None = None
    started_by: str | None = None
    platform_version: str = "LATEST"
    status: str = "ACTIVE"
    scale: float = 100.0
    steady: bool = False
    steady_at: datetime | None = None  # when it last became steady, or ceased to be
    tasks: list[Task] = field(default_factory=list)
    failures: int = 0  # tasks in a row that did not live until they were healthy
    not_before: datetime | None = None  # the scheduler waits before it replaces what keeps failing
    number: int = field(default_factory=lambda: random.randrange(10**18, 10**19))

    @property
    def id(self) -> str:
        return f"ecs-svc/{self.number}"

    @property
    def arn(self) -> str:
        service = self.service
        return (
            f"arn:aws:ecs:{service.region}:{ACCOUNT}:task-set/{service.cluster_name}/{service.name}/{self.id}"
        )

    @property
    def computed_desired(self) -> int:
        """The tasks it should have: the service's count, scaled and rounded up (aws-facts 6.2)."""
        return math.ceil(self.service.desired_count * self.scale / 100)

    @property
    def running(self) -> int:
        return sum(task.status == "RUNNING" and task.serving for task in self.tasks)

    @property
    def pending(self) -> int:
        return sum(task.status in {"PROVISIONING", "PENDING"} and task.serving for task in self.tasks)

    @property
    def stopped_reasons(self) -> list[str]:
        """Why tasks stopped, newest first."""
        return [task.stopped_reason for task in reversed(self.tasks) if task.over and task.stopped_reason]


@dataclass
class EcsService:
    """A service under the CODE_DEPLOY controller."""

    name: str
    cluster_name: str
    region: str
    params: Mapping[str, Any]  # what CreateService was given
    created_at: datetime
    desired_count: int
    status: str = "ACTIVE"
    controller: str = "CODE_DEPLOY"
    task_sets: list[TaskSet] = field(default_factory=list)
    past: list[TaskSet] = field(default_factory=list)  # removed; their stopped tasks can still be described
    events: list[tuple[str, datetime, str]] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    ended_at: datetime | None = None
    last: TaskSet | None = None  # the last PRIMARY, whose parameters are the service's

    @property
    def arn(self) -> str:
        return f"arn:aws:ecs:{self.region}:{ACCOUNT}:service/{self.cluster_name}/{self.name}"

    @property
    def cluster_arn(self) -> str:
        return f"arn:aws:ecs:{self.region}:{ACCOUNT}:cluster/{self.cluster_name}"

    @property
    def primary(self) -> TaskSet | None:
        return next((each for each in self.task_sets if each.status == "PRIMARY"), None)

    def made_by(self, token: str | None) -> bool:
        """Tell whether a request with this client token is the one that made it, sent again."""
        return token is not None and token == self.params.get("clientToken")

    @property
    def task_definition(self) -> str:
        return self.last.task_definition if self.last else str(self.params["taskDefinition"])

    @property
    def network(self) -> Mapping[str, Any]:
        return self.last.network if self.last else self.params["networkConfiguration"]

    @property
    def load_balancers(self) -> list[dict[str, Any]]:
        """The primary task set's: they become the service's when it does (aws-facts 6.2)."""
        if self.last is None:
            return list(self.params.get("loadBalancers", []))
        return [
            {
                "targetGroupArn": self.last.target_group_arn,
                "containerName": self.last.container_name,
                "containerPort": self.last.container_port,
            }
        ]

    @property
    def tasks(self) -> Iterator[tuple[TaskSet, Task]]:
        """Every task that can be described, with its task set."""
        for task_set in (*self.past, *self.task_sets):
            for task in task_set.tasks:
                yield task_set, task

    def tell(self, message: str, at: datetime) -> None:
        """Add an event, newest first, as DescribeServices has them."""
        self.events.insert(0, (str(uuid.uuid4()), at, f"(service {self.name}{message}"))
        del self.events[_EVENTS:]
