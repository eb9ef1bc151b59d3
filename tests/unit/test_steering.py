"""What the board's keys bring about: each once, whatever is pressed while AWS is being asked."""

from __future__ import annotations

import os
import pty
import select
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bgdeploy.cli.invocation import Invocation
from bgdeploy.cli.keyboard import Keyboard
from bgdeploy.cli.steering import Steering
from bgdeploy.release.changes import Frame
from bgdeploy.release.phase import phase
from bgdeploy.release.reader import Reader
from bgdeploy.release.snapshot import Snapshot
from tests import deployments as d
from tests.clocks import HandClock


class Typed:
    """A keyboard on which everything has been typed already."""

    def __init__(self, keys: str) -> None:
        self._keys = keys

    def pressed(self) -> str:
        keys, self._keys = self._keys, ""
        return keys


class Aws:
    """Takes every call, and remembers its parameters."""

    region = "us-east-1"

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def client(self, service: str) -> Any:
        return self

    def __getattr__(self, operation: str) -> Any:
        def call(**params: Any) -> dict[str, Any]:
            self.asked.append((operation, params))
            return {"statusMessage": "on its way", "ETag": "1"}

        return call


def press(keys: str, snapshot: Snapshot, aws: Aws) -> tuple[Steering, Aws]:
    """Press keys at a snapshot."""
    reader = SimpleNamespace(aws=aws, target=snapshot.target)
    one = Steering(Invocation(clock=HandClock(d.T0)), cast(Reader, reader), cast(Keyboard, Typed(keys)))
    with suppress(KeyboardInterrupt):
        one.see(Frame(snapshot, phase(snapshot), snapshot.at, 0))
    return one, aws


def steer(keys: str, snapshot: Snapshot) -> tuple[Steering, Aws, list[str]]:
    """Press keys at a snapshot, and leave; return what was said."""
    one, aws = press(keys, snapshot, Aws())
    return one, aws, list(one.leave())


def ready() -> Snapshot:
    held = d.linear(139.4)
    return replace(held, deployment=replace(held.deployment, status="Ready", approval=timedelta(minutes=30)))


def test_who_stops_it_and_leaves_at_once_is_told_what_came_of_it() -> None:
    one, aws, said = steer("aad", d.linear(761))
    assert [operation for operation, _ in aws.asked] == ["put_object", "stop_deployment"]
    assert said == ["it is being stopped: on its way"]
    assert one.stopped == "on its way"


def test_who_leaves_while_aws_is_silent_is_told_what_is_waited_for() -> None:
    answered = threading.Event()

    class Silent(Aws):
        def stop_deployment(self, **params: Any) -> dict[str, Any]:
            answered.wait(30)
            return {"statusMessage": "on its way"}

    one, _ = press("aad", d.linear(761), Silent())
    said = one.leave()
    assert next(said) == "waiting for AWS to answer what a key asked for"
    answered.set()
    assert list(said) == ["it is being stopped: on its way"]


def test_a_single_a_stops_nothing() -> None:
    one, aws, said = steer("ad", d.linear(761))
    assert (one.stopped, aws.asked, said) == (None, [], [])


@pytest.mark.parametrize(("keys", "removed"), [("p", 0), ("pap", 0), ("pp", 1), ("ppp", 1)])
def test_blue_is_removed_at_the_second_p(keys: str, removed: int) -> None:
    _, aws, _ = steer(keys, d.linear(761))
    assert [operation for operation, _ in aws.asked] == ["continue_deployment"] * removed


def test_pressing_p_again_while_aws_is_asked_ends_no_second_wait() -> None:
    _, aws, said = steer("ppp", ready())
    assert [operation for operation, _ in aws.asked] == ["continue_deployment"]
    assert len(said) == 1


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a pseudo terminal: ours, and the program's."""
    ours, theirs = pty.openpty()
    with closing(os.fdopen(ours, "rb+", 0)), closing(os.fdopen(theirs, "rb+", 0)):
        yield ours, theirs


def test_what_was_typed_before_there_was_a_board_stops_nothing(terminal: tuple[int, int]) -> None:
    ours, theirs = terminal
    keys = Keyboard(theirs)
    os.write(ours, b"aa\n")
    select.select([theirs], [], [], 5)
    assert keys.pressed() == ""
    os.write(ours, b"d")
    select.select([theirs], [], [], 5)
    assert keys.pressed() == "d"
