"""Visitors: so many requests a second for as long as it runs, and at its end, on stdout, what was answered."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections import Counter

import aiohttp

_NEW = 10  # of so many requests one comes over a connection of its own


class Crowd:
    """All who ask one address."""

    def __init__(self, url: str, rate: float) -> None:
        self.url = url
        self.rate = rate
        self.answers: Counter[str] = Counter()
        self.over = asyncio.Event()

    async def run(self) -> None:
        asking: set[asyncio.Task[None]] = set()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.over.set)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as session:
            began, sent = loop.time(), 0
            while not self.over.is_set():
                await asyncio.sleep(max(began + sent / self.rate - loop.time(), 0))
                task = asyncio.create_task(self._ask(session, sent))
                asking.add(task)
                task.add_done_callback(asking.discard)
                sent += 1
            await asyncio.gather(*asking)

    async def _ask(self, session: aiohttp.ClientSession, number: int) -> None:
        headers = {} if number % _NEW else {"Connection": "close"}
        try:
            async with session.get(self.url, headers=headers) as answer:
                text = await answer.text()
                word = text.partition("Hello from ")[2].partition("<")[0].strip()
                self.answers[f"{answer.status} {word}"] += 1
        except (aiohttp.ClientError, asyncio.TimeoutError) as error:
            self.answers[type(error).__name__] += 1


if __name__ == "__main__":
    crowd = Crowd(sys.argv[1], float(sys.argv[2]))
    asyncio.run(crowd.run())
    sys.stdout.write(json.dumps(crowd.answers))
