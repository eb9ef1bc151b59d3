"""Time as something that is passed in, so that tests can hold it. Nothing else reads the real clock."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import Protocol


class Clock(Protocol):
    """Where the rest of the program gets its time from."""

    def now(self) -> datetime:
        """Return the date and time, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go backwards; only differences mean anything."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(timezone.utc)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class FastClock:
    """A clock on which `speed` seconds pass in every second of `base`; it starts at the base's own time."""

    def __init__(self, speed: float, base: Clock) -> None:
        self.speed = speed
        self._base = base
        self._started = base.now()
        self._origin = base.monotonic()

    def now(self) -> datetime:
        return self._started + timedelta(seconds=self.monotonic() - self._origin * self.speed)

    def monotonic(self) -> float:
        return self._base.monotonic() * self.speed

    def sleep(self, seconds: float) -> None:
        self._base.sleep(seconds / self.speed)


def speed_of(clock: Clock) -> float:
    """Return how many of the clock's seconds pass in one of the machine's: what runs for real runs no faster."""
    return clock.speed if isinstance(clock, FastClock) else 1.0
