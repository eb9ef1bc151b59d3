"""AWS in this very process: no socket, no waiting, and a clock whose sleeping is what lets the world live."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bgdeploy import config as c
from bgdeploy.aws import Attrs, Aws
from bgdeploy.config import Config, Settings
from bgdeploy.provision import converge
from bgdeploy.provision.plan import Action, Change, Outcome, Plan
from bgdeploy.provision.resource import Look, Resource
from bgdeploy.sandbox.server import build_world, close_world
from bgdeploy.sandbox.world import Settings as WorldSettings
from bgdeploy.sandbox.world import World
from tests.clocks import HandClock

REGION = "us-east-1"


class LivingClock(HandClock):
    """Stands still until somebody sleeps; what sleeps while AWS works is how AWS gets its work done."""

    world: World

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        with self.world.lock:
            for part in self.world.parts:
                part.tick()


@contextmanager
def living(home: Path) -> Iterator[World]:
    """Yield a world with every part, without engine and socket."""
    clock = LivingClock()
    world, _gateway = build_world(WorldSettings(home=home, speed=60.0), "AKIATEST", clock)
    clock.world = world
    try:
        yield world
    finally:
        close_world(world)
        world.moto.reset()


class NearAws(Aws):
    """An Aws whose clients call a world in this process; `tls` makes it look like one behind TLS."""

    def __init__(self, world: World, stack: str, *, tls: bool = False) -> None:
        super().__init__(stack=stack, region=REGION, clock=world.clock)
        self.world = world
        self._tls = tls

    def client(self, service: str) -> Any:
        return self.world.client(service, region=self.region)

    def secure(self, service: str) -> bool:
        return self._tls


def small(app: str, config: Mapping[str, Any]) -> Settings:
    """Return a small config, with one of everything that needs no asking for, but for what `config` says."""
    alarms = (c.Alarm(name="not-found", log_filter='" 404 "', evaluation_periods=2),)
    return Settings(env="dev", config=Config(**{"app": app, "alarms": alarms, **config}))


class Scene:
    """One resource of a small stack, and all that it needs; and what a person might do to it behind our back."""

    born: Attrs  # what it was when it was made

    def __init__(self, aws: NearAws, stack: Sequence[Resource], resource: Resource) -> None:
        self.aws = aws
        self.stack = stack
        self.resource = resource
        self.family = [*_needed(resource, stack), resource]
        self._seen = converge.Found({})

    # What the engine makes of it

    def pending(self) -> list[Change]:
        """Look at it and all that it needs, and return what provision would do."""
        self._seen = converge.look_up(self.aws, self.family)
        plan = converge.examine(self.aws, self.family, self._seen)
        return [change for change in plan.changes if change.action is not Action.NOOP]

    def change(self, *adopted: str) -> Change:
        """Look at the one resource, whose surroundings nobody has touched, and return what provision would do to it."""
        self._glance()
        changes = converge.examine(self.aws, self.family, self._seen, adopted).changes
        return next(change for change in changes if change.address == self.resource.address)

    def plan_and_provision(self, resource: Resource, *leaves: Resource) -> tuple[Plan, Outcome]:
        """Have the engine plan and provide another resource in the place of the one, and what needs it."""
        self._glance()
        resources = [*self.family[:-1], resource, *leaves]
        actual = {**self._seen.actual, resource: self.find(), **dict.fromkeys(leaves)}
        found = converge.Found(actual)
        plan = converge.examine(self.aws, resources, found)
        return plan, converge.provision(self.aws, resources, lambda progress: None, found)

    def provision(self, *adopted: str) -> Outcome:
        """Carry out what was last seen to be needed."""
        return converge.provision(self.aws, self.family, lambda progress: None, self._seen, adopted)

    def heal(self, *adopted: str) -> None:
        """Carry out what was last seen to be needed, and see to it that the one resource is well afterwards."""
        outcome = self.provision(*adopted)
        assert not outcome.failed, outcome.failed
        change = self.change()
        assert change.action is Action.NOOP, change

    def remove(self) -> Outcome:
        """Tear down the one resource, and leave what it needs."""
        actual = {**dict.fromkeys(self.family), self.resource: self.find()}
        return converge.teardown(self.aws, self.family, lambda progress: None, converge.Found(actual))

    def find(self) -> Attrs | None:
        return self.resource.find(Look(self.aws))

    def _glance(self) -> None:
        self._seen = converge.Found({**self._seen.actual, self.resource: self.find()})

    # What somebody sees who looks without us

    def __call__(self, service: str) -> Any:
        """Return a plain boto3 client."""
        return self.aws.client(service)

    @property
    def actual(self) -> Attrs:
        """What there is of it."""
        found = self.find()
        assert found is not None
        return found

    def needed(self, kind: type[Resource], label: str = "") -> Attrs:
        """Return what there is of something that it needs."""
        found: Attrs | None = self.declared(kind, label).find(Look(self.aws))
        assert found is not None
        return found

    def declared(self, kind: type[Resource], label: str = "") -> Any:
        """Return another resource of the stack."""
        return next(each for each in self.stack if isinstance(each, kind) and label in {"", each.label})


def _needed(resource: Resource, stack: Sequence[Resource]) -> list[Resource]:
    needed: set[Resource] = set()
    open_ends = [resource]
    while open_ends:
        found = set(open_ends.pop().depends_on) - needed
        needed |= found
        open_ends += found
    return [each for each in stack if each in needed]
