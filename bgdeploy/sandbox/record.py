"""What was asked of the sandbox from outside: to measure by, and to hold a policy against. Standard library only."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

_MOST = 100_000  # calls kept; of more than that, those that nobody has read for longest are lost


@dataclass(frozen=True)
class Recorded:
    """One call. Times are the machine's monotonic seconds, which every process of it shares."""

    service: str  # botocore's name
    operation: str  # "" when the service has none such
    role: str  # the role that called: a function's or a task's, "" for whoever started the sandbox
    failed: bool  # answered with an error, or not at all
    began: float
    ended: float


class Record:
    """The calls that nobody has read yet, in the order in which they ended."""

    def __init__(self) -> None:
        self._calls: deque[Recorded] = deque(maxlen=_MOST)

    def add(self, call: Recorded) -> None:
        self._calls.append(call)

    def take(self) -> Iterator[Recorded]:
        """Yield the calls since the last time."""
        with suppress(IndexError):
            while True:
                yield self._calls.popleft()
