"""A visitor who requests one page over and over, and remembers every answer: the demo's witness."""

from __future__ import annotations

import re
import threading
from collections import Counter

import urllib3

from bgdeploy.clock import Clock

_SAYS = re.compile(r"from (\S+?)[<\s]")


class Visitor:
    """Requests `url` `rate` times a second in a thread of its own until `leave` is called."""

    def __init__(self, url: str, clock: Clock, rate: float = 20) -> None:
        self.url = url
        self.saw: Counter[str] = Counter()  # what the page said it was → how often
        self.failures: list[str] = []
        self._clock = clock
        self._pause = 1 / rate
        self._left = threading.Event()
        self._pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(connect=2, read=5))
        self._thread = threading.Thread(target=self._visit, name="visitor", daemon=True)

    def arrive(self) -> Visitor:
        """Begin, and return the visitor."""
        self._thread.start()
        return self

    def leave(self) -> None:
        """Stop, after the request that is under way."""
        self._left.set()
        self._thread.join()
        self._pool.clear()

    @property
    def requests(self) -> int:
        """How many requests were made."""
        return sum(self.saw.values()) + len(self.failures)

    def _visit(self) -> None:
        due = self._clock.monotonic()
        while not self._left.is_set():
            self._request()
            due += self._pause
            self._left.wait(max(0.0, due - self._clock.monotonic()))

    def _request(self) -> None:
        try:
            answer = self._pool.request("GET", self.url)
        except urllib3.exceptions.HTTPError as error:
            self.failures.append(f"{type(error).__name__}: {error}")
            return
        if answer.status != 200:
            self.failures.append(f"status {answer.status}: {answer.data[:80]!r}")
            return
        says = _SAYS.search(answer.data.decode("utf-8", "replace"))
        self.saw[says.group(1) if says else "placeholder"] += 1
