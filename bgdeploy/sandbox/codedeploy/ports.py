"""What the lifecycle needs of the other services, and nothing more of them: its ports.

The sandbox's own parts fit them; so do the small in-memory ones of the tests. Methods of ECS and the load balancers
raise RefusedError with AWS's own words when AWS would refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bgdeploy.clock import Clock

PRINCIPAL = "codedeploy.amazonaws.com"  # as whom CodeDeploy assumes its service role (aws-facts 8.1)


class TaskSet(Protocol):
    """One side of a deployment."""

    @property
    def id(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def steady(self) -> bool: ...
    @property
    def computed_desired(self) -> int: ...
    @property
    def running(self) -> int: ...
    @property
    def pending(self) -> int: ...
    @property
    def target_group_arn(self) -> str: ...


class Service(Protocol):
    """An ECS service and its task sets."""

    @property
    def arn(self) -> str: ...
    @property
    def controller(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def primary(self) -> Any: ...  # a TaskSet, or None
    @property
    def task_sets(self) -> Sequence[Any]: ...


class Ecs(Protocol):
    """What CodeDeploy asks of ECS; its role holds exactly these permissions (aws-facts 8.1)."""

    def service(self, cluster: str, name: str, region: str) -> Any: ...

    def roles(self, task_definition: str, region: str) -> Sequence[str]: ...

    def create_task_set(  # noqa: PLR0913 - what CreateTaskSet takes
        self,
        service: Any,
        *,
        external_id: str,
        task_definition: str,
        target_group_arn: str,
        container_name: str,
        container_port: int,
        network: Any = None,
        platform_version: str | None = None,
    ) -> Any: ...

    def set_primary(self, task_set: Any) -> None: ...

    def remove_task_set(self, task_set: Any) -> None: ...


class TargetGroup(Protocol):
    """A target group, as far as CodeDeploy looks at it."""

    @property
    def arn(self) -> str: ...
    @property
    def name(self) -> str: ...


class Elb(Protocol):
    """What CodeDeploy asks of the load balancers."""

    def target_group(self, name_or_arn: str, region: str) -> Any: ...

    def listener(self, arn: str) -> Any: ...

    def forwards(self, listener_arn: str) -> list[dict[str, int]]: ...

    def set_weights(self, listener_arn: str, weights: dict[str, int]) -> None: ...


class Functions(Protocol):
    """Lambda, invoked without waiting for the end."""

    def invoke(
        self, name_or_arn: str, payload: dict[str, Any], done: Callable[[Any], None], region: str
    ) -> None: ...


class Alarms(Protocol):
    """CloudWatch's alarms."""

    def state(self, name: str, region: str) -> str | None: ...


class Identity(Protocol):
    """IAM, as far as the service role goes."""

    def trusts(self, role_arn: str, service: str) -> bool: ...

    def allows(
        self, role_arn: str, action: str, resource: str = "*", context: Mapping[str, str] | None = None
    ) -> bool: ...


class Revisions(Protocol):
    """Where the text of a revision comes from when it is not in the request: S3."""

    def read(self, location: Mapping[str, Any], role_arn: str, region: str) -> str: ...


@dataclass(frozen=True)
class Ports:
    """All of them, and the time."""

    clock: Clock
    ecs: Ecs
    elb: Elb
    functions: Functions
    alarms: Alarms
    identity: Identity
    revisions: Revisions
