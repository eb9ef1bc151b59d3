"""The part of the sandbox that is CloudWatch's alarms. `metric_operations` reads and writes what they watch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from bgdeploy.sandbox.alarms.alarm import Alarm, Watched, check_alarm
from bgdeploy.sandbox.alarms.evaluate import Verdict, evaluate, evaluation_range
from bgdeploy.sandbox.alarms.metric_operations import MetricOperations, page
from bgdeploy.sandbox.alarms.metrics import Key, Metrics, Samples, key
from bgdeploy.sandbox.world import Call, Handler, RefusedError, World

_FORGET = 3600  # AWS seconds between two looks for what is too old
_HISTORY = 1000  # items kept; CloudWatch keeps them for 30 days


class Alarms:
    """Alarms that are really evaluated, and the metrics they are on."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._metrics = Metrics()
        self._metric_operations = MetricOperations(world.clock, self._metrics)
        self._alarms: dict[tuple[str, str], Alarm] = {}  # region, name
        self._history: list[tuple[str, dict[str, Any]]] = []  # region, item; newest first
        self._forgot = 0

    @property
    def operations(self) -> Mapping[tuple[str, str], Handler]:
        ours: dict[str, Handler] = {
            "PutMetricAlarm": self._put,
            "PutCompositeAlarm": self._put_composite,
            "DescribeAlarms": self._describe,
            "DescribeAlarmsForMetric": self._describe_for_metric,
            "DeleteAlarms": self._delete,
            "SetAlarmState": self._set_state,
            "DescribeAlarmHistory": self._describe_history,
            "EnableAlarmActions": self._enable,
            "DisableAlarmActions": self._disable,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": self._list_tags,
            **self._metric_operations.handlers,
        }
        return {("cloudwatch", name): handler for name, handler in ours.items()}

    def tick(self) -> None:
        """Evaluate each alarm once a minute of AWS's, or each 10 seconds when its period is shorter."""
        now = self._world.clock.now()
        for alarm in self._alarms.values():
            turn = _turn(alarm, now)
            if turn != alarm.turn:
                alarm.turn = turn
                self._evaluate(alarm, now)
        if now.timestamp() - self._forgot >= _FORGET:
            self._forgot = int(now.timestamp())
            self._metrics.forget(now)

    def close(self) -> None:
        """Nothing to end."""

    # For the other parts

    def state(self, name: str, region: str) -> str | None:
        """Return an alarm's state, None when there is none such."""
        alarm = self._alarms.get((region, name))
        return alarm.state if alarm else None

    def publish(self, metric: Key, at: datetime, samples: Samples, unit: str = "None") -> None:
        """Publish samples of a metric."""
        self._metrics.add(metric, at, samples, unit)

    # Evaluation

    def _evaluate(self, alarm: Alarm, now: datetime) -> None:
        """Look at the last periods that end with the last full minute, as CloudWatch's sliding windows do.

        Only what is over is looked at, at once when it is over: from an error in the log to the alarm pass up to one
        AWS minute and a moment, the quick end of what AWS shows (aws-facts 9.3). Points that arrive late count from
        the next evaluation on.
        """
        period, rule = alarm.period, alarm.rule
        step = _step(period)
        end = int(now.timestamp()) // step * step
        found = []
        for age in range(1, evaluation_range(rule.periods, period) + 1):
            start = end - period * age
            found.append((datetime.fromtimestamp(start, timezone.utc), alarm.value(self._metrics, start)))
        verdict = evaluate(rule, found, alarm.state)
        if verdict.state != alarm.state:
            self._move(alarm, verdict.state, verdict.reason, _reason_data(alarm, verdict, now), now)

    def _move(self, alarm: Alarm, state: str, reason: str, data: str, now: datetime) -> None:
        before = alarm.snapshot()
        changed = alarm.state != state
        alarm.state, alarm.reason, alarm.data, alarm.updated = state, reason, data, now
        if changed:
            alarm.moved = now
            after = alarm.snapshot() | ({"stateReasonData": json.loads(data)} if data else {})
            told = {"version": "1.0", "oldState": before, "newState": after}
            summary = f"Alarm updated from {before['stateValue']} to {state}"
            self._remember(alarm, "StateUpdate", summary, now, told)

    def _remember(self, alarm: Alarm, kind: str, summary: str, at: datetime, data: Mapping[str, Any]) -> None:
        item = {
            "AlarmName": alarm.name,
            "AlarmType": "MetricAlarm",
            "Timestamp": at,
            "HistoryItemType": kind,
            "HistorySummary": summary,
            "HistoryData": json.dumps(data),
        }
        self._history.insert(0, (alarm.region, item))
        del self._history[_HISTORY:]

    # Alarms

    def _put(self, call: Call) -> dict[str, Any]:
        params, now = call.params, self._world.clock.now()
        check_alarm(params)
        alarm = self._alarms.get((call.region, params["AlarmName"]))
        if alarm is not None:  # its state stays as it is, and tags are those it was created with
            alarm.params, alarm.configured = params, now
            self._configured(alarm, "Update", now)
            return {}
        tags = {pair["Key"]: pair["Value"] for pair in params.get("Tags", [])}
        alarm = Alarm(call.region, params, now, now, tags=tags)
        alarm.turn = _turn(alarm, now)
        self._alarms[call.region, alarm.name] = alarm
        self._configured(alarm, "Create", now)
        return {}

    def _configured(self, alarm: Alarm, kind: str, now: datetime) -> None:
        done = f"{kind.lower()}d"
        summary = f'Alarm "{alarm.name}" {done}'
        configuration = {"alarmName": alarm.name, "alarmArn": alarm.arn}
        told = {"version": "1.0", "type": kind, f"{done}Alarm": configuration}
        self._remember(alarm, "ConfigurationUpdate", summary, now, told)

    def _put_composite(self, call: Call) -> dict[str, Any]:
        text = f"{call.params['AlarmName']}: the sandbox evaluates metric alarms only, no composite ones"
        raise RefusedError("ValidationError", text)

    def _describe(self, call: Call) -> dict[str, Any]:
        params = call.params
        names, prefix = params.get("AlarmNames"), params.get("AlarmNamePrefix", "")
        if names and prefix:
            text = "AlarmNames and AlarmNamePrefix must not be specified together."
            raise RefusedError("InvalidParameterCombination", text)
        found = [
            alarm.described()
            for alarm in self._of(call.region)
            if (not names or alarm.name in names)
            and alarm.name.startswith(prefix)
            and params.get("StateValue", alarm.state) == alarm.state
            and _acts(alarm, params.get("ActionPrefix", ""))
        ]
        family = "ChildrenOfAlarmName" in params or "ParentsOfAlarmName" in params  # of composite alarms
        if family or "MetricAlarm" not in params.get("AlarmTypes", ["MetricAlarm"]):
            found = []
        return {**page("MetricAlarms", found, params, 50), "CompositeAlarms": []}

    def _describe_for_metric(self, call: Call) -> dict[str, Any]:
        """Return the alarms on a metric, without those on an expression that it is part of."""
        params = call.params
        wanted = key(call.region, params["Namespace"], params["MetricName"], params.get("Dimensions", []))
        statistic = params.get("Statistic") or params.get("ExtendedStatistic")

        def on_it(watched: Watched | None) -> bool:
            return (
                watched is not None
                and watched.metric == wanted
                and watched.statistic == (statistic or watched.statistic)
                and watched.period == params.get("Period", watched.period)
                and watched.unit == params.get("Unit", watched.unit)
            )

        return {"MetricAlarms": [each.described() for each in self._of(call.region) if on_it(each.watched)]}

    def _of(self, region: str) -> list[Alarm]:
        return [alarm for (where, _name), alarm in sorted(self._alarms.items()) if where == region]

    def _delete(self, call: Call) -> dict[str, Any]:
        """Delete those that there are: names that are wrong do not save the others."""
        names = call.params["AlarmNames"]
        found = [self._alarms.pop((call.region, name), None) for name in names]
        if len(names) == 1 and found == [None]:
            raise RefusedError("ResourceNotFound", f"Alarm {names[0]} does not exist.", 404)
        return {}

    def _set_state(self, call: Call) -> dict[str, Any]:
        """Set a state until the next evaluation finds another."""
        params = call.params
        alarm = self._alarms.get((call.region, params["AlarmName"]))
        if alarm is None:
            raise RefusedError("ResourceNotFound", f"Alarm {params['AlarmName']} does not exist.", 404)
        data = params.get("StateReasonData", "")
        try:
            json.loads(data or "{}")
        except ValueError:
            raise RefusedError("InvalidFormat", "StateReasonData is not valid JSON.") from None
        self._move(alarm, params["StateValue"], params["StateReason"], data, self._world.clock.now())
        return {}

    def _describe_history(self, call: Call) -> dict[str, Any]:
        params = call.params
        since, until = params.get("StartDate"), params.get("EndDate")
        found = [
            item
            for region, item in self._history
            if region == call.region
            and params.get("AlarmName", item["AlarmName"]) == item["AlarmName"]
            and params.get("HistoryItemType", item["HistoryItemType"]) == item["HistoryItemType"]
            and (since is None or item["Timestamp"] >= since)
            and (until is None or item["Timestamp"] <= until)
            and "MetricAlarm" in params.get("AlarmTypes", ["MetricAlarm"])
        ]
        if params.get("ScanBy") == "TimestampAscending":
            found.reverse()
        return page("AlarmHistoryItems", found, params, 100)

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


def _step(period: int) -> int:
    """Return how often an alarm of this period is evaluated, in AWS seconds (aws-facts 9.3)."""
    return 60 if period >= 60 else 10


def _turn(alarm: Alarm, now: datetime) -> int:
    return int(now.timestamp()) // _step(alarm.period)


def _acts(alarm: Alarm, prefix: str) -> bool:
    actions = [
        action
        for kind in ("OKActions", "AlarmActions", "InsufficientDataActions")
        for action in alarm.params.get(kind, [])
    ]
    return not prefix or any(action.startswith(prefix) for action in actions)


def _reason_data(alarm: Alarm, verdict: Verdict, now: datetime) -> str:
    """Return the values of an evaluation, as StateReasonData has them."""
    watched = alarm.watched
    data: dict[str, Any] = {
        "version": "1.0",
        "queryDate": _stamp(now),
        **({"startDate": _stamp(verdict.points[-1][0])} if verdict.points else {}),
        **({"unit": watched.unit} if watched and watched.unit else {}),
        **({"statistic": watched.statistic} if watched else {}),
        "period": alarm.period,
        "recentDatapoints": [value for _, value in reversed(verdict.points)],
        "threshold": alarm.rule.threshold,
        "evaluatedDatapoints": [{"timestamp": _stamp(at), "value": value} for at, value in verdict.points],
    }
    return json.dumps(data, separators=(",", ":"))


def _stamp(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}+0000"
