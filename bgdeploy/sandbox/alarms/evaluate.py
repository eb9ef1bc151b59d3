"""When an alarm goes off: CloudWatch's rules, as functions of values (aws-facts 9.3)."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

_COMPARE: Mapping[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
    "LessThanThreshold": (operator.lt, "less than"),
}


@dataclass(frozen=True)
class Rule:
    """What an alarm compares, and how often it must be so."""

    comparison: str
    threshold: float
    periods: int  # EvaluationPeriods
    needed: int  # DatapointsToAlarm
    missing: str  # TreatMissingData


@dataclass(frozen=True)
class Verdict:
    """What an evaluation found: a state, why, and the values it was found in (newest first)."""

    state: str
    reason: str
    values: tuple[float, ...] = ()


def statistic(name: str, values: Sequence[float]) -> float:
    """Return one statistic of the values of a period. Raises ValueError for one that CloudWatch does not know."""
    simple: Mapping[str, Callable[[Sequence[float]], float]] = {
        "Sum": sum,
        "Average": lambda v: sum(v) / len(v),
        "Maximum": max,
        "Minimum": min,
        "SampleCount": len,
    }
    if name in simple:
        return float(simple[name](values))
    percentile = re.fullmatch(r"p(\d{1,2}(?:\.\d+)?|100)", name)
    if not percentile:
        raise ValueError(f"The value {name} for parameter Statistic is not supported.")
    rank = math.ceil(float(percentile.group(1)) / 100 * len(values))
    return float(sorted(values)[max(rank, 1) - 1])


def evaluate(rule: Rule, newest_first: Sequence[tuple[datetime, float | None]], before: str) -> Verdict:
    """Return an alarm's state from its periods' values, None where a period has none.

    `newest_first` is the evaluation range. Missing values are filled in as the alarm asks for it: notBreaching and
    breaching count as such, `ignore` keeps the state where nothing is known, `missing` falls to INSUFFICIENT_DATA when
    everything is missing.
    """
    window = newest_first[: rule.periods]
    known = [(at, value) for at, value in window if value is not None]
    breaching = [(at, value) for at, value in known if _COMPARE[rule.comparison][0](value, rule.threshold)]
    absent = len(window) - len(known)
    if not known and rule.missing in {"missing", "ignore"}:
        if rule.missing == "ignore":
            return Verdict(before, "Unchecked: no datapoints were received")
        return Verdict("INSUFFICIENT_DATA", f"Insufficient Data: {_count(absent, 'datapoint')} were unknown.")
    count = len(breaching) + (absent if rule.missing == "breaching" else 0)
    state = "ALARM" if count >= rule.needed else "OK"
    return Verdict(state, _reason(rule, state, known, breaching), tuple(value for _, value in known))


def _reason(
    rule: Rule, state: str, known: Sequence[tuple[datetime, float]], breaching: Sequence[object]
) -> str:
    if not known:
        treated = "Breaching" if rule.missing == "breaching" else "NonBreaching"
        verb = "was" if rule.periods == 1 else "were"
        return (
            f"Threshold Crossed: no datapoints were received for {_count(rule.periods, 'period')} and "
            f"{_count(rule.periods, 'missing datapoint')} {verb} treated as [{treated}]."
        )
    told = known if state == "OK" else breaching
    points = ", ".join(f"{value} ({at.astimezone(timezone.utc):%d/%m/%y %H:%M:%S})" for at, value in known)
    words = _COMPARE[rule.comparison][1]
    was = "was" if len(told) == 1 else "were"
    negation = "not " if state == "OK" else ""
    moved = "ALARM -> OK" if state == "OK" else "OK -> ALARM"
    needed = rule.periods - rule.needed + 1 if state == "OK" else rule.needed
    return (
        f"Threshold Crossed: {len(told)} out of the last {_count(rule.periods, 'datapoint')} [{points}] {was} "
        f"{negation}{words} the threshold ({rule.threshold}) (minimum {_count(needed, 'datapoint')} for {moved} "
        "transition)."
    )


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
