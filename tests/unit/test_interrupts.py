"""Ctrl-C, when it comes and when it does not. The signals are real ones, sent to this very process."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from bgdeploy.cli.interrupts import Interrupts


def press(one: signal.Signals = signal.SIGINT) -> None:
    os.kill(os.getpid(), one)


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    installed = Interrupts()
    installed.install()
    yield installed
    installed.restore()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    signal.signal(signal.SIGINT, before)


def test_each_one_comes_until_told_otherwise(interrupts: Interrupts) -> None:
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            press()


def test_of_those_that_may_come_once_only_the_first_does(interrupts: Interrupts) -> None:
    interrupts.once()
    with pytest.raises(KeyboardInterrupt):
        press()
    press()


def test_one_that_is_held_back_comes_when_it_is_let_through(interrupts: Interrupts) -> None:
    interrupts.hold()
    press()
    with pytest.raises(KeyboardInterrupt):
        interrupts.let_through()
    interrupts.let_through()


def test_somebody_who_does_not_want_to_wait_presses_twice(interrupts: Interrupts) -> None:
    interrupts.hold()
    press()
    with pytest.raises(KeyboardInterrupt):
        press()


def test_none_comes_any_more_at_the_end(interrupts: Interrupts) -> None:
    interrupts.end()
    press()


def test_sigterm_comes_as_ctrl_c_does_and_is_told_apart(interrupts: Interrupts) -> None:
    for one in (signal.SIGTERM, signal.SIGINT):
        with pytest.raises(KeyboardInterrupt):
            press(one)
        assert interrupts.came is one


def test_what_ends_a_job_sends_both_and_comes_once(interrupts: Interrupts) -> None:
    interrupts.hold()
    interrupts.once()
    press()
    press(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        interrupts.let_through()
    press(signal.SIGTERM)
    assert interrupts.came is signal.SIGTERM


def test_after_the_one_that_came_another_may_be_let_come(interrupts: Interrupts) -> None:
    interrupts.once()
    with pytest.raises(KeyboardInterrupt):
        press()
    interrupts.again()
    with pytest.raises(KeyboardInterrupt):
        press(signal.SIGTERM)
    press(signal.SIGTERM)


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        Interrupts().install()
        press()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
