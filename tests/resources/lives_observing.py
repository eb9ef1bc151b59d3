"""How logs, filters and alarms are changed behind our back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bgdeploy import config as c
from bgdeploy.aws import tag_list
from bgdeploy.quantities import Percent
from bgdeploy.resources.alarms import LogAlarm, TrafficAlarm
from bgdeploy.resources.observe import LogGroup, MetricFilter
from bgdeploy.sandbox.world import World
from tests.resources.life import Deed, Life, Tags
from tests.resources.near import Scene


def _log_arn(scene: Scene) -> str:
    return str(scene.born["arn"]).removesuffix(":*")


def _retention(call: str, **arguments: Any) -> Deed:
    return lambda scene: getattr(scene("logs"), call)(logGroupName=scene.resource.name, **arguments)


def _filter(pattern: str | None = None, **metric: Any) -> Deed:
    def put(scene: Scene) -> None:
        actual = scene.actual
        scene("logs").put_metric_filter(
            logGroupName=actual["logGroupName"],
            filterName=actual["filterName"],
            filterPattern=pattern or actual["filterPattern"],
            metricTransformations=[{**actual["metricTransformations"][0], **metric}],
        )

    return put


_PARAMETERS = (
    "AlarmName",
    "Namespace",
    "MetricName",
    "Dimensions",
    "Statistic",
    "Period",
    "Metrics",
    "EvaluationPeriods",
    "DatapointsToAlarm",
    "Threshold",
    "ComparisonOperator",
    "TreatMissingData",
)


def _alarm(**changed: Any) -> Deed:
    """Put the alarm as it is but for what is changed, as the console does."""

    def put(scene: Scene) -> None:
        actual = scene.actual
        whole = {key: actual[key] for key in _PARAMETERS if key in actual}
        scene("cloudwatch").put_metric_alarm(**{**whole, **changed})

    return put


def _query(ident: str, **changed: Any) -> Deed:
    def put(scene: Scene) -> None:
        queries = [{**each, **(changed if each["Id"] == ident else {})} for each in scene.actual["Metrics"]]
        _alarm(Metrics=queries)(scene)

    return put


def _of_one_colour(scene: Scene) -> None:
    """Have the alarm look at what the load balancer measures in one place twice."""
    queries = {each["Id"]: each for each in scene.actual["Metrics"]}
    measured = sorted(ident for ident in queries if ident.endswith("_green"))[0]
    blue = queries[measured.replace("_green", "_blue")]["MetricStat"]
    _query(measured, MetricStat=blue)(scene)


_TAGS = Tags(
    lambda scene, tags: scene("cloudwatch").tag_resource(
        ResourceARN=scene.born["AlarmArn"], Tags=tag_list(tags)
    ),
    lambda scene, key: scene("cloudwatch").untag_resource(ResourceARN=scene.born["AlarmArn"], TagKeys=[key]),
)
_WHEN = (
    ("EvaluationPeriods", _alarm(EvaluationPeriods=3)),
    ("DatapointsToAlarm", _alarm(DatapointsToAlarm=1)),
    ("Threshold", _alarm(Threshold=1000.0)),
    ("ComparisonOperator", _alarm(ComparisonOperator="LessThanThreshold")),
    ("TreatMissingData", _alarm(TreatMissingData="breaching")),
)


def _failing(world: World) -> Mapping[str, Any]:
    errors = c.TargetErrors(rate=Percent.parse("5%"))
    return {"alarms": (c.Alarm(name="errors", target_5xx=errors, evaluation_periods=2),)}


LIVES = (
    Life(
        LogGroup,
        Tags(
            lambda scene, tags: scene("logs").tag_resource(resourceArn=_log_arn(scene), tags=dict(tags)),
            lambda scene, key: scene("logs").untag_resource(resourceArn=_log_arn(scene), tagKeys=[key]),
        ),
        (
            ("retentionInDays", _retention("delete_retention_policy")),
            ("retentionInDays", _retention("put_retention_policy", retentionInDays=1)),
        ),
    ),
    Life(
        MetricFilter,
        None,
        (
            ("filterPattern", _filter('" 500 "')),
            ("metricTransformations", _filter(metricNamespace="theirs")),
            ("metricTransformations", _filter(metricName="other")),
            ("metricTransformations", _filter(metricValue="2")),
            ("metricTransformations", _filter(defaultValue=1.0)),
        ),
    ),
    Life(
        LogAlarm,
        _TAGS,
        (
            ("Namespace", _alarm(Namespace="theirs")),
            ("MetricName", _alarm(MetricName="other")),
            ("Dimensions", _alarm(Dimensions=[{"Name": "host", "Value": "theirs"}])),
            ("Statistic", _alarm(Statistic="Average")),
            ("Period", _alarm(Period=300)),
            *_WHEN,
        ),
    ),
    Life(
        TrafficAlarm,
        _TAGS,
        (
            ("Metrics", _query("compared", Expression="errors_blue * 2")),
            ("Metrics", _of_one_colour),
            *_WHEN,
        ),
        config=_failing,
    ),
)
