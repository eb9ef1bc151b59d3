"""What is to happen to one resource, decided from what it should be and what it is. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from bgdeploy.aws import REGION_TAG, STACK_TAG, Attrs, Aws
from bgdeploy.provision.diff import Difference, differences
from bgdeploy.provision.plan import Action, Change
from bgdeploy.provision.resource import TAGS, Known, Remains, Resource
from bgdeploy.provision.values import written

Adopted = Collection[str]  # the addresses of what is to be taken over although it does not carry our tags


def change_of(resource: Resource, actual: Attrs | None, known: Known, adopted: Adopted = ()) -> Change:
    """Return what provision is to do with a resource."""
    if resource.external and actual is None:
        return Change(resource.address, resource.name, Action.REFUSED, reason=resource.missing())
    if actual is None:
        return Change(resource.address, resource.name, Action.CREATE)
    if resource.external:
        return Change(resource.address, resource.name, Action.USED, reason=resource.told(actual))
    if refused := stranger_of(resource, actual, known.aws, adopted):
        return refused
    owned = resource.part_of_another or known.aws.owns(actual.get(TAGS, {}))
    action = Action.UPDATE if owned else Action.ADOPT
    found = tuple(differences(_wanted(resource, known), actual, resource.create_only))
    fixed = [difference for difference in found if difference.field in resource.immutable]
    if fixed:
        return Change(resource.address, resource.name, Action.REFUSED, found, _immutable(resource, fixed))
    later = resource.awaits_release(known, actual)
    return Change(resource.address, resource.name, action if found else Action.NOOP, found, later=later)


def stranger_of(resource: Resource, actual: Attrs | None, aws: Aws, adopted: Adopted = ()) -> Change | None:
    """Return the refusal of what is in a resource's place and not ours, None when there is no such thing."""
    if actual is None or resource.external or resource.part_of_another or aws.owns(actual.get(TAGS, {})):
        return None
    if resource.adoptable and resource.address in adopted and STACK_TAG not in actual.get(TAGS, {}):
        return None
    reason = _foreign(resource, actual, aws)
    return Change(resource.address, resource.name, Action.REFUSED, reason=reason, foreign=True)


def removal_of(
    resource: Resource, actual: Attrs | None, aws: Aws, found: Mapping[Resource, Attrs | None]
) -> Change:
    """Return what teardown is to do with a resource."""
    if actual is None or resource.external:
        return Change(resource.address, resource.name, Action.NOOP)
    if _ours(resource, actual, aws, found):
        return Change(resource.address, resource.name, Action.DELETE)
    reason = _foreign(resource, actual, aws)
    return Change(resource.address, resource.name, Action.REFUSED, reason=reason, foreign=True)


def _wanted(resource: Resource, known: Known) -> Attrs:
    tags = {} if resource.part_of_another else {TAGS: dict(resource.tags(known.aws))}
    return {**resource.desired(known), **tags}


def _ours(resource: Resource, actual: Attrs, aws: Aws, found: Mapping[Resource, Attrs | None]) -> bool:
    """What cannot carry tags is ours when all that it is part of is, or is gone."""
    if isinstance(resource, Remains):
        return True  # it was found by its tags
    if not resource.part_of_another:
        return aws.owns(actual.get(TAGS, {}))
    owners = [found.get(owner) for owner in resource.depends_on]
    return all(owner is None or aws.owns(owner.get(TAGS, {})) for owner in owners)


def _foreign(resource: Resource, actual: Attrs, aws: Aws) -> str:
    what, aside = resource.stranger(actual)
    tags = actual.get(TAGS, {})
    owner, region = tags.get(STACK_TAG), tags.get(REGION_TAG)
    if owner:
        owner += f" in {region}" if region else ""
        other = "choose another app name or environment" if resource.adoptable else aside
        return f"{what} belongs to the stack {owner}: it is left alone; {other}"
    adopt = (
        f", or take it over: `bgdeploy provision --adopt {resource.address}`" if resource.adoptable else ""
    )
    return (
        f"{what} exists and does not carry the tag {STACK_TAG}={aws.stack}: it is not ours and is left alone; "
        f"{aside}{adopt}"
    )


def _immutable(resource: Resource, fixed: Sequence[Difference]) -> str:
    fields = ", ".join(
        f"{each.where} is {written(each.actual)} and should be {written(each.wanted)}" for each in fixed
    )
    return (
        f"{fields}: AWS cannot change that in place; set the config back, or remove {resource.kind} "
        f"{resource.name!r} (`bgdeploy teardown`, then `bgdeploy provision`)"
    )
