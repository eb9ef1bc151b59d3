"""A row of numbers as a small plot: what an alarm measured around a deployment. A function of values."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from bgdeploy.quantities import Duration
from bgdeploy.release.evidence import Series
from bgdeploy.views.theme import UNICODE, Glyphs

_MOST = 44  # signs in a row: a card has 80 columns


def chart(series: Series, signs: Glyphs = UNICODE) -> tuple[str, ...]:
    """Return the lines of a plot: the values, below them those that were too much, and from when to when.

    One sign is one of the alarm's periods; where it had no value there is a gap.
    """
    cells = list(_cells(series))[-_MOST:]
    known = [value for _, value in cells if value is not None]
    if not known:
        return ()
    limits = [series.limit] if series.limit is not None else []
    low, high = min(0.0, *known, *limits), max(*known, *limits, 0.0)
    row = "".join(_sign(value, low, high, signs.levels) for _, value in cells)
    bad = ["^" if value is not None and series.breaches(value) else " " for _, value in cells]
    lines = [f"{row}  {low:g} to {max(known):g}"]
    if series.limit is not None:
        lines.append(f"{''.join(bad)}  {series.operator} {series.limit:g}")
    every = Duration(int(series.period.total_seconds()))
    lines.append(f"{cells[0][0]:%H:%M:%SZ} to {cells[-1][0]:%H:%M:%SZ}, one sign is {every}")
    return tuple(lines)


def _cells(series: Series) -> Iterator[tuple[datetime, float | None]]:
    """Yield every period from the first value to the last."""
    known = dict(series.points)
    if not known:
        return
    at, last = min(known), max(known)
    while at <= last:
        yield at, known.get(at)
        at += series.period


def _sign(value: float | None, low: float, high: float, levels: str) -> str:
    if value is None:
        return " "
    share = (value - low) / (high - low) if high > low else 0.0
    return levels[round(share * (len(levels) - 1))]
