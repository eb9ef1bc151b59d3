"""Sends many requests, on asyncio and in a process of its own: the board shares no core with a load.

It reads its task, one line of JSON, from stdin, and tells what came back on stdout a few times a second. When stdin
ends, whoever wanted to know is gone, and so is this. `volley` is the other end.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import sys
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import aiohttp.abc

from bgdeploy.release.analysis.samples import Samples

_TELLS = 0.2  # seconds between two reports
_CONNECT = (
    3.0  # seconds; a security group drops packets, so being shut out shows as a connection that never comes
)
_MOST_AT_ONCE = 1000
_CHUNK = 2**16


class Prober:
    """One task: how to ask, and what has come back since the last report."""

    def __init__(self, task: Mapping[str, Any], session: aiohttp.ClientSession) -> None:
        self._task = task
        self._session = session
        self._timeout = float(task["timeout"])
        self._samples = Samples()
        self._began = asyncio.get_running_loop().time()

    async def run(self) -> None:
        """Do what the task says, and tell the last of it."""
        if "rate" in self._task:
            telling = asyncio.ensure_future(self._tell_now_and_then())
            await self._load(self._task["urls"][0], float(self._task["rate"]), float(self._task["seconds"]))
            telling.cancel()
            self._tell(over=True)
        else:
            await self._take_turns(self._task["urls"], int(self._task["rounds"]))

    async def _load(self, url: str, rate: float, seconds: float) -> None:
        """Send a request at each moment it is due, whether the ones before are answered or not."""
        loop, under_way = asyncio.get_running_loop(), set[asyncio.Task[None]]()
        for due in _moments(rate, seconds):
            early = self._began + due - loop.time()
            if early > 0:
                await asyncio.sleep(early)
            if len(under_way) >= _MOST_AT_ONCE:
                await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            request = asyncio.ensure_future(self._count(url))
            under_way.add(request)
            request.add_done_callback(under_way.discard)
        if under_way:
            await asyncio.wait(under_way)

    async def _count(self, url: str) -> None:
        status, told, reached = await self._ask(url)
        if status is None:
            self._samples.failed(str(told), reached=reached)
        else:
            self._samples.answered(status, float(told))

    async def _take_turns(self, urls: list[str], rounds: int) -> None:
        """Ask each URL once a round, one after the other: what slows one down slows the other down as well."""
        for _ in range(rounds):
            answers = [await self._ask(url) for url in urls]
            _say({"answers": answers})

    async def _ask(self, url: str) -> tuple[int | None, float | str, bool]:
        """Return the status and the seconds until the whole answer was there, or None, why, and if it was reached."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                while await response.content.read(_CHUNK):
                    pass
                return response.status, round(loop.time() - began, 6), True
        except aiohttp.ConnectionTimeoutError:
            return None, f"no connection within {min(self._timeout, _CONNECT):g} s", False
        except aiohttp.ClientSSLError as error:
            return None, f"its certificate was refused: {error}", True
        except aiohttp.ClientConnectorError as error:
            return None, f"the connection was not made: {_why(error)}", False
        except asyncio.TimeoutError:
            return None, f"no whole answer within {self._timeout:g} s", True
        except aiohttp.ClientError:
            return None, "the connection was closed without an answer", True

    async def _tell_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(_TELLS)
            self._tell()

    def _tell(self, *, over: bool = False) -> None:
        told, self._samples = self._samples, Samples()
        seconds = asyncio.get_running_loop().time() - self._began
        _say({**told.plain(), "elapsed": seconds, "over": over})


def _moments(rate: float, seconds: float) -> Iterator[float]:
    """Yield when each request is due, in seconds from the beginning; always one at least."""
    yield from (number / rate for number in range(max(round(rate * seconds), 1)))


def _why(error: aiohttp.ClientConnectorError) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name could not be resolved"
    return "refused" if isinstance(error.os_error, ConnectionRefusedError) else str(error.os_error)


def _say(told: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


class _Resolver(aiohttp.ThreadedResolver):
    """Finds the load balancer where its visitors' name for it is asked for: that one may still lead elsewhere."""

    def __init__(self, task: Mapping[str, Any]) -> None:
        super().__init__()
        self._host = task["host"]
        self._balancer = task["balancer"] or self._host

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[aiohttp.abc.ResolveResult]:
        found = await super().resolve(self._balancer if host == self._host else host, port, family)
        return [{**one, "hostname": host} for one in found]  # its certificate is for the name that was asked


def _trust(task: Mapping[str, Any]) -> ssl.SSLContext:
    """Verify certificates; where nobody has said which host the load balancer's is for, its chain alone can be."""
    asked = urlsplit(task["urls"][0]).hostname
    context = ssl.create_default_context()
    context.check_hostname = asked == task["host"] or asked != task["balancer"]
    return context


async def probe(task: Mapping[str, Any]) -> None:
    """Do one task."""
    timeout = float(task["timeout"])
    # The connection's own limit is reached first, or nobody could say which of the two it was.
    limits = aiohttp.ClientTimeout(total=timeout, sock_connect=min(0.95 * timeout, _CONNECT))
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, resolver=_Resolver(task), ssl=_trust(task)),
        # A load balancer's cookie would tie all requests to one target.
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=limits,
        headers={"User-Agent": task["agent"], "Accept-Encoding": "identity"},
    ) as session:
        prober = Prober(task, session)
        done, _ = await asyncio.wait(
            [asyncio.ensure_future(prober.run()), asyncio.ensure_future(_orphaned())],
            return_when=asyncio.FIRST_COMPLETED,
        )
        for one in done:
            one.result()


async def _orphaned() -> None:
    """Return when nobody is there any more to read what this tells."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


def main() -> None:
    asyncio.run(probe(json.loads(sys.stdin.readline())))


if __name__ == "__main__":
    main()
