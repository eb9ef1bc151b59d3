"""Whoever provisions or tears down may be killed at any moment: the next run goes on, and nothing is there twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from bgdeploy.sandbox.control import Running
from tests.functional.inventory import Thing, everything, tally
from tests.functional.operators import Operator, begin, project

KILLED = -9


@dataclass(frozen=True)
class Account:
    """An account, what it held before, and what an undisturbed provision makes of it."""

    folder: Path
    operator: Operator
    before: set[Thing]
    undisturbed: tuple[int, Counter[Thing]]

    @property
    def holds(self) -> tuple[int, Counter[Thing]]:
        """How much there is that was not there before, and what of it EC2 has."""
        return len(everything(self.operator.aws) - self.before), tally(self.operator.aws)


@pytest.fixture(scope="module")
def account(sandbox: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sandbox.exports().items():
            patch.setenv(name, value)
        folder = project(tmp_path_factory.mktemp("crashing"), "crashing", 8591)
        operator = Operator(folder)
        before = everything(operator.aws)
        assert not operator.provision().failed
        undisturbed = len(everything(operator.aws) - before), tally(operator.aws)
        assert not operator.teardown().failed
        yield Account(folder, operator, before, undisturbed)


def provision_survives(account: Account, calls: int) -> bool:
    """Have a provision killed after so many calls, and see the next one through; False when it was not killed."""
    killed = begin("provision", account.folder, calls)
    assert killed.returncode in {0, KILLED}, killed.stderr
    outcome = account.operator.provision()
    assert not outcome.failed, outcome.failed
    assert account.operator.plan().pending == ()
    assert account.holds == account.undisturbed
    assert not account.operator.teardown().failed
    assert everything(account.operator.aws) == account.before
    return killed.returncode == KILLED


def teardown_survives(account: Account, calls: int) -> bool:
    """The same for a teardown."""
    assert not account.operator.provision().failed
    killed = begin("teardown", account.folder, calls)
    assert killed.returncode in {0, KILLED}, killed.stderr
    outcome = account.operator.teardown()
    assert not outcome.failed, outcome.failed
    assert everything(account.operator.aws) == account.before
    return killed.returncode == KILLED


@pytest.mark.slow
@pytest.mark.parametrize("calls", [12, 30])
def test_a_provision_that_was_killed_goes_on_from_there(account: Account, calls: int) -> None:
    assert provision_survives(account, calls)


@pytest.mark.slow
@pytest.mark.parametrize("calls", [11, 25])
def test_a_teardown_that_was_killed_goes_on_from_there(account: Account, calls: int) -> None:
    assert teardown_survives(account, calls)


@pytest.mark.bench
def test_a_provision_may_be_killed_after_every_call(account: Account) -> None:
    assert next(calls for calls in count(1) if not provision_survives(account, calls)) > 48


@pytest.mark.bench
def test_a_teardown_may_be_killed_after_every_call(account: Account) -> None:
    assert next(calls for calls in count(1) if not teardown_survives(account, calls)) > 36
