"""Limits, loads and comparisons: what is read, what is shown, what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdeploy.quantities import Comparison, Limit, Load, Quantity, latency


@pytest.mark.parametrize(
    ("text", "value", "shown"),
    [
        ("200ms", 0.2, "200 ms"),
        ("1.5 s", 1.5, "1.5 s"),
        ("99.95%", 0.9995, "99.95%"),
        ("20", 20, "20"),
    ],
)
def test_a_limit_is_seconds_a_part_of_one_or_a_number(text: str, value: float, shown: str) -> None:
    limit = Limit.parse(text)
    assert float(limit) == pytest.approx(value)
    assert limit.shown == shown


@given(st.integers(1, 10**6), st.sampled_from(["ms", "s", "%", ""]))
def test_a_limit_is_read_as_it_is_written(number: int, unit: str) -> None:
    limit = Limit.parse(f"{number / 100:.2f}{unit}")
    again = Limit.parse(str(limit))
    assert float(again) == pytest.approx(float(limit))
    assert again.unit == limit.unit


def test_what_is_measured_is_shown_in_the_limits_unit() -> None:
    assert Limit.parse("1s").show(0.21249) == "212 ms"
    assert Limit.parse("1%").show(0.00523) == "0.523%"
    assert Limit.parse("20").show(3) == "3"


def test_what_is_over_a_limit_never_looks_equal_to_it() -> None:
    assert Limit.parse("100%").show(0.99999) == "99.999%"
    assert Limit.parse("200ms").show(0.20004) == "200.04 ms"


def test_a_load_knows_its_rate_and_how_long_it_lasts() -> None:
    load = Load.parse("90 per minute for 1m30s")
    assert (load.rate, load.lasts) == (1.5, 90)


def test_a_comparison_knows_what_it_compares_and_how_much_more_may_be() -> None:
    comparison = Comparison.parse("p95 1.3x")
    assert (comparison.percentile, comparison.factor) == ("p95", 1.3)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Limit, "-1"),
        (Limit, "20 apples"),
        (Load, "20 per second"),
        (Load, "20 per second for "),
        (Load, "20 per hour for 30s"),
        (Comparison, "p95"),
        (Comparison, "p90 2x"),
    ],
)
def test_what_is_none_of_them_is_told_what_one_looks_like(kind: type[Quantity], text: str) -> None:
    with pytest.raises(ValueError, match=rf"^a \w+ such as .*, not '{text}'$"):
        kind.parse(text)


def test_response_times_are_shown_with_three_digits() -> None:
    assert [latency(value) for value in (0.00312, 0.0314, 0.212, 1.5249)] == [
        "3.12 ms",
        "31.4 ms",
        "212 ms",
        "1.52 s",
    ]
