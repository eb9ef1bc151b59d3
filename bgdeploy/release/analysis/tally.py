"""How often a check measures, and what its measurements come to. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bgdeploy.checktypes import Check

Verdict = Literal["pass", "fail", "inconclusive"]

_WITHIN = 30.0  # seconds for which a request before the shift is repeated
_COMMAND = 300.0  # seconds after which a command is killed
_PAUSES = {"get": 10.0}  # seconds between two measurements after the shift
_PAUSE = 60.0
_SOON = 1.0  # between two before it


@dataclass(frozen=True)
class Terms:
    """When a check has measured enough."""

    interval: float | None  # seconds between two measurements; None: soon, then later and later
    count: int | None  # so many measurements; None: until it has passed, or nobody waits any more
    failure_limit: int | None  # so many may fail; None: all, until `within` is over
    consecutive: int | None  # so many in a row, and it has passed
    within: float | None  # seconds after which it has failed


def terms(check: Check) -> Terms:
    """Return when a check has measured enough.

    Before the shift a request is repeated until it passes, for half a minute: green may still be warming up. Anything
    else is measured once. From the shift on, checks go on until the deployment is over.
    """
    before = check.moment == "before"
    interval = float(check.interval) if check.interval is not None else None
    if before and check.kind == "get" and check.count is None:
        within = _WITHIN if check.within is None else float(check.within)
        return Terms(interval, None, check.failure_limit, check.consecutive_success or 1, within)
    once = 1 if before and not check.consecutive_success else None
    pause = _SOON if before else _PAUSES.get(check.kind, _PAUSE)
    return Terms(
        interval=pause if interval is None else interval,
        count=check.count or once,
        failure_limit=check.failure_limit or 0,
        consecutive=check.consecutive_success,
        within=None,
    )


def time_limit(check: Check) -> float:
    """Return after how many seconds a command is killed."""
    return _COMMAND if check.within is None else float(check.within)


def verdict(found: Sequence[Verdict], terms: Terms) -> Verdict | None:
    """Return what the measurements so far come to, None when that is still open."""
    if terms.failure_limit is not None and found.count("fail") > terms.failure_limit:
        return "fail"
    if terms.consecutive and streak(found) >= terms.consecutive:
        return "pass"
    if terms.count is not None and len(found) >= terms.count:
        return closing(found, terms)
    return None


def closing(found: Sequence[Verdict], terms: Terms) -> Verdict:
    """Return what measurements come to that are all there will be."""
    if terms.consecutive and streak(found) < terms.consecutive:
        return "inconclusive" if found and found[-1] == "inconclusive" else "fail"
    return "inconclusive" if "inconclusive" in found or not found else "pass"


def so_far(found: Sequence[Verdict]) -> Verdict | None:
    """Return what measurements come to that somebody cut short: nothing has failed, and perhaps nothing was shown."""
    if not found:
        return None
    return "pass" if "pass" in found else "inconclusive"


def streak(found: Sequence[Verdict]) -> int:
    """Return how many of the newest measurements passed in a row."""
    return next((n for n, one in enumerate(reversed(found)) if one != "pass"), len(found))
