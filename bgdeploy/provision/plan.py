"""What is to be done, and what was done, as values. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from bgdeploy.provision.diff import Difference


class Action(str, Enum):
    """What happens to a resource."""

    CREATE = "create"
    UPDATE = "update"
    ADOPT = "adopt"  # an update that begins with our tags
    NOOP = "noop"
    USED = "used"  # somebody else's: found, and left as it is
    AWAIT = "await"  # never planned: it is made, and those outside the stack cannot use it yet
    DELETE = "delete"
    REFUSED = "refused"
    BLOCKED = "blocked"  # cannot be decided: what it needs is refused


_EXISTS = {Action.NOOP, Action.UPDATE, Action.DELETE}
_IDLE = {Action.NOOP, Action.USED, Action.AWAIT}


@dataclass(frozen=True)
class Change:
    """What is to happen to one resource, and why."""

    address: str
    name: str
    action: Action
    differences: tuple[Difference, ...] = ()
    reason: str = ""  # of a refusal, as a sentence with a way out; what was found of what is used
    foreign: bool = False  # refused because it is not ours
    later: tuple[Difference, ...] = ()  # what the next release changes: no provision could

    def as_dict(self) -> dict[str, Any]:
        return {
            "address": self.address,
            "name": self.name,
            "action": self.action.value,
            "fields": _fields(self.differences),
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Plan:
    """What is to happen to a stack, in the order of its topology."""

    stack: str
    changes: tuple[Change, ...]

    @property
    def pending(self) -> tuple[Change, ...]:
        """What is not as it should be."""
        return tuple(change for change in self.changes if change.action not in _IDLE)

    @property
    def used(self) -> tuple[Change, ...]:
        """What is somebody else's, and what of it was found."""
        return tuple(change for change in self.changes if change.action is Action.USED)

    @property
    def later(self) -> tuple[Change, ...]:
        """What is as it should be, or will be, but for parts that go out with the next release."""
        return tuple(change for change in self.changes if change.later)

    @property
    def refused(self) -> tuple[Change, ...]:
        """What has to be settled by a person before anything can be done."""
        return tuple(change for change in self.changes if change.action is Action.REFUSED)

    @property
    def grave(self) -> tuple[Change, ...]:
        """What is not done without a yes: what is removed, and what is taken over."""
        return tuple(change for change in self.changes if change.action in {Action.DELETE, Action.ADOPT})

    @property
    def counts(self) -> Mapping[str, int]:
        return Counter(change.action.value for change in self.changes)

    def as_dict(self) -> dict[str, Any]:
        return {
            "stack": self.stack,
            "pending": [change.as_dict() for change in self.pending],
            "counts": dict(self.counts),
            "next_release": [
                {"address": change.address, "name": change.name, "fields": _fields(change.later)}
                for change in self.later
            ],
            "used": [change.as_dict() for change in self.used],
            "resources": len(self.changes),
            "exists": [change.address for change in self.changes if change.action in _EXISTS],
        }


class State(str, Enum):
    """How far a resource's change has come."""

    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    BLOCKED = "blocked"  # not tried: what it needs failed, or the walk was interrupted


@dataclass(frozen=True)
class Progress:
    """News of one resource while a plan is carried out."""

    change: Change
    state: State
    seconds: float = 0.0
    error: str = ""


@dataclass(frozen=True)
class Outcome:
    """What came of it, resource by resource, in the order of the topology."""

    results: tuple[Progress, ...]
    interrupted: bool = False

    @property
    def changed(self) -> tuple[Progress, ...]:
        idle = {*_IDLE, Action.REFUSED}
        return tuple(r for r in self.results if r.state is State.DONE and r.change.action not in idle)

    @property
    def failed(self) -> tuple[Progress, ...]:
        return tuple(result for result in self.results if result.state is State.FAILED)

    @property
    def blocked(self) -> tuple[Progress, ...]:
        return tuple(result for result in self.results if result.state is State.BLOCKED)

    @property
    def left_alone(self) -> tuple[Progress, ...]:
        """What a teardown found under our names and did not touch, because it is not ours."""
        return tuple(r for r in self.results if r.state is State.DONE and r.change.action is Action.REFUSED)

    def as_dict(self) -> dict[str, Any]:
        return {
            "changed": [result.change.as_dict() for result in self.changed],
            "failed": [{"address": r.change.address, "error": r.error} for r in self.failed],
            "blocked": [{"address": r.change.address, "reason": r.error} for r in self.blocked],
            "left_alone": [{"address": r.change.address, "reason": r.change.reason} for r in self.left_alone],
            "unchanged": sum(r.change.action in _IDLE for r in self.results),
        }


def _fields(differences: tuple[Difference, ...]) -> list[dict[str, Any]]:
    return [
        {"field": each.where, "wanted": _plain(each.wanted), "actual": _plain(each.actual)}
        for each in differences
    ]


def _plain(value: Any) -> Any:
    return sorted(value, key=str) if isinstance(value, (set, frozenset)) else value
