"""CloudWatch Logs, where moto is too simple: metric filters that count, and searches that obey their pattern.

moto keeps the groups, streams and events. Every line that is written, by a task, a function or the API, is shown to
the group's metric filters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bgdeploy.sandbox.patterns import PatternError, compiled, value_of
from bgdeploy.sandbox.world import PASS, Call, Handler, RefusedError, World, _Pass


@dataclass
class MetricFilter:
    """A metric filter of a log group."""

    name: str
    group: str
    pattern: str
    transformation: Mapping[str, Any]
    created: datetime
    quiet: set[int] = field(default_factory=set)  # minutes that got their default value

    def described(self) -> dict[str, Any]:
        return {
            "filterName": self.name,
            "filterPattern": self.pattern,
            "metricTransformations": [dict(self.transformation)],
            "creationTime": int(self.created.timestamp() * 1000),
            "logGroupName": self.group,
        }


class Logs:
    """Log groups that feed metrics."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._filters: dict[tuple[str, str], dict[str, MetricFilter]] = {}  # region, group → name → filter
        self._streams: set[tuple[str, str, str]] = set()

    @property
    def operations(self) -> Mapping[tuple[str, str], Handler]:
        ours: dict[str, Handler] = {
            "PutMetricFilter": self._put_filter,
            "DescribeMetricFilters": self._describe_filters,
            "DeleteMetricFilter": self._delete_filter,
            "TestMetricFilter": self._test_filter,
            "FilterLogEvents": self._filter_events,
            "PutLogEvents": self._put_events,
            "DeleteLogGroup": self._delete_group,
        }
        return {("logs", name): handler for name, handler in ours.items()}

    def tick(self) -> None:
        """Nothing becomes due by itself."""

    def close(self) -> None:
        """Nothing to end."""

    # For the other parts

    def write(self, group: str, stream: str, lines: list[str], region: str) -> None:
        """Write lines to a stream, making it if need be. Raises RefusedError when there is no such log group."""
        from botocore.exceptions import ClientError

        moto, now = self._world.beneath("logs", region=region), self._world.clock.now()
        try:
            if (region, group, stream) not in self._streams:
                self._make_stream(moto, group, stream)
                self._streams.add((region, group, stream))
            stamp = int(now.timestamp() * 1000)
            if lines:
                moto.put_log_events(
                    logGroupName=group,
                    logStreamName=stream,
                    logEvents=[{"timestamp": stamp, "message": line or " "} for line in lines],
                )
        except ClientError as error:
            self._streams.discard((region, group, stream))
            raise RefusedError(error.response["Error"]["Code"], error.response["Error"]["Message"]) from error
        self._feed(region, group, lines, now)

    def _make_stream(self, moto: Any, group: str, stream: str) -> None:
        from botocore.exceptions import ClientError

        try:
            moto.create_log_stream(logGroupName=group, logStreamName=stream)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
                raise

    def _feed(self, region: str, group: str, lines: list[str], now: datetime) -> None:
        """Show lines to the group's filters. A default value is published for a minute in which none matched."""
        for each in self._filters.get((region, group), {}).values():
            matched = [fields for fields in map(compiled(each.pattern), lines) if fields is not None]
            for fields in matched:
                value = value_of(str(each.transformation["metricValue"]), fields)
                if value is not None:
                    self._publish(each, value, region)
            minute = int(now.timestamp()) // 60
            if lines and not matched and "defaultValue" in each.transformation and minute not in each.quiet:
                each.quiet = {minute}
                self._publish(each, float(each.transformation["defaultValue"]), region)

    def _publish(self, each: MetricFilter, value: float, region: str) -> None:
        transformation = each.transformation
        self._world.alarms.add(transformation["metricNamespace"], transformation["metricName"], value, region)

    # Operations

    def _put_filter(self, call: Call) -> dict[str, Any]:
        params = call.params
        group, transformations = params["logGroupName"], params["metricTransformations"]
        self._require_group(group, call.region)
        try:
            compiled(params["filterPattern"])
        except PatternError as error:
            raise RefusedError(
                "InvalidParameterException", f"Invalid metric filter pattern: {error}"
            ) from None
        if len(transformations) != 1:
            raise RefusedError("InvalidParameterException", "There must be exactly one metric transformation")
        if "defaultValue" in transformations[0] and transformations[0].get("dimensions"):  # aws-facts 9.2
            message = "Invalid metric transformation: dimensions and default value are mutually exclusive properties."
            raise RefusedError("InvalidParameterException", message)
        filters = self._filters.setdefault((call.region, group), {})
        name = params["filterName"]
        if name not in filters and len(filters) >= 100:
            raise RefusedError("LimitExceededException", "Resource limit exceeded.")
        filters[name] = MetricFilter(
            name, group, params["filterPattern"], transformations[0], self._world.clock.now()
        )
        return {}

    def _describe_filters(self, call: Call) -> dict[str, Any]:
        params = call.params
        if "logGroupName" in params:
            self._require_group(params["logGroupName"], call.region)
        found = [
            each
            for (region, group), filters in self._filters.items()
            for each in filters.values()
            if region == call.region
            and group == params.get("logGroupName", group)
            and each.name.startswith(params.get("filterNamePrefix", ""))
            and each.transformation["metricName"]
            == params.get("metricName", each.transformation["metricName"])
            and each.transformation["metricNamespace"]
            == params.get("metricNamespace", each.transformation["metricNamespace"])
        ]
        return {"metricFilters": [each.described() for each in found]}

    def _delete_filter(self, call: Call) -> dict[str, Any]:
        filters = self._filters.get((call.region, call.params["logGroupName"]), {})
        if filters.pop(call.params["filterName"], None) is None:
            raise RefusedError("ResourceNotFoundException", "The specified metric filter does not exist.")
        return {}

    def _test_filter(self, call: Call) -> dict[str, Any]:
        try:
            matches = compiled(call.params["filterPattern"])
        except PatternError as error:
            raise RefusedError(
                "InvalidParameterException", f"Invalid metric filter pattern: {error}"
            ) from None
        found = []
        for number, line in enumerate(call.params["logEventMessages"], start=1):
            fields = matches(line)
            if fields is not None:
                values = {f"${name}": str(value) for name, value in fields.items() if name != "$"}
                found.append({"eventNumber": number, "eventMessage": line, "extractedValues": values})
        return {"matches": found}

    def _filter_events(self, call: Call) -> dict[str, Any] | _Pass:
        """Search by the pattern ourselves; everything else of the request is moto's."""
        pattern = call.params.get("filterPattern", "")
        try:
            matches = compiled(pattern)
        except PatternError as error:
            raise RefusedError("InvalidParameterException", f"Invalid filter pattern: {error}") from None
        if not pattern.strip():
            return PASS
        from botocore.exceptions import ClientError

        limit = call.params.get("limit", 10_000)
        plain = {name: value for name, value in call.params.items() if name not in {"filterPattern", "limit"}}
        try:
            answer = self._world.beneath("logs", region=call.region).filter_log_events(**plain)
        except ClientError as error:
            raise RefusedError(error.response["Error"]["Code"], error.response["Error"]["Message"]) from error
        answer.pop("ResponseMetadata")
        answer["events"] = [event for event in answer["events"] if matches(event["message"]) is not None][
            :limit
        ]
        return dict(answer)

    def _put_events(self, call: Call) -> _Pass:
        group = call.params["logGroupName"]
        lines = [event["message"] for event in call.params["logEvents"]]
        self._feed(call.region, group, lines, self._world.clock.now())
        return PASS

    def _delete_group(self, call: Call) -> _Pass:
        group = call.params["logGroupName"]
        self._filters.pop((call.region, group), None)
        self._streams = {key for key in self._streams if key[:2] != (call.region, group)}
        return PASS

    def _require_group(self, name: str, region: str) -> None:
        moto = self._world.beneath("logs", region=region)
        groups = moto.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        if not any(group["logGroupName"] == name for group in groups):
            raise RefusedError("ResourceNotFoundException", "The specified log group does not exist.")
