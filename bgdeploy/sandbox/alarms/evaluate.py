"""When an alarm goes off: CloudWatch's rules, as functions of values (aws-facts 9.3)."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

Point = tuple[datetime, float]  # the beginning of a period, and its statistic

COMPARISONS: Mapping[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
    "LessThanThreshold": (operator.lt, "less than"),
}
MISSING = ("missing", "ignore", "breaching", "notBreaching")


@dataclass(frozen=True)
class Rule:
    """What an alarm compares, and how often it must be so."""

    comparison: str
    threshold: float
    periods: int  # EvaluationPeriods
    needed: int  # DatapointsToAlarm
    missing: str  # TreatMissingData

    def breached(self, value: float) -> bool:
        return COMPARISONS[self.comparison][0](value, self.threshold)


@dataclass(frozen=True)
class Verdict:
    """What an evaluation found: a state, why, and the points it was found in (newest first)."""

    state: str
    reason: str = ""  # nothing when the state is only kept
    points: tuple[Point, ...] = ()


def evaluation_range(periods: int, length: int) -> int:
    """Return how many periods an alarm looks at to find as many values as it evaluates.

    CloudWatch retrieves more periods than it evaluates, so that late points still count, and evaluates the newest that
    have a value. Therefore an alarm on a metric that is published only when something is wrong stays in ALARM for
    about six minutes after a single point (aws-facts 9.3); how many more it retrieves is not documented.
    """
    return periods + (5 if length <= 60 else 2)


def evaluate(rule: Rule, newest_first: Sequence[tuple[datetime, float | None]], before: str) -> Verdict:
    """Return an alarm's state from the periods of its evaluation range, None where a period has no value.

    `before` is the state it is in.
    """
    known = [(at, value) for at, value in newest_first if value is not None][: rule.periods]
    breaching = [point for point in known if rule.breached(point[1])]
    absent = rule.periods - len(known)
    state = _state(rule, newest_first, known, breaching, before)
    if state == before and rule.missing in {"missing", "ignore"} and absent:
        return Verdict(before)
    if state == "INSUFFICIENT_DATA":
        return Verdict(state, f"Insufficient Data: {_count(absent, 'datapoint')} were unknown.")
    told = [point for point in known if (point in breaching) == (state == "ALARM")]
    return Verdict(state, _reason(rule, state, told, absent), tuple(known))


def _state(
    rule: Rule,
    newest_first: Sequence[tuple[datetime, float | None]],
    known: Sequence[Point],
    breaching: Sequence[Point],
    before: str,
) -> str:
    absent = rule.periods - len(known)
    if len(breaching) + (absent if rule.missing == "breaching" else 0) >= rule.needed:
        return "ALARM"
    if not absent or rule.missing in {"breaching", "notBreaching"} or len(known) > len(breaching):
        return "OK"  # a single good value keeps missing ones from deciding
    if not known:
        return "INSUFFICIENT_DATA" if rule.missing == "missing" else before
    # Nothing but bad values and gaps. The oldest bad one decides alone once it is as old as DatapointsToAlarm:
    # "- - X - -" is an alarm of 3 out of 3 ("avoiding premature transitions" in CloudWatch's guide).
    oldest = max(age for age, (_, value) in enumerate(newest_first, start=1) if value is not None)
    return "ALARM" if rule.missing == "missing" and oldest >= rule.needed else before


def _reason(rule: Rule, state: str, told: Sequence[Point], absent: int) -> str:
    """Say it as CloudWatch does; `told` are the points that speak for the state."""
    alarm = state == "ALARM"
    clauses = [_told(rule, told, alarm)] if told else []
    if absent == rule.periods:
        clauses = [f"no datapoints were received for {_count(rule.periods, 'period')}"]
    if absent and rule.missing in {"breaching", "notBreaching"}:
        was, treated = "was" if absent == 1 else "were", rule.missing[0].upper() + rule.missing[1:]
        treated = "NonBreaching" if treated == "NotBreaching" else treated
        clauses.append(f"{_count(absent, 'missing datapoint')} {was} treated as [{treated}]")
    if absent == rule.periods:
        return f"Threshold Crossed: {' and '.join(clauses)}."
    needed = rule.needed if alarm else rule.periods - rule.needed + 1
    moved = "OK -> ALARM" if alarm else "ALARM -> OK"
    return f"Threshold Crossed: {' and '.join(clauses)} (minimum {_count(needed, 'datapoint')} for {moved} transition)."


def _told(rule: Rule, told: Sequence[Point], alarm: bool) -> str:
    points = ", ".join(f"{value} ({at.astimezone(timezone.utc):%d/%m/%y %H:%M:%S})" for at, value in told)
    was = ("was" if len(told) == 1 else "were") + ("" if alarm else " not")
    words = COMPARISONS[rule.comparison][1]
    return (
        f"{len(told)} out of the last {rule.periods} datapoints [{points}] {was} {words} the threshold "
        f"({rule.threshold})"
    )


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
