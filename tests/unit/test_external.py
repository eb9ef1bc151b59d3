"""What a stack uses and does not own: it must be there, and nothing is ever done to it."""

from __future__ import annotations

from dataclasses import dataclass

from bgdeploy.aws import STACK_TAG
from bgdeploy.provision import converge
from bgdeploy.provision.plan import Action
from bgdeploy.provision.resource import TAGS, Resource
from tests.unit.things import STACK, Cupboard, Thing, aws


@dataclass(frozen=True, eq=False, kw_only=True)
class Neighbours(Thing):
    """A thing of somebody else's."""

    kind = "neighbours"
    external = True


def stack(cupboard: Cupboard) -> list[Resource]:
    theirs = Neighbours(name="theirs", label="theirs", cupboard=cupboard, wanted=(("Colour", "red"),))
    return [theirs, Thing(name="ours", label="ours", cupboard=cupboard, after=(theirs,))]


def test_an_external_thing_is_left_as_it_is_whatever_its_tags_and_values() -> None:
    cupboard = Cupboard(held={"theirs": {"Id": "id-theirs", "Colour": "blue", TAGS: {STACK_TAG: "another"}}})
    outcome = converge.provision(aws(), stack(cupboard), lambda news: None)
    assert [result.change.action for result in outcome.results] == [Action.USED, Action.CREATE]
    assert cupboard.deeds == ["create ours"]


def test_an_external_thing_that_is_not_there_blocks_what_needs_it_and_tells_why() -> None:
    plan = converge.examine(aws(), stack(Cupboard()))
    missing, needing = plan.changes
    assert (missing.action, needing.action) == (Action.REFUSED, Action.BLOCKED)
    assert missing.reason == (
        "neighbours 'theirs' does not exist, and is not the stack's to make: correct the config"
    )


def test_an_external_thing_outlives_the_stack() -> None:
    held = {name: {"Id": f"id-{name}", TAGS: {STACK_TAG: STACK}} for name in ("theirs", "ours")}
    cupboard = Cupboard(held=held)
    outcome = converge.teardown(aws(), stack(cupboard), lambda news: None)
    assert cupboard.deeds == ["delete ours"]
    assert outcome.left_alone == ()
