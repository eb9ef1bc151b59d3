"""A plan, for people: what would change, field by field."""

from __future__ import annotations

from collections.abc import Iterator

from bgdeploy.counting import counted
from bgdeploy.provision.diff import Difference, narrowed
from bgdeploy.provision.plan import Action, Change, Plan
from bgdeploy.provision.values import written

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
_LONGEST = 160  # characters of a value; of what is longer, only the parts that differ are shown


def lines(plan: Plan) -> Iterator[str]:
    """Yield the lines of a plan; one line when there is nothing to do."""
    shown = (*plan.used, *plan.pending, *plan.later)
    width = max((len(change.address) for change in shown), default=0)
    for change in plan.used:
        yield _head(change, width) + (change.reason and f": {change.reason}")
    for change in plan.pending:
        yield from _change(change, width)
    for change in plan.later:
        yield f"{_head(change, width, '>')}  goes out with the next release"
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
        return f"{plan.stack}: {as_they_should_be(in_sync)}; nothing to do"
    return f"{plan.stack}: {', '.join(parts)}" + (
        f", {in_sync} as {'it' if in_sync == 1 else 'they'} should be" if in_sync else ""
    )


def as_they_should_be(number: int) -> str:
    """Return in words that so many resources are left as they are."""
    return f"{counted(number, 'resource is as it', 'resources are as they')} should be"


def _head(change: Change, width: int, sign: str = "") -> str:
    return f"{sign or _SIGNS[change.action]} {change.address:<{width}}  {change.name}"


def _change(change: Change, width: int) -> Iterator[str]:
    if change.action is Action.BLOCKED:
        yield f"{_head(change, width)}  {change.reason}"
        return
    yield _head(change, width)
    if change.reason:
        yield f"    {change.reason}"
        return
    yield from _differences(change.differences)


def _differences(differences: tuple[Difference, ...]) -> Iterator[str]:
    for difference in differences:
        longest = max(len(written(difference.actual)), len(written(difference.wanted)))
        for part in narrowed(difference) if longest > _LONGEST else (difference,):
            yield f"    {part.where}: {_cut(written(part.actual))} -> {_cut(written(part.wanted))}"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
