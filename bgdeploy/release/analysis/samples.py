"""Many answers counted together: how fast, how many with which status, how many not at all. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Samples:
    """What came of many requests. Response times are kept with three digits, which is how they are shown."""

    seconds: Counter[float] = field(default_factory=Counter)  # response time → answers
    statuses: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)  # why there was no answer → requests
    unreached: int = 0  # of those without an answer: requests that got no connection

    def answered(self, status: int, seconds: float) -> None:
        """Count an answer."""
        self.statuses[status] += 1
        self.seconds[rounded(seconds)] += 1

    def failed(self, error: str, *, reached: bool) -> None:
        """Count a request that got no answer."""
        self.errors[error] += 1
        self.unreached += not reached

    def add(self, other: Samples) -> None:
        """Count in what somebody else has counted."""
        self.seconds.update(other.seconds)
        self.statuses.update(other.statuses)
        self.errors.update(other.errors)
        self.unreached += other.unreached

    def plain(self) -> dict[str, Any]:
        """Return all of it as JSON has it; `of` reads it back."""
        return {
            "seconds": list(self.seconds.items()),
            "statuses": list(self.statuses.items()),
            "errors": dict(self.errors),
            "unreached": self.unreached,
        }

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Samples:
        """Return what `plain` told."""
        return cls(
            Counter(dict(told["seconds"])),
            Counter(dict(told["statuses"])),
            Counter(told["errors"]),
            told["unreached"],
        )

    @property
    def answers(self) -> int:
        return self.statuses.total()

    @property
    def requests(self) -> int:
        return self.answers + self.errors.total()

    def share(self, status: int) -> float:
        """Return what part of all requests was answered with `status`."""
        return self.statuses[status] / self.requests if self.requests else 0.0

    def percentile(self, part: float) -> float:
        """Return the response time that `part` of the answers did not exceed. There must be answers."""
        rank, passed = math.ceil(part * self.answers), 0
        for seconds in sorted(self.seconds):
            passed += self.seconds[seconds]
            if passed >= rank:
                break
        return seconds

    def percentiles(self) -> Mapping[str, float]:
        """Return p50, p95 and p99, nothing without answers."""
        if not self.answers:
            return {}
        return {f"p{part}": self.percentile(part / 100) for part in (50, 95, 99)}

    def others(self, status: int) -> str:
        """Return what came instead of `status`, the most frequent first, "" when nothing did."""
        came = Counter({f"status {code}": n for code, n in self.statuses.items() if code != status})
        return ", ".join(f"{n} x {what}" for what, n in (came + self.errors).most_common(3))


def rounded(seconds: float) -> float:
    """Return a time with three digits."""
    return float(f"{seconds:.3g}")


def collected(seconds: Iterable[float]) -> Samples:
    """Return answers of which nothing but the response times matters."""
    samples = Samples()
    for one in seconds:
        samples.answered(0, one)
    return samples
