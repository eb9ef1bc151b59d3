"""The part of the sandbox that is CloudWatch's metrics and alarms."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from bgdeploy.sandbox.alarms.evaluate import Rule, Verdict, evaluate, statistic
from bgdeploy.sandbox.alarms.metrics import Metrics, key
from bgdeploy.sandbox.world import ACCOUNT, Call, Handler, RefusedError, World

# What DescribeAlarms gives back as it was put.
_AS_PUT = (
    "AlarmName",
    "AlarmDescription",
    "ActionsEnabled",
    "OKActions",
    "AlarmActions",
    "InsufficientDataActions",
    "MetricName",
    "Namespace",
    "Statistic",
    "ExtendedStatistic",
    "Dimensions",
    "Period",
    "Unit",
    "EvaluationPeriods",
    "DatapointsToAlarm",
    "Threshold",
    "ComparisonOperator",
    "TreatMissingData",
)
_DEFAULTS: Mapping[str, Any] = {
    "ActionsEnabled": True,
    "OKActions": [],
    "AlarmActions": [],
    "InsufficientDataActions": [],
    "Dimensions": [],
}


@dataclass
class Alarm:
    """A metric alarm."""

    region: str
    params: Mapping[str, Any]
    configured: datetime
    updated: datetime
    state: str = "INSUFFICIENT_DATA"  # what every alarm is born as
    reason: str = "Unchecked: Initial alarm creation"
    data: str = ""
    moved: datetime | None = None
    tags: dict[str, str] = field(default_factory=dict)
    last: int = 0  # the evaluation it has had

    @property
    def name(self) -> str:
        return str(self.params["AlarmName"])

    @property
    def arn(self) -> str:
        return f"arn:aws:cloudwatch:{self.region}:{ACCOUNT}:alarm:{self.name}"

    @property
    def statistic(self) -> str:
        return str(self.params.get("Statistic") or self.params.get("ExtendedStatistic") or "Average")

    @property
    def rule(self) -> Rule:
        periods = int(self.params["EvaluationPeriods"])
        return Rule(
            self.params["ComparisonOperator"],
            float(self.params["Threshold"]),
            periods,
            int(self.params.get("DatapointsToAlarm", periods)),
            self.params.get("TreatMissingData", "missing"),
        )

    def described(self) -> dict[str, Any]:
        told = {name: self.params[name] for name in _AS_PUT if name in self.params}
        return {
            **_DEFAULTS,
            **told,
            "AlarmArn": self.arn,
            "AlarmConfigurationUpdatedTimestamp": self.configured,
            "StateValue": self.state,
            "StateReason": self.reason,
            "StateReasonData": self.data or "{}",
            "StateUpdatedTimestamp": self.updated,
            "StateTransitionedTimestamp": self.moved or self.updated,
        }


class Alarms:
    """Metrics and the alarms on them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._metrics = Metrics()
        self._alarms: dict[tuple[str, str], Alarm] = {}
        self._history: list[dict[str, Any]] = []

    @property
    def operations(self) -> Mapping[tuple[str, str], Handler]:
        ours: dict[str, Handler] = {
            "PutMetricAlarm": self._put,
            "DescribeAlarms": self._describe,
            "DeleteAlarms": self._delete,
            "SetAlarmState": self._set_state,
            "DescribeAlarmHistory": self._describe_history,
            "EnableAlarmActions": self._enable,
            "DisableAlarmActions": self._disable,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": self._list_tags,
            "PutMetricData": self._put_data,
            "GetMetricStatistics": self._get_statistics,
            "GetMetricData": self._get_data,
            "ListMetrics": self._list_metrics,
        }
        return {("cloudwatch", name): handler for name, handler in ours.items()}

    def tick(self) -> None:
        """Evaluate each alarm once a minute of AWS's, or each 10 seconds when its period is shorter."""
        now = self._world.clock.now()
        for alarm in self._alarms.values():
            every = 60 if int(alarm.params["Period"]) >= 60 else 10
            turn = int(now.timestamp()) // every
            if turn != alarm.last:
                alarm.last = turn
                self._evaluate(alarm, now)

    def close(self) -> None:
        """Nothing to end."""

    # For the other parts

    def state(self, name: str, region: str) -> str | None:
        """Return an alarm's state, None when there is none such."""
        alarm = self._alarms.get((region, name))
        return alarm.state if alarm else None

    def add(self, namespace: str, metric: str, value: float, region: str) -> None:
        """Publish one value of a metric, now."""
        self._metrics.add(key(region, namespace, metric), self._world.clock.now(), value)

    # Evaluation

    def _evaluate(self, alarm: Alarm, now: datetime) -> None:
        """Look at the last periods that are over.

        A datapoint counts from the first evaluation after its minute: one to two AWS minutes pass from an error in the
        log to the alarm, as on AWS (aws-facts 9.3).
        """
        period = int(alarm.params["Period"])
        metric = key(
            alarm.region,
            alarm.params["Namespace"],
            alarm.params["MetricName"],
            alarm.params.get("Dimensions", []),
        )
        end = int(now.timestamp()) // period * period
        starts = [
            datetime.fromtimestamp(end - period * (n + 1), timezone.utc) for n in range(alarm.rule.periods)
        ]
        window = [(start, self._metrics.period(metric, start, period, alarm.statistic)) for start in starts]
        self._take(alarm, evaluate(alarm.rule, window, alarm.state), now)

    def _take(self, alarm: Alarm, verdict: Verdict, now: datetime) -> None:
        if verdict.state == alarm.state:
            return
        data = {
            "version": "1.0",
            "queryDate": now.isoformat(),
            "statistic": alarm.statistic,
            "period": alarm.params["Period"],
            "recentDatapoints": list(verdict.values),
            "threshold": alarm.params["Threshold"],
        }
        self._move(alarm, verdict.state, verdict.reason, json.dumps(data), now)

    def _move(self, alarm: Alarm, state: str, reason: str, data: str, now: datetime) -> None:
        before = alarm.state
        alarm.state, alarm.reason, alarm.data, alarm.updated = state, reason, data, now
        if before != state:
            alarm.moved = now
            self._remember(
                alarm,
                "StateUpdate",
                f"Alarm updated from {before} to {state}",
                now,
                {
                    "version": "1.0",
                    "oldState": {"stateValue": before},
                    "newState": {"stateValue": state, "stateReason": reason},
                },
            )

    def _remember(self, alarm: Alarm, kind: str, summary: str, at: datetime, data: Mapping[str, Any]) -> None:
        self._history.insert(
            0,
            {
                "AlarmName": alarm.name,
                "AlarmType": "MetricAlarm",
                "Timestamp": at,
                "HistoryItemType": kind,
                "HistorySummary": summary,
                "HistoryData": json.dumps(data),
            },
        )
        del self._history[1000:]

    # Alarms

    def _put(self, call: Call) -> dict[str, Any]:
        params, now = call.params, self._world.clock.now()
        _check_alarm(params)
        existing = self._alarms.get((call.region, params["AlarmName"]))
        if existing is not None:
            existing.params, existing.configured = params, now
            self._remember(
                existing, "ConfigurationUpdate", f'Alarm "{existing.name}" updated', now, {"version": "1.0"}
            )
            return {}
        tags = {pair["Key"]: pair["Value"] for pair in params.get("Tags", [])}
        alarm = Alarm(call.region, params, now, now, tags=tags)
        self._alarms[call.region, alarm.name] = alarm
        self._remember(alarm, "ConfigurationUpdate", f'Alarm "{alarm.name}" created', now, {"version": "1.0"})
        return {}

    def _describe(self, call: Call) -> dict[str, Any]:
        params = call.params
        names, prefix = params.get("AlarmNames"), params.get("AlarmNamePrefix", "")
        found = [
            alarm
            for (region, name), alarm in sorted(self._alarms.items())
            if region == call.region
            and (not names or name in names)
            and name.startswith(prefix)
            and params.get("StateValue", alarm.state) == alarm.state
        ]
        if "MetricAlarm" not in params.get("AlarmTypes", ["MetricAlarm"]):
            found = []
        return {
            "MetricAlarms": [alarm.described() for alarm in found][: params.get("MaxRecords", 100)],
            "CompositeAlarms": [],
        }

    def _delete(self, call: Call) -> dict[str, Any]:
        missing = [name for name in call.params["AlarmNames"] if (call.region, name) not in self._alarms]
        if missing and len(call.params["AlarmNames"]) == 1:
            raise RefusedError("ResourceNotFound", "Alarm not found", 404)
        for name in call.params["AlarmNames"]:
            self._alarms.pop((call.region, name), None)
        return {}

    def _set_state(self, call: Call) -> dict[str, Any]:
        alarm = self._alarms.get((call.region, call.params["AlarmName"]))
        if alarm is None:
            raise RefusedError("ResourceNotFound", "Alarm not found", 404)
        self._move(
            alarm,
            call.params["StateValue"],
            call.params["StateReason"],
            call.params.get("StateReasonData", ""),
            self._world.clock.now(),
        )
        return {}

    def _describe_history(self, call: Call) -> dict[str, Any]:
        params = call.params
        found = [
            item
            for item in self._history
            if params.get("AlarmName", item["AlarmName"]) == item["AlarmName"]
            and params.get("HistoryItemType", item["HistoryItemType"]) == item["HistoryItemType"]
        ]
        if params.get("ScanBy") == "TimestampAscending":
            found.reverse()
        return {"AlarmHistoryItems": found[: params.get("MaxRecords", 100)]}

    def _enable(self, call: Call) -> dict[str, Any]:
        return self._actions(call, enabled=True)

    def _disable(self, call: Call) -> dict[str, Any]:
        return self._actions(call, enabled=False)

    def _actions(self, call: Call, *, enabled: bool) -> dict[str, Any]:
        for name in call.params["AlarmNames"]:
            alarm = self._alarms.get((call.region, name))
            if alarm is not None:
                alarm.params = {**alarm.params, "ActionsEnabled": enabled}
        return {}

    # Tags

    def _by_arn(self, call: Call) -> Alarm:
        arn = call.params["ResourceARN"]
        found = next((alarm for alarm in self._alarms.values() if alarm.arn == arn), None)
        if found is None:
            raise RefusedError("ResourceNotFoundException", f"{arn} does not exist", 404)
        return found

    def _tag(self, call: Call) -> dict[str, Any]:
        self._by_arn(call).tags |= {pair["Key"]: pair["Value"] for pair in call.params["Tags"]}
        return {}

    def _untag(self, call: Call) -> dict[str, Any]:
        alarm = self._by_arn(call)
        alarm.tags = {name: value for name, value in alarm.tags.items() if name not in call.params["TagKeys"]}
        return {}

    def _list_tags(self, call: Call) -> dict[str, Any]:
        return {"Tags": [{"Key": name, "Value": value} for name, value in self._by_arn(call).tags.items()]}

    # Metrics

    def _put_data(self, call: Call) -> dict[str, Any]:
        now = self._world.clock.now()
        for datum in call.params["MetricData"]:
            values = datum.get("Values") or ([datum["Value"]] if "Value" in datum else [])
            counts = datum.get("Counts") or [1.0] * len(values)
            metric = key(
                call.region, call.params["Namespace"], datum["MetricName"], datum.get("Dimensions", [])
            )
            at = datum.get("Timestamp") or now
            repeated = [value for value, count in zip(values, counts, strict=True) for _ in range(int(count))]
            self._metrics.add(metric, at if at.tzinfo else at.replace(tzinfo=timezone.utc), *repeated)
        return {}

    def _get_statistics(self, call: Call) -> dict[str, Any]:
        params = call.params
        metric = key(call.region, params["Namespace"], params["MetricName"], params.get("Dimensions", []))
        names = [*params.get("Statistics", []), *params.get("ExtendedStatistics", [])]
        points = []
        for start, values in self._metrics.periods(
            metric, params["StartTime"], params["EndTime"], params["Period"]
        ):
            point: dict[str, Any] = {"Timestamp": start, "Unit": params.get("Unit", "None")}
            extended = {name: _statistic(name, values) for name in names if name.startswith("p")}
            point |= {name: _statistic(name, values) for name in names if not name.startswith("p")}
            points.append(point | ({"ExtendedStatistics": extended} if extended else {}))
        return {"Label": params["MetricName"], "Datapoints": points}

    def _get_data(self, call: Call) -> dict[str, Any]:
        results = []
        for query in call.params["MetricDataQueries"]:
            if "MetricStat" not in query:
                raise RefusedError(
                    "ValidationError", "the sandbox evaluates MetricStat queries only, no expressions"
                )
            stat, wanted = query["MetricStat"], query["MetricStat"]["Metric"]
            metric = key(call.region, wanted["Namespace"], wanted["MetricName"], wanted.get("Dimensions", []))
            found = list(
                self._metrics.periods(
                    metric, call.params["StartTime"], call.params["EndTime"], stat["Period"]
                )
            )
            if call.params.get("ScanBy") != "TimestampAscending":
                found.reverse()
            results.append(
                {
                    "Id": query["Id"],
                    "Label": query.get("Label", wanted["MetricName"]),
                    "Timestamps": [start for start, _ in found],
                    "Values": [_statistic(stat["Stat"], values) for _, values in found],
                    "StatusCode": "Complete",
                }
            )
        return {"MetricDataResults": results, "Messages": []}

    def _list_metrics(self, call: Call) -> dict[str, Any]:
        params = call.params
        return {
            "Metrics": [
                {
                    "Namespace": namespace,
                    "MetricName": name,
                    "Dimensions": [{"Name": left, "Value": right} for left, right in dimensions],
                }
                for region, namespace, name, dimensions in self._metrics.values
                if region == call.region
                and params.get("Namespace", namespace) == namespace
                and params.get("MetricName", name) == name
            ][:500]
        }


def _statistic(name: str, values: list[float]) -> float:
    try:
        return statistic(name, values)
    except ValueError as error:
        raise RefusedError("InvalidParameterValue", str(error)) from None


def _check_alarm(params: Mapping[str, Any]) -> None:
    """Refuse what CloudWatch refuses, and by name what the sandbox cannot evaluate."""
    if "Metrics" in params or "ThresholdMetricId" in params:
        raise RefusedError(
            "ValidationError", "the sandbox evaluates alarms on one metric only, no metric math"
        )
    for name in ("MetricName", "Namespace", "Period", "Threshold"):
        if name not in params:
            raise RefusedError("MissingParameter", f"The parameter {name} is required.")
    period = params["Period"]
    if period not in (10, 20, 30) and (period % 60 or period <= 0):
        raise RefusedError(
            "InvalidParameterValue", "The parameter Period must be 10, 20, 30, or a multiple of 60."
        )
    if period * params["EvaluationPeriods"] > timedelta(days=1).total_seconds():
        raise RefusedError(
            "ValidationError",
            "Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400).",
        )
    if params.get("DatapointsToAlarm", 1) > params["EvaluationPeriods"]:
        raise RefusedError(
            "ValidationError", "DatapointsToAlarm must be less than or equal to EvaluationPeriods."
        )
    if ("Statistic" in params) == ("ExtendedStatistic" in params):
        raise RefusedError(
            "MissingParameter", "Exactly one of Statistic and ExtendedStatistic must be specified."
        )
