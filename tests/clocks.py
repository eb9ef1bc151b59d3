"""A clock that tests hold in their hands, and patience by any clock."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import TypeVar

from bgdeploy.clock import Clock

T = TypeVar("T")


def awaited(clock: Clock, there: Callable[[], T]) -> T:
    """Return what `there` returns once it is something, within ten minutes of the clock's."""
    until = clock.monotonic() + 600
    while clock.monotonic() < until:
        if found := there():
            return found
        clock.sleep(3)
    raise AssertionError("it never came")


class HandClock:
    """Stands still until somebody sleeps on it or advances it."""

    def __init__(self, start: datetime = datetime(2026, 1, 5, 12, 0, tzinfo=timezone.utc)) -> None:
        self._start = start
        self._passed = 0.0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        return self._passed

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        with self._lock:
            self._passed += seconds
