"""A kind of resource that lives in a cupboard instead of AWS, for tests of the engine: it knows no service either."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from bgdeploy.aws import STACK_TAG, Attrs, Aws
from bgdeploy.provision import converge
from bgdeploy.provision.plan import Outcome, Plan, Progress
from bgdeploy.provision.resource import TAGS, Known, Look, Remains, Resource
from tests.clocks import HandClock

STACK = "shop-dev"


def aws(stack: str = STACK) -> Aws:
    """Return AWS as a stack sees it, on a clock that stands still."""
    return Aws(stack=stack, region="us-east-1", clock=HandClock())


@dataclass
class Cupboard:
    """Holds things by name, and remembers what was done to them in which order."""

    held: dict[str, Attrs] = field(default_factory=dict)
    deeds: list[str] = field(default_factory=list)
    failing: dict[str, Exception] = field(default_factory=dict)  # what a deed, "create blue", raises
    before: dict[str, Callable[[], object]] = field(default_factory=dict)  # what happens just before a deed
    lock: threading.Lock = field(default_factory=threading.Lock)

    def do(self, deed: str) -> None:
        self.before.get(deed, lambda: None)()
        with self.lock:
            self.deeds.append(deed)
        if deed in self.failing:
            raise self.failing[deed]


@dataclass(frozen=True, eq=False, kw_only=True)
class Thing(Resource):
    """Something in a cupboard: what it should hold is `wanted`."""

    kind = "thing"
    immutable = frozenset({"Size"})
    create_only = frozenset({"Weight"})
    taken = frozenset({"TakenException"})
    cupboard: Cupboard
    wanted: tuple[tuple[str, Any], ...] = ()

    def desired(self, known: Known) -> Attrs:
        needed = {f"{each.name}Id": known[each]["Id"] for each in self.after}
        return {**dict(self.wanted), **needed}

    def find(self, look: Look) -> Attrs | None:
        found = self.cupboard.held.get(self.name)
        return found and dict(found)

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        self.cupboard.do(f"create {self.name}")
        made = {**desired, "Id": f"id-{self.name}", TAGS: dict(self.tags(aws))}
        self.cupboard.held[self.name] = made
        return made

    def update(self, aws: Aws, actual: Attrs, changed: Attrs) -> Attrs:
        self.cupboard.do(f"update {self.name} {' '.join(changed)}")
        self.cupboard.held[self.name].update(changed)
        return changed

    def retag(self, aws: Aws, actual: Attrs, tags: Mapping[str, str]) -> None:
        self.cupboard.do(f"retag {self.name}")
        self.cupboard.held[self.name][TAGS].update(tags)

    def delete(self, aws: Aws, actual: Attrs) -> None:
        self.cupboard.do(f"delete {self.name}")
        del self.cupboard.held[self.name]

    def forgotten(self, look: Look, declared: Collection[Resource]) -> list[Remains]:
        names = {each.name for each in declared}
        return [
            Remains(name=name, was=f"thing/{name}", actual=held, remove=lambda aws, it: self._forget(it))
            for name, held in self.cupboard.held.items()
            if name not in names and held[TAGS].get(STACK_TAG) == look.aws.stack
        ]

    def _forget(self, held: Attrs) -> None:
        name = str(held["Id"]).removeprefix("id-")
        self.cupboard.do(f"delete {name}")
        del self.cupboard.held[name]


@dataclass(frozen=True, eq=False, kw_only=True)
class Label(Thing):
    """A thing that cannot carry tags: it is part of another."""

    kind = "label"
    part_of_another = True


class Stack:
    """Three things in a cupboard, each needing the one before, and one beside them."""

    def __init__(self) -> None:
        self.cupboard = Cupboard()
        self.first = self.thing("first", Size=1, Colour="red")
        self.second = self.thing("second", after=self.first)
        self.third = self.thing("third", after=self.second)
        self.beside = self.thing("beside")
        self.resources: list[Resource] = [self.first, self.second, self.third, self.beside]
        self.aws = aws()
        self.news: list[Progress] = []

    def thing(self, name: str, after: Thing | None = None, **wanted: Any) -> Thing:
        needed = (after,) if after else ()
        return Thing(
            name=name, label=name, cupboard=self.cupboard, wanted=tuple(wanted.items()), after=needed
        )

    def plan(self, *adopted: str) -> Plan:
        return converge.examine(self.aws, self.resources, adopted=adopted)

    def provision(self, *adopted: str) -> Outcome:
        self.cupboard.deeds.clear()
        return converge.provision(self.aws, self.resources, self.news.append, adopted=adopted)

    def teardown(self) -> Outcome:
        self.cupboard.deeds.clear()
        return converge.teardown(self.aws, self.resources, self.news.append)

    def actions(self, plan: Plan) -> dict[str, str]:
        return {change.name: change.action.value for change in plan.changes}


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "there is one"}}, "CreateThing")
