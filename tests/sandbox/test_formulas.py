"""Metric math: what an expression comes to in a period, and alarms that watch one."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bgdeploy.sandbox.alarms.formulas import formula
from tests.sandbox.places import Place, places


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a + b", 3.0),
        ("a + none", 1.0),  # a missing value is 0 beside one that is there
        ("none + nothing", None),
        ("none + 5", None),
        ("100 * (a + none) / (a + b)", 100 / 3),
        ("a / none", None),  # a division by zero has no value
        ("-a", -1.0),
        ("a >= 1", 1.0),
        ("a < none", 0.0),
        ("MAX([a, b])", 2.0),
        ("SUM([a, b, none])", 3.0),
        ("MIN([none, b])", 2.0),
        ("MAX([none, nothing])", None),
        ("SUM([a, b] * 10)", 30.0),
        ("FILL(none, 7)", 7.0),
        ("FILL(a, 7)", 1.0),
        ("FILL(none, 0) + nothing", 0.0),
        ("IF(a > b, a, b)", 2.0),
        ("IF(b > a, 1)", 1.0),
        ("IF(a > b, 1)", None),
        ("IF(none, a, b)", None),
        ("IF(b, none, a)", 0.0),
    ],
)
def test_an_expression_comes_to_what_cloudwatchs_guide_says(text: str, expected: float | None) -> None:
    values = {"a": 1.0, "b": 2.0}
    found = formula(text).at(values.get)
    assert found == (pytest.approx(expected) if expected is not None else None)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1 + 1", "no single series"),
        ("[a, b]", "no single series"),
        ("MAX(a)", "single series"),
        ("a +", "cannot read"),
        ("ANOMALY_DETECTION_BAND(a, 2)", "does not evaluate ANOMALY_DETECTION_BAND"),
        ("a ** 2", "cannot evaluate 'a \\*\\* 2'"),
        ("a if b else 1", "cannot evaluate"),
        ("[a, b] + [a, b]", "not with another list"),
        ("[[a], b]", "no lists of lists"),
        ("Errors / 2", "no id"),
        ("'text'", "cannot evaluate"),
    ],
)
def test_an_expression_that_cannot_be_evaluated_is_refused_with_its_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        formula(text)


@pytest.fixture(scope="module")
def everywhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generator[Place, None, None]]:
    found = places(tmp_path_factory.mktemp("sandbox"))
    yield found
    found.close()


@pytest.fixture
def world(everywhere: Generator[Place, None, None]) -> Place:
    return next(everywhere)


def stat(name: str, period: int = 60) -> dict[str, Any]:
    metric = {"Namespace": "demo", "MetricName": name}
    return {
        "Id": name,
        "MetricStat": {"Metric": metric, "Period": period, "Stat": "Sum"},
        "ReturnData": False,
    }


RATE = {"Id": "rate", "Expression": "100 * errors / requests", "ReturnData": True}


def put(world: Place, *queries: dict[str, Any], threshold: float = 10.0) -> None:
    world.client("cloudwatch").put_metric_alarm(
        AlarmName="rate",
        Metrics=list(queries),
        EvaluationPeriods=1,
        Threshold=threshold,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
    )


def measure(world: Place, **values: float) -> None:
    data = [{"MetricName": name, "Value": value} for name, value in values.items()]
    world.client("cloudwatch").put_metric_data(Namespace="demo", MetricData=data)


def minute(world: Place, count: int = 1) -> None:
    for _ in range(count):
        world.clock.advance(60)
        world.alarms.tick()


def test_an_alarm_compares_what_its_expression_comes_to(world: Place) -> None:
    put(world, stat("errors"), stat("requests"), RATE)
    states = []
    for errors, requests in ((9, 100), (10, 100), (1, 100)):
        measure(world, errors=errors, requests=requests)
        minute(world)
        states.append(world.alarms.state("rate", world.region))
    assert states == ["OK", "ALARM", "OK"]
    (alarm,) = world.client("cloudwatch").describe_alarms(AlarmNames=["rate"])["MetricAlarms"]
    assert alarm["Metrics"] == [stat("errors"), stat("requests"), RATE]
    assert "1 out of the last 1 datapoints [1.0 (" in alarm["StateReason"]


def test_an_expression_without_a_value_is_missing_data(world: Place) -> None:
    put(world, stat("errors"), stat("requests"), RATE)
    measure(world, errors=1, requests=0)
    minute(world)
    assert world.alarms.state("rate", world.region) == "OK"


def test_an_alarm_on_an_expression_is_not_one_of_its_metrics_alarms(world: Place) -> None:
    put(world, stat("errors"), stat("requests"), RATE)
    found = world.client("cloudwatch").describe_alarms_for_metric(Namespace="demo", MetricName="errors")
    assert found["MetricAlarms"] == []


@pytest.mark.parametrize(
    ("queries", "why"),
    [
        ([RATE], "watches 1 to 10 metrics"),
        ([stat("errors"), {**stat("requests"), "ReturnData": True}, RATE], "Exactly one element"),
        ([stat("errors"), RATE], "uses requests: unknown"),
        ([stat("errors", 45), stat("requests", 45), RATE], "multiple of 60"),
        ([stat("errors", 120), stat("requests"), RATE], "one and the same period"),
        ([stat("errors"), {**RATE, "Expression": "SEARCH('x', 'Sum')"}], "does not evaluate SEARCH"),
    ],
)
def test_queries_that_no_alarm_can_watch_are_refused(
    world: Place, queries: list[dict[str, Any]], why: str
) -> None:
    with pytest.raises(ClientError, match=why):
        put(world, *queries)
