"""A plan, for people: what would change, field by field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bgdeploy.provision.diff import Difference
from bgdeploy.provision.plan import Action, Change, Plan

_SIGNS = {
    Action.CREATE: "+",
    Action.UPDATE: "~",
    Action.ADOPT: "~",
    Action.DELETE: "-",
    Action.REFUSED: "!",
    Action.BLOCKED: "!",
    Action.NOOP: " ",
    Action.USED: "=",
}
_WORDS = {
    Action.CREATE: "to create",
    Action.UPDATE: "to change",
    Action.ADOPT: "to take over",
    Action.DELETE: "to remove",
    Action.REFUSED: "refused",
    Action.BLOCKED: "blocked",
}


def lines(plan: Plan) -> Iterator[str]:
    """Yield the lines of a plan; one line when there is nothing to do."""
    for change in plan.used:
        yield f"{_SIGNS[change.action]} {change.address}  {change.name}" + (
            change.reason and f": {change.reason}"
        )
    for change in plan.pending:
        yield from _change(change)
    for change in plan.later:
        yield f"> {change.address}  {change.name}  goes out with the next release"
        yield from _differences(change.later)
    yield summary(plan)


def summary(plan: Plan) -> str:
    """Return the plan in one sentence."""
    parts = [
        f"{plan.counts.get(action.value, 0)} {word}"
        for action, word in _WORDS.items()
        if plan.counts.get(action.value, 0)
    ]
    in_sync = plan.counts.get(Action.NOOP.value, 0)
    if not parts:
        return f"{plan.stack}: {in_sync} resources are as they should be; nothing to do"
    return f"{plan.stack}: {', '.join(parts)}, {in_sync} as they should be"


def _change(change: Change) -> Iterator[str]:
    yield f"{_SIGNS[change.action]} {change.address}  {change.name}"
    if change.reason:
        yield f"    {change.reason}"
        return
    yield from _differences(change.differences)


def _differences(differences: tuple[Difference, ...]) -> Iterator[str]:
    for difference in differences:
        yield f"    {difference.where}: {_shown(difference.actual)} -> {_shown(difference.wanted)}"


def _shown(value: Any) -> str:
    plain = sorted(value, key=str) if isinstance(value, (set, frozenset)) else value
    text = "nothing" if plain is None else str(plain)
    return text if len(text) <= 160 else f"{text[:157]}..."
