"""What a provision or teardown is doing, for people: a line for each resource that changes."""

from __future__ import annotations

from bgdeploy.provision.plan import Action, Outcome, Progress, State

_DONE = {
    Action.CREATE: "created",
    Action.UPDATE: "changed",
    Action.ADOPT: "taken over",
    Action.DELETE: "removed",
}
_DOING = {
    Action.CREATE: "creating",
    Action.UPDATE: "changing",
    Action.ADOPT: "taking over",
    Action.DELETE: "removing",
}
# A change that takes this long is announced when it begins, so that nobody wonders what is waited for.
SLOW_KINDS = ("load-balancer", "service", "function", "security-group", "deployment-group")


def line(progress: Progress) -> str | None:
    """Return the line to print for a piece of news, None for what is not worth one."""
    change = progress.change
    if progress.state is State.FAILED:
        return f"  x {change.address}: {progress.error}"
    if progress.state is State.BLOCKED:
        return f"  ! {change.address}: not tried, {progress.error}"
    if change.action not in _DONE:
        return None
    if progress.state is State.STARTED:
        slow = change.address.partition("/")[0] in SLOW_KINDS
        return f"  . {_DOING[change.action]} {change.address} {change.name}" if slow else None
    fields = ", ".join(difference.field for difference in change.differences)
    what = f" ({fields})" if fields and change.action is Action.UPDATE else ""
    return f"  + {_DONE[change.action]} {change.address} {change.name}{what} {progress.seconds:.1f} s"


def summary(outcome: Outcome, stack: str) -> str:
    """Return what came of it in one sentence."""
    counts: dict[str, int] = {}
    for result in outcome.changed:
        counts[_DONE[result.change.action]] = counts.get(_DONE[result.change.action], 0) + 1
    parts = [f"{count} {word}" for word, count in counts.items()]
    parts += [f"{len(outcome.failed)} failed"] if outcome.failed else []
    parts += [f"{len(outcome.blocked)} not tried"] if outcome.blocked else []
    unchanged = sum(result.change.action is Action.NOOP for result in outcome.results)
    if not parts:
        return f"{stack}: nothing to change, {unchanged} resources are as they should be"
    return f"{stack}: {', '.join(parts)}" + (f", {unchanged} unchanged" if unchanged else "")
