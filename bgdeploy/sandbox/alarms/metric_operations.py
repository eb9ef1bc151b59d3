"""CloudWatch's operations on metrics: publish, read, list."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from bgdeploy.clock import Clock
from bgdeploy.sandbox.alarms.metrics import Metrics, Samples, key
from bgdeploy.sandbox.world import Call, Handler, RefusedError

_OLDEST, _NEWEST = timedelta(days=14), timedelta(hours=2)  # PutMetricData, in its API reference
_ACTIVE = timedelta(hours=3)  # what ListMetrics calls recently active


class MetricOperations:
    """What callers of the API do with a metric store."""

    def __init__(self, clock: Clock, metrics: Metrics) -> None:
        self._clock = clock
        self._metrics = metrics

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {
            "PutMetricData": self._put_data,
            "GetMetricStatistics": self._get_statistics,
            "GetMetricData": self._get_data,
            "ListMetrics": self._list_metrics,
        }

    def _put_data(self, call: Call) -> dict[str, Any]:
        now = self._clock.now()
        data = [(datum, _samples(datum), _time(datum, now)) for datum in call.params.get("MetricData", [])]
        for datum, samples, at in data:  # all or none
            metric = key(
                call.region, call.params["Namespace"], datum["MetricName"], datum.get("Dimensions", [])
            )
            self._metrics.add(metric, at, samples, datum.get("Unit", "None"))
        return {}

    def _get_statistics(self, call: Call) -> dict[str, Any]:
        params = call.params
        start, end, length = _aware(params["StartTime"]), _aware(params["EndTime"]), params["Period"]
        _check_times(start, end, length)
        if (end - start).total_seconds() / length > 1440:
            text = "You have requested more than 1,440 datapoints, which exceeds the limit of 1,440."
            raise RefusedError("InvalidParameterCombination", text)
        metric = key(call.region, params["Namespace"], params["MetricName"], params.get("Dimensions", []))
        found = self._metrics.periods(metric, start, end, length, params.get("Unit"))
        plain, extended = params.get("Statistics", []), params.get("ExtendedStatistics", [])
        return {
            "Label": params["MetricName"],
            "Datapoints": [
                {
                    "Timestamp": begin,
                    "Unit": params.get("Unit", "None"),
                    **_statistics(samples, plain),
                    **({"ExtendedStatistics": _statistics(samples, extended)} if extended else {}),
                }
                for begin, samples in found
            ],
        }

    def _get_data(self, call: Call) -> dict[str, Any]:
        params = call.params
        start, end = _aware(params["StartTime"]), _aware(params["EndTime"])
        wanted = [query for query in params["MetricDataQueries"] if query.get("ReturnData", True)]
        if any("MetricStat" not in query for query in wanted):
            text = "the sandbox answers MetricStat queries only, no expressions"
            raise RefusedError("ValidationError", text)
        results = [self._series(call, query, start, end) for query in wanted]
        return {"MetricDataResults": results, "Messages": []}

    def _series(self, call: Call, query: Mapping[str, Any], start: datetime, end: datetime) -> dict[str, Any]:
        stat = query["MetricStat"]
        name, of = stat["Stat"], stat["Metric"]
        _check_times(start, end, stat["Period"])
        metric = key(call.region, of["Namespace"], of["MetricName"], of.get("Dimensions", []))
        found = list(self._metrics.periods(metric, start, end, stat["Period"], stat.get("Unit")))
        if call.params.get("ScanBy") != "TimestampAscending":
            found.reverse()
        points = [(at, told[name]) for at, samples in found if (told := _statistics(samples, [name]))]
        return {
            "Id": query["Id"],
            "Label": query.get("Label", of["MetricName"]),
            "Timestamps": [at for at, _ in points],
            "Values": [value for _, value in points],
            "StatusCode": "Complete",
        }

    def _list_metrics(self, call: Call) -> dict[str, Any]:
        params = call.params
        since = int((self._clock.now() - _ACTIVE).timestamp()) // 60 if "RecentlyActive" in params else 0
        found = [
            {
                "Namespace": namespace,
                "MetricName": name,
                "Dimensions": [{"Name": left, "Value": right} for left, right in dimensions],
            }
            for (region, namespace, name, dimensions), minutes in sorted(self._metrics.kept.items())
            if region == call.region
            and params.get("Namespace", namespace) == namespace
            and params.get("MetricName", name) == name
            and all(_has(dimensions, wanted) for wanted in params.get("Dimensions", []))
            and max(minutes) >= since
        ]
        return page("Metrics", found, params, 500)


def page(key_name: str, items: list[Any], params: Mapping[str, Any], size: int) -> dict[str, Any]:
    """Return one page of the items: the token is where the next one begins. Raises RefusedError."""
    token = params.get("NextToken", "0")
    if not token.isdigit():
        raise RefusedError("InvalidNextToken", "The next token is invalid.")
    end = int(token) + min(params.get("MaxRecords", size), 500)
    return {key_name: items[int(token) : end], **({"NextToken": str(end)} if end < len(items) else {})}


def _statistics(samples: Samples, names: Sequence[str]) -> dict[str, float]:
    try:
        told = {name: samples.statistic(name) for name in names}
    except ValueError as error:
        raise RefusedError("InvalidParameterValue", str(error)) from None
    return {name: value for name, value in told.items() if value is not None}


def _samples(datum: Mapping[str, Any]) -> Samples:
    """Return what one datum publishes: a value, values with counts, or a statistic set. Raises RefusedError."""
    given = [name for name in ("Value", "Values", "StatisticValues") if name in datum]
    if len(given) != 1:
        text = "Exactly one of the parameters Value, Values and StatisticValues must be specified."
        raise RefusedError("InvalidParameterCombination", text)
    if "StatisticValues" in datum:
        told = datum["StatisticValues"]
        return Samples(told["SampleCount"], told["Sum"], told["Minimum"], told["Maximum"])
    values = datum.get("Values") or [datum["Value"]]
    counts = datum.get("Counts", [1.0] * len(values))
    if len(values) != len(counts) or not all(map(math.isfinite, values)) or min(counts) <= 0:
        raise RefusedError("InvalidParameterValue", "Values must be finite, each with a positive count.")
    samples = Samples()
    for value, count in zip(values, counts, strict=True):
        samples.add(Samples.of(float(value), float(count)))
    return samples


def _time(datum: Mapping[str, Any], now: datetime) -> datetime:
    at = _aware(datum.get("Timestamp", now))
    if not now - _OLDEST <= at <= now + _NEWEST:
        text = f"The parameter Timestamp {at.isoformat()} must be within the last two weeks or the next two hours."
        raise RefusedError("InvalidParameterValue", text)
    return at


def _check_times(start: datetime, end: datetime, length: int) -> None:
    if start >= end:
        raise RefusedError(
            "InvalidParameterCombination", "The parameter StartTime must be less than the parameter EndTime."
        )
    if length not in (1, 5, 10, 20, 30) and (length % 60 or length <= 0):
        text = "The parameter Period must be 1, 5, 10, 20, 30, or a multiple of 60."
        raise RefusedError("InvalidParameterValue", text)


def _has(dimensions: Sequence[tuple[str, str]], wanted: Mapping[str, str]) -> bool:
    return any(name == wanted["Name"] and value == wanted.get("Value", value) for name, value in dimensions)


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=timezone.utc)
