"""Answers that are counted together: percentiles, statuses, and what came instead."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bgdeploy.release.analysis.samples import Samples, collected, rounded


def test_a_percentile_is_a_time_that_so_many_answers_did_not_exceed() -> None:
    samples = collected(n / 1000 for n in range(1, 101))
    assert samples.percentiles() == {"p50": 0.05, "p95": 0.095, "p99": 0.099}


def test_one_answer_is_every_percentile() -> None:
    assert collected([0.2]).percentiles() == {"p50": 0.2, "p95": 0.2, "p99": 0.2}


@given(st.lists(st.floats(0.0001, 60), min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_percentile_is_that_of_the_sorted_list(seconds: list[float], part: float) -> None:
    ordered = sorted(map(rounded, seconds))
    found = collected(seconds).percentile(part)
    assert sum(one <= found for one in ordered) >= part * len(ordered)
    assert sum(one < found for one in ordered) < part * len(ordered)


@given(st.lists(st.lists(st.floats(0.0001, 60), max_size=20), max_size=5))
def test_samples_counted_in_parts_are_the_samples_counted_at_once(parts: list[list[float]]) -> None:
    together = Samples()
    for part in parts:
        together.add(Samples.of(collected(part).plain()))
    assert together == collected(seconds for part in parts for seconds in part)


def test_what_came_instead_is_told_the_most_frequent_first() -> None:
    samples = Samples()
    for status in (503, 200, 503):
        samples.answered(status, 0.1)
    samples.failed("no whole answer within 5 s", reached=True)
    assert samples.others(200) == "2 x status 503, 1 x no whole answer within 5 s"
