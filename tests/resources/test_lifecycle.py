"""The life of every kind of resource, from nothing to nothing, whatever somebody does to it in between."""

from __future__ import annotations

from dataclasses import dataclass, fields

import pytest

from bgdeploy.aws import ADDRESS_TAG, STACK_TAG, Attrs, Aws
from bgdeploy.provision.plan import Action
from bgdeploy.provision.resource import TAGS, Known, Look, Resource
from bgdeploy.sandbox.world import World
from tests.resources.document import kinds
from tests.resources.every import LIVES
from tests.resources.life import Life, staged
from tests.resources.near import Scene

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("number", range(len(LIVES)), ids=lambda number: LIVES[number].name)
def test_each_kind_is_made_healed_refused_and_removed(number: int, world: World) -> None:
    life = LIVES[number]
    scene = staged(world, life, f"life-{number}")
    _is_made(scene)
    _has_a_way_to_drift_for_each_field(life, scene)
    for field, deed in life.drift:
        deed(scene)
        _is_seen(scene, field)
        scene.heal()
    for field, deed in life.moves:
        deed(scene)
        assert scene.change().action is Action.NOOP, field
    for field in sorted(life.kind.immutable):
        _is_refused_otherwise(scene, field)
    if life.tags:
        _keeps_its_tags(life, scene)
        _is_let_go(life, scene)
    assert scene.pending() == []
    _is_removed(scene)


def test_each_kind_has_a_life() -> None:
    known = {life.kind for life in LIVES}
    assert {kind.__name__ for kind in kinds() if not kind.external and kind not in known} == set()


# Its beginning


def _is_made(scene: Scene) -> None:
    assert scene.find() is None
    assert {change.action for change in scene.pending()} == {Action.CREATE}
    outcome = scene.provision()
    assert not outcome.failed, outcome.failed
    assert scene.pending() == []
    scene.born = scene.actual


def _has_a_way_to_drift_for_each_field(life: Life, scene: Scene) -> None:
    kind, known = life.kind, Known(scene.aws)
    for each in scene.family:
        known[each] = each.find(Look(scene.aws)) or {}
    declared = set(scene.resource.desired(known))
    assert kind.immutable | kind.create_only | life.at_once <= declared
    mutable = declared - kind.immutable - kind.create_only - life.at_once
    assert {field for fields, _ in life.drift for field in _each(fields)} == mutable
    assert {field for field, _ in life.moves} == kind.create_only


# What happens to it


def _is_seen(scene: Scene, fields: str | tuple[str, ...]) -> None:
    change = scene.change()
    assert change.action is Action.UPDATE, (fields, change)
    assert {difference.field for difference in change.differences} == _each(fields), change


def _each(fields: str | tuple[str, ...]) -> set[str]:
    return {fields} if isinstance(fields, str) else set(fields)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Leaf(Resource):
    """Something that needs the one resource, and that must not be made."""

    kind = "leaf"

    def desired(self, known: Known) -> Attrs:
        return {}

    def find(self, look: Look) -> Attrs | None:
        return None

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        raise AssertionError("what it needs was refused")


def _is_refused_otherwise(scene: Scene, field: str) -> None:
    """Ask for another value of a field that AWS cannot change, as a changed config would."""
    before, asked = scene.actual, _asking(scene.resource, field)
    plan, outcome = scene.plan_and_provision(asked, leaf := _Leaf(name="leaf", after=(asked,)))
    *_, change, blocked = plan.changes
    assert (change.action, change.foreign) == (Action.REFUSED, False)
    assert {difference.field for difference in change.differences} == {field}
    assert change.reason.startswith(f"{field} is ")
    assert "set the config back, or remove" in change.reason
    assert (blocked.action, blocked.reason) == (Action.BLOCKED, f"needs {asked.address}")
    assert [each.change.address for each in outcome.failed] == [asked.address]
    assert [each.change.address for each in outcome.blocked] == [leaf.address]
    assert scene.actual == before


def _asking(resource: Resource, field: str) -> Resource:
    kind: type[Resource] = type(resource)

    class Otherwise(kind):  # type: ignore[valid-type, misc]
        def desired(self, known: Known) -> Attrs:
            return {**super().desired(known), field: "otherwise"}

    made: Resource = Otherwise(**{each.name: getattr(resource, each.name) for each in fields(resource)})
    return made


# Whose it is


def _keeps_its_tags(life: Life, scene: Scene) -> None:
    assert life.tags
    life.tags.put(scene, {"cost-centre": "7"})
    assert scene.change().action is Action.NOOP
    for key in (ADDRESS_TAG, "Name"):
        life.tags.remove(scene, key)
        _is_seen(scene, TAGS)
        scene.heal()
    for key in ("Name",) if life.nameless else (ADDRESS_TAG, "Name"):
        life.tags.put(scene, {key: "theirs"})
        _is_seen(scene, TAGS)
        scene.heal()
    assert scene.actual[TAGS]["cost-centre"] == "7"


def _is_let_go(life: Life, scene: Scene) -> None:
    """Take our tag from it: it is not ours any more until it is given back or taken over."""
    assert life.tags
    life.tags.put(scene, {STACK_TAG: "theirs"})
    _is_left_alone(life, scene, adoptable=False)
    life.tags.remove(scene, STACK_TAG)
    _is_left_alone(life, scene, adoptable=True)
    if life.nameless:
        life.tags.put(scene, {STACK_TAG: scene.aws.stack})
    else:
        scene.heal(scene.resource.address)
        life.tags.put(scene, {STACK_TAG: scene.aws.stack})  # on what else there is of it
    assert scene.change().action is Action.NOOP


def _is_left_alone(life: Life, scene: Scene, *, adoptable: bool) -> None:
    address, before = scene.resource.address, scene.find()
    if life.nameless:
        assert before is None
        assert scene.change(address).action is Action.CREATE
        return
    change = scene.change()
    assert (change.action, change.foreign) == (Action.REFUSED, True)
    assert change.reason.startswith(scene.resource.stranger(before or {})[0])
    assert scene.change(address).action is (Action.ADOPT if adoptable else Action.REFUSED)
    assert [each.change.address for each in scene.provision().failed] == [address]
    assert [each.change.address for each in scene.remove().left_alone] == [address]
    assert scene.find() == before


# Its end


def _is_removed(scene: Scene) -> None:
    actual = scene.actual
    outcome = scene.remove()
    assert not outcome.failed, outcome.failed
    assert [each.change.action for each in outcome.changed] == [Action.DELETE]
    assert scene.find() is None
    assert scene.resource.find(Look(scene.aws, for_removal=True)) is None
    scene.resource.delete(scene.aws, actual)  # what is gone already is no error
    assert scene.remove().changed == ()
    assert scene.change().action is Action.CREATE
