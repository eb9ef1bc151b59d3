"""Reading metrics of green's target group, from a CloudWatch that moto keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from moto import mock_aws

from bgdeploy.aws import Aws
from bgdeploy.checkrules import METRICS
from bgdeploy.checktypes import RawMetric
from bgdeploy.clock import SystemClock
from bgdeploy.release.analysis.metrics import Metrics
from tests import deployments as d

_ARN = "arn:aws:elasticloadbalancing:us-east-1:1:"
DIMENSIONS = {"TargetGroup": "targetgroup/shop-dev-green/2b", "LoadBalancer": "app/shop-dev/50dc"}
NOW = datetime.now(timezone.utc).replace(second=40, microsecond=0)  # noqa: TID251 - CloudWatch forgets what is old
LONG_AGO = NOW - timedelta(hours=1)


def _minute(ago: int) -> datetime:
    """Return the beginning of the minute that began so many whole minutes before the one that runs."""
    return NOW.replace(second=0) - timedelta(minutes=ago)


@pytest.fixture
def aws() -> Iterator[Aws]:
    with mock_aws():
        yield Aws(stack="shop-dev", region="us-east-1", clock=SystemClock())


def _put(
    aws: Aws,
    name: str,
    at: datetime,
    values: list[float],
    namespace: str = "AWS/ApplicationELB",
    of: Mapping[str, str] = DIMENSIONS,
) -> None:
    dimensions = [{"Name": key, "Value": value} for key, value in of.items()]
    data = [
        {"MetricName": name, "Dimensions": dimensions, "Timestamp": at, "Value": value} for value in values
    ]
    aws.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=data)


def _read(aws: Aws, metric: str | RawMetric, since: datetime = LONG_AGO) -> float | None:
    return Metrics(aws, DIMENSIONS).read(metric, since, NOW)


def test_the_target_group_is_the_one_that_greens_tasks_answer_in(aws: Aws) -> None:
    target = replace(
        d.TARGET,
        production_listener=f"{_ARN}listener/app/shop-dev/50dc/f2f7",
        target_groups={
            "shop-dev-blue": f"{_ARN}targetgroup/shop-dev-blue/1a",
            "shop-dev-green": f"{_ARN}targetgroup/shop-dev-green/2b",
        },
    )
    assert Metrics.of_green(aws, replace(d.linear(200), target=target)).dimensions == DIMENSIONS


def test_a_rate_is_a_part_of_all_requests_of_the_same_minute(aws: Aws) -> None:
    _put(aws, "RequestCount", _minute(1), [1.0] * 40)
    _put(aws, "HTTPCode_Target_5XX_Count", _minute(1), [1.0])
    assert _read(aws, "target_5xx_rate") == pytest.approx(0.025)


def test_a_minute_without_errors_has_a_rate_of_nought(aws: Aws) -> None:
    _put(aws, "RequestCount", _minute(1), [1.0] * 40)
    assert _read(aws, "target_5xx_rate") == 0


def test_a_minute_without_requests_has_no_rate(aws: Aws) -> None:
    assert _read(aws, "target_5xx_rate") is None


def test_the_newest_whole_minute_counts(aws: Aws) -> None:
    for ago, seconds in ((3, 0.3), (2, 0.2), (0, 9.0)):  # the last one is not over
        _put(aws, "TargetResponseTime", _minute(ago), [seconds])
    assert _read(aws, "latency average") == pytest.approx(0.2)


def test_what_is_older_than_five_minutes_says_nothing_of_now(aws: Aws) -> None:
    _put(aws, "RequestCount", _minute(7), [5.0])
    assert _read(aws, "request_count") is None


def test_a_minute_in_which_the_shift_began_does_not_count(aws: Aws) -> None:
    _put(aws, "RequestCount", _minute(2), [5.0])
    assert _read(aws, "request_count", since=_minute(2) + timedelta(seconds=30)) is None
    assert _read(aws, "request_count", since=_minute(3) + timedelta(seconds=30)) == 5


def test_right_after_the_shift_there_is_no_whole_minute_to_ask_for(aws: Aws) -> None:
    assert _read(aws, "request_count", since=NOW - timedelta(seconds=5)) is None


def test_any_other_metric_is_read_by_its_own_name_and_dimensions(aws: Aws) -> None:
    _put(aws, "Orders", _minute(1), [3.0, 4.0], "Shop", {"Version": "v2"})
    _put(aws, "Orders", _minute(1), [90.0], "Shop", {"Version": "v1"})
    metric = RawMetric(namespace="Shop", name="Orders", statistic="Sum", dimensions={"Version": "v2"})
    assert _read(aws, metric) == 7


def test_a_load_balancers_metric_without_dimensions_is_greens(aws: Aws) -> None:
    _put(aws, "TargetConnectionErrorCount", _minute(1), [2.0])
    _put(aws, "TargetConnectionErrorCount", _minute(1), [50.0], of={"TargetGroup": "targetgroup/other/1"})
    assert _read(aws, RawMetric(name="TargetConnectionErrorCount", statistic="Sum")) == 2


class Listening(Aws):
    """An account whose CloudWatch notes what it is asked."""

    def __init__(self) -> None:
        super().__init__(stack="shop-dev", region="us-east-1", clock=SystemClock())
        self.asked: list[Any] = []

    def client(self, service: str) -> Any:
        return self

    def get_metric_data(self, **params: Any) -> dict[str, Any]:
        self.asked += params["MetricDataQueries"]
        return {
            "MetricDataResults": [
                {"Id": query["Id"], "Timestamps": [], "Values": []} for query in params["MetricDataQueries"]
            ]
        }


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_that_the_config_knows_can_be_read(name: str) -> None:
    aws = Listening()
    assert _read(aws, name) is None
    assert {query["MetricStat"]["Metric"]["Namespace"] for query in aws.asked} == {"AWS/ApplicationELB"}
    assert len(aws.asked) == (2 if name.endswith("rate") else 1)
