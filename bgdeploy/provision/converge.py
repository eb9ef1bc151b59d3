"""The three visitors: examine what would change, make it so, and remove it. The same graph for all of them.

Everything is looked up first and at once; then the walk only changes. That is what makes a provision take little more
than its longest chain of calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bgdeploy.aws import Attrs, Aws, translated
from bgdeploy.errors import BgdeployError
from bgdeploy.provision.diff import Difference, differences
from bgdeploy.provision.plan import Action, Change, Outcome, Plan, Progress, State
from bgdeploy.provision.resource import TAGS, Foreseen, Known, Look, Resource
from bgdeploy.provision.walk import Walk, walk

Tell = Callable[[Progress], None]
Found = Mapping[Resource, "Attrs | None"]


class RefusedError(BgdeployError):
    """A resource will not be touched: it is not ours, or what should change cannot."""


def look_up(aws: Aws, resources: Sequence[Resource], *, for_removal: bool = False) -> Found:
    """Find everything there is, all at once. Raises what AWS raises."""
    look = Look(aws, for_removal=for_removal)
    looked = walk(dict.fromkeys(resources, ()), lambda resource: resource.find(look))
    for error in looked.errors.values():
        raise error
    if looked.interrupted:
        raise KeyboardInterrupt
    return looked.results


def examine(aws: Aws, resources: Sequence[Resource], found: Found | None = None) -> Plan:
    """Return what provision would do. Changes nothing."""
    found = look_up(aws, resources) if found is None else found
    known, stuck, changes = Foreseen(aws), set[Resource](), []
    for resource in resources:
        actual = found[resource]
        culprit = next((needed for needed in resource.depends_on if needed in stuck), None)
        change = _blocked(resource, culprit) if culprit else _change(resource, actual, known)
        if change.action in {Action.REFUSED, Action.BLOCKED}:
            stuck.add(resource)
        elif actual is not None:
            known[resource] = actual
        changes.append(change)
    return Plan(aws.stack, tuple(changes))


def provision(aws: Aws, resources: Sequence[Resource], tell: Tell, found: Found | None = None) -> Outcome:
    """Make AWS match the resources. What fails or is refused blocks what needs it; the rest goes on."""
    found = look_up(aws, resources) if found is None else found
    known = Known(aws)

    def visit(resource: Resource) -> Progress:
        began, actual = aws.clock.monotonic(), found[resource]
        change = _change(resource, actual, known)
        if change.action is Action.REFUSED:
            raise RefusedError(change.reason)
        if change.action is not Action.NOOP:
            tell(Progress(change, State.STARTED))
        known[resource] = _carry_out(aws, resource, change, actual, known)
        progress = Progress(change, State.DONE, aws.clock.monotonic() - began)
        tell(progress)
        return progress

    done = walk({resource: resource.depends_on for resource in resources}, visit)
    return _outcome(resources, done, tell, Action.UPDATE)


def teardown(aws: Aws, resources: Sequence[Resource], tell: Tell) -> Outcome:
    """Remove what carries the stack's tags, dependants first. What is not ours stays, and is told."""
    found = look_up(aws, resources, for_removal=True)
    needed_by: dict[Resource, list[Resource]] = {resource: [] for resource in resources}
    for resource in resources:
        for needed in resource.depends_on:
            needed_by[needed].append(resource)

    def visit(resource: Resource) -> Progress:
        began, actual = aws.clock.monotonic(), found[resource]
        change = _removal(resource, actual, aws, found)
        if change.action is Action.DELETE and actual is not None:
            tell(Progress(change, State.STARTED))
            resource.delete(aws, actual)
        progress = Progress(change, State.DONE, aws.clock.monotonic() - began)
        tell(progress)
        return progress

    return _outcome(resources, walk(needed_by, visit), tell, Action.DELETE)


# What is to happen to one resource: decided from values alone


def _change(resource: Resource, actual: Attrs | None, known: Known) -> Change:
    if actual is None:
        return Change(resource.address, resource.name, Action.CREATE)
    if not resource.part_of_another and not known.aws.owns(actual.get(TAGS, {})):
        return Change(resource.address, resource.name, Action.REFUSED, reason=_foreign(resource, known.aws))
    found = tuple(differences(resource.desired(known), actual, resource.create_only))
    fixed = [difference for difference in found if difference.field in resource.immutable]
    if fixed:
        return Change(resource.address, resource.name, Action.REFUSED, found, _immutable(resource, fixed))
    return Change(resource.address, resource.name, Action.UPDATE if found else Action.NOOP, found)


def _blocked(resource: Resource, culprit: Resource) -> Change:
    return Change(resource.address, resource.name, Action.BLOCKED, reason=f"needs {culprit.address}")


def _removal(resource: Resource, actual: Attrs | None, aws: Aws, found: Found) -> Change:
    if actual is None:
        return Change(resource.address, resource.name, Action.NOOP)
    if _ours(resource, actual, aws, found):
        return Change(resource.address, resource.name, Action.DELETE)
    return Change(resource.address, resource.name, Action.REFUSED, reason=_foreign(resource, aws))


def _ours(resource: Resource, actual: Attrs, aws: Aws, found: Found) -> bool:
    """What cannot carry tags is ours when all that it is part of is, or is gone."""
    if not resource.part_of_another:
        return aws.owns(actual.get(TAGS, {}))
    owners = [found[owner] for owner in resource.depends_on]
    return all(owner is None or aws.owns(owner.get(TAGS, {})) for owner in owners)


def _foreign(resource: Resource, aws: Aws) -> str:
    return (
        f"{resource.kind} {resource.name!r} exists and does not carry the tag bgdeploy:stack={aws.stack}: it is not "
        "ours and is left alone; remove or rename it, or choose another app name"
    )


def _immutable(resource: Resource, fixed: Sequence[Difference]) -> str:
    fields = ", ".join(f"{each.where} is {each.actual!r} and should be {each.wanted!r}" for each in fixed)
    return (
        f"{fields}: AWS cannot change that in place; set the config back, or remove {resource.kind} "
        f"{resource.name!r} (bgdeploy teardown, then provision)"
    )


# Making it so


def _carry_out(aws: Aws, resource: Resource, change: Change, actual: Attrs | None, known: Known) -> Attrs:
    if actual is None:
        return resource.create(aws, resource.desired(known))
    if change.action is Action.NOOP:
        return actual
    changed_fields = {difference.field for difference in change.differences}
    changed = {field: wanted for field, wanted in resource.desired(known).items() if field in changed_fields}
    return {**actual, **resource.update(aws, actual, changed)}


def _outcome(
    resources: Sequence[Resource], done: Walk[Resource, Progress], tell: Tell, action: Action
) -> Outcome:
    results = []
    for resource in resources:
        if resource in done.results:
            results.append(done.results[resource])
            continue
        change = Change(resource.address, resource.name, action)
        if resource in done.errors:
            progress = Progress(change, State.FAILED, error=_sentence(done.errors[resource]))
        elif resource in done.blocked:
            progress = Progress(change, State.BLOCKED, error=f"needs {done.blocked[resource].address}")
        else:
            progress = Progress(change, State.BLOCKED, error="interrupted before its turn")
        tell(progress)
        results.append(progress)
    return Outcome(tuple(results), done.interrupted)


def _sentence(error: BaseException) -> str:
    known: Any = error if isinstance(error, BgdeployError) else None
    if known is None and isinstance(error, Exception):
        known = translated(error)
    if known is None:
        return f"{type(error).__name__}: {error}"
    return f"{known.message}{'; ' + known.hint if known.hint else ''}"
