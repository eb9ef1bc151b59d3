"""When a check has measured enough, and what that comes to."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdeploy.checktypes import Check
from bgdeploy.quantities import Duration, Load
from bgdeploy.release.analysis.tally import Terms, Verdict, closing, so_far, streak, terms, verdict

P: Verdict = "pass"
F: Verdict = "fail"
I: Verdict = "inconclusive"  # noqa: E741 - a table has no room for more
LOAD = Load.parse("1 per second for 1s")


def _check(**asked: Any) -> Check:
    return Check(name="it", **asked)


def test_before_the_shift_a_request_is_repeated_until_it_passes() -> None:
    assert terms(_check(get="/")) == Terms(None, None, None, 1, 30.0)
    assert terms(_check(get="/", within=Duration(90), consecutive_success=3)) == Terms(
        None, None, None, 3, 90.0
    )


def test_anything_else_is_measured_once_before_the_shift() -> None:
    for asked in ({"load": LOAD}, {"command": "true"}):
        assert terms(_check(**asked)) == Terms(1.0, 1, 0, None, None)


def test_from_the_shift_on_checks_measure_until_the_deployment_is_over() -> None:
    assert terms(_check(get="/", when="after")) == Terms(10.0, None, 0, None, None)
    assert terms(_check(metric="request_count")) == Terms(60.0, None, 0, None, None)


def test_what_is_said_counts() -> None:
    asked = _check(get="/", when="shift", interval=Duration(5), count=4, failure_limit=1)
    assert terms(asked) == Terms(5.0, 4, 1, None, None)


@pytest.mark.parametrize(
    ("asked", "found", "expected"),
    [
        ({"get": "/"}, [F, F, F], None),
        ({"get": "/"}, [F, F, P], P),
        ({"get": "/", "consecutive_success": 2}, [P, F, P], None),
        ({"get": "/", "consecutive_success": 2}, [F, P, P], P),
        ({"get": "/", "failure_limit": 1}, [F, F], F),
        ({"get": "/", "count": 3, "failure_limit": 1}, [P, F], None),
        ({"get": "/", "count": 3, "failure_limit": 1}, [P, F, P], P),
        ({"get": "/", "count": 3, "failure_limit": 1}, [F, F], F),
        ({"command": "x"}, [P], P),
        ({"command": "x"}, [F], F),
        ({"command": "x"}, [I], I),
        ({"command": "x", "count": 2}, [I], None),
        ({"command": "x", "count": 2}, [I, P], I),
        ({"command": "x", "consecutive_success": 2}, [I, P], None),
        ({"command": "x", "consecutive_success": 2}, [I, P, P], P),
        ({"command": "x", "count": 2, "consecutive_success": 2}, [P, I], I),
        ({"get": "/", "when": "after"}, [P] * 50, None),
        ({"get": "/", "when": "after"}, [P, I, P], None),
        ({"get": "/", "when": "after"}, [P, F], F),
        ({"get": "/", "when": "after", "failure_limit": 2}, [F, P, F], None),
        ({"get": "/", "when": "after", "count": 2}, [P, P], P),
    ],
)
def test_measurements_come_to_a_verdict(
    asked: dict[str, Any], found: list[Verdict], expected: Verdict | None
) -> None:
    assert verdict(found, terms(_check(**asked))) == expected


def test_when_the_time_is_over_what_has_not_passed_has_failed() -> None:
    patient = terms(_check(get="/"))
    assert closing([F, F], patient) == F


FOUND = st.lists(st.sampled_from([P, F, I]), max_size=12)


@given(FOUND, st.integers(1, 5), st.integers(0, 4))
def test_no_check_ever_passes_with_more_failures_than_it_may_have(
    found: list[Verdict], count: int, limit: int
) -> None:
    rules = Terms(1.0, count, limit, None, None)
    if found.count(F) > limit:
        assert verdict(found, rules) == F
    elif len(found) >= count:
        assert verdict(found, rules) == (I if I in found else P)


@given(FOUND)
def test_a_streak_is_as_long_as_nothing_but_passes_came_last(found: list[Verdict]) -> None:
    length = streak(found)
    assert found[len(found) - length :] == [P] * length
    assert length == len(found) or found[-length - 1] != P


@pytest.mark.parametrize(("found", "expected"), [([], None), ([I], I), ([I, P], P), ([P, F], P)])
def test_what_somebody_cuts_short_is_judged_by_what_was_shown(
    found: list[Verdict], expected: Verdict | None
) -> None:
    assert so_far(found) == expected
