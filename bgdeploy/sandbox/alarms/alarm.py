"""A metric alarm: what it watches, how it is described, and what CloudWatch would not take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bgdeploy.sandbox.alarms.evaluate import COMPARISONS, MISSING, Rule
from bgdeploy.sandbox.alarms.formulas import Formula, formula
from bgdeploy.sandbox.alarms.metrics import Key, Metrics, key, rank
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
_MOST_METRICS = 10  # of one alarm (PutMetricAlarm, in its API reference)
_STATISTICS = {"SampleCount", "Average", "Sum", "Minimum", "Maximum"}


@dataclass(frozen=True)
class Watched:
    """The statistic of a metric that an alarm watches."""

    metric: Key
    period: int  # AWS seconds
    statistic: str
    unit: str | None

    def at(self, metrics: Metrics, start: int) -> float | None:
        """Return the statistic of the period that begins with the second `start`, None when nothing was measured."""
        samples = metrics.period(self.metric, start, self.period, self.unit)
        return samples.statistic(self.statistic) if samples else None


@dataclass(frozen=True)
class Queries:
    """What an alarm that was put with `Metrics` looks at, by id, and which of it it compares."""

    watched: Mapping[str, Watched]
    formulas: Mapping[str, Formula]
    compared: str

    def at(self, metrics: Metrics, start: int) -> float | None:
        """Return what is compared, for the period that begins with the second `start`; None when it has no value."""

        def value(name: str) -> float | None:
            if name in self.watched:
                return self.watched[name].at(metrics, start)
            return self.formulas[name].at(value)

        return value(self.compared)


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
    def watched(self) -> Watched | None:
        """The one metric that it watches, None when it watches an expression."""
        queries = self.params.get("Metrics")
        if queries and (len(queries) > 1 or "MetricStat" not in queries[0]):
            return None
        if queries:
            return _stat(self.region, queries[0])
        params = self.params
        statistic = params.get("Statistic") or params["ExtendedStatistic"]
        return _watched(self.region, params, params["Period"], statistic, params.get("Unit"))

    @property
    def period(self) -> int:
        """The length of what it evaluates, in AWS seconds."""
        return _period(self.params)

    def value(self, metrics: Metrics, start: int) -> float | None:
        """Return what it compares, for the period that begins with the second `start`; None when it has no value."""
        return (self.watched or _queries(self.region, self.params["Metrics"])).at(metrics, start)

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


def _stat(region: str, query: Mapping[str, Any]) -> Watched:
    stat = query["MetricStat"]
    return _watched(region, stat["Metric"], stat["Period"], stat["Stat"], stat.get("Unit"))


def _queries(region: str, queries: Sequence[Mapping[str, Any]]) -> Queries:
    return Queries(
        {query["Id"]: _stat(region, query) for query in queries if "MetricStat" in query},
        {query["Id"]: formula(query["Expression"]) for query in queries if "Expression" in query},
        next(query["Id"] for query in queries if query.get("ReturnData", True)),
    )


def _period(params: Mapping[str, Any]) -> int:
    stats = (query["MetricStat"] for query in params.get("Metrics", ()) if "MetricStat" in query)
    return next((int(stat["Period"]) for stat in stats), 0) or int(params["Period"])


def check_alarm(params: Mapping[str, Any]) -> None:
    """Refuse what CloudWatch refuses, and by name what the sandbox cannot evaluate. Raises RefusedError."""
    if params["ComparisonOperator"] not in COMPARISONS or "ThresholdMetricId" in params:
        raise RefusedError("ValidationError", "the sandbox evaluates static thresholds, no anomaly detection")
    if "Threshold" not in params:
        raise RefusedError("MissingParameter", "The parameter Threshold is required.")
    if params.get("TreatMissingData", "missing") not in MISSING:
        text = f"Option {params['TreatMissingData']} for parameter TreatMissingData is not supported."
        raise RefusedError("InvalidParameterValue", text)
    for statistic in _check_queries(params) if params.get("Metrics") else _check_metric(params):
        if statistic not in _STATISTICS:
            check_percentile(statistic)
    _check_periods(params, _period(params))


def check_percentile(name: str) -> None:
    """Refuse a statistic that is neither one of the five nor a percentile. Raises RefusedError."""
    try:
        rank(name)
    except ValueError as error:
        raise RefusedError("InvalidParameterValue", str(error)) from None


def _check_queries(params: Mapping[str, Any]) -> list[str]:
    """Refuse queries that no alarm can watch, and return the statistics that they name."""
    if any(
        name in params for name in ("MetricName", "Namespace", "Period", "Statistic", "ExtendedStatistic")
    ):
        text = "An alarm is put either with Metrics or with a metric's own parameters."
        raise RefusedError("InvalidParameterCombination", text)
    queries = params["Metrics"]
    stats = [query["MetricStat"] for query in queries if "MetricStat" in query]
    if not stats or len(stats) > _MOST_METRICS:
        raise RefusedError("ValidationError", f"An alarm watches 1 to {_MOST_METRICS} metrics.")
    if sum(query.get("ReturnData", True) for query in queries) != 1:
        raise RefusedError("ValidationError", "Exactly one element of the metrics list should return data.")
    if len({stat["Period"] for stat in stats}) > 1:
        raise RefusedError("ValidationError", "the sandbox evaluates metrics of one and the same period only")
    _check_formulas({query["Id"]: query.get("Expression") for query in queries})
    return [str(stat["Stat"]) for stat in stats]


def _check_formulas(expressions: Mapping[str, str | None]) -> None:
    """Refuse an expression that cannot be evaluated, or that names what none before it is called."""
    known: set[str] = {name for name, text in expressions.items() if text is None}
    for name, text in expressions.items():
        if text is None:
            continue
        try:
            unknown = sorted(set(formula(text).ids) - known)
        except ValueError as error:
            raise RefusedError("ValidationError", str(error)) from None
        if unknown:
            raise RefusedError(
                "ValidationError", f"The expression {name} uses {', '.join(unknown)}: unknown."
            )
        known.add(name)


def _check_metric(params: Mapping[str, Any]) -> list[str]:
    for name in ("MetricName", "Namespace", "Period"):
        if name not in params:
            raise RefusedError("MissingParameter", f"The parameter {name} is required.")
    if ("Statistic" in params) == ("ExtendedStatistic" in params):
        text = "Exactly one of Statistic and ExtendedStatistic must be specified."
        raise RefusedError("InvalidParameterCombination", text)
    return [str(params.get("Statistic") or params["ExtendedStatistic"])]


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
