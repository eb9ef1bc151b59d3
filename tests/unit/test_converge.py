"""Converging: what is there is looked up once, then made right in order, whatever fails, races or is interrupted."""

from __future__ import annotations

import signal
import threading

import pytest

from bgdeploy.aws import STACK_TAG, retry
from bgdeploy.provision.plan import Action, State
from bgdeploy.provision.resource import TAGS
from tests.unit.things import STACK, Label, Stack, refusal


@pytest.fixture
def stack() -> Stack:
    return Stack()


@pytest.fixture
def made(stack: Stack) -> Stack:
    """A stack that has been provisioned."""
    assert not stack.provision().failed
    stack.news.clear()
    return stack


# Examining


def test_examining_changes_nothing(stack: Stack) -> None:
    assert set(stack.actions(stack.plan()).values()) == {"create"}
    assert stack.cupboard.deeds == []


def test_what_was_made_is_as_it_should_be(made: Stack) -> None:
    assert made.plan().pending == ()


def test_what_needs_something_refused_is_blocked_and_says_by_what(made: Stack) -> None:
    made.cupboard.held["first"]["Size"] = 7
    plan = made.plan()
    assert made.actions(plan) == {
        "first": "refused",
        "second": "blocked",
        "third": "blocked",
        "beside": "noop",
    }
    assert [change.reason for change in plan.changes[1:3]] == ["needs thing/first", "needs thing/second"]


def test_a_stranger_is_told_even_behind_something_refused(made: Stack) -> None:
    made.cupboard.held["first"]["Size"] = 7
    made.cupboard.held["second"][TAGS].clear()
    change = made.plan().changes[1]
    assert (change.action, change.foreign) == (Action.REFUSED, True)
    assert "it is not ours and is left alone" in change.reason


def test_a_plan_ends_with_what_is_forgotten(made: Stack) -> None:
    made.resources.remove(made.beside)
    assert made.actions(made.plan()) == {
        "first": "noop",
        "second": "noop",
        "third": "noop",
        "beside": "delete",
    }


# Provisioning


def test_what_is_needed_is_made_first_and_its_attributes_are_passed_on(stack: Stack) -> None:
    assert not stack.provision().failed
    order = [deed for deed in stack.cupboard.deeds if "beside" not in deed]
    assert order == ["create first", "create second", "create third"]
    assert stack.cupboard.held["third"]["secondId"] == "id-second"


def test_a_second_provision_does_nothing(made: Stack) -> None:
    outcome = made.provision()
    assert (outcome.changed, made.cupboard.deeds) == ((), [])
    assert outcome.as_dict()["unchanged"] == 4


def test_only_the_fields_that_differ_are_changed(made: Stack) -> None:
    made.cupboard.held["first"] |= {"Colour": "blue"}
    made.provision()
    assert made.cupboard.deeds == ["update first Colour"]
    assert made.plan().pending == ()


def test_only_tags_are_set_where_only_they_differ(made: Stack) -> None:
    del made.cupboard.held["first"][TAGS]["Name"]
    made.provision()
    assert made.cupboard.deeds == ["retag first"]


def test_a_failure_blocks_what_needs_it_and_nothing_else(stack: Stack) -> None:
    stack.cupboard.failing["create first"] = refusal("LimitExceeded")
    outcome = stack.provision()
    states = {each.change.name: each.state for each in outcome.results}
    assert states == {
        "first": State.FAILED,
        "second": State.BLOCKED,
        "third": State.BLOCKED,
        "beside": State.DONE,
    }
    assert "AWS refused CreateThing: LimitExceeded" in outcome.failed[0].error
    assert [each.error for each in outcome.blocked] == ["needs thing/first", "needs thing/second"]


def test_an_error_of_our_own_making_is_told_as_well(stack: Stack) -> None:
    stack.cupboard.failing["create first"] = KeyError("Id")
    assert stack.provision().failed[0].error == "KeyError: 'Id'"


def test_the_next_provision_goes_on_from_a_failure(stack: Stack) -> None:
    stack.cupboard.failing["create second"] = refusal("LimitExceeded")
    stack.provision()
    stack.cupboard.failing.clear()
    assert not stack.provision().failed
    assert stack.cupboard.deeds == ["create second", "create third"]


def test_what_is_refused_is_not_touched_and_the_rest_goes_on(made: Stack) -> None:
    made.cupboard.held["first"] |= {"Size": 7, "Colour": "blue"}
    del made.cupboard.held["beside"]
    outcome = made.provision()
    assert made.cupboard.deeds == ["create beside"]
    assert outcome.failed[0].error.startswith("Size is 7 and should be 1")


def test_what_is_not_ours_is_not_touched_by_provision(made: Stack) -> None:
    made.cupboard.held["first"] = {"Colour": "theirs", TAGS: {}}
    outcome = made.provision()
    assert made.cupboard.held["first"] == {"Colour": "theirs", TAGS: {}}
    assert "it is not ours and is left alone" in outcome.failed[0].error


def test_what_is_adopted_becomes_ours(made: Stack) -> None:
    made.cupboard.held["first"][TAGS] = {"theirs": "kept"}
    assert not made.provision("thing/first").failed
    assert made.cupboard.held["first"][TAGS][STACK_TAG] == STACK
    assert made.cupboard.held["first"][TAGS]["theirs"] == "kept"
    assert made.plan().pending == ()


def test_what_is_forgotten_goes_last(made: Stack) -> None:
    made.resources.remove(made.beside)
    made.resources.append(made.thing("new"))
    outcome = made.provision()
    assert made.cupboard.deeds == ["create new", "delete beside"]
    assert outcome.results[-1].change.action is Action.DELETE


def test_what_is_forgotten_stays_while_anything_is_missing(made: Stack) -> None:
    made.resources.remove(made.beside)
    made.cupboard.held.pop("third")
    made.cupboard.failing["create third"] = refusal("LimitExceeded")
    made.provision()
    assert "beside" in made.cupboard.held


def test_news_tell_what_begins_and_how_long_it_took(stack: Stack) -> None:
    stack.cupboard.before["create beside"] = lambda: stack.aws.clock.sleep(3)
    stack.resources = [stack.beside]
    stack.provision()
    assert [(each.state, each.seconds) for each in stack.news] == [(State.STARTED, 0), (State.DONE, 3)]


# Tearing down


def test_what_needs_others_goes_before_them(made: Stack) -> None:
    assert not made.teardown().failed
    order = [deed for deed in made.cupboard.deeds if "beside" not in deed]
    assert order == ["delete third", "delete second", "delete first"]
    assert made.cupboard.held == {}


def test_a_second_teardown_finds_nothing(made: Stack) -> None:
    made.teardown()
    outcome = made.teardown()
    assert (outcome.changed, outcome.failed, made.cupboard.deeds) == ((), (), [])


def test_teardown_leaves_what_is_not_ours_and_removes_what_is(made: Stack) -> None:
    made.cupboard.held["second"][TAGS] = {STACK_TAG: "shop-prod"}
    outcome = made.teardown()
    assert list(made.cupboard.held) == ["second"]
    assert [each.change.name for each in outcome.left_alone] == ["second"]
    assert "belongs to the stack shop-prod" in outcome.left_alone[0].change.reason


def test_teardown_removes_what_is_forgotten_too(made: Stack) -> None:
    made.resources.remove(made.beside)
    made.teardown()
    assert made.cupboard.held == {}


def test_what_cannot_be_removed_keeps_what_it_needs(made: Stack) -> None:
    made.cupboard.failing["delete third"] = refusal("DependencyViolation")
    outcome = made.teardown()
    assert list(made.cupboard.held) == ["first", "second", "third"]
    assert [each.change.name for each in outcome.blocked] == ["first", "second"]


def test_a_part_of_something_foreign_stays(stack: Stack) -> None:
    label = Label(name="label", cupboard=stack.cupboard, after=(stack.first,))
    stack.cupboard.held = {"first": {TAGS: {}}, "label": {TAGS: {}}}
    stack.resources = [stack.first, label]
    stack.teardown()
    assert list(stack.cupboard.held) == ["first", "label"]


# Ctrl-C


def _press_ctrl_c() -> None:
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, signal.SIGINT)


def test_ctrl_c_ends_waits_finishes_calls_and_tells_what_was_done(stack: Stack) -> None:
    waited = threading.Event()

    def wait() -> None:
        _press_ctrl_c()
        waited.set()

        def call() -> None:
            raise TimeoutError

        assert stack.aws.leaving.wait(10)
        retry(stack.aws, call, lambda error: True, patience=1e9)

    stack.cupboard.before["create first"] = wait
    stack.cupboard.before["create beside"] = lambda: waited.wait(10)
    outcome = stack.provision()
    assert outcome.interrupted
    assert [each.change.name for each in outcome.changed] == ["beside"]
    errors = {each.change.name: each.error for each in outcome.results if each.error}
    assert errors == {
        "first": "interrupted while it waited for AWS",
        "second": "needs thing/first",
        "third": "needs thing/second",
    }


def test_what_ctrl_c_came_before_says_so(stack: Stack) -> None:
    def press() -> None:
        _press_ctrl_c()
        assert stack.aws.leaving.wait(10)

    stack.cupboard.before["create first"] = press
    outcome = stack.provision()
    errors = {each.change.name: each.error for each in outcome.blocked}
    assert errors == {"second": "interrupted before its turn", "third": "interrupted before its turn"}
