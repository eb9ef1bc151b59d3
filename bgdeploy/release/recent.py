"""Answers of AWS's that are young enough to be used again, and a ceiling on how many are asked for in a minute."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar, cast

from bgdeploy.clock import Clock

T = TypeVar("T")

# A watching makes at most 40 calls a minute: 24 polls, as `watch` paces them, and these besides. Whatever the
# number of tasks: several watchers and the rest of the account share AWS's request limits.
BESIDES_POLLS = 16
_MINUTE = 60.0


class Recent:
    """What was read when, by key. Safe to share between threads; AWS is never asked under its lock."""

    def __init__(self, clock: Clock, ceiling: int = BESIDES_POLLS) -> None:
        self._clock = clock
        self._ceiling = ceiling
        self._answers: dict[str, Any] = {}
        self._read_at: dict[str, float] = {}
        self._calls: deque[float] = deque()
        self._expired: set[str] = set()
        self._lock = threading.Lock()

    def get(self, key: str, call: Callable[[], T], max_age: float, *, cost: int = 1, leave: int = 0) -> T:
        """Return the answer kept under `key`, asked for again when it is older than `max_age` seconds or expired.

        An old answer is used on while `cost` more calls would leave fewer than `leave` of this minute's.
        """
        with self._lock:
            if not self._due(key, max_age, cost, leave):
                return cast(T, self._answers[key])
        return self.put(key, call, cost=cost)

    def due(self, key: str, max_age: float, *, cost: int = 1, leave: int = 0) -> bool:
        """Tell whether `get` would ask."""
        with self._lock:
            return self._due(key, max_age, cost, leave)

    def put(self, key: str, call: Callable[[], T], *, cost: int = 1) -> T:
        """Return a new answer, whatever the ceiling says, and keep it under `key`."""
        with self._lock:
            self._calls.extend([self._clock.monotonic()] * cost)
        answer = call()
        with self._lock:
            self._answers[key] = answer
            self._read_at[key] = self._clock.monotonic()
            self._expired.discard(key)
        return answer

    def expire(self, *keys: str) -> None:
        """Mark answers as outdated: they are asked for again as soon as the ceiling lets them."""
        with self._lock:
            self._expired.update(keys)

    def forget(self, *keys: str) -> None:
        """Drop answers: they are asked for again whatever the ceiling says."""
        with self._lock:
            for key in keys:
                self._answers.pop(key, None)

    def read_at(self, key: str) -> float:
        """Return the monotonic time at which `key` was read, long ago when it never was."""
        return self._read_at.get(key, float("-inf"))

    def _due(self, key: str, max_age: float, cost: int, leave: int) -> bool:
        if key not in self._answers:
            return True
        old = key in self._expired or self._clock.monotonic() - self._read_at[key] >= max_age
        return old and self._affordable(cost + leave)

    def _affordable(self, cost: int) -> bool:
        while self._calls and self._calls[0] <= self._clock.monotonic() - _MINUTE:
            self._calls.popleft()
        return len(self._calls) + cost <= self._ceiling
