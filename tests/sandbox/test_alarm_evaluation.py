"""An alarm's state follows from its periods by CloudWatch's rules (aws-facts 9.3)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdeploy.sandbox.alarms.evaluate import Rule, evaluate, evaluation_range
from bgdeploy.sandbox.alarms.metrics import Metrics, Samples, key

START = datetime(2026, 11, 24, 8, 10, tzinfo=timezone.utc)
ONE = Rule("GreaterThanOrEqualToThreshold", 1.0, 1, 1, "notBreaching")


def periods(drawing: str) -> list[tuple[datetime, float | None]]:
    """Return the periods of a drawing as CloudWatch's guide makes them, oldest first: X bad, 0 good, - missing."""
    values = {"X": 1.0, "0": 0.0, "-": None}
    newest_first = [values[mark] for mark in reversed(drawing.split())]
    return [(START - timedelta(minutes=age), value) for age, value in enumerate(newest_first)]


# The tables of "Configuring how CloudWatch alarms treat missing data"; KEPT is "retain current state".
KEPT = "(kept)"
MODES = ("missing", "ignore", "breaching", "notBreaching")


@pytest.mark.parametrize(
    ("needed", "drawing", "expected"),
    [
        (3, "0 - X - X", ("OK", "OK", "OK", "OK")),
        (3, "0 - - - -", ("OK", "OK", "OK", "OK")),
        (3, "- - - - -", ("INSUFFICIENT_DATA", KEPT, "ALARM", "OK")),
        (3, "0 X X - X", ("ALARM", "ALARM", "ALARM", "ALARM")),
        (3, "- - X - -", ("ALARM", KEPT, "ALARM", "OK")),
        (2, "0 - X - X", ("ALARM", "ALARM", "ALARM", "ALARM")),
        (2, "0 0 X 0 X", ("ALARM", "ALARM", "ALARM", "ALARM")),
        (2, "0 - X - -", ("OK", "OK", "ALARM", "OK")),
        (2, "- - - - 0", ("OK", "OK", "ALARM", "OK")),
        (2, "- - - X -", ("ALARM", KEPT, "ALARM", "OK")),
    ],
)
@pytest.mark.parametrize("before", ["OK", "ALARM", "INSUFFICIENT_DATA"])
def test_missing_data_is_treated_as_the_guides_tables_say(
    needed: int, drawing: str, expected: tuple[str, ...], before: str
) -> None:
    for mode, state in zip(MODES, expected, strict=True):
        rule = Rule("GreaterThanOrEqualToThreshold", 1.0, 3, needed, mode)
        assert evaluate(rule, periods(drawing), before).state == (before if state == KEPT else state), mode


@pytest.mark.parametrize("before", ["OK", "INSUFFICIENT_DATA"])
def test_a_bad_value_too_young_to_decide_alone_changes_nothing(before: str) -> None:
    rule = Rule("GreaterThanOrEqualToThreshold", 1.0, 3, 3, "missing")
    assert evaluate(rule, periods("- - - - X"), before).state == before


@pytest.mark.parametrize(
    ("comparison", "value", "state"),
    [
        ("GreaterThanOrEqualToThreshold", 1.0, "ALARM"),
        ("GreaterThanThreshold", 1.0, "OK"),
        ("GreaterThanThreshold", 1.1, "ALARM"),
        ("LessThanOrEqualToThreshold", 1.0, "ALARM"),
        ("LessThanThreshold", 1.0, "OK"),
        ("LessThanThreshold", 0.9, "ALARM"),
    ],
)
def test_each_operator_compares_as_it_is_called(comparison: str, value: float, state: str) -> None:
    assert evaluate(replace(ONE, comparison=comparison), [(START, value)], "OK").state == state


_DRAWINGS = st.lists(st.sampled_from("X0-"), min_size=8, max_size=8).map(" ".join)
_RULES = st.builds(
    lambda periods, needed, missing: Rule(
        "GreaterThanOrEqualToThreshold", 1.0, periods, min(needed, periods), missing
    ),
    st.integers(1, 5),
    st.integers(1, 5),
    st.sampled_from(MODES),
)
_STATES = st.sampled_from(["OK", "ALARM", "INSUFFICIENT_DATA"])


@given(rule=_RULES, drawing=_DRAWINGS, before=_STATES)
def test_a_worse_value_never_calms_an_alarm(rule: Rule, drawing: str, before: str) -> None:
    if evaluate(rule, periods(drawing), before).state == "ALARM":
        assert evaluate(rule, periods(drawing.replace("0", "X")), before).state == "ALARM"


@given(rule=_RULES, drawing=_DRAWINGS, before=_STATES)
def test_a_state_that_changes_says_why(rule: Rule, drawing: str, before: str) -> None:
    verdict = evaluate(rule, periods(drawing), before)
    if verdict.state != before:
        assert verdict.reason.startswith(("Threshold Crossed: ", "Insufficient Data: "))


# What it says, in CloudWatch's words


def test_one_bad_value_is_told_with_its_time() -> None:
    verdict = evaluate(ONE, [(START, 1.0)], "OK")
    assert verdict.reason == (
        "Threshold Crossed: 1 out of the last 1 datapoints [1.0 (24/11/26 08:10:00)] was greater than or equal to the "
        "threshold (1.0) (minimum 1 datapoint for OK -> ALARM transition)."
    )


def test_values_that_are_good_again_are_told() -> None:
    verdict = evaluate(replace(ONE, comparison="GreaterThanThreshold"), [(START, 0.5)], "ALARM")
    assert verdict.reason == (
        "Threshold Crossed: 1 out of the last 1 datapoints [0.5 (24/11/26 08:10:00)] was not greater than the "
        "threshold (1.0) (minimum 1 datapoint for ALARM -> OK transition)."
    )


def test_several_values_are_told_newest_first() -> None:
    rule = Rule("LessThanThreshold", 5.0, 3, 2, "missing")
    verdict = evaluate(
        rule, [(START, 2.0), (START - timedelta(minutes=1), 9.0), (START - timedelta(minutes=2), 3.0)], "OK"
    )
    assert (
        "2 out of the last 3 datapoints [2.0 (24/11/26 08:10:00), 3.0 (24/11/26 08:08:00)] were less"
        in verdict.reason
    )
    assert verdict.reason.endswith("(minimum 2 datapoints for OK -> ALARM transition).")


@pytest.mark.parametrize(
    ("rule", "drawing", "reason"),
    [
        (
            ONE,
            "- - - - - -",
            "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as "
            "[NonBreaching].",
        ),
        (
            replace(ONE, periods=3, needed=3, missing="breaching"),
            "- - - - -",
            "Threshold Crossed: no datapoints were received for 3 periods and 3 missing datapoints were treated as "
            "[Breaching].",
        ),
        (
            replace(ONE, periods=3, needed=3),
            "- - - - X",
            "Threshold Crossed: 2 missing datapoints were treated as [NonBreaching] (minimum 1 datapoint for "
            "ALARM -> OK transition).",
        ),
        (replace(ONE, missing="missing"), "- - -", "Insufficient Data: 1 datapoint were unknown."),
        (
            replace(ONE, periods=5, needed=5, missing="missing"),
            "- - - - -",
            "Insufficient Data: 5 datapoints were unknown.",
        ),
    ],
)
def test_missing_values_are_told(rule: Rule, drawing: str, reason: str) -> None:
    assert evaluate(rule, periods(drawing), "unknown").reason == reason


def test_more_periods_are_looked_at_than_are_evaluated() -> None:
    assert evaluation_range(1, 60) > 1
    assert evaluate(ONE, periods("X - - - - -"), "ALARM").state == "ALARM"
    assert evaluate(ONE, periods("X - - - - 0"), "ALARM").state == "OK"


# Statistics


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=50))
def test_statistics_are_those_of_the_values(values: list[int]) -> None:
    samples = Samples()
    for value in values:
        samples.add(Samples.of(float(value)))
    assert samples.statistic("Sum") == sum(values)
    assert samples.statistic("SampleCount") == len(values)
    assert samples.statistic("Average") == pytest.approx(sum(values) / len(values))
    assert samples.statistic("Maximum") == max(values) == samples.statistic("p100")
    assert samples.statistic("Minimum") == min(values) == samples.statistic("p0")


@given(st.lists(st.integers(0, 20), min_size=1, max_size=60), st.integers(1, 99))
def test_a_percentile_is_the_least_value_that_covers_so_many(values: list[int], percent: int) -> None:
    samples = Samples()
    for value in values:
        samples.add(Samples.of(float(value)))
    found = samples.statistic(f"p{percent}")
    assert found in values
    assert sum(value <= found for value in values) >= percent / 100 * len(values)
    assert sum(value < found for value in values) < percent / 100 * len(values)


def test_a_statistic_set_has_no_percentile() -> None:
    assert Samples(3, 6.0, 1.0, 3.0).statistic("p50") is None
    assert Samples(3, 6.0, 1.0, 3.0).statistic("Average") == 2.0


@pytest.mark.parametrize("name", ["p101", "tm90", "Median", "p"])
def test_an_unknown_statistic_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Samples.of(1.0).statistic(name)


# The store

METRIC = key("us-east-1", "demo", "errors")


def test_a_period_holds_what_came_from_its_beginning_to_before_its_end() -> None:
    metrics, start = Metrics(), int(START.timestamp())
    for second in (-1, 0, 59, 60):
        metrics.add(
            METRIC, START + timedelta(seconds=second), Samples.of(10.0**second if second > 0 else 1.0)
        )
    found = metrics.period(METRIC, start, 60)
    assert found is not None
    assert found.count == 2


def test_another_unit_is_not_seen() -> None:
    metrics, start = Metrics(), int(START.timestamp())
    metrics.add(METRIC, START, Samples.of(1.0), "Count")
    assert metrics.period(METRIC, start, 60, "Seconds") is None
    assert metrics.period(METRIC, start, 60, "Count") is not None
    assert metrics.period(METRIC, start, 60) is not None


def test_the_store_forgets_what_is_two_days_old() -> None:
    metrics = Metrics()
    other = key("us-east-1", "demo", "other")
    metrics.add(METRIC, START, Samples.of(1.0))
    metrics.add(other, START, Samples.of(1.0))
    metrics.add(other, START + timedelta(days=2), Samples.of(1.0))
    metrics.forget(START + timedelta(days=2, minutes=1))
    assert list(metrics.kept) == [other]
    assert [count.count for _, count in metrics.periods(other, START, START + timedelta(days=3), 60)] == [1.0]


def test_equal_values_take_no_room() -> None:
    metrics = Metrics()
    for _ in range(10_000):
        metrics.add(METRIC, START, Samples.of(1.0))
    (minute,) = metrics.kept[METRIC].values()
    ((_, samples),) = minute.items()
    assert (samples.count, samples.weights) == (10_000.0, {1.0: 10_000.0})
