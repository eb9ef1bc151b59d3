"""Alarms: how people write them, what is refused, and what CloudWatch is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdeploy.config import Alarm, Config, Latency, Percent, Settings
from bgdeploy.project import ConfigError, load
from bgdeploy.provision.resource import Foreseen, Known
from bgdeploy.resources import alarms as kinds
from bgdeploy.resources.codedeploy import DeploymentGroup
from bgdeploy.stack import build
from tests.unit.things import aws

ROOT = Path(__file__).parents[2]
ELB = "arn:aws:elasticloadbalancing:us-east-1:123456789012"


def read(folder: Path, alarms: str) -> tuple[Alarm, ...]:
    (folder / "config").mkdir()
    (folder / "config/base.yaml").write_text(f"app: shop\nalarms:\n{alarms}", encoding="utf-8")
    (folder / "config/dev.yaml").touch()
    return load(folder, "dev", {}).config.alarms


def one(folder: Path, text: str) -> Alarm:
    (alarm,) = read(folder, f"  - {text}")
    return alarm


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(folder, text if text.startswith("  ") else f"  - {text}")
    return [f"{problem.path}: {problem.text}" for problem in caught.value.problems]


def test_the_plain_form_counts_lines_of_the_log(tmp_path: Path) -> None:
    alarm = one(tmp_path, "{name: not-found, log_filter: '\" 404 \"', threshold: 1, period: 1m}")
    assert (alarm.log_filter, alarm.threshold, alarm.period, alarm.missing_data) == ('" 404 "', 1, 60, "good")


def test_a_rate_is_written_in_percent_and_a_latency_in_milliseconds(tmp_path: Path) -> None:
    errors, slow = read(
        tmp_path,
        "  - {name: errors, target_5xx: {rate: 0.5%}}\n  - {name: slow, latency_p95: {above: 500ms}}",
    )
    assert errors.target_5xx is not None
    assert slow.slow is not None
    assert (errors.target_5xx.rate, slow.slow.above, slow.slow.percentile) == (0.5, 0.5, 95)


@pytest.mark.parametrize(
    ("text", "percentile"),
    [
        ("latency_p90: {above: 2s}", 90),
        ("latency_p99: {above: 2s}", 99),
        ("latency: {percentile: 99.9, above: 2s}", 99.9),
    ],
)
def test_any_percentile_can_be_watched(tmp_path: Path, text: str, percentile: float) -> None:
    slow = one(tmp_path, f"{{name: slow, {text}}}").slow
    assert slow is not None
    assert (slow.percentile, slow.above) == (percentile, 2.0)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{name: a}", "alarms[0]: an alarm is on exactly one of log_filter, target_5xx, latency_p90"),
        ("{name: a, log_filter: x, unhealthy_hosts: {}}", "not on log_filter and unhealthy_hosts"),
        ("{log_filter: x}", "alarms[0].name: is missing"),
        ("{name: a, unhealthy_hosts: {}, threshold: 3}", "alarms[0].threshold: goes with log_filter alone"),
        ("{name: a, target_5xx: {}}", "alarms[0].target_5xx: must say a rate such as 1%, or a count"),
        ("{name: a, target_5xx: {rate: 1%, count: 3}}", "alarms[0].target_5xx: must say a rate"),
        ("{name: a, target_5xx: {rate: 0%}}", "alarms[0].target_5xx.rate: must be more than 0%"),
        ("{name: a, target_5xx: {rate: 101%}}", "alarms[0].target_5xx.rate: must be more than 0%"),
        ("{name: a, target_5xx: {rate: 1}}", "must be a percentage such as 1% or 0.5%, not 1"),
        ("{name: a, latency_p95: {above: 500}}", "must be a time such as 500ms, 2s or 1.5s, not 500"),
        ("{name: a, latency_p95: {above: 0ms}}", "alarms[0].latency_p95.above: must be more than 0ms"),
        ("{name: a, log_filter: x, period: 90s}", "alarms[0].period: must be whole minutes"),
        (
            "{name: a, log_filter: x, datapoints: 2}",
            "alarms[0].datapoints: must be at most evaluation_periods",
        ),
        (
            "{name: a, log_filter: x, period: 1h, evaluation_periods: 25}",
            "alarms[0].evaluation_periods: must not reach back more than a day",
        ),
        ("{existing: theirs, period: 5m}", "alarms[0].period: cannot be said of an existing alarm"),
        ("{existing: theirs, name: ours}", "alarms[0].name: cannot be said of an existing alarm"),
        ("{existing: ''}", "alarms[0].existing: must be the name of an alarm"),
        ("  - {existing: a}\n  - {existing: a}", "alarms: two alarms are called 'a'"),
        ("  - {existing: shop-dev-a}\n  - {name: a, log_filter: x}", "alarms: two alarms are called 'a'"),
        (
            "\n".join(f"  - {{existing: a{n}}}" for n in range(11)),
            "alarms: a deployment group watches at most 10",
        ),
    ],
)
def test_an_alarm_that_cannot_be_is_refused_before_aws_is_asked(
    tmp_path: Path, text: str, problem: str
) -> None:
    (found,) = problems(tmp_path, text)
    assert problem in found


@given(st.integers(min_value=1, max_value=10**6))
def test_a_latency_reads_what_it_writes(milliseconds: int) -> None:
    latency = Latency(milliseconds / 1000)
    assert Latency.parse(str(latency)) == pytest.approx(latency, rel=1e-5)


@given(st.floats(min_value=0.001, max_value=100).map(lambda share: round(share, 3)))
def test_a_percentage_reads_what_it_writes(share: float) -> None:
    assert Percent.parse(str(Percent(share))) == pytest.approx(share)


# What CloudWatch is asked for


def stack(*alarms: Alarm) -> tuple[list[Any], Known]:
    settings = Settings("dev", Config(app="shop", alarms=alarms))
    resources = build(settings, ROOT, "123456789012", "us-east-1")
    known = Known(aws())
    arns = {
        "load-balancer": ("LoadBalancerArn", f"{ELB}:loadbalancer/app/shop-dev/0123"),
        "target-group/blue": ("TargetGroupArn", f"{ELB}:targetgroup/shop-dev-blue/b1"),
        "target-group/green": ("TargetGroupArn", f"{ELB}:targetgroup/shop-dev-green/a7"),
    }
    for resource in resources:
        if resource.address in arns:
            key, arn = arns[resource.address]
            known[resource] = {key: arn}
    return resources, known


def asked(text: str, tmp_path: Path) -> dict[str, Any]:
    """Return the parameters of the alarm that the config `text` asks for."""
    resources, known = stack(one(tmp_path, text))
    (alarm,) = (each for each in resources if isinstance(each, kinds.Alarm))
    return alarm.desired(known)


def metrics(params: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Return name and target group of each metric, by id."""
    return {
        query["Id"]: (
            query["MetricStat"]["Metric"]["MetricName"],
            query["MetricStat"]["Metric"]["Dimensions"][1]["Value"],
        )
        for query in params["Metrics"]
        if "MetricStat" in query
    }


def expression(params: dict[str, Any]) -> str:
    (found,) = (query["Expression"] for query in params["Metrics"] if "Expression" in query)
    return str(found)


def test_a_rate_of_errors_is_one_expression_over_both_target_groups(tmp_path: Path) -> None:
    params = asked("{name: errors, target_5xx: {rate: 1%}, evaluation_periods: 3, datapoints: 2}", tmp_path)
    assert expression(params) == "100 * (errors_blue + errors_green) / (requests_blue + requests_green)"
    assert metrics(params) == {
        "errors_blue": ("HTTPCode_Target_5XX_Count", "targetgroup/shop-dev-blue/b1"),
        "errors_green": ("HTTPCode_Target_5XX_Count", "targetgroup/shop-dev-green/a7"),
        "requests_blue": ("RequestCount", "targetgroup/shop-dev-blue/b1"),
        "requests_green": ("RequestCount", "targetgroup/shop-dev-green/a7"),
    }
    balancers = {
        query["MetricStat"]["Metric"]["Dimensions"][0]["Value"]
        for query in params["Metrics"]
        if "MetricStat" in query
    }
    assert balancers == {"app/shop-dev/0123"}
    assert (params["Threshold"], params["EvaluationPeriods"], params["DatapointsToAlarm"]) == (1.0, 3, 2)


def test_the_slower_colour_decides_a_latency(tmp_path: Path) -> None:
    params = asked("{name: slow, latency: {percentile: 99.9, above: 1.5s}, period: 5m}", tmp_path)
    assert expression(params) == "MAX([time_blue, time_green])"
    assert {q["MetricStat"]["Stat"] for q in params["Metrics"] if "MetricStat" in q} == {"p99.9"}
    assert {q["MetricStat"]["Period"] for q in params["Metrics"] if "MetricStat" in q} == {300}
    assert (params["Threshold"], params["ComparisonOperator"]) == (1.5, "GreaterThanThreshold")


def test_unhealthy_hosts_of_both_colours_are_counted_together(tmp_path: Path) -> None:
    params = asked("{name: sick, unhealthy_hosts: {count: 2}, missing_data: bad}", tmp_path)
    assert expression(params) == "hosts_blue + hosts_green"
    assert (params["Threshold"], params["ComparisonOperator"]) == (2.0, "GreaterThanOrEqualToThreshold")
    assert params["TreatMissingData"] == "breaching"


def test_a_log_alarm_asks_for_what_it_always_asked_for(tmp_path: Path) -> None:
    assert asked("{name: not-found, log_filter: x}", tmp_path) == {
        "Namespace": "bgdeploy/shop-dev",
        "MetricName": "not-found",
        "Dimensions": [],
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "DatapointsToAlarm": 1,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "notBreaching",
    }


def test_a_plan_can_foresee_an_alarm_on_target_groups_that_are_still_to_be_made(tmp_path: Path) -> None:
    resources, _ = stack(one(tmp_path, "{name: sick, unhealthy_hosts: {}}"))
    (alarm,) = (each for each in resources if isinstance(each, kinds.Alarm))
    dimensions = [
        query["MetricStat"]["Metric"]["Dimensions"][1]["Value"]
        for query in alarm.desired(Foreseen(aws()))["Metrics"]
        if "MetricStat" in query
    ]
    assert dimensions[0] == "(the TargetGroupArn of target-group/blue, once it is made)"


def test_the_deployment_group_watches_alarms_of_all_kinds(tmp_path: Path) -> None:
    alarms = read(
        tmp_path,
        "  - {name: a, log_filter: x}\n  - {name: b, unhealthy_hosts: {}}\n  - {existing: theirs}",
    )
    resources, _ = stack(*alarms)
    (group,) = (each for each in resources if isinstance(each, DeploymentGroup))
    watched = group.desired(Foreseen(aws()))["alarmConfiguration"]["alarms"]
    assert [each["name"] for each in watched] == ["shop-dev-a", "shop-dev-b", "theirs"]
