"""The services around CodeDeploy, small and in memory: what its tests walk deployments among."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from bgdeploy.sandbox.world import Handler, RefusedError
from tests.clocks import HandClock

BLUE, GREEN = "tg-arn-blue", "tg-arn-green"
PRODUCTION, TEST = "arn:listener/app/lb/production", "arn:listener/app/lb/test"


class MemoryPart:
    """What takes a part's place in a world: answers nothing, does nothing of its own."""

    operations: Mapping[tuple[str, str], Handler] = MappingProxyType({})

    def tick(self) -> None:
        """Memory changes only when it is told to."""

    def close(self) -> None:
        """There is nothing to end."""


@dataclass
class MemoryTaskSet:
    """A task set that is steady from a time on."""

    id: str
    target_group_arn: str
    clock: HandClock
    steady_at: float
    status: str = "ACTIVE"
    computed_desired: int = 1
    made_of: Mapping[str, Any] = field(default_factory=dict)

    @property
    def steady(self) -> bool:
        return self.clock.monotonic() >= self.steady_at

    @property
    def running(self) -> int:
        return self.computed_desired if self.steady else 0

    @property
    def pending(self) -> int:
        return self.computed_desired - self.running


@dataclass
class MemoryService:
    """A service of ECS."""

    task_sets: list[MemoryTaskSet]
    controller: str = "CODE_DEPLOY"
    status: str = "ACTIVE"
    arn: str = "arn:aws:ecs:us-east-1:123456789012:service/shop/web"

    @property
    def primary(self) -> MemoryTaskSet | None:
        return next((one for one in self.task_sets if one.status == "PRIMARY"), None)


class MemoryEcs(MemoryPart):
    """One service, shop/web, whose new task sets need `boot` seconds until they are steady."""

    def __init__(self, clock: HandClock) -> None:
        self.clock = clock
        self.boot = 60.0
        self._made = 1
        self.refuses: RefusedError | None = None
        blue = MemoryTaskSet("ecs-svc/1", BLUE, clock, 0, status="PRIMARY")
        self.services = {("shop", name): MemoryService([blue]) for name in ("web", "web-2")}

    @property
    def web(self) -> MemoryService:
        return self.services["shop", "web"]

    def service(self, cluster: str, name: str, region: str) -> MemoryService | None:
        return self.services.get((cluster, name))

    def roles(self, task_definition: str, region: str) -> list[str]:
        return ["arn:aws:iam::123456789012:role/ecsTaskExecutionRole"]

    def create_task_set(self, service: MemoryService, **arguments: Any) -> MemoryTaskSet:
        if self.refuses is not None:
            raise self.refuses
        self._made += 1
        steady_at = self.clock.monotonic() + self.boot
        made = MemoryTaskSet(
            f"ecs-svc/{self._made}", arguments["target_group_arn"], self.clock, steady_at, made_of=arguments
        )
        service.task_sets.append(made)
        return made

    def set_primary(self, task_set: MemoryTaskSet) -> None:
        for one in self.web.task_sets:
            one.status = "PRIMARY" if one is task_set else "ACTIVE"

    def remove_task_set(self, task_set: MemoryTaskSet) -> None:
        task_set.status, task_set.computed_desired = "DRAINING", 0


@dataclass(frozen=True)
class Named:
    """A target group or a listener, as far as CodeDeploy looks at it."""

    arn: str
    name: str


class MemoryElb(MemoryPart):
    """Two listeners and a pair of target groups. Keeps every change of weights with its time."""

    def __init__(self, clock: HandClock) -> None:
        self.clock = clock
        self.listeners: dict[str, list[dict[str, int]]] = {PRODUCTION: [{BLUE: 1}], TEST: [{GREEN: 1}]}
        self.groups = [Named(BLUE, "blue"), Named(GREEN, "green")]
        self.changes: list[tuple[float, str, int]] = []  # time, listener, green's weight

    def target_group(self, name_or_arn: str, region: str) -> Named | None:
        return next((one for one in self.groups if name_or_arn in (one.name, one.arn)), None)

    def listener(self, arn: str) -> Named | None:
        return Named(arn, "") if arn in self.listeners else None

    def forwards(self, listener_arn: str) -> list[dict[str, int]]:
        return self.listeners[listener_arn]

    def set_weights(self, listener_arn: str, weights: dict[str, int]) -> None:
        assert sum(weights.values()) == 100
        assert set(weights) == {BLUE, GREEN}
        self.listeners[listener_arn] = [dict(weights) for _ in self.listeners[listener_arn]]
        self.changes.append((self.clock.monotonic(), listener_arn, weights[GREEN]))


@dataclass(frozen=True)
class MemoryOutcome:
    """How a function ended."""

    error: str | None


class MemoryFunctions(MemoryPart):
    """Keeps what was invoked; a function ends only when the test calls its `done`."""

    def __init__(self) -> None:
        self.invoked: list[tuple[str, dict[str, Any]]] = []
        self.done: list[Callable[[MemoryOutcome], None]] = []
        self.missing: set[str] = set()

    def invoke(
        self, name_or_arn: str, payload: dict[str, Any], done: Callable[[Any], None], region: str
    ) -> None:
        if name_or_arn in self.missing:
            raise RefusedError("ResourceNotFoundException", f"Function not found: {name_or_arn}")
        self.invoked.append((name_or_arn, payload))
        self.done.append(done)


class MemoryAlarms(MemoryPart):
    """Alarms by name."""

    def __init__(self) -> None:
        self.states: dict[str, str] = {"errors": "OK", "latency": "OK"}

    def state(self, name: str, region: str) -> str | None:
        return self.states.get(name)


class MemoryIdentity:
    """A role that may do everything but what the test denies."""

    def __init__(self) -> None:
        self.denied: set[str] = set()
        self.trusted = True

    def trusts(self, role_arn: str, service: str) -> bool:
        return self.trusted

    def allows(
        self, role_arn: str, action: str, resource: str = "*", context: Mapping[str, str] | None = None
    ) -> bool:
        return action not in self.denied


class MemoryRevisions:
    """AppSpecs by their S3 key."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def read(self, location: Mapping[str, Any], role_arn: str, region: str) -> str:
        return self.texts[location["s3Location"]["key"]]
