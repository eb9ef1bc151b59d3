"""The engine beside others: who loses a race, and what is seen while somebody else changes it."""

from __future__ import annotations

import threading

import pytest
from botocore.exceptions import ClientError

from bgdeploy.aws import Attrs
from bgdeploy.provision import converge
from bgdeploy.provision.resource import TAGS, Look
from tests.clocks import HandClock
from tests.unit.things import Stack, Thing, aws, refusal


@pytest.fixture
def stack() -> Stack:
    return Stack()


# Two at once


def test_who_loses_the_race_goes_on_from_what_the_other_made(stack: Stack) -> None:
    def somebody_is_faster() -> None:
        tags = dict(stack.first.tags(stack.aws))
        stack.cupboard.held["first"] = {"Size": 1, "Colour": "blue", "Id": "id-first", TAGS: tags}

    stack.cupboard.before["create first"] = somebody_is_faster
    stack.cupboard.failing["create first"] = refusal("TakenException")
    assert not stack.provision().failed
    assert "update first Colour" in stack.cupboard.deeds
    assert stack.plan().pending == ()


def test_who_loses_the_race_to_a_stranger_leaves_alone_what_that_one_made(stack: Stack) -> None:
    theirs = {"Size": 1, "Colour": "blue", TAGS: {}}
    stack.cupboard.before["create first"] = lambda: stack.cupboard.held.update(first=dict(theirs))
    stack.cupboard.failing["create first"] = refusal("TakenException")
    outcome = stack.provision()
    assert "it is not ours" in outcome.failed[0].error
    assert stack.cupboard.held["first"] == theirs


def test_what_the_other_made_may_take_a_moment_to_be_seen(stack: Stack) -> None:
    class SlowClock(HandClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if self.monotonic() >= 5:
                made = {"Size": 1, "Colour": "red", "Id": "id-first", TAGS: dict(stack.first.tags(stack.aws))}
                stack.cupboard.held.setdefault("first", made)

    stack.aws.clock = SlowClock()
    stack.cupboard.failing["create first"] = refusal("TakenException")
    assert not stack.provision().failed


def test_a_name_that_is_taken_by_what_cannot_be_seen_is_told_with_a_way_out(stack: Stack) -> None:
    stack.cupboard.failing["create first"] = refusal("TakenException")
    error = stack.provision().failed[0].error
    assert "TakenException: there is one" in error
    assert "thing 'first'" in error
    assert "choose another app name" in error


# Looking


def test_a_question_is_asked_once_for_all_who_ask_it_at_the_same_time() -> None:
    look, asked, together = Look(aws()), [], threading.Barrier(6)

    def ask() -> int:
        asked.append(1)
        return 7

    def somebody() -> None:
        together.wait(10)
        answers.append(look.once("question", ask))

    answers: list[int] = []
    threads = [threading.Thread(target=somebody) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (answers, asked) == ([7] * 6, [1])


def test_who_asks_what_failed_is_told_so_too() -> None:
    look = Look(aws())

    def fail() -> None:
        raise refusal("AccessDenied")

    for _ in range(2):
        with pytest.raises(ClientError, match="AccessDenied"):
            look.once("question", fail)


def test_what_vanishes_between_two_questions_about_it_is_gone(stack: Stack) -> None:
    class Vanishing(Thing):
        def find(self, look: Look) -> Attrs | None:
            if self.cupboard.held.pop(self.name, None):
                raise refusal("ThingNotFoundException")
            return super().find(look)

    vanishing = Vanishing(name="first", cupboard=stack.cupboard)
    stack.cupboard.held["first"] = {TAGS: {}}
    assert converge.look_up(stack.aws, [vanishing]).actual == {vanishing: None}


def test_any_other_trouble_in_looking_is_raised(stack: Stack) -> None:
    class Hidden(Thing):
        def find(self, look: Look) -> Attrs | None:
            raise refusal("AccessDenied")

    with pytest.raises(ClientError, match="AccessDenied"):
        converge.look_up(stack.aws, [Hidden(name="first", cupboard=stack.cupboard)])
