"""The metric store: values by name, dimensions and time, for one AWS day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from bgdeploy.sandbox.alarms.evaluate import statistic

_KEPT = timedelta(days=1)
Key = tuple[str, str, str, tuple[tuple[str, str], ...]]  # region, namespace, name, dimensions


def key(region: str, namespace: str, name: str, dimensions: Iterable[Mapping[str, str]] = ()) -> Key:
    """Return what a metric is kept under."""
    return region, namespace, name, tuple(sorted((each["Name"], each["Value"]) for each in dimensions))


@dataclass
class Metrics:
    """All values of all metrics."""

    values: dict[Key, dict[int, list[float]]] = field(default_factory=dict)  # second → values

    def add(self, metric: Key, at: datetime, *values: float) -> None:
        """Keep values, and drop what is older than a day."""
        seconds = self.values.setdefault(metric, {})
        seconds.setdefault(int(at.timestamp()), []).extend(values)
        if len(seconds) > 2000:
            oldest = int((at - _KEPT).timestamp())
            self.values[metric] = {second: kept for second, kept in seconds.items() if second >= oldest}

    def period(self, metric: Key, start: datetime, length: int, name: str) -> float | None:
        """Return one statistic of the period that begins at `start`, None when it has no value."""
        first = int(start.timestamp())
        found = [
            value
            for second, values in self.values.get(metric, {}).items()
            if first <= second < first + length
            for value in values
        ]
        return statistic(name, found) if found else None

    def periods(
        self, metric: Key, start: datetime, end: datetime, length: int
    ) -> Iterator[tuple[datetime, list[float]]]:
        """Yield each period between two times that has values, oldest first."""
        first = int(start.timestamp()) // length * length
        grouped: dict[int, list[float]] = {}
        for second, values in self.values.get(metric, {}).items():
            if first <= second < end.timestamp():
                grouped.setdefault(second // length * length, []).extend(values)
        for begin in sorted(grouped):
            yield datetime.fromtimestamp(begin, timezone.utc), grouped[begin]
