"""The alarms that CodeDeploy watches during a deployment: on a log, on both target groups at once, or another's."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from bgdeploy.aws import Attrs, Aws, absent, tag_list, tag_map
from bgdeploy.provision.resource import TAGS, Known, Look, Remains, Resource
from bgdeploy.resources.existing import ExistingLoadBalancer
from bgdeploy.resources.load_balancer import LoadBalancer, TargetGroup
from bgdeploy.resources.observe import MetricFilter
from bgdeploy.resources.tagging import tags_of

# The two ways to say what an alarm compares; PutMetricAlarm takes one of them.
_OF_ONE = ("Namespace", "MetricName", "Dimensions", "Statistic", "Period")
_OF_SEVERAL = ("Metrics",)
_HOW = (
    "EvaluationPeriods",
    "DatapointsToAlarm",
    "Threshold",
    "ComparisonOperator",
    "TreatMissingData",
)
# What people add to it, and we do not declare: whom it tells.
_THEIRS = ("AlarmDescription", "ActionsEnabled", "AlarmActions", "OKActions", "InsufficientDataActions")


@dataclass(frozen=True)
class Evaluation:
    """When what an alarm compares is too much."""

    threshold: float
    above: bool = False  # only what exceeds the threshold is; else what reaches it
    period: int = 60  # seconds
    periods: int = 1
    datapoints: int | None = None  # of the periods, so many must be bad; None: all
    missing: str = "notBreaching"  # TreatMissingData


@dataclass(frozen=True, eq=False, kw_only=True)
class Alarm(Resource):
    """A metric alarm. What it compares, those below say."""

    kind = "alarm"
    prefix: str  # that the names of all the stack's alarms begin with
    evaluation: Evaluation

    def compared(self, known: Known) -> Attrs:
        """Return the parameters of PutMetricAlarm that say what it compares."""
        raise NotImplementedError

    def desired(self, known: Known) -> Attrs:
        when = self.evaluation
        greater = "GreaterThanThreshold" if when.above else "GreaterThanOrEqualToThreshold"
        return {
            **self.compared(known),
            "EvaluationPeriods": when.periods,
            "DatapointsToAlarm": when.datapoints or when.periods,
            "Threshold": float(when.threshold),
            "ComparisonOperator": greater,
            "TreatMissingData": when.missing,
        }

    def find(self, look: Look) -> Attrs | None:
        found = next((each for each in _alarms(look, self.prefix) if each["AlarmName"] == self.name), None)
        return found and {**_normal(found), TAGS: _tags(look, found["AlarmArn"], self.tags(look.aws))}

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        aws.client("cloudwatch").put_metric_alarm(
            AlarmName=self.name, Tags=tag_list(self.tags(aws)), **desired
        )
        return desired

    def update(self, aws: Aws, actual: Attrs, changed: Attrs) -> Attrs:
        """PutMetricAlarm replaces the whole alarm, so all of what it has goes along."""
        had = (*_HOW, *_THEIRS, *self._ways(actual, changed))
        whole = {key: actual[key] for key in had if key in actual} | changed
        aws.client("cloudwatch").put_metric_alarm(AlarmName=self.name, **whole)
        return changed

    def _ways(self, actual: Attrs, changed: Attrs) -> tuple[str, ...]:
        """Return the parameters that say what it compares, of the way that it is to have."""
        of_several = "Metrics" in changed or ("Metrics" in actual and "MetricName" not in changed)
        return _OF_SEVERAL if of_several else _OF_ONE

    def retag(self, aws: Aws, actual: Attrs, tags: Mapping[str, str]) -> None:
        aws.client("cloudwatch").tag_resource(ResourceARN=actual["AlarmArn"], Tags=tag_list(tags))

    def delete(self, aws: Aws, actual: Attrs) -> None:
        _delete_alarm(aws, actual)


@dataclass(frozen=True, eq=False, kw_only=True)
class LogAlarm(Alarm):
    """Goes off when a metric filter counts too much."""

    metric: MetricFilter

    def compared(self, known: Known) -> Attrs:
        return {
            "Namespace": self.metric.namespace,
            "MetricName": self.metric.name,
            "Dimensions": [],
            "Statistic": "Sum",
            "Period": self.evaluation.period,
        }


@dataclass(frozen=True)
class Formula:
    """What an alarm makes of what the load balancer measures of both colours.

    In `expression`, a measure's key with _blue and _green behind it is its value of that target group. Where one of two
    has no value it counts as 0, and what is divided by zero has none (CloudWatch user guide, "metric math").
    """

    expression: str
    measures: Mapping[str, tuple[str, str]]  # key → metric name, statistic


@dataclass(frozen=True, eq=False, kw_only=True)
class TrafficAlarm(Alarm):
    """Goes off on what the load balancer measures of both target groups: the colours change sides (aws-facts 9.3).

    One alarm for both, because a deployment group watches ten at most.
    """

    formula: Formula
    balancer: LoadBalancer | ExistingLoadBalancer
    blue: TargetGroup
    green: TargetGroup

    def compared(self, known: Known) -> Attrs:
        measured = [
            self._measure(known, f"{key}_{colour}", group, metric, statistic)
            for key, (metric, statistic) in self.formula.measures.items()
            for colour, group in (("blue", self.blue), ("green", self.green))
        ]
        compared = {"Id": "compared", "Expression": self.formula.expression, "ReturnData": True}
        return {"Metrics": _sorted([*measured, compared])}

    def _measure(
        self, known: Known, ident: str, group: TargetGroup, metric: str, statistic: str
    ) -> dict[str, Any]:
        balancer = known[self.balancer]["LoadBalancerArn"].rpartition(":loadbalancer/")[2]
        dimensions = {
            "LoadBalancer": balancer,
            "TargetGroup": known[group]["TargetGroupArn"].rpartition(":")[2],
        }
        named = {
            "Namespace": "AWS/ApplicationELB",
            "MetricName": metric,
            "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
        }
        stat = {"Metric": named, "Period": self.evaluation.period, "Stat": statistic}
        return {"Id": ident, "MetricStat": stat, "ReturnData": False}


@dataclass(frozen=True, eq=False, kw_only=True)
class ExistingAlarm(Resource):
    """An alarm that somebody else made: it must be there, and is only watched."""

    kind = "existing-alarm"
    external = True

    def desired(self, known: Known) -> Attrs:
        return {}

    def find(self, look: Look) -> Attrs | None:
        kinds = ["MetricAlarm", "CompositeAlarm"]
        found = look.aws.client("cloudwatch").describe_alarms(AlarmNames=[self.name], AlarmTypes=kinds)
        return next(iter([*found["MetricAlarms"], *found["CompositeAlarms"]]), None)

    def missing(self) -> str:
        return (
            f"the alarm {self.name!r} does not exist, and alarms that the config calls existing are not made: create "
            "it, or correct its name"
        )


def _sorted(queries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return queries in one order of the many that say the same, so that they can be compared."""
    return sorted(queries, key=lambda each: str(each["Id"]))


def _normal(found: Attrs) -> Attrs:
    """Return an alarm as `desired` writes it: all periods must be bad where nothing else is said."""
    told = {"DatapointsToAlarm": found.get("EvaluationPeriods"), **found}
    if "Metrics" not in found:
        return told
    queries = [
        {**each, "MetricStat": {**each["MetricStat"], "Metric": _metric(each["MetricStat"]["Metric"])}}
        if "MetricStat" in each
        else each
        for each in found["Metrics"]
    ]
    return {**told, "Metrics": _sorted(queries)}


def _metric(metric: Attrs) -> Attrs:
    return {**metric, "Dimensions": sorted(metric.get("Dimensions", []), key=lambda each: str(each["Name"]))}


def _alarms(look: Look, prefix: str) -> list[Attrs]:
    """Return the alarms whose names begin like the stack's: one call for all of them."""

    def ask() -> list[Attrs]:
        pages = look.aws.client("cloudwatch").get_paginator("describe_alarms")
        found = pages.paginate(AlarmNamePrefix=prefix, AlarmTypes=["MetricAlarm"])
        return [alarm for page in found for alarm in page["MetricAlarms"]]

    return look.once(("alarms", prefix), ask)


def _tags(look: Look, arn: str, wanted: Mapping[str, str]) -> dict[str, str]:
    def ask() -> dict[str, str]:
        return tag_map(look.aws.client("cloudwatch").list_tags_for_resource(ResourceARN=arn)["Tags"])

    return tags_of(look, arn, wanted, lambda: look.once(("alarm tags", arn), ask))


def forgotten_alarms(look: Look, prefix: str, declared: Collection[Resource]) -> list[Remains]:
    """Return the stack's alarms that nobody declares."""
    names = {each.name for each in declared if isinstance(each, Alarm)}
    return [
        Remains(
            name=each["AlarmName"],
            was=f"{Alarm.kind}/{each['AlarmName'].removeprefix(prefix)}",
            actual=each,
            remove=_delete_alarm,
        )
        for each in _alarms(look, prefix)
        if each["AlarmName"] not in names and look.aws.owns(_tags(look, each["AlarmArn"], {}))
    ]


def _delete_alarm(aws: Aws, actual: Attrs) -> None:
    with absent("ResourceNotFound"):
        aws.client("cloudwatch").delete_alarms(AlarmNames=[actual["AlarmName"]])
