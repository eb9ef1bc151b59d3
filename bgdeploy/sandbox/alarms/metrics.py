"""The metric store: what was measured, by metric and time. Pure but for being a store."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

# CloudWatch keeps points of a minute for 15 days; an alarm looks back one day at most, and so does the sandbox.
KEPT = timedelta(days=2)

Key = tuple[str, str, str, tuple[tuple[str, str], ...]]  # region, namespace, name, dimensions


def key(region: str, namespace: str, name: str, dimensions: Iterable[Mapping[str, str]] = ()) -> Key:
    """Return what a metric is kept under."""
    return region, namespace, name, tuple(sorted((each["Name"], each["Value"]) for each in dimensions))


@dataclass
class Samples:
    """What was measured in some stretch of time; equal values are kept once, with how often they came."""

    count: float = 0.0
    total: float = 0.0
    low: float = math.inf
    high: float = -math.inf
    weights: dict[float, float] = field(default_factory=dict)  # nothing of what came as a statistic set

    @classmethod
    def of(cls, value: float, count: float = 1.0) -> Samples:
        """Return one value that came `count` times."""
        return cls(count, value * count, value, value, {value: count})

    def add(self, other: Samples) -> None:
        self.count += other.count
        self.total += other.total
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        for value, weight in other.weights.items():
            self.weights[value] = self.weights.get(value, 0.0) + weight

    def statistic(self, name: str) -> float | None:
        """Return a statistic, None for a percentile of statistic sets.

        Raises ValueError for one that is unknown.
        """
        simple: Mapping[str, Callable[[], float]] = {
            "Sum": lambda: self.total,
            "Average": lambda: self.total / self.count,
            "Maximum": lambda: self.high,
            "Minimum": lambda: self.low,
            "SampleCount": lambda: self.count,
        }
        if name in simple:
            return simple[name]()
        return self._percentile(rank(name))

    def _percentile(self, percent: float) -> float | None:
        """Return the least value that at least so many percent of the samples do not exceed."""
        if not math.isclose(sum(self.weights.values()), self.count):
            return None
        seen = 0.0
        for value in sorted(self.weights):
            seen += self.weights[value]
            if seen >= percent / 100 * self.count:
                return value
        return self.high


def rank(name: str) -> float:
    """Return the 99.9 of `p99.9`. Raises ValueError for any other name."""
    found = re.fullmatch(r"p(\d{1,2}(?:\.\d+)?|100)", name)
    if not found:
        raise ValueError(f"The value {name} for parameter Statistic is not supported.")
    return float(found[1])


@dataclass
class Metrics:
    """All samples of all metrics: by metric and minute, then by second and unit."""

    kept: dict[Key, dict[int, dict[tuple[int, str], Samples]]] = field(default_factory=dict)

    def add(self, metric: Key, at: datetime, samples: Samples, unit: str = "None") -> None:
        """Keep samples."""
        second = int(at.timestamp())
        minute = self.kept.setdefault(metric, {}).setdefault(second // 60, {})
        minute.setdefault((second, unit), Samples()).add(samples)

    def period(self, metric: Key, start: int, length: int, unit: str | None = None) -> Samples | None:
        """Return what came in `length` seconds from the second `start`, None when nothing did.

        With a `unit`, only what was published in that unit counts: an alarm that names another never sees it.
        """
        found = Samples()
        minutes = self.kept.get(metric, {})
        for minute in range(start // 60, (start + length - 1) // 60 + 1):
            for (second, of), samples in minutes.get(minute, {}).items():
                if start <= second < start + length and unit in {None, of}:
                    found.add(samples)
        return found if found.count else None

    def periods(
        self, metric: Key, start: datetime, end: datetime, length: int, unit: str | None = None
    ) -> Iterator[tuple[datetime, Samples]]:
        """Yield each period between two times that has samples, oldest first."""
        first, last = int(start.timestamp()) // length * length, math.ceil(end.timestamp())
        begins = {second // length * length for second in self._seconds(metric) if first <= second < last}
        for begin in sorted(begins):
            found = self.period(metric, begin, length, unit)
            if found is not None:
                yield datetime.fromtimestamp(begin, timezone.utc), found

    def _seconds(self, metric: Key) -> Iterator[int]:
        for minute in self.kept.get(metric, {}).values():
            for second, _unit in minute:
                yield second

    def forget(self, now: datetime) -> None:
        """Drop what is too old to be asked for."""
        oldest = int((now - KEPT).timestamp()) // 60
        for metric, minutes in list(self.kept.items()):
            self.kept[metric] = {minute: kept for minute, kept in minutes.items() if minute >= oldest}
            if not self.kept[metric]:
                del self.kept[metric]
