"""Task sets that nobody wants any more: ACTIVE ones beside the PRIMARY one while no deployment is active. Pure.

A deployment that was stopped without a rollback leaves its own (aws-facts 2.3), and the next one leaves it as well: it
runs on in its target group, where the tasks of the next green would stand beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bgdeploy.counting import counted
from bgdeploy.release import parse

_HOW = "A deployment that was stopped without a rollback leaves such a one"


@dataclass(frozen=True)
class Leftover:
    """A task set that no deployment will remove."""

    id: str
    version: str
    target_group: str  # name
    running: int

    @property
    def who(self) -> str:
        """Which one that is, in words."""
        return f"the task set {self.id} of {self.version} ({counted(self.running, 'task')})"


def leftovers(task_sets: Iterable[Mapping[str, Any]], version: Callable[[str], str]) -> tuple[Leftover, ...]:
    """Return those of DescribeServices' task sets, while no deployment is active. DRAINING ones are going already."""
    found = []
    for raw in task_sets:
        if raw["status"] == "ACTIVE":
            plain = parse.task_set(raw, "green", version(raw["taskDefinition"]))
            found.append(Leftover(plain.id, plain.version, plain.target_group, plain.running))
    return tuple(found)


def in_the_way(leftover: Leftover) -> str:
    """Say why nothing can be released while it stands where the next green would be put."""
    return (
        f"{leftover.who} still runs beside production in {leftover.target_group}, where a release puts its tasks: "
        f"production would answer {leftover.version} and the new version in turn. {_HOW}"
    )


def beside_production(leftover: Leftover, live: str) -> str:
    """Say what it does in the target group that production is on."""
    return (
        f"{leftover.who} runs in {leftover.target_group}, where production is: users get {leftover.version} and {live} "
        f"in turn. {_HOW}"
    )


def elsewhere(leftover: Leftover) -> str:
    """Say that it is in nobody's way."""
    where = leftover.target_group or "no target group"
    return f"{leftover.who} still runs beside production in {where}. {_HOW}"
