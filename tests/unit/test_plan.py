"""What is to happen to a resource, decided from values; and plans and outcomes as values."""

from __future__ import annotations

from typing import Any

import pytest

from bgdeploy.aws import ADDRESS_TAG, REGION_TAG, STACK_TAG
from bgdeploy.provision.decide import change_of, removal_of
from bgdeploy.provision.diff import Difference
from bgdeploy.provision.plan import Action, Change, Outcome, Plan, Progress, State
from bgdeploy.provision.resource import TAGS, Foreseen, Known, Remains
from tests.unit.things import STACK, Cupboard, Label, Thing, aws

OURS = {STACK_TAG: STACK, ADDRESS_TAG: "thing/blue", "Name": "blue"}


def thing(**wanted: Any) -> Thing:
    return Thing(name="blue", label="blue", cupboard=Cupboard(), wanted=tuple(wanted.items()))


def changed(resource: Thing, actual: dict[str, Any] | None, *adopted: str) -> Change:
    return change_of(resource, actual, Known(aws()), adopted)


def test_what_is_not_there_is_created() -> None:
    assert changed(thing(Colour="red"), None).action is Action.CREATE


def test_what_is_as_it_should_be_is_left() -> None:
    assert changed(thing(Colour="red"), {"Colour": "red", TAGS: OURS}).action is Action.NOOP


def test_what_differs_is_changed_and_named() -> None:
    change = changed(thing(Colour="red", Shape="round"), {"Colour": "blue", "Shape": "round", TAGS: OURS})
    assert change.action is Action.UPDATE
    assert change.differences == (Difference(("Colour",), "red", "blue"),)


def test_what_aws_moves_is_never_compared() -> None:
    assert changed(thing(Weight=100), {"Weight": 0, TAGS: OURS}).action is Action.NOOP


@pytest.mark.parametrize("lost", [ADDRESS_TAG, "Name"])
def test_a_tag_that_is_lost_is_drift(lost: str) -> None:
    tags = {key: value for key, value in OURS.items() if key != lost}
    change = changed(thing(), {TAGS: tags})
    assert change.action is Action.UPDATE
    assert {difference.field for difference in change.differences} == {TAGS}


def test_a_tag_of_somebody_elses_beside_ours_is_no_drift() -> None:
    assert changed(thing(), {TAGS: {**OURS, "cost-centre": "7"}}).action is Action.NOOP


def test_what_cannot_change_in_place_is_refused_with_both_values_and_the_way_out() -> None:
    change = changed(thing(Size="2"), {"Size": None, TAGS: OURS})
    assert (change.action, change.foreign) == (Action.REFUSED, False)
    assert change.reason.startswith('Size is (none) and should be "2": AWS cannot change that in place')
    assert "`bgdeploy teardown`, then `bgdeploy provision`" in change.reason


def test_what_carries_no_tags_of_ours_is_refused_and_told_how_to_be_taken_over() -> None:
    change = changed(thing(Colour="red"), {"Colour": "red", TAGS: {}})
    assert (change.action, change.foreign) == (Action.REFUSED, True)
    assert f"does not carry the tag {STACK_TAG}={STACK}" in change.reason
    assert "bgdeploy provision --adopt thing/blue" in change.reason


def test_what_is_adopted_gets_our_tags_and_what_else_it_lacks() -> None:
    change = changed(thing(Colour="red"), {"Colour": "blue", TAGS: {}}, "thing/blue")
    assert change.action is Action.ADOPT
    assert {difference.field for difference in change.differences} == {"Colour", TAGS}


def test_another_address_adopts_nothing() -> None:
    assert changed(thing(), {TAGS: {}}, "thing/green").action is Action.REFUSED


def test_adopting_does_not_change_what_cannot_change() -> None:
    change = changed(thing(Size=2), {"Size": 1, TAGS: {}}, "thing/blue")
    assert (change.action, change.foreign) == (Action.REFUSED, False)


def test_what_belongs_to_another_stack_is_not_even_adopted() -> None:
    change = changed(thing(), {TAGS: {**OURS, STACK_TAG: "shop-prod"}}, "thing/blue")
    assert (change.action, change.foreign) == (Action.REFUSED, True)
    assert "belongs to the stack shop-prod" in change.reason


def test_what_belongs_to_the_stack_of_the_same_name_in_another_region_is_not_ours() -> None:
    tags = {**OURS, REGION_TAG: "eu-west-1"}
    change = changed(thing(), {TAGS: tags}, "thing/blue")
    assert (change.action, change.foreign) == (Action.REFUSED, True)
    assert f"belongs to the stack {STACK} in eu-west-1" in change.reason


def test_what_is_part_of_another_needs_no_tags() -> None:
    label = Label(name="blue", cupboard=Cupboard(), wanted=(("Colour", "red"),))
    assert change_of(label, {"Colour": "red"}, Known(aws())).action is Action.NOOP


# Removal


def test_what_is_gone_already_is_not_removed() -> None:
    assert removal_of(thing(), None, aws(), {}).action is Action.NOOP


def test_what_carries_our_tags_is_removed() -> None:
    assert removal_of(thing(), {TAGS: OURS}, aws(), {}).action is Action.DELETE


@pytest.mark.parametrize("tags", [{}, {STACK_TAG: "shop-prod"}])
def test_what_is_not_ours_stays(tags: dict[str, str]) -> None:
    assert removal_of(thing(), {TAGS: tags}, aws(), {}).action is Action.REFUSED


@pytest.mark.parametrize(
    ("owner", "action"),
    [({TAGS: OURS}, Action.DELETE), (None, Action.DELETE), ({TAGS: {}}, Action.REFUSED)],
)
def test_what_cannot_carry_tags_goes_when_what_it_is_part_of_is_ours(
    owner: dict[str, Any] | None, action: Action
) -> None:
    whole = thing()
    label = Label(name="label", cupboard=Cupboard(), after=(whole,))
    assert removal_of(label, {}, aws(), {whole: owner}).action is action


def test_what_was_found_by_its_tags_is_removed_whatever_it_is() -> None:
    remains = Remains(name="vpc-1", was="vpc", actual={}, remove=lambda aws, actual: None)
    assert removal_of(remains, {"Id": "vpc-1"}, aws(), {}).action is Action.DELETE


# What is foreseen


def test_a_plan_foresees_what_is_still_to_be_made() -> None:
    first = thing()
    assert Foreseen(aws())[first]["Id"] == "(the Id of thing/blue, once it is made)"


def test_a_plan_knows_what_there_is() -> None:
    first, known = thing(), Foreseen(aws())
    known[first] = {"Id": "id-blue"}
    assert known[first]["Id"] == "id-blue"


def test_a_resource_depends_on_all_that_it_holds_and_all_that_it_comes_after() -> None:
    first, second = thing(), thing()
    third = Thing(name="third", cupboard=Cupboard(), wanted=(("Other", first),), after=(second, first))
    assert third.depends_on == (second, first)


# Values


def test_a_plan_counts_and_tells_what_is_pending_refused_and_grave() -> None:
    changes = [Change(f"thing/{action.value}", "x", action) for action in Action]
    plan = Plan(STACK, tuple(changes))
    assert [change.action for change in plan.pending] == [
        a for a in Action if a not in {Action.NOOP, Action.USED, Action.AWAIT}
    ]
    assert [change.address for change in plan.refused] == ["thing/refused"]
    assert [change.address for change in plan.grave] == ["thing/adopt", "thing/delete"]
    assert plan.as_dict()["exists"] == ["thing/update", "thing/noop", "thing/delete"]
    assert plan.counts["create"] == 1


def test_an_outcome_tells_what_was_changed_left_alone_and_not_tried() -> None:
    def progress(action: Action, state: State) -> Progress:
        return Progress(Change(f"thing/{action.value}-{state.value}", "x", action, reason="why"), state)

    outcome = Outcome(
        (
            progress(Action.CREATE, State.DONE),
            progress(Action.NOOP, State.DONE),
            progress(Action.REFUSED, State.DONE),
            progress(Action.UPDATE, State.FAILED),
            progress(Action.UPDATE, State.BLOCKED),
        )
    )
    assert [each.change.address for each in outcome.changed] == ["thing/create-done"]
    told = outcome.as_dict()
    assert told["left_alone"] == [{"address": "thing/refused-done", "reason": "why"}]
    assert [each["address"] for each in told["failed"]] == ["thing/update-failed"]
    assert [each["address"] for each in told["blocked"]] == ["thing/update-blocked"]
    assert told["unchanged"] == 1


def test_sets_are_told_as_sorted_lists() -> None:
    change = Change("thing", "x", Action.UPDATE, (Difference(("Zones",), {"b", "a"}, None),))
    assert change.as_dict()["fields"] == [{"field": "Zones", "wanted": ["a", "b"], "actual": None}]
