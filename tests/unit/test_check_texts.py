"""What is said of checks while they run and when they are done, and what of it is news."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bgdeploy.release.changes import check_changes, check_text, checks_text
from bgdeploy.release.checks import CheckResult, ChecksState
from tests import deployments as d

OPEN = CheckResult("page", "GET http://t/", None, "status 200", "", 0, 0.0)
LOAD = replace(OPEN, kind="load", count=1, request="20 per second for 30s, GET http://t/")


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (OPEN, "GET http://t/"),
        (
            replace(OPEN, got="status 503", attempts=3, seconds=4.2, left=12.0),
            "wanted status 200, got status 503; 3 attempts, 4.2 s; 12s left",
        ),
        (
            replace(OPEN, got="status 200", attempts=4, seconds=33.5, due=6.0),
            "status 200; 4 attempts, 33.5 s; next in 6s",
        ),
        (
            replace(OPEN, verdict="pass", got="status 200", attempts=1, seconds=0.2),
            "passed: status 200 (GET http://t/, 1 attempt, 0.2 s)",
        ),
        (
            replace(OPEN, verdict="fail", got="status 503", attempts=9, seconds=30.0, observed=True),
            "observed, wanted status 200, got status 503 (GET http://t/, 9 attempts, 30.0 s)",
        ),
        (
            replace(LOAD, live="412/600 requests, 20/s, p95 31 ms", left=9.0),
            "412/600 requests, 20/s, p95 31 ms; 9s left",
        ),
        (
            replace(LOAD, verdict="fail", wanted="", got="p95 212 ms > 200 ms", attempts=1, seconds=30.1),
            "p95 212 ms > 200 ms (20 per second for 30s, GET http://t/, 1 measurement, 30.1 s)",
        ),
        (
            replace(OPEN, wanted="", got="status 200", attempts=9, failures=1, count=20, seconds=88, due=7.0),
            "status 200; 9/20 measurements, 1 failed, 1m28s; next in 7s",
        ),
        (
            replace(OPEN, verdict="inconclusive", wanted="exit 0", got="exit 2", attempts=1, seconds=1.0),
            "inconclusive: wanted exit 0, got exit 2 (GET http://t/, 1 attempt, 1.0 s)",
        ),
        (replace(OPEN, got="not run: page had failed"), "not run: page had failed"),
    ],
)
def test_a_check_is_told_by_how_far_it_is(result: CheckResult, told: str) -> None:
    assert check_text(result) == told


def _news(before: ChecksState | None, after: ChecksState) -> list[str]:
    return [f"{change.subject}: {change.text}" for change in check_changes(before, after, d.T0)]


def test_checks_after_the_shift_are_news_of_their_own() -> None:
    passed = ChecksState("passed", "me")
    running = replace(passed, after=ChecksState("running", "me", (OPEN,)))
    assert _news(passed, running) == ["checks after the shift: running on the production listener"]
    done = replace(OPEN, verdict="fail", got="status 500", attempts=2, seconds=9.0)
    failed = replace(passed, after=ChecksState("failed", "me", (done,)))
    assert _news(running, failed) == [
        "page: wanted status 200, got status 500 (GET http://t/, 2 attempts, 9.0 s)",
        "checks after the shift: failed: production goes back to blue",
    ]


def test_how_far_a_check_is_is_no_news() -> None:
    before = ChecksState("running", "me", (OPEN,))
    after = replace(before, results=(replace(OPEN, attempts=1, got="status 503"),))
    assert _news(before, after) == []


def test_who_runs_them_elsewhere_is_told() -> None:
    assert checks_text(ChecksState("elsewhere", "ben@elsewhere"), shifted=True) == "run by ben@elsewhere"


def test_not_all_have_passed_when_one_that_is_only_observed_has_not() -> None:
    seen = replace(OPEN, verdict="fail", observed=True)
    passed = replace(OPEN, verdict="pass")
    assert checks_text(ChecksState("passed", "me", (passed,))) == "all passed"
    assert checks_text(ChecksState("passed", "me", (passed, seen))) == "all that decide have passed"


def test_no_checks_are_not_all_passed() -> None:
    assert checks_text(ChecksState("passed", "me")) == "none to run"
