"""What loads, comparisons, metrics and commands are worth to the checks that ask for them. Pure.

Each verdict tells what was measured, the operator and the limit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bgdeploy.checktypes import Check, RawMetric
from bgdeploy.counting import counted
from bgdeploy.quantities import Comparison, Limit, latency
from bgdeploy.release.analysis import expectations
from bgdeploy.release.analysis.expectations import Answer
from bgdeploy.release.analysis.samples import Samples, collected
from bgdeploy.release.analysis.tally import Verdict
from bgdeploy.release.checks import Measurement

_SUCCESS = Limit.parse("99%")  # of a load that does not say
_TOLERANCE = Limit.parse("5ms")  # of a comparison that does not say
_EXITS: Mapping[int, Verdict] = {0: "pass", 2: "inconclusive"}  # of a command; any other one fails


def wanted(check: Check) -> str:
    """Return what a check expects, in words."""
    if check.kind == "get":
        return expectations.wanted(check)
    if check.compare:
        return f"{check.compare.percentile} <= {check.compare.factor:g} x blue's, the same statuses"
    if check.kind == "command":
        return "exit 0"
    return ", ".join(f"{name} {sign} {limit.shown}" for name, sign, limit in limited(check))


def limited(check: Check) -> Iterator[tuple[str, str, Limit]]:
    """Yield what a load or a metric is limited to: the name of what is measured, the operator, the limit."""
    if check.load:
        yield "success", ">=", check.success or _SUCCESS
        named = {"p50": check.p50, "p95": check.p95, "p99": check.p99}
        yield from ((name, "<=", limit) for name, limit in named.items() if limit is not None)
    if check.metric:
        both = {"<=": check.below, ">=": check.above}
        yield from ((label(check.metric), sign, limit) for sign, limit in both.items() if limit is not None)


def label(metric: str | RawMetric) -> str:
    """Return what a metric is called."""
    return metric if isinstance(metric, str) else f"{metric.name} {metric.statistic}"


@dataclass(frozen=True)
class _Told:
    """One limit, and what was measured."""

    text: str
    kept: bool


def _compared(check: Check, values: Mapping[str, float]) -> list[_Told]:
    found = []
    for name, sign, limit in limited(check):
        if (value := values.get(name)) is None:  # no answer, no percentile: the success tells
            continue
        kept = value <= limit if sign == "<=" else value >= limit
        operator = sign if kept else {"<=": ">", ">=": "<"}[sign]
        found.append(_Told(f"{name} {limit.show(value)} {operator} {limit.shown}", kept))
    return found


def judge_load(check: Check, samples: Samples, seconds: float) -> Measurement:
    """Return what the answers to a load of `seconds` are worth."""
    values = {
        "requests": float(samples.requests),
        "rate": samples.requests / seconds if seconds else 0.0,
        "success": samples.share(check.status),
        **samples.percentiles(),
    }
    if samples.unreached == samples.requests:
        return nothing(check, samples.others(check.status) or "nothing was sent", reached=False)
    compared = _compared(check, values)
    sent = f"{counted(samples.requests, 'request')}, {values['rate']:.3g}/s"
    if all(told.kept for told in compared):
        return Measurement("pass", "", f"{_joined(compared)} ({sent})", values)
    instead = samples.others(check.status)
    got = _joined([told for told in compared if not told.kept])
    return Measurement("fail", "", f"{got} ({'; '.join(part for part in (sent, instead) if part)})", values)


def _joined(compared: Sequence[_Told]) -> str:
    return ", ".join(told.text for told in compared)


def nothing(check: Check, why: str, *, reached: bool = True) -> Measurement:
    """Return the measurement that found nothing to measure; not being let in is no answer of the application's."""
    verdict = check.no_data if reached else "fail"
    return Measurement(verdict, "", f"no data: {why}", reached=reached)


@dataclass(frozen=True)
class Pair:
    """The same request to blue and to green."""

    blue: Answer
    green: Answer


def judge_comparison(check: Check, pairs: Sequence[Pair]) -> Measurement:
    """Return what green's answers are worth beside blue's."""
    comparison = check.compare or Comparison.parse("p95 1x")
    blue = collected(pair.blue.seconds for pair in pairs if pair.blue.status)
    green = collected(pair.green.seconds for pair in pairs if pair.green.status)
    if not blue.answers:
        return nothing(check, f"blue: {pairs[0].blue.error if pairs else 'not asked'}")
    if not green.answers:
        reached = any(pair.green.reached for pair in pairs)
        return nothing(check, f"green: {pairs[0].green.error}", reached=reached)
    part = int(comparison.percentile.removeprefix("p")) / 100
    theirs, ours = blue.percentile(part), green.percentile(part)
    values = {"blue": theirs, "green": ours, "ratio": ours / theirs if theirs else 1.0}
    if different := _different(pairs):
        return Measurement("fail", "", different, values)
    tolerance = check.tolerance or _TOLERANCE
    limit = Limit.of(max(comparison.factor * theirs, theirs + tolerance), "s")
    kept = ours <= limit
    blues = f"blue's {latency(theirs)}"
    how = f"{comparison.factor:g} x {blues}" if limit > theirs + tolerance else f"{blues} + {tolerance.shown}"
    got = f"{comparison.percentile} {limit.show(ours)} {'<=' if kept else '>'} {limit.shown} ({how})"
    return Measurement("pass" if kept else "fail", "", got, values)


def _different(pairs: Sequence[Pair]) -> str:
    """Return how often green answered another status than blue, and which, "" when it never did."""
    found = Counter(
        f"{_said(pair.green)} instead of {_said(pair.blue)}"
        for pair in pairs
        if pair.blue.status != pair.green.status
    )
    if not found:
        return ""
    which = ", ".join(change for change, _ in found.most_common(3))
    return f"{found.total()} of {len(pairs)} answers have another status than blue's: {which}"


def _said(answer: Answer) -> str:
    return str(answer.status or answer.error)


def judge_metric(check: Check, value: float | None) -> Measurement:
    """Return what a metric's newest value is worth, None standing for no value."""
    if value is None:
        return nothing(check, "the metric has no value yet")
    compared = _compared(check, {label(check.metric or ""): value})
    broken = [told for told in compared if not told.kept]
    return Measurement("fail" if broken else "pass", "", _joined(broken or compared), {"value": value})


@dataclass(frozen=True)
class Finished:
    """How a command ended: its exit status, minus a signal's number, or None when its time was over."""

    status: int | None
    output: tuple[str, ...] = ()  # its last lines


def judge_command(finished: Finished, limit: float) -> Measurement:
    """Return what a command that may run for `limit` seconds says by its exit status."""
    verdict: Verdict = "fail"
    if finished.status is None:
        got = f"it did not end within {limit:g} s"
    elif finished.status < 0:
        got = f"it was killed by signal {-finished.status}"
    else:
        got, verdict = f"exit {finished.status}", _EXITS.get(finished.status, "fail")
    last = finished.output[-1] if finished.output and verdict != "pass" else ""
    wanted = "" if verdict == "pass" else "exit 0"
    return Measurement(verdict, wanted, f"{got}: {last}" if last else got, output=finished.output)
