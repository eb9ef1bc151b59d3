"""What a provision or teardown is doing, for people: a line for each change that is done, and what is under way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from bgdeploy.provision.plan import Action, Outcome, Progress, State
from bgdeploy.views.plan import as_they_should_be
from bgdeploy.views.theme import Glyphs, fit, plain

if TYPE_CHECKING:
    from bgdeploy.provision.plan import Change

_DONE = {
    Action.CREATE: "created",
    Action.UPDATE: "changed",
    Action.ADOPT: "adopted",
    Action.DELETE: "removed",
    Action.AWAIT: "ready",
}
_DOING = {
    Action.CREATE: "creating",
    Action.UPDATE: "changing",
    Action.ADOPT: "adopting",
    Action.DELETE: "removing",
    Action.AWAIT: "awaiting",
}
# Where nobody sees what is under way, a change that may take minutes is announced when it begins.
SLOW_KINDS = ("load-balancer", "nat-gateway", "endpoint", "service", "security-group", "subnet", "vpc")
_ROOM = 12  # lines for what is under way


@contextmanager
def showing(
    console: Console, now: Callable[[], float], signs: Glyphs, *, live: bool
) -> Iterator[Callable[[Progress], None]]:
    """Yield what shows news on `console`: below what is done, a board of what is under way, if `live`.

    `now` tells seconds. The news may come from several threads.
    """
    if not live:
        yield lambda progress: _print(console, line(progress, signs))
        return
    running: dict[str, tuple[Change, float]] = {}
    with Live(
        console=console,
        get_renderable=lambda: under_way(tuple(running.values()), now(), console.width, signs),
        refresh_per_second=4,
        transient=True,
    ):

        def show(progress: Progress) -> None:
            address = progress.change.address
            if progress.state is State.STARTED:
                running[address] = (progress.change, now())
                return
            running.pop(address, None)
            told = line(progress, signs)
            if told and progress.state is State.DONE and progress.change.action in _DONE:
                told = fit(told, console.width, signs)  # its name can be cut; what failed is told to the end
            _print(console, told)

        yield show


def _print(console: Console, told: Text | None) -> None:
    if told is not None:
        console.print(told, soft_wrap=True)


def under_way(
    running: tuple[tuple[Change, float], ...], now: float, width: int, signs: Glyphs
) -> RenderableType:
    """Return the board of what is under way: each change, and the seconds since it began."""
    lines = [
        Text(_row(signs.busy, _DOING[change.action], f"{now - began:.0f} s", change.address), "busy")
        for change, began in running[:_ROOM]
    ]
    if len(running) > _ROOM:
        lines.append(Text(f"    and {len(running) - _ROOM} more", "faint"))
    return Group(*(fit(each, width, signs) for each in lines))


def line(progress: Progress, signs: Glyphs) -> Text | None:
    """Return the line for a piece of news, None for what is not worth one."""
    change = progress.change
    if progress.state is State.FAILED:
        return Text(plain(f"  {signs.bad} {change.address}: {progress.error}", signs), "bad")
    if progress.state is State.BLOCKED:
        return Text(plain(f"  {signs.warn} {change.address}: not tried, {progress.error}", signs), "warn")
    if change.action is Action.REFUSED:
        return Text(plain(f"  {signs.warn} {change.address}: {change.reason}", signs), "warn")
    if change.action not in _DONE:
        return None
    if progress.state is State.STARTED:
        slow = change.address.partition("/")[0] in SLOW_KINDS
        text = _row(signs.idle, _DOING[change.action], "", f"{change.address}  {change.name}")
        return Text(plain(text, signs), "faint") if slow else None
    fields = ", ".join(dict.fromkeys(difference.field for difference in change.differences))
    what = f" ({fields})" if fields and change.action is not Action.CREATE else ""
    took = f"{progress.seconds:.1f} s"
    text = _row(signs.good, _DONE[change.action], took, f"{change.address}  {change.name}{what}")
    return Text(plain(text, signs))


def _row(sign: str, verb: str, took: str, what: str) -> str:
    """Return a line whose columns stand under those of the others."""
    return f"  {sign} {verb:<8} {took:>7}  {what}"


def summary(outcome: Outcome, stack: str, *, removal: bool = False) -> str:
    """Return what came of it in one sentence; of a removal without what was gone already, or is somebody else's."""
    counts: dict[str, int] = {}
    for result in outcome.changed:
        counts[_DONE[result.change.action]] = counts.get(_DONE[result.change.action], 0) + 1
    parts = [f"{count} {word}" for word, count in counts.items()]
    parts += [f"{len(outcome.failed)} failed"] if outcome.failed else []
    parts += [f"{len(outcome.blocked)} not tried"] if outcome.blocked else []
    parts += [f"{len(outcome.left_alone)} left alone"] if outcome.left_alone else []
    unchanged = sum(result.change.action in {Action.NOOP, Action.USED} for result in outcome.results)
    if not parts:
        return f"{stack}: nothing to change, {as_they_should_be(unchanged)}"
    return f"{stack}: {', '.join(parts)}" + (f", {unchanged} unchanged" if unchanged and not removal else "")
