"""Looks at the alarms of a stack: their states, and whether they can go off at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bgdeploy.aws import Attrs, Aws, server_time
from bgdeploy.doctor.condition import AlarmSeen
from bgdeploy.provision.resource import Look, Resource
from bgdeploy.release import parse
from bgdeploy.release.snapshot import Alarm, Target
from bgdeploy.resources import alarms as kinds

_GROWN_UP = timedelta(minutes=10)  # a younger alarm may well be without data
_LOOK_BACK = timedelta(days=14)
_ENOUGH_HOURS = 24  # in which lines came: a pattern that matched none of them deserves a look


@dataclass(frozen=True)
class _Looking:
    """What all alarms are judged by."""

    aws: Aws
    target: Target
    now: datetime  # AWS's


def seen(aws: Aws, target: Target, resources: Sequence[Resource]) -> tuple[AlarmSeen, ...]:
    """Return the alarms that the config declares, and those that the deployment group watches."""
    declared = {each.name: each for each in resources if isinstance(each, (kinds.Alarm, kinds.ExistingAlarm))}
    names = [*declared, *(name for name in target.alarms if name not in declared)]
    if not names:
        return ()
    cloudwatch = aws.client("cloudwatch")
    told = cloudwatch.describe_alarms(AlarmNames=names, AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    found = {each["AlarmName"]: each for each in (*told["MetricAlarms"], *told["CompositeAlarms"])}
    looking = _Looking(aws, target, server_time(told) or aws.clock.now())
    return tuple(_seen(looking, name, declared.get(name), found.get(name)) for name in names)


def _seen(looking: _Looking, name: str, declared: Resource | None, found: Attrs | None) -> AlarmSeen:
    watched = name in looking.target.alarms
    if found is None:
        return AlarmSeen(Alarm(name, "MISSING"), declared is not None, watched)
    return AlarmSeen(
        alarm=parse.alarm(found),
        declared=declared is not None,
        watched=watched,
        blind=_blind(looking, declared, found),
        doubt=_doubt(looking, found) if isinstance(declared, kinds.LogAlarm) else "",
        silent=_silent(looking, found),
    )


def _blind(looking: _Looking, declared: Resource | None, found: Attrs) -> str:
    """Return why an alarm cannot go off, "" when it can for all that is known."""
    if isinstance(declared, kinds.LogAlarm):
        feeding = declared.metric.find(Look(looking.aws))
        if feeding is None:
            return f"the metric filter {declared.metric.name} that feeds it is missing"
        fed = {(each["metricNamespace"], each["metricName"]) for each in feeding["metricTransformations"]}
        if (found.get("Namespace"), found.get("MetricName")) not in fed:
            return f"the metric filter {declared.metric.name} feeds another metric than it watches"
    elif isinstance(declared, kinds.TrafficAlarm):
        groups = {arn.rpartition(":")[2] for arn in looking.target.target_groups.values()}
        if set(_dimension(found, "TargetGroup")) != groups:
            return "it watches other target groups than the stack's two"
    elif "MetricAlarms" not in found and not any(_published(looking.aws, each) for each in _metrics(found)):
        names = ", ".join(each["MetricName"] for each in _metrics(found))
        return f"nobody has published {names} in the last two weeks" if names else ""
    return ""


def _doubt(looking: _Looking, found: Attrs) -> str:
    """Return what makes one doubt that a log's pattern ever matches; its zeros tell that lines came."""
    told = looking.aws.client("cloudwatch").get_metric_statistics(
        Namespace=found.get("Namespace", ""),
        MetricName=found.get("MetricName", ""),
        StartTime=looking.now - _LOOK_BACK,
        EndTime=looking.now,
        Period=3600,
        Statistics=["Sum"],
    )["Datapoints"]
    if len(told) < _ENOUGH_HOURS or any(each["Sum"] for each in told):
        return ""
    return f"lines came in {len(told)} hours of the last two weeks, and its pattern matched none of them"


def _silent(looking: _Looking, found: Attrs) -> bool:
    """Tell whether an alarm has had no data ever since it was made. CloudWatch remembers changes for 30 days."""
    made = parse.utc(found.get("AlarmConfigurationUpdatedTimestamp")) or looking.now
    if found["StateValue"] != "INSUFFICIENT_DATA" or looking.now - made < _GROWN_UP:
        return False
    history = looking.aws.client("cloudwatch").describe_alarm_history(
        AlarmName=found["AlarmName"], HistoryItemType="StateUpdate", MaxRecords=1
    )
    return not history["AlarmHistoryItems"]


def _metrics(found: Attrs) -> Iterator[dict[str, Any]]:
    """Yield the metrics that an alarm is made of, none for one that is made of alarms."""
    if "MetricName" in found:
        yield {key: found[key] for key in ("Namespace", "MetricName", "Dimensions") if key in found}
    yield from (each["MetricStat"]["Metric"] for each in found.get("Metrics", ()) if "MetricStat" in each)


def _dimension(found: Attrs, name: str) -> Iterator[str]:
    for metric in _metrics(found):
        yield from (each["Value"] for each in metric.get("Dimensions", ()) if each["Name"] == name)


def _published(aws: Aws, metric: dict[str, Any]) -> bool:
    return bool(aws.client("cloudwatch").list_metrics(**metric)["Metrics"])
