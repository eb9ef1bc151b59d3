"""Looks up, once a deployment has failed, what its last words were, who stopped it, and what an alarm measured.

Whatever may not be read, or is not there any more, is left out: how a deployment ended is told in any case.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from bgdeploy.aws import Attrs, Aws
from bgdeploy.names import Names
from bgdeploy.release import parse
from bgdeploy.release.attending.stopping import stopped_by
from bgdeploy.release.cause import activated
from bgdeploy.release.evidence import Evidence, Series
from bgdeploy.release.phase import HELD, failed_event, new_version
from bgdeploy.release.snapshot import Event, Snapshot

T = TypeVar("T")

_LINES, _LONGEST = 5, 200  # of a log, and of a line
_MOST_EVENTS = 1000  # of the hook that are looked through for its last lines
_LATE = timedelta(seconds=30)  # after which a line may still be the hook's own
_BEFORE, _MOST_PERIODS = 10, 60  # periods of an alarm that are shown before the deployment, and in all
# What Lambda itself writes into a function's log.
_PLATFORM = re.compile(r"^(START|END|REPORT|INIT_START|EXTENSION|XRAY)\b")


def collect(aws: Aws, snapshot: Snapshot) -> Evidence:
    """Return what can be found out about a deployment that has failed; nothing about any other."""
    deployment, at = snapshot.deployment, failed_event(snapshot)
    if not deployment.over or deployment.status == "Succeeded":
        return Evidence()
    by_hand, by_alarm = (deployment.error_code == code for code in ("MANUAL_STOP", "ALARM_ACTIVE"))
    return Evidence(
        stop=stopped_by(aws, snapshot.target.bucket, deployment.id) if by_hand else None,
        log=_or_else((), lambda: _last_words(aws, snapshot)),
        hook_log=_or_else((), lambda: _hook_log(aws, snapshot, at)) if at and at.name == HELD else (),
        series=_or_else((), lambda: _series(aws, snapshot)) if by_alarm else (),
    )


def _or_else(otherwise: T, look: Callable[[], T]) -> T:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return look()
    except (BotoCoreError, ClientError):
        return otherwise


# Logs


def _last_words(aws: Aws, snapshot: Snapshot) -> tuple[str, ...]:
    """Return the last lines of the green task that stopped last: its stream is `version/container/task`."""
    task = next((task for task in snapshot.stopped if task.failed and task.container), None)
    if task is None:
        return ()
    stream = f"{new_version(snapshot)}/{task.container}/{task.id}"
    events = aws.client("logs").get_log_events(
        logGroupName=snapshot.target.log_group, logStreamName=stream, startFromHead=False, limit=_LINES
    )["events"]
    return _lines(event["message"] for event in events)


def _hook_log(aws: Aws, snapshot: Snapshot, held: Event) -> tuple[str, ...]:
    """Return the last lines that the hook wrote: no other deployment's hook runs at the same time (aws-facts 5.6)."""
    since = held.start or snapshot.deployment.created
    pages = aws.client("logs").get_paginator("filter_log_events")
    events = pages.paginate(
        logGroupName=Names(snapshot.target.group).hook_log_group,
        startTime=_milliseconds(since),
        endTime=_milliseconds((held.end or snapshot.at) + _LATE),
        PaginationConfig={"MaxItems": _MOST_EVENTS},
    )
    messages = (event["message"] for page in events for event in page["events"])
    return _lines(message for message in messages if not _PLATFORM.match(message))


def _lines(messages: Any) -> tuple[str, ...]:
    found = [line.rstrip()[:_LONGEST] for message in messages for line in message.splitlines()]
    return tuple(line for line in found if line.strip())[-_LINES:]


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


# Alarms


def _series(aws: Aws, snapshot: Snapshot) -> tuple[Series, ...]:
    names = activated(snapshot.deployment.error_message)
    if not names:
        return ()
    found = aws.client("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"]
    return tuple(one for raw in found if (one := _one_series(aws, snapshot, raw)))


def _one_series(aws: Aws, snapshot: Snapshot, raw: Attrs) -> Series | None:
    """Return what one alarm compared, None where it had nothing to compare."""
    queries = raw.get("Metrics") or [_query(raw)]
    period = timedelta(seconds=_period(raw))
    end = (snapshot.deployment.completed or snapshot.at) + 2 * period
    begin = max(snapshot.deployment.created - _BEFORE * period, end - _MOST_PERIODS * period)
    answer = aws.client("cloudwatch").get_metric_data(
        MetricDataQueries=queries,
        StartTime=_whole(begin, period),
        EndTime=_whole(end, period) + period,
        ScanBy="TimestampAscending",
    )
    told = next((result for result in answer["MetricDataResults"] if result["Values"]), None)
    if told is None:
        return None
    alarm = parse.alarm(raw)
    moments = (parse.utc(moment) or moment for moment in told["Timestamps"])
    points = tuple(zip(moments, told["Values"], strict=True))
    return Series(alarm.name, points, period, alarm.operator, alarm.limit)


def _query(raw: Attrs) -> Attrs:
    """An alarm on one metric names it itself, one on several has queries of its own."""
    metric = {name: raw[name] for name in ("Namespace", "MetricName", "Dimensions") if name in raw}
    stat = raw.get("ExtendedStatistic") or raw.get("Statistic", "Average")
    return {"Id": "compared", "MetricStat": {"Metric": metric, "Period": _period(raw), "Stat": stat}}


def _period(raw: Attrs) -> int:
    periods = [raw.get("Period"), *(_of_query(query) for query in raw.get("Metrics") or ())]
    return int(next((period for period in periods if period), 60))


def _of_query(query: Attrs) -> int | None:
    found: int | None = query.get("Period") or query.get("MetricStat", {}).get("Period")
    return found


def _whole(moment: datetime, period: timedelta) -> datetime:
    """Return the beginning of the period that a moment lies in."""
    into = moment.timestamp() % period.total_seconds()
    return moment - timedelta(seconds=into)
