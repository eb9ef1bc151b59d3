"""CloudWatch's alarms and metrics, as its API shows them."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.clocks import HandClock
from tests.sandbox.places import Place, places

ALARM: dict[str, Any] = {
    "AlarmName": "demo",
    "Namespace": "demo",
    "MetricName": "errors",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 1.0,
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    "TreatMissingData": "notBreaching",
}


@pytest.fixture(scope="module")
def everywhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generator[Place, None, None]]:
    found = places(tmp_path_factory.mktemp("sandbox"))
    yield found
    found.close()


@pytest.fixture
def world(everywhere: Generator[Place, None, None]) -> Place:
    return next(everywhere)


@pytest.fixture
def clock(world: Place) -> HandClock:
    return world.clock


def put(world: Place, **changes: Any) -> None:
    params = {name: value for name, value in {**ALARM, **changes}.items() if value is not None}
    world.client("cloudwatch").put_metric_alarm(**params)


def measure(world: Place, value: float = 1.0, name: str = "errors", **more: Any) -> None:
    datum = {"MetricName": name, "Value": value, **more}
    world.client("cloudwatch").put_metric_data(Namespace="demo", MetricData=[datum])


def minute(world: Place, clock: HandClock, count: int = 1, seconds: float = 60) -> None:
    for _ in range(count):
        clock.advance(seconds)
        world.alarms.tick()


def described(world: Place, name: str = "demo") -> dict[str, Any]:
    (alarm,) = world.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return dict(alarm)


def refused(code: str) -> Any:
    return pytest.raises(ClientError, match=code)


# Evaluation


def test_an_alarm_is_born_without_data_and_evaluated_in_the_next_minute(
    world: Place, clock: HandClock
) -> None:
    put(world)
    world.alarms.tick()
    assert described(world)["StateValue"] == "INSUFFICIENT_DATA"
    minute(world, clock)
    assert described(world)["StateValue"] == "OK"


def test_an_error_raises_the_alarm_when_its_minute_is_over(world: Place, clock: HandClock) -> None:
    put(world)
    minute(world, clock)
    clock.advance(30)
    measure(world)
    world.alarms.tick()
    assert world.alarms.state("demo", world.region) == "OK"
    minute(world, clock, seconds=30)
    assert world.alarms.state("demo", world.region) == "ALARM"


def test_the_alarm_says_why_in_cloudwatchs_words(world: Place, clock: HandClock) -> None:
    put(world)
    measured = clock.now()
    measure(world)
    measure(world)
    minute(world, clock)
    alarm = described(world)
    assert alarm["StateReason"] == (
        f"Threshold Crossed: 1 out of the last 1 datapoints [2.0 ({measured:%d/%m/%y %H:%M}:00)] was greater than or "
        "equal to the threshold (1.0) (minimum 1 datapoint for OK -> ALARM transition)."
    )
    assert alarm["StateUpdatedTimestamp"] == clock.now() == alarm["StateTransitionedTimestamp"]
    data = json.loads(alarm["StateReasonData"])
    assert (data["recentDatapoints"], data["statistic"], data["period"]) == ([2.0], "Sum", 60)
    assert data["queryDate"] == f"{clock.now():%Y-%m-%dT%H:%M:%S}.000+0000"


def test_a_single_error_keeps_the_alarm_up_for_six_minutes(world: Place, clock: HandClock) -> None:
    put(world)
    measure(world)
    minute(world, clock, 6)
    assert world.alarms.state("demo", world.region) == "ALARM"
    minute(world, clock)
    assert world.alarms.state("demo", world.region) == "OK"


def test_a_zero_calms_the_alarm_at_once(world: Place, clock: HandClock) -> None:
    put(world)
    measure(world)
    minute(world, clock)
    measure(world, 0.0)
    minute(world, clock)
    assert world.alarms.state("demo", world.region) == "OK"


def test_two_of_three_minutes_must_be_bad(world: Place, clock: HandClock) -> None:
    put(world, EvaluationPeriods=3, DatapointsToAlarm=2)
    states = []
    for value in (0.0, 1.0, 0.0, 1.0, 0.0, 0.0):
        measure(world, value)
        minute(world, clock)
        states.append(world.alarms.state("demo", world.region))
    assert states == ["OK", "OK", "OK", "ALARM", "OK", "OK"]


def test_a_longer_period_slides_by_the_minute(world: Place, clock: HandClock) -> None:
    put(world, Period=300, Threshold=2.0)
    minute(world, clock, 2)
    measure(world)
    minute(world, clock, 4)
    measure(world)
    minute(world, clock)
    assert world.alarms.state("demo", world.region) == "ALARM"


def test_a_short_period_is_evaluated_every_ten_seconds(world: Place, clock: HandClock) -> None:
    put(world, Period=10)
    measure(world)
    minute(world, clock, seconds=10)
    assert world.alarms.state("demo", world.region) == "ALARM"


def test_a_late_point_counts_from_the_next_evaluation(world: Place, clock: HandClock) -> None:
    put(world)
    minute(world, clock, 3)
    measure(world, Timestamp=clock.now() - timedelta(minutes=2))
    minute(world, clock)
    assert world.alarms.state("demo", world.region) == "ALARM"


def test_a_percentile_can_be_watched(world: Place, clock: HandClock) -> None:
    put(world, Statistic=None, ExtendedStatistic="p90", Threshold=100.0)
    world.client("cloudwatch").put_metric_data(
        Namespace="demo", MetricData=[{"MetricName": "errors", "Values": [1.0, 200.0], "Counts": [8.0, 2.0]}]
    )
    minute(world, clock)
    assert world.alarms.state("demo", world.region) == "ALARM"


def test_a_single_metric_stat_can_be_watched(world: Place, clock: HandClock) -> None:
    metric = {"Namespace": "demo", "MetricName": "errors"}
    query = {"Id": "m", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}}
    put(world, Metrics=[query], MetricName=None, Namespace=None, Period=None, Statistic=None)
    measure(world)
    minute(world, clock)
    alarm = described(world)
    assert alarm["StateValue"] == "ALARM"
    assert alarm["Metrics"][0]["Id"] == "m"


def test_only_the_same_dimensions_unit_and_region_are_watched(world: Place, clock: HandClock) -> None:
    put(world, Dimensions=[{"Name": "Service", "Value": "a"}], Unit="Count")
    here = [{"Name": "Service", "Value": "a"}]
    measure(world)
    measure(world, Dimensions=[{"Name": "Service", "Value": "b"}], Unit="Count")
    measure(world, Dimensions=here)
    world.client("cloudwatch", region="eu-west-1").put_metric_data(
        Namespace="demo",
        MetricData=[{"MetricName": "errors", "Value": 1, "Dimensions": here, "Unit": "Count"}],
    )
    minute(world, clock)
    assert world.alarms.state("demo", world.region) == "OK"
    measure(world, Dimensions=here, Unit="Count")
    minute(world, clock)
    assert world.alarms.state("demo", world.region) == "ALARM"


def test_a_log_line_raises_the_alarm_through_its_filter(world: Place, clock: HandClock) -> None:
    logs = world.client("logs")
    logs.create_log_group(logGroupName="/ecs/demo")
    logs.put_metric_filter(
        logGroupName="/ecs/demo",
        filterName="f",
        filterPattern='" 404 "',
        metricTransformations=[{"metricName": "errors", "metricNamespace": "demo", "metricValue": "1"}],
    )
    put(world)
    world.logs.write("/ecs/demo", "web/1", ['"GET /missing HTTP/1.1" 404 196'], world.region)
    minute(world, clock)
    assert world.alarms.state("demo", world.region) == "ALARM"


# State and history


def test_a_state_can_be_set_until_the_next_evaluation(world: Place, clock: HandClock) -> None:
    put(world)
    minute(world, clock)
    world.client("cloudwatch").set_alarm_state(
        AlarmName="demo", StateValue="ALARM", StateReason="a rehearsal"
    )
    assert (described(world)["StateValue"], described(world)["StateReason"]) == ("ALARM", "a rehearsal")
    minute(world, clock)
    assert described(world)["StateValue"] == "OK"


def test_an_update_leaves_the_state_and_the_tags_as_they_are(world: Place, clock: HandClock) -> None:
    put(world, Tags=[{"Key": "bgdeploy:stack", "Value": "demo"}])
    measure(world)
    minute(world, clock)
    put(world, Threshold=5.0)
    alarm = described(world)
    assert (alarm["StateValue"], alarm["Threshold"]) == ("ALARM", 5.0)
    tags = world.client("cloudwatch").list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]
    assert tags == [{"Key": "bgdeploy:stack", "Value": "demo"}]


def test_the_history_tells_what_happened(world: Place, clock: HandClock) -> None:
    put(world)
    minute(world, clock)
    measure(world)
    minute(world, clock)
    cloudwatch = world.client("cloudwatch")
    items = cloudwatch.describe_alarm_history(AlarmName="demo")["AlarmHistoryItems"]
    assert [item["HistorySummary"] for item in items] == [
        "Alarm updated from OK to ALARM",
        "Alarm updated from INSUFFICIENT_DATA to OK",
        'Alarm "demo" created',
    ]
    told = json.loads(items[0]["HistoryData"])
    assert (told["oldState"]["stateValue"], told["newState"]["stateValue"]) == ("OK", "ALARM")
    assert told["newState"]["stateReasonData"]["recentDatapoints"] == [1.0]
    since = cloudwatch.describe_alarm_history(HistoryItemType="StateUpdate", StartDate=clock.now())
    assert len(since["AlarmHistoryItems"]) == 1


def test_the_history_of_another_region_is_not_told(world: Place) -> None:
    put(world)
    other = world.client("cloudwatch", region="eu-west-1")
    assert other.describe_alarm_history()["AlarmHistoryItems"] == []


# Alarms


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"Period": 7}, "InvalidParameterValue.*Period"),
        ({"Period": 90}, "InvalidParameterValue.*Period"),
        ({"Threshold": None}, "MissingParameter.*Threshold"),
        ({"Namespace": None}, "MissingParameter.*Namespace"),
        ({"TreatMissingData": "maybe"}, "InvalidParameterValue.*TreatMissingData"),
        ({"ExtendedStatistic": "p90"}, "InvalidParameterCombination.*Statistic"),
        ({"Statistic": None}, "InvalidParameterCombination.*Statistic"),
        ({"Statistic": None, "ExtendedStatistic": "best"}, "InvalidParameterValue.*best"),
        ({"DatapointsToAlarm": 2}, "ValidationError.*DatapointsToAlarm"),
        ({"Period": 3600, "EvaluationPeriods": 25}, "ValidationError.*more than a day"),
        ({"ComparisonOperator": "GreaterThanUpperThreshold"}, "ValidationError.*no anomaly detection"),
        ({"Metrics": [{"Id": "e", "Expression": "a+b"}]}, "InvalidParameterCombination"),
    ],
)
def test_an_alarm_that_cannot_be_is_refused(world: Place, changes: dict[str, Any], code: str) -> None:
    with refused(code):
        put(world, **changes)
    assert world.client("cloudwatch").describe_alarms()["MetricAlarms"] == []


def test_composite_alarms_are_refused_by_name(world: Place) -> None:
    with refused("no composite"):
        world.client("cloudwatch").put_composite_alarm(AlarmName="both", AlarmRule='ALARM("a")')


def test_alarms_are_found_by_name_prefix_state_and_action(world: Place, clock: HandClock) -> None:
    topic = "arn:aws:sns:us-east-1:123456789012:t"
    put(world, AlarmName="a-1")
    minute(world, clock)
    put(world, AlarmName="a-2", AlarmActions=[topic])
    put(world, AlarmName="b")
    describe = world.client("cloudwatch").describe_alarms

    def names(**wanted: Any) -> list[str]:
        return [alarm["AlarmName"] for alarm in describe(**wanted)["MetricAlarms"]]

    assert names() == ["a-1", "a-2", "b"]
    assert names(AlarmNames=["b", "none"]) == ["b"]
    assert names(AlarmNamePrefix="a-") == ["a-1", "a-2"]
    assert names(StateValue="OK") == ["a-1"]
    assert names(ActionPrefix="arn:aws:sns") == ["a-2"]
    assert names(AlarmTypes=["CompositeAlarm"]) == []
    with refused("InvalidParameterCombination"):
        names(AlarmNames=["b"], AlarmNamePrefix="a")


def test_many_alarms_come_in_pages(world: Place) -> None:
    for number in range(7):
        put(world, AlarmName=f"alarm-{number}")
    pages = world.client("cloudwatch").get_paginator("describe_alarms")
    sizes = [len(page["MetricAlarms"]) for page in pages.paginate(PaginationConfig={"PageSize": 3})]
    assert sizes == [3, 3, 1]


def test_alarms_of_a_metric_are_found(world: Place) -> None:
    put(world)
    put(world, AlarmName="other", MetricName="else")
    answer = world.client("cloudwatch").describe_alarms_for_metric(Namespace="demo", MetricName="errors")
    assert [alarm["AlarmName"] for alarm in answer["MetricAlarms"]] == ["demo"]


def test_a_deleted_alarm_is_gone_and_one_that_never_was_is_refused(world: Place) -> None:
    cloudwatch = world.client("cloudwatch")
    put(world)
    cloudwatch.delete_alarms(AlarmNames=["demo", "none"])
    assert world.alarms.state("demo", world.region) is None
    with refused("ResourceNotFound"):
        cloudwatch.delete_alarms(AlarmNames=["demo"])
    with refused("ResourceNotFound"):
        cloudwatch.set_alarm_state(AlarmName="demo", StateValue="OK", StateReason="x")


def test_actions_are_switched_and_tags_are_kept(world: Place) -> None:
    cloudwatch = world.client("cloudwatch")
    put(world)
    arn = described(world)["AlarmArn"]
    cloudwatch.disable_alarm_actions(AlarmNames=["demo"])
    assert described(world)["ActionsEnabled"] is False
    cloudwatch.enable_alarm_actions(AlarmNames=["demo"])
    assert described(world)["ActionsEnabled"] is True
    cloudwatch.tag_resource(ResourceARN=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    cloudwatch.untag_resource(ResourceARN=arn, TagKeys=["a"])
    assert cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "b", "Value": "2"}]
    with refused("ResourceNotFoundException"):
        cloudwatch.list_tags_for_resource(ResourceARN=arn + "x")


# Metrics


def test_statistics_are_read_back_by_period(world: Place, clock: HandClock) -> None:
    start = clock.now()
    for value in (1.0, 3.0):
        measure(world, value)
    clock.advance(60)
    measure(world, 10.0)
    answer = world.client("cloudwatch").get_metric_statistics(
        Namespace="demo",
        MetricName="errors",
        StartTime=start,
        EndTime=start + timedelta(minutes=5),
        Period=60,
        Statistics=["Average", "Sum"],
        ExtendedStatistics=["p50"],
    )
    points = [(p["Timestamp"], p["Average"], p["Sum"], p["ExtendedStatistics"]) for p in answer["Datapoints"]]
    assert points == [
        (start, 2.0, 4.0, {"p50": 1.0}),
        (start + timedelta(minutes=1), 10.0, 10.0, {"p50": 10.0}),
    ]


def test_a_statistic_set_counts_as_its_samples(world: Place, clock: HandClock) -> None:
    told = {"SampleCount": 4.0, "Sum": 10.0, "Minimum": 1.0, "Maximum": 5.0}
    world.client("cloudwatch").put_metric_data(
        Namespace="demo", MetricData=[{"MetricName": "errors", "StatisticValues": told}]
    )
    put(world, Statistic="Average", Threshold=2.5)
    minute(world, clock)
    assert world.alarms.state("demo", world.region) == "ALARM"


def test_metric_data_is_read_newest_first(world: Place, clock: HandClock) -> None:
    start = clock.now()
    for value in (1.0, 2.0):
        measure(world, value)
        clock.advance(60)
    stat = {"Metric": {"Namespace": "demo", "MetricName": "errors"}, "Period": 60, "Stat": "Sum"}
    read = world.client("cloudwatch").get_metric_data
    times = {"StartTime": start, "EndTime": clock.now()}
    (result,) = read(MetricDataQueries=[{"Id": "m", "MetricStat": stat}], **times)["MetricDataResults"]
    assert (result["Values"], result["Timestamps"][1]) == ([2.0, 1.0], start)
    with refused("no expressions"):
        read(MetricDataQueries=[{"Id": "e", "Expression": "m*2"}], **times)


def test_metrics_are_listed_by_name_and_dimension(world: Place) -> None:
    measure(world)
    measure(world, Dimensions=[{"Name": "Service", "Value": "a"}])
    listed = world.client("cloudwatch").list_metrics
    assert len(listed(Namespace="demo")["Metrics"]) == 2
    (metric,) = listed(Dimensions=[{"Name": "Service"}])["Metrics"]
    assert metric["Dimensions"] == [{"Name": "Service", "Value": "a"}]
    assert listed(MetricName="none")["Metrics"] == []


@pytest.mark.parametrize(
    ("datum", "code"),
    [
        ({}, "InvalidParameterCombination"),
        ({"Value": 1.0, "Values": [1.0]}, "InvalidParameterCombination"),
        ({"Values": [1.0, 2.0], "Counts": [1.0]}, "InvalidParameterValue"),
        ({"Values": [1.0], "Counts": [0.0]}, "InvalidParameterValue"),
        ({"Value": 1.0, "Timestamp": "1999-01-01T00:00:00Z"}, "InvalidParameterValue.*two weeks"),
    ],
)
def test_a_datum_that_cannot_be_is_refused_and_nothing_is_published(
    world: Place, datum: dict[str, Any], code: str
) -> None:
    good = {"MetricName": "errors", "Value": 1.0}
    with refused(code):
        world.client("cloudwatch").put_metric_data(
            Namespace="demo", MetricData=[good, {"MetricName": "errors", **datum}]
        )
    assert world.client("cloudwatch").list_metrics()["Metrics"] == []
