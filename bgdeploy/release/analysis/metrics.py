"""Reads the newest value of a CloudWatch metric of green's target group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bgdeploy.aws import Aws
from bgdeploy.checktypes import RawMetric
from bgdeploy.release.snapshot import Snapshot

_NAMESPACE = "AWS/ApplicationELB"
_PERIOD = timedelta(minutes=1)
# A load balancer's minute is there a minute or two after it is over; what is older than this says nothing of now.
_OLDEST = timedelta(minutes=5)

# name → the metric, its statistic, and the metric that it is a part of.
_NAMED = {
    "target_5xx_rate": ("HTTPCode_Target_5XX_Count", "Sum", "RequestCount"),
    "target_4xx_rate": ("HTTPCode_Target_4XX_Count", "Sum", "RequestCount"),
    "request_count": ("RequestCount", "Sum", ""),
    "latency p50": ("TargetResponseTime", "p50", ""),
    "latency p90": ("TargetResponseTime", "p90", ""),
    "latency p95": ("TargetResponseTime", "p95", ""),
    "latency p99": ("TargetResponseTime", "p99", ""),
    "latency average": ("TargetResponseTime", "Average", ""),
}


@dataclass(frozen=True)
class Metrics:
    """The metrics of one target group."""

    aws: Aws
    dimensions: Mapping[str, str]

    @classmethod
    def of_green(cls, aws: Aws, snapshot: Snapshot) -> Metrics:
        """Return those of the target group that green's tasks answer in."""
        green, target = snapshot.side("green"), snapshot.target
        arn = target.target_groups.get(green.target_group, "") if green else ""
        # arn:…:listener/app/NAME/ID/LISTENER belongs to the load balancer app/NAME/ID.
        balancer = target.production_listener.partition(":listener/")[2].rpartition("/")[0]
        return cls(aws, {"TargetGroup": arn.rpartition(":")[2], "LoadBalancer": balancer})

    def read(self, metric: str | RawMetric, since: datetime, now: datetime) -> float | None:
        """Return the metric's value in the newest whole minute that has one and began after `since`, else None."""
        named, statistic, whole = _NAMED[metric] if isinstance(metric, str) else ("", "", "")
        if isinstance(metric, RawMetric):
            queries = [_query("value", metric.namespace, metric.name, metric.statistic, self._of(metric))]
        else:
            queries = [_query("value", _NAMESPACE, named, statistic, self.dimensions)]
        if whole:
            queries.append(_query("whole", _NAMESPACE, whole, "Sum", self.dimensions))
        series = self._series(queries, max(since, now - _OLDEST), now)
        if not whole:
            return next(iter(series["value"].values()), None)
        # A count is only there in minutes in which something was counted.
        return next((series["value"].get(at, 0.0) / of for at, of in series["whole"].items() if of), None)

    def _of(self, metric: RawMetric) -> Mapping[str, str]:
        return metric.dimensions or (self.dimensions if metric.namespace == _NAMESPACE else {})

    def _series(
        self, queries: list[dict[str, Any]], since: datetime, now: datetime
    ) -> dict[str, dict[datetime, float]]:
        """Return the values of whole minutes by the moment they began, the newest first."""
        begin, end = _minute(since + _PERIOD), _minute(now)
        if begin >= end:
            return {query["Id"]: {} for query in queries}
        told = self.aws.client("cloudwatch").get_metric_data(
            MetricDataQueries=queries, StartTime=begin, EndTime=end, ScanBy="TimestampDescending"
        )
        return {
            result["Id"]: dict(zip(result["Timestamps"], result["Values"], strict=True))
            for result in told["MetricDataResults"]
        }


def _query(ident: str, namespace: str, name: str, statistic: str, of: Mapping[str, str]) -> dict[str, Any]:
    dimensions = [{"Name": key, "Value": value} for key, value in of.items()]
    metric = {"Namespace": namespace, "MetricName": name, "Dimensions": dimensions}
    stat = {"Metric": metric, "Period": int(_PERIOD.total_seconds()), "Stat": statistic}
    return {"Id": ident, "MetricStat": stat}


def _minute(moment: datetime) -> datetime:
    """Return the minute that a moment lies in."""
    return moment.replace(second=0, microsecond=0)
