"""A metric filter: what it makes of the lines that match it (aws-facts 9.2). Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bgdeploy.sandbox.alarms.metrics import Key, key
from bgdeploy.sandbox.conditions import number
from bgdeploy.sandbox.patterns import Pattern, PatternError, compiled, value_of
from bgdeploy.sandbox.selectors import extracted
from bgdeploy.sandbox.world import RefusedError

Dimensions = tuple[tuple[str, str], ...]
Published = tuple[float, Dimensions]  # a value, and the metric's dimensions


@dataclass
class MetricFilter:
    """A metric filter of a log group."""

    name: str
    group: str
    text: str
    pattern: Pattern
    transformation: Mapping[str, Any]
    created: datetime
    _minutes: dict[int, bool] = field(default_factory=dict)  # those with lines, and whether any matched

    @property
    def namespace(self) -> str:
        return str(self.transformation["metricNamespace"])

    @property
    def metric(self) -> str:
        return str(self.transformation["metricName"])

    @property
    def unit(self) -> str:
        return str(self.transformation.get("unit", "None"))

    @property
    def default(self) -> float:
        return float(self.transformation["defaultValue"])

    def key(self, region: str, dimensions: Dimensions = ()) -> Key:
        """Return the metric that it publishes to."""
        named = [{"Name": name, "Value": value} for name, value in dimensions]
        return key(region, self.namespace, self.metric, named)

    def saw(self, minute: int, *, lines: bool, matched: bool) -> None:
        """Remember that lines came in a minute: it may get the default value."""
        if lines and "defaultValue" in self.transformation:
            self._minutes[minute] = self._minutes.get(minute, False) or matched

    def quiet_minutes(self, before: int) -> list[int]:
        """Return, once, the minutes that are over and had lines of which none matched."""
        over = [minute for minute in self._minutes if minute < before]
        return [minute for minute in over if not self._minutes.pop(minute)]

    def published(self, fields: Mapping[str, Any]) -> Published | None:
        """Return what one matching line publishes, None when it lacks the value or a dimension."""
        value = value_of(str(self.transformation["metricValue"]), fields)
        names = self.transformation.get("dimensions", {})
        dimensions = tuple((name, text) for name, of in sorted(names.items()) if (text := _field(of, fields)))
        return (value, dimensions) if value is not None and len(dimensions) == len(names) else None

    def described(self) -> dict[str, Any]:
        """Return it as DescribeMetricFilters does."""
        return {
            "filterName": self.name,
            "filterPattern": self.text,
            "metricTransformations": [dict(self.transformation)],
            "creationTime": int(self.created.timestamp() * 1000),
            "logGroupName": self.group,
        }


def tally(each: MetricFilter, matched: Iterable[Mapping[str, Any]]) -> Counter[Published]:
    """Return how often each value is published: most filters publish the same one for every line."""
    return Counter(published for fields in matched if (published := each.published(fields)) is not None)


def checked(params: Mapping[str, Any], now: datetime) -> MetricFilter:
    """Return the filter that PutMetricFilter asks for. Raises RefusedError in AWS's words (aws-facts 9.2)."""
    transformations: Sequence[Mapping[str, Any]] = params["metricTransformations"]
    try:
        pattern = compiled(params["filterPattern"])
    except PatternError as error:
        raise _invalid(f"Invalid metric filter pattern: {error}") from None
    if len(transformations) != 1:
        raise _invalid("There must be exactly one metric transformation")
    if not re.fullmatch(r"[^:*]{1,512}", params["filterName"]):
        raise _invalid("Value at 'filterName' failed to satisfy constraint: [^:*]*, at most 512 characters")
    _check_transformation(transformations[0], pattern)
    group, name = params["logGroupName"], params["filterName"]
    return MetricFilter(name, group, params["filterPattern"], pattern, transformations[0], now)


def _check_transformation(transformation: Mapping[str, Any], pattern: Pattern) -> None:
    dimensions = transformation.get("dimensions", {})
    value = transformation["metricValue"]
    if dimensions and "defaultValue" in transformation:
        message = "dimensions and default value are mutually exclusive properties."
        raise _invalid(f"Invalid metric transformation: {message}")
    if dimensions and pattern.kind == "words":
        raise _invalid("The specified filter pattern does not support dimensions")
    if len(dimensions) > 3:
        raise _invalid("Invalid metric transformation: there are more than 3 dimensions")
    if number(value) is None and (not value.startswith("$") or pattern.kind == "words"):
        raise _invalid(
            f"Invalid metric transformation: {value} is neither a number nor a field of the pattern"
        )


def _field(reference: str, fields: Mapping[str, Any]) -> str | None:
    if "$" in fields:
        return extracted(fields["$"], reference)
    value = fields.get(reference.removeprefix("$"))
    return None if value is None else str(value)


def _invalid(message: str) -> RefusedError:
    return RefusedError("InvalidParameterException", message)
