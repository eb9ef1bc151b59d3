"""CloudWatch Logs, where moto is too simple: metric filters that count, and searches that obey their pattern.

moto keeps the groups, streams and events. Every line that is written, by a task, a function or the API, is shown to
the group's metric filters; `metric_filters` says what they make of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from itertools import groupby
from typing import Any

from bgdeploy.sandbox.alarms.metrics import Samples
from bgdeploy.sandbox.metric_filters import MetricFilter, checked, tally
from bgdeploy.sandbox.patterns import Pattern, PatternError, compiled
from bgdeploy.sandbox.world import PASS, Call, Handler, RefusedError, World, _Pass

_NO_GROUP = "The specified log group does not exist."
# The days for which logs can be kept, in the API reference of PutRetentionPolicy.
_RETENTIONS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
_OLDEST, _NEWEST = timedelta(days=14), timedelta(hours=2)  # PutLogEvents, in its API reference


class Logs:
    """Log groups that feed metrics."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._filters: dict[tuple[str, str], dict[str, MetricFilter]] = {}  # region, group → name → filter

    @property
    def operations(self) -> Mapping[tuple[str, str], Handler]:
        ours: dict[str, Handler] = {
            "PutMetricFilter": self._put_filter,
            "DescribeMetricFilters": self._describe_filters,
            "DeleteMetricFilter": self._delete_filter,
            "TestMetricFilter": self._test_filter,
            "FilterLogEvents": self._filter_events,
            "PutLogEvents": self._put_events,
            "DescribeLogGroups": self._describe_groups,
            "DeleteLogGroup": self._delete_group,
            "PutRetentionPolicy": self._put_retention,
        }
        return {("logs", name): handler for name, handler in ours.items()}

    def tick(self) -> None:
        """Publish the default values of the minutes that are over: lines came, and none matched (aws-facts 9.2)."""
        minute = int(self._world.clock.now().timestamp()) // 60
        for (region, _group), filters in self._filters.items():
            for each in filters.values():
                for quiet in each.quiet_minutes(before=minute):
                    at = datetime.fromtimestamp(quiet * 60, timezone.utc)
                    self._world.alarms.publish(each.key(region), at, Samples.of(each.default), each.unit)

    def close(self) -> None:
        """Nothing to end."""

    # For the other parts

    def write(self, group: str, stream: str, lines: list[str], region: str) -> None:
        """Write lines to a stream, making it if need be. Raises RefusedError when there is no such log group.

        Empty lines are left out: an event has at least one character.
        """
        self._require_group(group, region)
        now = self._world.clock.now()
        stamp = int(now.timestamp() * 1000)
        events = [{"timestamp": stamp, "message": line} for line in lines if line]
        self._world.moto.write_log(group, stream, events, region)
        self._feed(region, group, [line for line in lines if line], now)

    def _feed(self, region: str, group: str, lines: Sequence[str], at: datetime) -> None:
        """Show lines to the group's filters."""
        for each in self._filters.get((region, group), {}).values():
            matched = [fields for line in lines if (fields := each.pattern(line)) is not None]
            each.saw(int(at.timestamp()) // 60, lines=bool(lines), matched=bool(matched))
            for (value, dimensions), count in tally(each, matched).items():
                metric = each.key(region, dimensions)
                self._world.alarms.publish(metric, at, Samples.of(value, count), each.unit)

    # Metric filters

    def _put_filter(self, call: Call) -> dict[str, Any]:
        params = call.params
        group, name = params["logGroupName"], params["filterName"]
        self._require_group(group, call.region)
        filters = self._filters.setdefault((call.region, group), {})
        fresh = checked(params, self._world.clock.now())
        others = [each for each in filters.values() if each.name != name]
        regular = [each for each in others if each.pattern.regexes]
        if len(others) >= 100 or (fresh.pattern.regexes and len(regular) >= 5):  # aws-facts 9.1, 9.2
            raise RefusedError("LimitExceededException", "Resource limit exceeded.")
        filters[name] = fresh
        return {}

    def _describe_filters(self, call: Call) -> dict[str, Any]:
        params = call.params
        if "logGroupName" in params:
            self._require_group(params["logGroupName"], call.region)
        if ("metricName" in params) != ("metricNamespace" in params):
            text = "If you include the metricName parameter, you must also include the metricNamespace parameter."
            raise RefusedError("InvalidParameterException", text)
        found = [
            each.described()
            for (region, group), filters in sorted(self._filters.items())
            for _name, each in sorted(filters.items())
            if region == call.region
            and group == params.get("logGroupName", group)
            and each.name.startswith(params.get("filterNamePrefix", ""))
            and each.metric == params.get("metricName", each.metric)
            and each.namespace == params.get("metricNamespace", each.namespace)
        ]
        return _page("metricFilters", found, params, 50)

    def _delete_filter(self, call: Call) -> dict[str, Any]:
        self._require_group(call.params["logGroupName"], call.region)
        filters = self._filters.get((call.region, call.params["logGroupName"]), {})
        if filters.pop(call.params["filterName"], None) is None:
            raise RefusedError("ResourceNotFoundException", "The specified metric filter does not exist.")
        return {}

    def _test_filter(self, call: Call) -> dict[str, Any]:
        pattern = _compiled(call.params["filterPattern"], "Invalid metric filter pattern")
        return {
            "matches": [
                {"eventNumber": number, "eventMessage": line, "extractedValues": pattern.values(fields)}
                for number, line in enumerate(call.params["logEventMessages"], start=1)
                if (fields := pattern(line)) is not None
            ]
        }

    # Events

    def _filter_events(self, call: Call) -> dict[str, Any]:
        """Search all events by the pattern ourselves; moto gives them by group, streams and time."""
        params = call.params
        pattern = _compiled(params.get("filterPattern", ""), "Invalid filter pattern")
        prefix = params.get("logStreamNamePrefix", "")
        if prefix and params.get("logStreamNames"):
            text = "LogStreamNamePrefix and LogStreamNames cannot both be specified."
            raise RefusedError("InvalidParameterException", text)
        found = [
            event
            for event in self._events(call)
            if event["logStreamName"].startswith(prefix) and pattern(event["message"]) is not None
        ]
        found.sort(
            key=lambda event: int(event["timestamp"])
        )  # streams are interleaved, as AWS does since 2019
        return {**_page("events", found, params, 10_000), "searchedLogStreams": []}

    def _events(self, call: Call) -> list[dict[str, Any]]:
        params = call.params
        group = params.get("logGroupName") or _name(params.get("logGroupIdentifier", ""))
        self._require_group(group, call.region)
        asked = {name: params[name] for name in ("logStreamNames", "startTime", "endTime") if name in params}
        pages = self._world.beneath("logs", region=call.region).get_paginator("filter_log_events")
        return [event for page in pages.paginate(logGroupName=group, **asked) for event in page["events"]]

    def _put_events(self, call: Call) -> dict[str, Any]:
        group, stream = call.params["logGroupName"], call.params["logStreamName"]
        self._require_group(group, call.region)
        if not self._world.moto.has_log_stream(group, stream, call.region):
            raise RefusedError("ResourceNotFoundException", "The specified log stream does not exist.")
        events = call.params["logEvents"]
        _check_batch(events)
        now = self._world.clock.now()
        taken, rejected = _taken(events, now)
        self._world.moto.write_log(group, stream, taken, call.region)
        for minute, some in groupby(taken, key=lambda event: event["timestamp"] // 60_000):
            at = datetime.fromtimestamp(minute * 60, timezone.utc)
            self._feed(call.region, group, [event["message"] for event in some], at)
        return {"nextSequenceToken": f"{int(now.timestamp() * 1000):056d}", **rejected}

    # Groups

    def _describe_groups(self, call: Call) -> dict[str, Any]:
        """Add to moto's answer how many metric filters a group has."""
        from botocore.exceptions import ClientError

        try:
            answer = dict(self._world.beneath("logs", region=call.region).describe_log_groups(**call.params))
        except ClientError as error:
            raise RefusedError(error.response["Error"]["Code"], error.response["Error"]["Message"]) from error
        del answer["ResponseMetadata"]
        for group in answer["logGroups"]:
            group["metricFilterCount"] = len(self._filters.get((call.region, group["logGroupName"]), {}))
        return answer

    def _delete_group(self, call: Call) -> _Pass:
        self._filters.pop((call.region, call.params["logGroupName"]), None)
        self._world.moto.forget_log_tags(call.params["logGroupName"], call.region)
        return PASS

    def _put_retention(self, call: Call) -> _Pass:
        days = call.params["retentionInDays"]
        if days not in _RETENTIONS:
            message = (
                f"1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: "
                f"Member must satisfy enum value set: [{', '.join(map(str, _RETENTIONS))}]"
            )
            raise RefusedError("InvalidParameterException", message)
        return PASS

    def _require_group(self, name: str, region: str) -> None:
        if not self._world.moto.has_log_group(name, region):
            raise RefusedError("ResourceNotFoundException", _NO_GROUP)


def _compiled(pattern: str, complaint: str) -> Pattern:
    try:
        return compiled(pattern)
    except PatternError as error:
        raise RefusedError("InvalidParameterException", f"{complaint}: {error}") from None


def _name(identifier: str) -> str:
    """Return the name of a log group that is given by name or ARN."""
    return (
        identifier.partition(":log-group:")[2].removesuffix(":*")
        if identifier.startswith("arn:")
        else identifier
    )


def _page(key: str, items: list[Any], params: Mapping[str, Any], size: int) -> dict[str, Any]:
    """Return one page of the items: the token is where the next one begins."""
    token, size = params.get("nextToken", "0"), min(params.get("limit", size), size)
    if not token.isdigit():
        raise RefusedError("InvalidParameterException", "The specified nextToken is invalid.")
    end = int(token) + size
    return {key: items[int(token) : end], **({"nextToken": str(end)} if end < len(items) else {})}


def _check_batch(events: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a batch that breaks PutLogEvents' rules, as its API reference gives them."""
    stamps = [event["timestamp"] for event in events]
    size = sum(len(event["message"].encode()) + 26 for event in events)
    complaint = ""
    if stamps != sorted(stamps):
        complaint = "Log events in a single PutLogEvents request must be in chronological order."
    elif stamps[-1] - stamps[0] > 24 * 3_600_000:
        complaint = "The batch of log events in a single PutLogEvents request cannot span more than 24 hours."
    elif size > 1_048_576 or len(events) > 10_000:
        complaint = f"Upload too large: {size} bytes exceeds limit of 1048576"
    if complaint:
        raise RefusedError("InvalidParameterException", complaint)


def _taken(events: list[dict[str, Any]], now: datetime) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the events that are neither too old nor too new, and what PutLogEvents says of the others."""
    oldest = (now - _OLDEST).timestamp() * 1000
    newest = (now + _NEWEST).timestamp() * 1000
    old = sum(event["timestamp"] < oldest for event in events)
    new = sum(event["timestamp"] > newest for event in events)
    rejected = {"tooOldLogEventEndIndex": old} if old else {}
    rejected |= {"tooNewLogEventStartIndex": len(events) - new} if new else {}
    return events[old : len(events) - new], {"rejectedLogEventsInfo": rejected} if rejected else {}
