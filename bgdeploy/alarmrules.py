"""What the types cannot say of alarms: each is on one thing, and on something that CloudWatch can evaluate. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import structs

from bgdeploy.config import Alarm, Config
from bgdeploy.names import Names

Broken = tuple[tuple["str | int", ...], str]

_MOST_ALARMS = 10  # of one deployment group (aws-facts 4.1)
_LONGEST_PATTERN = 1024  # of a metric filter (aws-facts 9.2)
_DAY = 86400  # what an alarm looks back at most
_KINDS = (
    "log_filter",
    "target_5xx",
    "latency_p90",
    "latency_p95",
    "latency_p99",
    "latency",
    "unhealthy_hosts",
    "existing",
)


def broken_alarm_rules(config: Config, names: Names) -> Iterator[Broken]:
    """Yield the key path of every value that no alarm could have, and a sentence that says why and what would."""
    if len(config.alarms) > _MOST_ALARMS:
        yield ("alarms",), f"a deployment group watches at most {_MOST_ALARMS} alarms"
    seen: set[str] = set()
    for index, alarm in enumerate(config.alarms):
        where = ("alarms", index)
        yield from _kind(where, alarm)
        name = alarm.existing or names.alarm(alarm.name or "")
        if name in seen:
            yield ("alarms",), f"two alarms are called {alarm.existing or alarm.name!r}"
        seen.add(name)


def _kind(where: tuple[str | int, ...], alarm: Alarm) -> Iterator[Broken]:
    kinds = [kind for kind in _KINDS if getattr(alarm, kind) is not None]
    if len(kinds) != 1:
        said = f", not on {' and '.join(kinds)}" if kinds else ""
        yield where, f"an alarm is on exactly one of {', '.join(_KINDS)}{said}"
    elif alarm.existing is not None:
        yield from _existing(where, alarm)
    else:
        yield from _own(where, alarm)


def _existing(where: tuple[str | int, ...], alarm: Alarm) -> Iterator[Broken]:
    plain = Alarm(existing=alarm.existing)
    for field in (f.name for f in structs.fields(alarm)):
        if getattr(alarm, field) != getattr(plain, field):
            yield (*where, field), "cannot be said of an existing alarm: whoever made it decides that"
    if not 1 <= len(alarm.existing or "") <= 255:
        yield (*where, "existing"), "must be the name of an alarm, 1 to 255 characters"


def _own(where: tuple[str | int, ...], alarm: Alarm) -> Iterator[Broken]:
    if alarm.name is None:
        yield (*where, "name"), "is missing and has no default"
    if alarm.log_filter is not None and len(alarm.log_filter) > _LONGEST_PATTERN:
        yield (*where, "log_filter"), f"a pattern has at most {_LONGEST_PATTERN} characters"
    if alarm.log_filter is None and alarm.threshold is not None:
        yield (*where, "threshold"), "goes with log_filter alone: the others say their limit themselves"
    errors = alarm.target_5xx
    if errors and (errors.rate is None) == (errors.count is None):
        yield (*where, "target_5xx"), "must say a rate such as 1%, or a count"
    if errors and errors.rate is not None and not 0 < errors.rate <= 100:
        yield (*where, "target_5xx", "rate"), "must be more than 0% and at most 100%"
    if alarm.slow and not alarm.slow.above:
        key = next(kind for kind in _KINDS if kind.startswith("latency") and getattr(alarm, kind))
        yield (*where, key, "above"), "must be more than 0ms"
    yield from _periods(where, alarm)


def _periods(where: tuple[str | int, ...], alarm: Alarm) -> Iterator[Broken]:
    if alarm.period % 60 or not alarm.period:
        yield (*where, "period"), "must be whole minutes: the metrics have one value a minute"
    if alarm.period * alarm.evaluation_periods > _DAY:
        yield (*where, "evaluation_periods"), "must not reach back more than a day"
    if alarm.datapoints is not None and alarm.datapoints > alarm.evaluation_periods:
        yield (*where, "datapoints"), f"must be at most evaluation_periods, {alarm.evaluation_periods}"
