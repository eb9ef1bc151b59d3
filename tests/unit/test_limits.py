"""What loads, comparisons, metrics and commands are worth, told with measured value, operator and limit."""

from __future__ import annotations

from typing import Any

import pytest

from bgdeploy.checktypes import Check, RawMetric
from bgdeploy.quantities import Comparison, Limit, Load
from bgdeploy.release.analysis.expectations import Answer
from bgdeploy.release.analysis.limits import (
    Finished,
    Pair,
    judge_command,
    judge_comparison,
    judge_load,
    judge_metric,
    wanted,
)
from bgdeploy.release.analysis.samples import Samples
from bgdeploy.release.analysis.tally import Verdict
from bgdeploy.release.checks import Measurement


def _samples(*seconds: float, status: int = 200, errors: int = 0, unreached: int = 0) -> Samples:
    samples = Samples()
    for one in seconds:
        samples.answered(status, one)
    for number in range(errors + unreached):
        reached = number < errors
        samples.failed("no whole answer within 5 s" if reached else "refused", reached=reached)
    return samples


def _load(**asked: Any) -> Check:
    limits: dict[str, Any] = {key: Limit.parse(value) for key, value in asked.items()}
    return Check(name="load", load=Load.parse("20 per second for 5s"), **limits)


# Loads


def test_a_load_that_is_answered_well_passes_with_what_was_measured() -> None:
    found = judge_load(_load(p95="200ms"), _samples(*[0.031] * 100), 5.0)
    assert (found.verdict, found.got) == (
        "pass",
        "success 100% >= 99%, p95 31 ms <= 200 ms (100 requests, 20/s)",
    )
    assert found.values == {
        "requests": 100,
        "rate": 20,
        "success": 1,
        "p50": 0.031,
        "p95": 0.031,
        "p99": 0.031,
    }


def test_a_load_that_is_answered_slowly_fails_with_value_operator_and_limit() -> None:
    samples = _samples(*[0.05] * 90, *[0.212] * 10)
    found = judge_load(_load(p50="100ms", p95="200ms"), samples, 5.0)
    assert (found.verdict, found.got) == ("fail", "p95 212 ms > 200 ms (100 requests, 20/s)")


def test_a_load_that_is_not_answered_enough_says_what_came_instead() -> None:
    samples = _samples(*[0.05] * 87)
    samples.add(_samples(*[0.05] * 12, status=503, errors=1))
    found = judge_load(_load(success="99%"), samples, 5.0)
    assert found.got == (
        "success 87% < 99% (100 requests, 20/s; 12 x status 503, 1 x no whole answer within 5 s)"
    )


def test_one_failure_in_many_never_looks_like_a_hundred_per_cent() -> None:
    samples = _samples(*[0.05] * 99_999)
    samples.failed("refused", reached=False)
    assert judge_load(_load(success="100%"), samples, 5.0).got.startswith("success 99.999% < 100%")


def test_a_load_that_nobody_let_in_says_nothing_of_the_application() -> None:
    found = judge_load(_load(), _samples(unreached=20), 5.0)
    assert (found.verdict, found.reached, found.got) == ("fail", False, "no data: 20 x refused")


def test_a_load_without_any_answer_in_time_is_the_applications_failure() -> None:
    found = judge_load(_load(p95="200ms"), _samples(errors=5), 5.0)
    assert (found.verdict, found.reached) == ("fail", True)
    assert found.got == "success 0% < 99% (5 requests, 1/s; 5 x no whole answer within 5 s)"


# Comparisons


def _pairs(blue: float, green: float, count: int = 50) -> list[Pair]:
    return [Pair(Answer(200, seconds=blue), Answer(200, seconds=green))] * count


def _compared(pairs: list[Pair], **asked: Any) -> Measurement:
    return judge_comparison(Check(name="c", compare=Comparison.parse("p95 1.3x"), **asked), pairs)


def test_a_green_that_is_slower_than_it_may_be_fails_with_both_times() -> None:
    found = _compared(_pairs(0.1, 0.212))
    assert (found.verdict, found.got) == ("fail", "p95 212 ms > 130 ms (1.3 x blue's 100 ms)")
    assert found.values == {"blue": 0.1, "green": 0.212, "ratio": pytest.approx(2.12)}


def test_a_green_that_is_as_fast_passes_with_both_times() -> None:
    found = _compared(_pairs(0.1, 0.104))
    assert (found.verdict, found.got) == ("pass", "p95 104 ms <= 130 ms (1.3 x blue's 100 ms)")


def test_a_difference_within_the_tolerance_is_none() -> None:
    assert _compared(_pairs(0.002, 0.0068)).got == "p95 6.8 ms <= 7 ms (blue's 2 ms + 5 ms)"
    assert _compared(_pairs(0.002, 0.0068), tolerance=Limit.parse("1ms")).verdict == "fail"


def test_another_status_than_blues_fails_and_is_told() -> None:
    pairs = _pairs(0.1, 0.1, 48) + [Pair(Answer(200, seconds=0.1), Answer(500, seconds=0.1))] * 2
    found = _compared(pairs)
    assert (found.verdict, found.got) == (
        "fail",
        "2 of 50 answers have another status than blue's: 500 instead of 200",
    )


@pytest.mark.parametrize("no_data", ["fail", "pass", "inconclusive"])
def test_no_data_says_what_a_comparison_without_blue_is_worth(no_data: Verdict) -> None:
    silent = Answer(None, error="refused", reached=False)
    found = _compared([Pair(silent, Answer(200, seconds=0.1))] * 5, no_data=no_data)
    assert found.verdict == no_data


def test_without_blue_there_is_nothing_to_compare_with() -> None:
    silent = Answer(None, error="the connection was not made: refused", reached=False)
    found = _compared([Pair(silent, Answer(200, seconds=0.1))] * 5)
    assert (found.verdict, found.got) == (
        "inconclusive",
        "no data: blue: the connection was not made: refused",
    )


def test_a_green_that_lets_nobody_in_is_no_failure_of_the_applications() -> None:
    silent = Answer(None, error="refused", reached=False)
    found = _compared([Pair(Answer(200, seconds=0.1), silent)] * 5)
    assert (found.verdict, found.reached) == ("fail", False)


# Metrics


def _metric(**asked: Any) -> Check:
    limits: dict[str, Any] = {
        key: Limit.parse(value) if key != "metric" else value for key, value in asked.items()
    }
    return Check(name="m", **limits)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0.002, "pass: target_5xx_rate 0.2% <= 1%"),
        (0.01, "pass: target_5xx_rate 1% <= 1%"),
        (0.031, "fail: target_5xx_rate 3.1% > 1%"),
    ],
)
def test_a_metric_is_compared_with_its_limit(value: float, told: str) -> None:
    found = judge_metric(_metric(metric="target_5xx_rate", below="1%"), value)
    assert f"{found.verdict}: {found.got}" == told


def test_a_metric_may_have_to_be_more_than_something() -> None:
    found = judge_metric(
        _metric(metric=RawMetric(name="Orders", namespace="Shop", statistic="Sum"), above="5"), 3
    )
    assert (found.verdict, found.got) == ("fail", "Orders Sum 3 < 5")


def test_a_metric_without_a_value_is_no_data() -> None:
    found = judge_metric(_metric(metric="request_count", above="1"), None)
    assert (found.verdict, found.got) == ("inconclusive", "no data: the metric has no value yet")


# Commands


@pytest.mark.parametrize(
    ("finished", "told"),
    [
        (Finished(0, ("5 passed",)), "pass: exit 0"),
        (Finished(1, ("1 failed",)), "fail: exit 1: 1 failed"),
        (Finished(2, ("no baseline",)), "inconclusive: exit 2: no baseline"),
        (Finished(99), "fail: exit 99"),
        (Finished(-9, ("started",)), "fail: it was killed by signal 9: started"),
        (Finished(None, ("waiting",)), "fail: it did not end within 300 s: waiting"),
    ],
)
def test_a_commands_exit_status_is_its_verdict(finished: Finished, told: str) -> None:
    found = judge_command(finished, 300.0)
    assert f"{found.verdict}: {found.got}" == told


# What is wanted


@pytest.mark.parametrize(
    ("check", "told"),
    [
        (_load(p95="200ms"), "success >= 99%, p95 <= 200 ms"),
        (Check(name="c", compare=Comparison.parse("p95 1.3x")), "p95 <= 1.3 x blue's, the same statuses"),
        (Check(name="c", command="true"), "exit 0"),
        (_metric(metric="latency p95", below="300ms"), "latency p95 <= 300 ms"),
        (Check(name="c", get="/", contains="Hello"), 'status 200, body contains "Hello"'),
    ],
)
def test_every_check_says_what_it_wants(check: Check, told: str) -> None:
    assert wanted(check) == told
