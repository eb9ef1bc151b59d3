"""A metric alarm: what it watches, how it is described, and what CloudWatch would not take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bgdeploy.sandbox.alarms.evaluate import COMPARISONS, MISSING, Rule
from bgdeploy.sandbox.alarms.metrics import Key, key, rank
from bgdeploy.sandbox.world import ACCOUNT, RefusedError

# What DescribeAlarms does not give back as it was put.
_NOT_TOLD = {"Tags"}
_DEFAULTS: Mapping[str, Any] = {
    "ActionsEnabled": True,
    "OKActions": [],
    "AlarmActions": [],
    "InsufficientDataActions": [],
    "Dimensions": [],
}
_STATISTICS = {"SampleCount", "Average", "Sum", "Minimum", "Maximum"}


@dataclass(frozen=True)
class Watched:
    """The statistic of a metric that an alarm watches."""

    metric: Key
    period: int  # AWS seconds
    statistic: str
    unit: str | None


@dataclass
class Alarm:
    """A metric alarm."""

    region: str
    params: Mapping[str, Any]
    configured: datetime
    updated: datetime
    state: str = "INSUFFICIENT_DATA"  # what every alarm is born as (aws-facts 9.3)
    reason: str = "Unchecked: Initial alarm creation"
    data: str = ""
    moved: datetime | None = None
    tags: dict[str, str] = field(default_factory=dict)
    turn: int = 0  # the evaluation it has had

    @property
    def name(self) -> str:
        return str(self.params["AlarmName"])

    @property
    def arn(self) -> str:
        return f"arn:aws:cloudwatch:{self.region}:{ACCOUNT}:alarm:{self.name}"

    @property
    def watched(self) -> Watched:
        stat = _metric_stat(self.params)
        if stat is not None:
            return _watched(self.region, stat["Metric"], stat["Period"], stat["Stat"], stat.get("Unit"))
        params = self.params
        statistic = params.get("Statistic") or params["ExtendedStatistic"]
        return _watched(self.region, params, params["Period"], statistic, params.get("Unit"))

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
        """Return it as DescribeAlarms does."""
        told = {name: value for name, value in self.params.items() if name not in _NOT_TOLD}
        return {
            **_DEFAULTS,
            **told,
            "AlarmArn": self.arn,
            "AlarmConfigurationUpdatedTimestamp": self.configured,
            "StateValue": self.state,
            "StateReason": self.reason,
            **({"StateReasonData": self.data} if self.data else {}),
            "StateUpdatedTimestamp": self.updated,
            "StateTransitionedTimestamp": self.moved or self.updated,
        }

    def snapshot(self) -> dict[str, Any]:
        """Return its state as the history tells it."""
        return {"stateValue": self.state, "stateReason": self.reason}


def _watched(
    region: str, metric: Mapping[str, Any], period: int, statistic: str, unit: str | None
) -> Watched:
    of = key(region, metric["Namespace"], metric["MetricName"], metric.get("Dimensions", []))
    return Watched(of, int(period), statistic, unit)


def _metric_stat(params: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the one metric of an alarm that was put with `Metrics`, None for one that was put the simple way."""
    queries = params.get("Metrics")
    return queries[0]["MetricStat"] if queries else None


def check_alarm(params: Mapping[str, Any]) -> None:
    """Refuse what CloudWatch refuses, and by name what the sandbox cannot evaluate. Raises RefusedError."""
    if params["ComparisonOperator"] not in COMPARISONS or "ThresholdMetricId" in params:
        raise RefusedError("ValidationError", "the sandbox evaluates static thresholds, no anomaly detection")
    if "Threshold" not in params:
        raise RefusedError("MissingParameter", "The parameter Threshold is required.")
    if params.get("TreatMissingData", "missing") not in MISSING:
        text = f"Option {params['TreatMissingData']} for parameter TreatMissingData is not supported."
        raise RefusedError("InvalidParameterValue", text)
    if params.get("Metrics"):
        period, statistic = _check_queries(params)
    else:
        period, statistic = _check_metric(params)
    if statistic not in _STATISTICS:
        check_percentile(statistic)
    _check_periods(params, period)


def check_percentile(name: str) -> None:
    """Refuse a statistic that is neither one of the five nor a percentile. Raises RefusedError."""
    try:
        rank(name)
    except ValueError as error:
        raise RefusedError("InvalidParameterValue", str(error)) from None


def _check_queries(params: Mapping[str, Any]) -> tuple[int, str]:
    if any(
        name in params for name in ("MetricName", "Namespace", "Period", "Statistic", "ExtendedStatistic")
    ):
        text = "An alarm is put either with Metrics or with a metric's own parameters."
        raise RefusedError("InvalidParameterCombination", text)
    if len(params["Metrics"]) != 1 or "MetricStat" not in params["Metrics"][0]:
        text = "the sandbox evaluates alarms on one metric only: a single MetricStat, no metric math"
        raise RefusedError("ValidationError", text)
    stat = params["Metrics"][0]["MetricStat"]
    return int(stat["Period"]), str(stat["Stat"])


def _check_metric(params: Mapping[str, Any]) -> tuple[int, str]:
    for name in ("MetricName", "Namespace", "Period"):
        if name not in params:
            raise RefusedError("MissingParameter", f"The parameter {name} is required.")
    if ("Statistic" in params) == ("ExtendedStatistic" in params):
        text = "Exactly one of Statistic and ExtendedStatistic must be specified."
        raise RefusedError("InvalidParameterCombination", text)
    return int(params["Period"]), str(params.get("Statistic") or params["ExtendedStatistic"])


def _check_periods(params: Mapping[str, Any], period: int) -> None:
    periods = params["EvaluationPeriods"]
    if period not in (10, 20, 30) and (period % 60 or period <= 0):
        raise RefusedError(
            "InvalidParameterValue", "The parameter Period must be 10, 20, 30, or a multiple of 60."
        )
    if periods < 1 or period * periods > 86_400:
        text = (
            "Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400)."
        )
        raise RefusedError("ValidationError", text)
    if not 1 <= params.get("DatapointsToAlarm", 1) <= periods:
        text = "The parameter DatapointsToAlarm must be less than or equal to EvaluationPeriods."
        raise RefusedError("ValidationError", text)
