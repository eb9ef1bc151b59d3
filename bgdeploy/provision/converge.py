"""The three visitors: examine what would change, make it so, and remove it. The same graph for all of them.

Everything is looked up first and at once; then the walk only changes. That is what makes a provision take little more
than its longest chain of calls.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from bgdeploy.aws import STACK_TAG, Attrs, Aws, NotYetError, error_code, says, sentence_of, wait_until
from bgdeploy.errors import BgdeployError
from bgdeploy.provision.decide import Adopted, change_of, removal_of, stranger_of
from bgdeploy.provision.plan import Action, Change, Outcome, Plan, Progress, State
from bgdeploy.provision.resource import TAGS, Foreseen, Known, Look, Remains, Resource, UnusableError
from bgdeploy.provision.walk import Walk, walk

Tell = Callable[[Progress], None]
_STILL = {Action.NOOP, Action.USED}
_SECONDS_UNTIL_SEEN = 15.0
# Between two questions about a thing somebody removed it: whoever looks again sees it gone.
_VANISHED = re.compile("NotFound|NoSuch|NotExist")


class RefusedError(BgdeployError):
    """A resource will not be touched: it is not ours, or what should change cannot."""


@dataclass(frozen=True)
class Found:
    """What there is in AWS: of each resource, and of what is ours beside them."""

    actual: Mapping[Resource, Attrs | None]
    forgotten: tuple[Remains, ...] = ()


def look_up(aws: Aws, resources: Sequence[Resource], *, for_removal: bool = False) -> Found:
    """Find everything there is, all at once. Raises what AWS raises."""
    look = Look(aws, for_removal=for_removal)

    def ask(resource: Resource) -> tuple[Attrs | None, list[Remains]]:
        try:
            return resource.find(look), resource.forgotten(look, resources)
        except Exception as error:
            if not _VANISHED.search(error_code(error)):
                raise
        again = Look(aws, for_removal=for_removal)
        return resource.find(again), resource.forgotten(again, resources)

    looked = walk(dict.fromkeys(resources, ()), ask)
    _raise_first(list(looked.errors.values()))
    if looked.interrupted:
        raise KeyboardInterrupt
    forgotten = {(each.was, each.name): each for _, found in looked.results.values() for each in found}
    return Found(
        {resource: actual for resource, (actual, _) in looked.results.items()}, tuple(forgotten.values())
    )


def _raise_first(errors: Sequence[BaseException]) -> None:
    """Raise the first error; what cannot be used is told all at once, when there is no other trouble."""
    # Of what several need, each tells the same.
    unusable = list({str(error): error for error in errors if isinstance(error, UnusableError)}.values())
    for error in errors:
        if len(unusable) < 2 or not isinstance(error, UnusableError):
            raise error
    if unusable:
        messages = "\n".join(f"  {error.message}" for error in unusable)
        hints = "; ".join(dict.fromkeys(error.hint for error in unusable if error.hint))
        raise UnusableError(
            f"{len(unusable)} things that the config names cannot be used:\n{messages}", hints
        )


def examine(
    aws: Aws, resources: Sequence[Resource], found: Found | None = None, adopted: Adopted = ()
) -> Plan:
    """Return what provision would do. Changes nothing."""
    found = look_up(aws, resources) if found is None else found
    known, stuck, changes = Foreseen(aws), set[Resource](), []
    for resource in resources:
        actual = found.actual[resource]
        culprit = next((needed for needed in resource.depends_on if needed in stuck), None)
        if culprit:
            blocked = Change(
                resource.address, resource.name, Action.BLOCKED, reason=f"needs {culprit.address}"
            )
            change = stranger_of(resource, actual, aws, adopted) or blocked
        else:
            change = change_of(resource, actual, known, adopted)
        if change.action in {Action.REFUSED, Action.BLOCKED}:
            stuck.add(resource)
        elif actual is not None:
            known[resource] = actual
        changes.append(change)
    changes += [_farewell(each, stuck=bool(stuck)) for each in found.forgotten]
    return Plan(aws.stack, tuple(changes))


def _farewell(remains: Remains, *, stuck: bool) -> Change:
    """Return what is to happen to something forgotten: it goes once all else is as it should be."""
    if stuck or remains.waits:
        reason = remains.waits or "goes once nothing is refused any more"
        return Change(remains.was, remains.name, Action.BLOCKED, reason=reason)
    return Change(remains.was, remains.name, Action.DELETE)


def provision(
    aws: Aws, resources: Sequence[Resource], tell: Tell, found: Found | None = None, adopted: Adopted = ()
) -> Outcome:
    """Make AWS match the resources. What fails or is refused blocks what needs it; the rest goes on.

    What the config does not ask for any more goes last, when all that it does ask for is there.
    """
    found = look_up(aws, resources) if found is None else found
    known = Known(aws)

    def visit(resource: Resource) -> Progress:
        began, actual = aws.clock.monotonic(), found.actual[resource]
        change = change_of(resource, actual, known, adopted)
        if change.action is Action.REFUSED:
            raise RefusedError(change.reason)
        if change.action not in _STILL:
            tell(Progress(change, State.STARTED))
        known[resource] = _carry_out(aws, resource, change, actual, known)
        progress = Progress(change, State.DONE, aws.clock.monotonic() - began)
        tell(progress)
        return progress

    done = walk({each: each.depends_on for each in resources}, visit, aws.leaving.set)
    outcome = _outcome(resources, done, tell)
    if not outcome.failed and not outcome.blocked:
        outcome = _await_use(aws, known, outcome, tell)
    going: dict[Resource, tuple[Resource, ...]] = {each: () for each in found.forgotten if not each.waits}
    if outcome.failed or outcome.blocked or not going:
        return outcome
    removed = _remove(aws, going, found, tell)
    return Outcome(outcome.results + removed.results, removed.interrupted)


def _await_use(aws: Aws, known: Known, outcome: Outcome, tell: Tell) -> Outcome:
    """Wait until those outside the stack can use it, and return the outcome with what did not come."""

    def visit(resource: Resource) -> Progress:
        began = aws.clock.monotonic()
        change = Change(resource.address, resource.name, Action.AWAIT)
        tell(Progress(change, State.STARTED))
        resource.await_use(aws, known[resource])
        progress = Progress(change, State.DONE, aws.clock.monotonic() - began)
        tell(progress)
        return progress

    coming = [each for each in known if each.coming(known[each])]
    waited = _outcome(coming, walk(dict.fromkeys(coming, ()), visit, aws.leaving.set), tell)
    return Outcome(outcome.results + waited.failed + waited.blocked, waited.interrupted)


def teardown(aws: Aws, resources: Sequence[Resource], tell: Tell, found: Found | None = None) -> Outcome:
    """Remove what carries the stack's tags, dependants first. What is not ours stays, and is told."""
    found = look_up(aws, resources, for_removal=True) if found is None else found
    _refuse_what_is_held(aws, found)
    needed_by: dict[Resource, list[Resource]] = {each: [] for each in (*resources, *found.forgotten)}
    for resource in resources:
        for needed in resource.depends_on:
            needed_by[needed].append(resource)
    return _remove(aws, needed_by, found, tell)


def _refuse_what_is_held(aws: Aws, found: Found) -> None:
    """Raise RefusedError, before anything is removed, when something of ours must not be."""
    for resource, actual in found.actual.items():
        held = resource.held(actual) if actual is not None and aws.owns(actual.get(TAGS, {})) else ""
        if held:
            raise RefusedError(held)


def _remove(
    aws: Aws, needed_by: Mapping[Resource, Collection[Resource]], found: Found, tell: Tell
) -> Outcome:
    def visit(resource: Resource) -> Progress:
        began = aws.clock.monotonic()
        actual = resource.actual if isinstance(resource, Remains) else found.actual[resource]
        change = removal_of(resource, actual, aws, found.actual)
        if change.action is Action.DELETE and actual is not None:
            tell(Progress(change, State.STARTED))
            resource.delete(aws, actual)
        progress = Progress(change, State.DONE, aws.clock.monotonic() - began)
        tell(progress)
        return progress

    return _outcome(list(needed_by), walk(needed_by, visit, aws.leaving.set), tell)


# Making it so


def _carry_out(aws: Aws, resource: Resource, change: Change, actual: Attrs | None, known: Known) -> Attrs:
    if actual is None:
        return _create(aws, resource, known)
    if change.action in _STILL:
        return actual
    wanted = resource.desired(known)
    changed = {difference.field for difference in change.differences}
    if TAGS in changed:
        resource.retag(aws, actual, resource.tags(aws))
    fields = {field: value for field, value in wanted.items() if field in changed}
    return {**actual, **(resource.update(aws, actual, fields) if fields else {})}


def _create(aws: Aws, resource: Resource, known: Known) -> Attrs:
    """Make it; when somebody who provisions the same stack was faster, go on from what they made."""
    from botocore.exceptions import ClientError

    try:
        return resource.create(aws, resource.desired(known))
    except ClientError as error:
        if not says(error, resource.taken):
            raise
        actual = _made_by_another(aws, resource)
        if actual is None:
            raise _taken(aws, resource, error) from error
    change = change_of(resource, actual, known)
    if change.action is Action.REFUSED:
        raise RefusedError(change.reason)
    return _carry_out(aws, resource, change, actual, known)


def _made_by_another(aws: Aws, resource: Resource) -> Attrs | None:
    """Find what somebody else made a moment ago: AWS may take some seconds to show it to everybody."""
    found: list[Attrs] = []

    def there() -> bool:
        found.extend(filter(None, [resource.find(Look(aws))]))
        return bool(found)

    with suppress(NotYetError):
        wait_until(aws, there, _SECONDS_UNTIL_SEEN)
    return found[0] if found else None


def _taken(aws: Aws, resource: Resource, error: Exception) -> RefusedError:
    """Return the refusal for a name or place that is taken by something that our tags do not lead to."""
    return RefusedError(
        f"{_sentence(error)}; what is in the way of {resource.kind} {resource.name!r} does not carry the tag "
        f"{STACK_TAG}={aws.stack}: it is not ours and is left alone",
        "remove or rename it, or choose another app name",
    )


def _outcome(resources: Sequence[Resource], done: Walk[Resource, Progress], tell: Tell) -> Outcome:
    results = []
    for resource in resources:
        if resource in done.results:
            results.append(done.results[resource])
            continue
        change = Change(resource.address, resource.name, Action.UPDATE)
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
    known = sentence_of(error) if isinstance(error, Exception) else None
    if known is None:
        return f"{type(error).__name__}: {error}"
    return f"{known.message}{'; ' + known.hint if known.hint else ''}"
