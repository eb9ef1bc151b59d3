"""Lines become metrics, and searches find what their pattern says."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bgdeploy.sandbox.world import RefusedError
from tests.clocks import HandClock
from tests.sandbox.places import Place, places

GROUP = "/ecs/demo"
NOT_FOUND = '10.0.0.7 - - [24/Nov/2026:08:10:00 +0000] "GET /missing HTTP/1.1" 404 196'
FOUND = '10.0.0.7 - - [24/Nov/2026:08:10:00 +0000] "GET / HTTP/1.1" 200 45'


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


@pytest.fixture(autouse=True)
def group(world: Place) -> None:
    world.client("logs").create_log_group(logGroupName=GROUP)


def put_filter(world: Place, pattern: str = '" 404 "', **transformation: Any) -> None:
    metric = {"metricName": "not-found", "metricNamespace": "demo", "metricValue": "1", **transformation}
    world.client("logs").put_metric_filter(
        logGroupName=GROUP, filterName="f", filterPattern=pattern, metricTransformations=[metric]
    )


def points(world: Place, at: datetime, **dimensions: str) -> list[dict[str, Any]]:
    answer = world.client("cloudwatch").get_metric_statistics(
        Namespace="demo",
        MetricName="not-found",
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=at - timedelta(hours=1),
        EndTime=at + timedelta(hours=1),
        Period=60,
        Statistics=["Sum", "SampleCount"],
    )
    return [dict(point) for point in answer["Datapoints"]]


def refused(code: str) -> Any:
    return pytest.raises(ClientError, match=code)


# From line to metric


def test_each_matching_line_of_a_task_counts(world: Place, clock: HandClock) -> None:
    put_filter(world)
    world.logs.write(GROUP, "web/1", [NOT_FOUND, FOUND, NOT_FOUND], world.region)
    (point,) = points(world, clock.now())
    assert (point["Sum"], point["SampleCount"]) == (2.0, 2.0)


def test_a_filter_is_not_retroactive(world: Place, clock: HandClock) -> None:
    world.logs.write(GROUP, "web/1", [NOT_FOUND], world.region)
    put_filter(world)
    assert points(world, clock.now()) == []


def test_lines_written_by_the_api_count_in_their_own_minute(world: Place, clock: HandClock) -> None:
    put_filter(world)
    logs = world.client("logs")
    logs.create_log_stream(logGroupName=GROUP, logStreamName="s")
    earlier = clock.now() - timedelta(minutes=5)
    events = [{"timestamp": int(earlier.timestamp() * 1000), "message": NOT_FOUND}]
    logs.put_log_events(logGroupName=GROUP, logStreamName="s", logEvents=events)
    assert [point["Timestamp"] for point in points(world, clock.now())] == [earlier]


def test_a_quiet_minute_publishes_the_default_when_it_is_over(world: Place, clock: HandClock) -> None:
    put_filter(world, defaultValue=0)
    minute = clock.now()
    world.logs.write(GROUP, "web/1", [FOUND], world.region)
    world.logs.tick()
    assert points(world, minute) == []
    clock.advance(60)
    world.logs.tick()
    world.logs.tick()
    (point,) = points(world, minute)
    assert (point["Timestamp"], point["Sum"], point["SampleCount"]) == (minute, 0.0, 1.0)


def test_a_minute_in_which_a_line_matched_gets_no_default(world: Place, clock: HandClock) -> None:
    put_filter(world, defaultValue=7)
    world.logs.write(GROUP, "web/1", [FOUND], world.region)
    world.logs.write(GROUP, "web/1", [NOT_FOUND], world.region)
    clock.advance(60)
    world.logs.tick()
    (point,) = points(world, clock.now())
    assert (point["Sum"], point["SampleCount"]) == (1.0, 1.0)


def test_a_minute_without_lines_has_no_point(world: Place, clock: HandClock) -> None:
    put_filter(world, defaultValue=0)
    clock.advance(180)
    world.logs.tick()
    assert points(world, clock.now()) == []


def test_a_field_can_be_the_value_and_another_the_dimension(world: Place, clock: HandClock) -> None:
    pattern = "[ip, id, user, time, request, status, size]"
    put_filter(world, pattern, metricValue="$size", dimensions={"Status": "$status"})
    world.logs.write(GROUP, "web/1", [NOT_FOUND, FOUND, NOT_FOUND], world.region)
    assert [point["Sum"] for point in points(world, clock.now(), Status="404")] == [392.0]
    assert [point["Sum"] for point in points(world, clock.now(), Status="200")] == [45.0]


def test_a_document_can_give_value_and_dimension(world: Place, clock: HandClock) -> None:
    put_filter(world, "{ $.ms > 10 }", metricValue="$.ms", dimensions={"Route": "$.route"})
    lines = ['{"ms": 12.5, "route": "/"}', '{"ms": 5, "route": "/"}', '{"ms": 99}']
    world.logs.write(GROUP, "web/1", lines, world.region)
    assert [point["Sum"] for point in points(world, clock.now(), Route="/")] == [12.5]
    assert points(world, clock.now()) == []  # the line without the dimension publishes nothing


# Metric filters


@pytest.mark.parametrize(
    ("pattern", "transformation", "message"),
    [
        ("half-quoted", {}, "Invalid metric filter pattern"),
        ("ERROR", {"dimensions": {"A": "$a"}}, "does not support dimensions"),
        ("[a, b]", {"dimensions": {"A": "$a"}, "defaultValue": 0}, "mutually exclusive"),
        ("[a, b, c, d]", {"dimensions": {n.upper(): f"${n}" for n in "abcd"}}, "more than 3 dimensions"),
        ("ERROR", {"metricValue": "one"}, "neither a number nor a field"),
        ("ERROR", {"metricValue": "$size"}, "neither a number nor a field"),
    ],
)
def test_a_filter_that_aws_refuses_is_refused(
    world: Place, pattern: str, transformation: dict[str, Any], message: str
) -> None:
    with refused(f"InvalidParameterException.*{message}"):
        put_filter(world, pattern, **transformation)
    assert world.client("logs").describe_metric_filters(logGroupName=GROUP)["metricFilters"] == []


def test_a_filter_needs_its_log_group(world: Place) -> None:
    with refused("ResourceNotFoundException"):
        world.client("logs").put_metric_filter(
            logGroupName="/none",
            filterName="f",
            filterPattern="",
            metricTransformations=[{"metricName": "m", "metricNamespace": "n", "metricValue": "1"}],
        )


def test_a_group_has_at_most_a_hundred_filters_and_five_with_regular_expressions(world: Place) -> None:
    logs = world.client("logs")
    metric = {"metricName": "m", "metricNamespace": "n", "metricValue": "1"}

    def put(name: str, pattern: str) -> None:
        logs.put_metric_filter(
            logGroupName=GROUP, filterName=name, filterPattern=pattern, metricTransformations=[metric]
        )

    for number in range(5):
        put(f"r{number}", "%a+%")
    with refused("LimitExceededException"):
        put("r5", "%a+%")
    for number in range(95):
        put(f"w{number}", "a")
    with refused("LimitExceededException"):
        put("w95", "a")
    put("w1", "b")  # another pattern for one that there is


def test_filters_are_described_as_put_and_deleted(world: Place) -> None:
    logs = world.client("logs")
    put_filter(world, defaultValue=0)
    (told,) = logs.describe_metric_filters(logGroupName=GROUP, filterNamePrefix="f")["metricFilters"]
    assert told["filterPattern"] == '" 404 "'
    assert told["metricTransformations"][0]["defaultValue"] == 0
    assert logs.describe_log_groups()["logGroups"][0]["metricFilterCount"] == 1
    logs.delete_metric_filter(logGroupName=GROUP, filterName="f")
    with refused("ResourceNotFoundException"):
        logs.delete_metric_filter(logGroupName=GROUP, filterName="f")
    assert logs.describe_log_groups()["logGroups"][0]["metricFilterCount"] == 0


def test_a_deleted_group_takes_its_filters_with_it(world: Place) -> None:
    logs = world.client("logs")
    put_filter(world)
    logs.delete_log_group(logGroupName=GROUP)
    logs.create_log_group(logGroupName=GROUP)
    assert logs.describe_metric_filters(logGroupName=GROUP)["metricFilters"] == []


def test_a_deleted_group_takes_its_tags_with_it(world: Place) -> None:
    logs = world.client("logs")
    arn = logs.describe_log_groups()["logGroups"][0]["logGroupArn"]
    logs.tag_resource(resourceArn=arn, tags={"owner": "shop"})
    logs.delete_log_group(logGroupName=GROUP)
    logs.create_log_group(logGroupName=GROUP)
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {}


def test_a_pattern_can_be_tried(world: Place) -> None:
    answer = world.client("logs").test_metric_filter(
        filterPattern="[..., status=4*, size]", logEventMessages=[FOUND, NOT_FOUND]
    )
    (match,) = answer["matches"]
    assert match["eventNumber"] == 2
    assert match["extractedValues"]["$status"] == "404"
    assert match["extractedValues"]["$1"] == "10.0.0.7"


@pytest.mark.parametrize("days", [2, 13, 4000])
def test_logs_are_kept_for_a_number_of_days_that_aws_has(world: Place, days: int) -> None:
    logs = world.client("logs")
    with refused(f"InvalidParameterException.*Value '{days}' at 'retentionInDays'"):
        logs.put_retention_policy(logGroupName=GROUP, retentionInDays=days)
    logs.put_retention_policy(logGroupName=GROUP, retentionInDays=14)
    assert logs.describe_log_groups()["logGroups"][0]["retentionInDays"] == 14


# Writing


def test_writing_to_a_group_that_is_not_there_is_refused(world: Place) -> None:
    with pytest.raises(RefusedError) as refusal:
        world.logs.write("/none", "web/1", ["x"], world.region)
    assert refusal.value.code == "ResourceNotFoundException"


def test_a_stream_that_was_deleted_is_made_again(world: Place) -> None:
    logs = world.client("logs")
    world.logs.write(GROUP, "web/1", ["one"], world.region)
    logs.delete_log_stream(logGroupName=GROUP, logStreamName="web/1")
    world.logs.write(GROUP, "web/1", ["two", ""], world.region)
    events = logs.get_log_events(logGroupName=GROUP, logStreamName="web/1")["events"]
    assert [event["message"] for event in events] == ["two"]


def test_lines_are_kept_however_far_awss_time_has_run_ahead(world: Place, clock: HandClock) -> None:
    clock.advance(30 * 365 * 24 * 3600)
    world.logs.write(GROUP, "web/1", ["late"], world.region)
    (event,) = world.client("logs").filter_log_events(logGroupName=GROUP)["events"]
    assert event["timestamp"] == int(clock.now().timestamp() * 1000)


def put_events(world: Place, *events: tuple[int, str]) -> dict[str, Any]:
    logs = world.client("logs")
    if not logs.describe_log_streams(logGroupName=GROUP)["logStreams"]:
        logs.create_log_stream(logGroupName=GROUP, logStreamName="s")
    told = [{"timestamp": stamp, "message": message} for stamp, message in events]
    return dict(logs.put_log_events(logGroupName=GROUP, logStreamName="s", logEvents=told))


def test_events_too_old_or_too_new_are_rejected_by_aws_time(world: Place, clock: HandClock) -> None:
    now, hour = int(clock.now().timestamp() * 1000), 3_600_000
    old = put_events(world, (now - 14 * 24 * hour - 1, "old"), (now - 14 * 24 * hour, "kept"))
    new = put_events(world, (now, "kept"), (now + 2 * hour + 1, "new"))
    assert old["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1}
    assert new["rejectedLogEventsInfo"] == {"tooNewLogEventStartIndex": 1}
    events = world.client("logs").filter_log_events(logGroupName=GROUP)["events"]
    assert [event["message"] for event in events] == ["kept", "kept"]


def test_a_batch_out_of_order_or_too_long_or_too_large_is_refused(world: Place, clock: HandClock) -> None:
    now = int(clock.now().timestamp() * 1000)
    with refused("chronological order"):
        put_events(world, (now, "b"), (now - 1, "a"))
    with refused("cannot span more than 24 hours"):
        put_events(world, (now - 25 * 3_600_000, "a"), (now, "b"))
    with refused("Upload too large"):
        put_events(world, *[(now, "x" * 250_000)] * 5)


def test_a_stream_must_be_there_before_the_api_writes_to_it(world: Place, clock: HandClock) -> None:
    with refused("log stream does not exist"):
        world.client("logs").put_log_events(
            logGroupName=GROUP,
            logStreamName="none",
            logEvents=[{"timestamp": int(clock.now().timestamp() * 1000), "message": "x"}],
        )


# Searching


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("?alpha ?beta", ["alpha", "beta"]),
        ('{ $.level = "error" }', ['{"level": "error"}']),
        ("[word=g*]", ["gamma"]),
        ("-alpha", ["beta", "gamma", '{"level": "error"}']),
        ("", ["alpha", "beta", "gamma", '{"level": "error"}']),
    ],
)
def test_a_search_obeys_its_pattern(world: Place, pattern: str, expected: list[str]) -> None:
    world.logs.write(GROUP, "web/1", ["alpha", "beta", "gamma", '{"level": "error"}'], world.region)
    answer = world.client("logs").filter_log_events(logGroupName=GROUP, filterPattern=pattern)
    assert [event["message"] for event in answer["events"]] == expected


def test_a_search_is_paged_without_losing_matches(world: Place) -> None:
    lines = [f"{number} {'even' if number % 2 == 0 else 'odd'}" for number in range(20)]
    world.logs.write(GROUP, "web/1", lines, world.region)
    pages = world.client("logs").get_paginator("filter_log_events")
    found = [
        [event["message"] for event in page["events"]]
        for page in pages.paginate(logGroupName=GROUP, filterPattern="odd", limit=4)
    ]
    assert [len(page) for page in found] == [4, 4, 2]
    assert [message for page in found for message in page] == [f"{number} odd" for number in range(1, 20, 2)]


def test_streams_are_interleaved_by_time_and_chosen_by_prefix(world: Place, clock: HandClock) -> None:
    for stream in ("web/1", "job/1", "web/1"):
        world.logs.write(GROUP, stream, [stream], world.region)
        clock.advance(1)
    logs = world.client("logs")
    every = logs.filter_log_events(logGroupName=GROUP)["events"]
    web = logs.filter_log_events(logGroupName=GROUP, logStreamNamePrefix="web/")["events"]
    assert [event["message"] for event in every] == ["web/1", "job/1", "web/1"]
    assert [event["message"] for event in web] == ["web/1", "web/1"]


def test_a_search_with_a_broken_pattern_or_token_is_refused(world: Place) -> None:
    logs = world.client("logs")
    with refused("InvalidParameterException.*Invalid filter pattern"):
        logs.filter_log_events(logGroupName=GROUP, filterPattern="{ $.a }")
    with refused("InvalidParameterException.*nextToken"):
        logs.filter_log_events(logGroupName=GROUP, nextToken="elsewhere")
    with refused("ResourceNotFoundException"):
        logs.filter_log_events(logGroupName="/none", filterPattern="x")
