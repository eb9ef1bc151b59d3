"""What is looked up once a deployment has failed, as plain values: who stopped it, last words, an alarm's numbers.

`collecting` fills it; how a release ended is told with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Stop:
    """Who stopped a deployment, how, and why."""

    by: str  # user@host
    how: str  # `bgdeploy stop`, the board's key, …
    why: str = ""
    early: bool = False  # it was given up because it got nowhere

    @property
    def sentence(self) -> str:
        """Who it was, as a person would say it."""
        because = f": {self.why}" if self.why else ""
        return f"stopped by {self.by} with {self.how}{because}"


@dataclass(frozen=True)
class Series:
    """What an alarm compared around a deployment, oldest first. A period without a value is left out."""

    alarm: str
    points: tuple[tuple[datetime, float], ...]
    period: timedelta
    operator: str = ""  # ">=", ">", "<", "<="; "" when it compares with no fixed limit
    limit: float | None = None

    def breaches(self, value: float) -> bool:
        """Tell whether the alarm counts a value as bad."""
        if self.limit is None:
            return False
        return {
            ">=": value >= self.limit,
            ">": value > self.limit,
            "<": value < self.limit,
            "<=": value <= self.limit,
        }.get(self.operator, False)


@dataclass(frozen=True)
class Evidence:
    """All of it; empty where nobody knows, or nobody may look."""

    stop: Stop | None = None
    log: tuple[str, ...] = ()  # the last lines of a green task that stopped
    hook_log: tuple[str, ...] = ()  # the last lines of the hook
    series: tuple[Series, ...] = ()  # of the alarms that stopped it
