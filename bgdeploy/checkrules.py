"""What a check's types cannot say: which keys belong together, in which units, at which moment. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import structs

from bgdeploy.checktypes import Check, RawMetric
from bgdeploy.quantities import Limit

Broken = tuple[tuple["str | int", ...], str]

KINDS = ("get", "load", "compare", "command", "metric")
# The metrics of green's target group that have names of their own, and the unit of each.
METRICS = {
    "target_5xx_rate": "%",
    "target_4xx_rate": "%",
    "request_count": "",
    "latency p50": "s",
    "latency p90": "s",
    "latency p95": "s",
    "latency p99": "s",
    "latency average": "s",
}
_COMMON = {"name", "when", "mode", "interval", "count", "failure_limit", "consecutive_success"}
_KEYS = {
    "get": {
        "get",
        "status",
        "contains",
        "matches",
        "json",
        "header",
        "below",
        "timeout",
        "within",
        "no_data",
    },
    "load": {"load", "get", "status", "success", "p50", "p95", "p99", "timeout", "no_data"},
    "compare": {"compare", "get", "samples", "tolerance", "timeout", "no_data"},
    "command": {"command", "within"},
    "metric": {"metric", "below", "above", "no_data"},
}
_UNITS = {"success": "%", "p50": "s", "p95": "s", "p99": "s", "tolerance": "s"}
_EXAMPLES = {"s": "a response time such as 200ms", "%": "a share such as 1%", "": "a plain number"}
_PLACEHOLDER = re.compile(r"(?<!\$)\{(\w+)\}")  # not the shell's ${word}
_MEMBERS = {"Version", "VERSION", "versions"}  # that a command may ask for, as `jq '{versions}'` does
_MOST_REQUESTS = 2000  # a second: more than one process can send and still measure honestly
_LONGEST = 50 * 60  # seconds: the hook holds a deployment for an hour at most (aws-facts 1.5)


def broken_check_rules(checks: tuple[Check, ...]) -> Iterator[Broken]:
    """Yield the key path of everything that cannot be meant, and a sentence that says why and what would do."""
    known: set[str] = set()
    for index, check in enumerate(checks):
        if check.name in known:
            yield ("checks", index, "name"), f"two checks are called {check.name!r}"
        known.add(check.name)
        for key, text in _wrong(check):
            yield ("checks", index, *([key] if key else [])), text
        for path, text in _misspelt(check):
            yield ("checks", index, *path), text


def _wrong(check: Check) -> Iterator[tuple[str, str]]:
    asked = [kind for kind in KINDS[1:] if getattr(check, kind) is not None]
    if len(asked) > 1:
        yield "", f"asks for {' and '.join(asked)} at once: a check has one of them"
        return
    if not asked and check.get is None:
        yield "", f"must have one of {', '.join(KINDS)}"
        return
    if not check.name.strip():
        yield "name", "must not be empty: it says which check has failed"
    yield from _foreign(check)
    yield from _answer(check)
    yield from _limits(check)
    yield from _moment(check)
    yield from _repeated(check)


def _foreign(check: Check) -> Iterator[tuple[str, str]]:
    """Keys that a check of this kind has no use for."""
    known = _COMMON | _KEYS[check.kind]
    defaults = Check(name="")
    for key in structs.asdict(check):
        if key not in known and getattr(check, key) != getattr(defaults, key):
            yield (
                key,
                f"means nothing to a {check.kind} check: it knows {', '.join(sorted(_KEYS[check.kind]))}",
            )


def _answer(check: Check) -> Iterator[tuple[str, str]]:
    if not 100 <= check.status <= 599:
        yield "status", "must be an HTTP status, 100 to 599"
    if check.matches is not None:
        try:
            re.compile(check.matches.replace("{version}", "v1"))
        except re.error as error:
            yield "matches", f"is no regular expression: {error}"
    if check.command is not None and not check.command.strip():
        yield "command", "must not be empty: nothing always passes"
    if check.timeout < 1:
        yield "timeout", "must be at least 1s"
    if check.load and not 0 < check.load.rate <= _MOST_REQUESTS:
        yield "load", f"must be more than 0 and at most {_MOST_REQUESTS} per second"
    if check.load and not 1 <= check.load.lasts <= _LONGEST:
        yield "load", "must last between 1s and 50m"


def _misspelt(check: Check) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the key path of every text in which `{version}` is written wrong. Other words may be the application's."""
    for path, text in _filled(check):
        allowed = {"version", *(_MEMBERS if path == ("command",) else ())}
        for word in dict.fromkeys(_PLACEHOLDER.findall(text)):
            if word not in allowed and is_slip(word, "version"):
                yield (
                    path,
                    f"check {check.name!r} holds {{{word}}}, which nothing replaces: "
                    "the version that is released is written {version}",
                )


def _filled(check: Check) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the texts of a check in which `{version}` is replaced, each with its key path."""
    for key in ("get", "contains", "matches", "command"):
        if text := getattr(check, key):
            yield (key,), text
    yield from ((("json", name), value) for name, value in check.json.items() if isinstance(value, str))
    yield from ((("header", name), value) for name, value in check.header.items())
    if isinstance(check.metric, RawMetric):
        for name, value in check.metric.dimensions.items():
            yield ("metric", "dimensions", name), value


def is_slip(word: str, meant: str) -> bool:
    """Tell whether `word` is `meant` but for capitals and one slip: a letter too many, too few, wrong, or two swapped.

    A ratio of difflib's takes `person` and `session` for `version`.
    """
    word = word.lower()
    begins = _shared(word, meant)
    word, meant = word[begins:], meant[begins:]
    ends = _shared(word[::-1], meant[::-1])
    word, meant = word[: len(word) - ends], meant[: len(meant) - ends]
    return max(len(word), len(meant)) <= 1 or (len(word) == 2 and word == meant[::-1])


def _shared(one: str, other: str) -> int:
    differing = (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(differing, min(len(one), len(other)))


def _limits(check: Check) -> Iterator[tuple[str, str]]:
    units = {**_UNITS, **_metric_units(check)}
    for key, unit in units.items():
        limit: Limit | None = getattr(check, key)
        if limit is not None and limit.unit != unit:
            yield key, f"must be {_EXAMPLES[unit]}, not {limit}"
    if check.success is not None and check.success > 1:
        yield "success", "must be at most 100%"
    if check.kind != "metric":
        return
    if isinstance(check.metric, str) and check.metric not in METRICS:
        yield (
            "metric",
            f"must be one of {', '.join(METRICS)}, or a mapping with namespace, name and statistic",
        )
    if check.below is None and check.above is None:
        yield "metric", "needs a limit: below, above, or both"


def _metric_units(check: Check) -> dict[str, str]:
    if check.kind == "get":
        return {"below": "s"}
    if isinstance(check.metric, str) and check.metric in METRICS:
        return dict.fromkeys(("below", "above"), METRICS[check.metric])
    return {}


def _moment(check: Check) -> Iterator[tuple[str, str]]:
    if check.kind == "metric" and check.moment == "before":
        yield (
            "when",
            "must be shift or after: before that, the metrics of green's target group have no traffic",
        )
    if check.kind == "compare" and check.moment != "before":
        yield "when", "must be before: once traffic moves, no listener leads to blue alone"
    if check.within is not None and check.within > _LONGEST:
        yield "within", "must be at most 50m: the hook holds a deployment for an hour"


def _repeated(check: Check) -> Iterator[tuple[str, str]]:
    patient = check.kind == "get" and check.moment == "before" and check.count is None
    if check.kind == "get" and check.within is not None and not patient:
        yield "within", "asks again until it passes, which only a check before the shift without a count does"
    if check.count and check.consecutive_success and check.consecutive_success > check.count:
        yield "consecutive_success", f"must be at most count, {check.count}"
    if check.count and check.failure_limit is not None and check.failure_limit >= check.count:
        yield "failure_limit", f"must be less than count, {check.count}, or nothing can fail the check"
    if check.kind == "metric" and check.interval is not None and check.interval < 60:
        yield "interval", "must be at least 1m: a metric has one value a minute"
    elif check.interval is not None and check.interval < 1:
        yield "interval", "must be at least 1s"
