"""Every way a release can end, by every way of moving traffic, with and without approval: stacks side by side."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from bgdeploy.config import Check, Duration
from bgdeploy.errors import Exit
from bgdeploy.release.cause import Kind
from bgdeploy.release.phase import Phase
from bgdeploy.sandbox.control import Running
from tests.functional.shops import (
    GOOD,
    Deed,
    Released,
    Shop,
    approve,
    bar,
    leave,
    miss,
    nothing,
    remove_blue,
    stop,
)

_BAD = Check(name="greeting", get="/", contains="Good bye", within=Duration(5))
_BAD_LATER = Check(name="greeting", get="/", contains="Good bye", when="after")
STRATEGIES = ("all-at-once", "canary 50% 1m", "linear 50% 1m")
_GRADUAL = ("canary 50% 1m", "linear 50% 1m")


@dataclass(frozen=True)
class End:
    """One way to end: how it is brought about, and what is told of it."""

    name: str
    kind: Kind
    exit: Exit
    headline: str  # words of the card
    why: str = ""
    new: bool = False  # what is live in the end is the new version
    deeds: Mapping[Phase, Deed] = field(default_factory=dict)  # what somebody does when it gets there
    checks: tuple[Check, ...] = (GOOD,)
    attended: bool = True
    command: tuple[str, ...] = ()  # instead of the image's
    strategies: tuple[str, ...] = STRATEGIES
    approvals: tuple[bool, ...] = (False, True)


_BACK = Exit.ROLLED_BACK
ENDS = (
    End(
        "goes-live",
        Kind.LIVE,
        Exit.DONE,
        "is live and verified after",
        new=True,
        deeds={Phase.SHIFTED: remove_blue},
    ),
    End(
        "fails-its-check",
        Kind.CHECK_FAILED,
        _BACK,
        "failed at AfterAllowTestTraffic",
        '"greeting"',
        checks=(_BAD,),
    ),
    End(
        "never-comes-up",
        Kind.EARLY,
        _BACK,
        "failed early",
        "no database",
        command=("sh", "-c", "echo no database >&2; exit 3"),
    ),
    End("nobody-checks", Kind.HOOK_FAILED, _BACK, "failed at AfterAllowTestTraffic", attended=False),
    End(
        "nobody-approves",
        Kind.APPROVAL_EXPIRED,
        _BACK,
        "was never promoted",
        deeds={Phase.READY: nothing},
        approvals=(True,),
    ),
    End(
        "is-stopped-while-it-is-checked",
        Kind.STOPPED,
        _BACK,
        "was stopped",
        deeds={Phase.CHECKING: stop},
        attended=False,
    ),
    End(
        "is-stopped-half-way",
        Kind.STOPPED,
        _BACK,
        "was stopped",
        deeds={Phase.SHIFTING: stop},
        strategies=_GRADUAL,
    ),
    End("is-stopped-while-blue-is-kept", Kind.STOPPED, _BACK, "was stopped", deeds={Phase.SHIFTED: stop}),
    End(
        "rings-an-alarm-half-way",
        Kind.ALARM,
        _BACK,
        "was stopped by an alarm",
        "not-found",
        deeds={Phase.SHIFTING: miss},
        strategies=_GRADUAL,
    ),
    End(
        "rings-an-alarm-while-blue-is-kept",
        Kind.ALARM,
        _BACK,
        "was stopped by an alarm",
        "not-found",
        deeds={Phase.SHIFTED: miss},
    ),
    End(
        "fails-a-check-after-the-shift",
        Kind.CHECK_FAILED_AFTER,
        _BACK,
        "failed a check while users were on it",
        '"greeting"',
        checks=(GOOD, _BAD_LATER),
    ),
    End(
        "is-stopped-and-left-there",
        Kind.STOPPED,
        Exit.NEEDS_A_PERSON,
        "was stopped",
        deeds={Phase.SHIFTED: leave},
        new=True,
    ),
    End(
        "cannot-be-taken-back",
        Kind.STOPPED,
        Exit.NEEDS_A_PERSON,
        "the rollback failed",
        "IAM_ROLE_PERMISSIONS",
        deeds={Phase.SHIFTED: bar},
        new=True,
    ),
)
Stack = tuple[str, bool]
# In which most can happen; `make bench` walks the rest of the table.
SAMPLED = {(STRATEGIES[1], True)}
TABLE = [
    pytest.param(
        (strategy, approval),
        end,
        id=f"{strategy.split()[0]}-{'approved-' * approval}{end.name}",
        marks=pytest.mark.slow if (strategy, approval) in SAMPLED else pytest.mark.bench,
    )
    for strategy in STRATEGIES
    for approval in (False, True)
    for end in ENDS
    if strategy in end.strategies and approval in end.approvals
]


@pytest.fixture(scope="module")
def results(
    request: pytest.FixtureRequest, account: Running, tmp_path_factory: pytest.TempPathFactory
) -> dict[Any, Any]:
    """What came of every row, or what went wrong: each stack in a thread of its own."""
    found: dict[tuple[Stack, str], Released | Exception] = {}

    def play(number: int, stack: Stack) -> None:
        folder = tmp_path_factory.mktemp("shop")
        ends = [end for end in ENDS if stack[0] in end.strategies and stack[1] in end.approvals]
        try:
            shop = Shop(folder, f"endings-{number}", 8400 + 2 * number, 300 if stack[1] else None)
            shop.release(stack[0], {Phase.READY: approve})
            for end in ends:
                shop.calm()
                deeds = {Phase.READY: approve, **end.deeds}
                found[stack, end.name] = shop.release(
                    stack[0], deeds, end.checks, attended=end.attended, command=end.command
                )
        except Exception as error:  # the tests of this row and those after it say so
            found.update({(stack, end.name): error for end in ends if (stack, end.name) not in found})

    asked = (each for each in request.session.items if isinstance(each, pytest.Function))
    stacks: set[Any] = {each.callspec.params["stack"] for each in asked if each.path == request.path}
    threads = [threading.Thread(target=play, args=each) for each in enumerate(sorted(stacks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.parametrize(("stack", "end"), TABLE)
def test_a_release_ends_as_it_should_and_says_so(stack: Stack, end: End, results: dict[Any, Any]) -> None:
    result = results[stack, end.name]
    if isinstance(result, Exception):
        raise result
    assert (result.ended.kind, result.ended.exit) == (end.kind, end.exit), result.card
    assert result.after == (result.version if end.new else result.before), result.card
    assert end.headline in result.card
    assert end.why in result.card
    assert f"exit     {int(end.exit)}" in result.card
