"""What a load of 1,000 requests a second costs the board, and whether it is one: against a server on loopback."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator

from bgdeploy.clock import SystemClock
from bgdeploy.release.analysis.samples import Samples
from bgdeploy.release.analysis.volley import load
from tests.bench.table import Figure

RATE, SECONDS = 1000, 10
_SERVER = """\
import asyncio
from aiohttp import web
async def main():
    async def answer(request):
        return web.Response(text="Hello from v2")
    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(site._server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def figures() -> Iterator[Figure]:
    """Send the load, counting as a check does, and measure this process, which is where the board would be."""
    with subprocess.Popen([sys.executable, "-c", _SERVER], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            samples, elapsed, core = _loaded(f"http://127.0.0.1:{port}/")
        finally:
            server.kill()
    assert samples.statuses == {200: RATE * SECONDS}, samples
    yield Figure(f"core that a load of {RATE} requests/s takes from the board", core, 0.1)
    yield Figure("seconds by which such a load is late", elapsed - SECONDS, 0.5, "s")


def _loaded(url: str) -> tuple[Samples, float, float]:
    """Return what came back, the seconds that the load took, and the part of a core that this process did."""
    samples, elapsed, clock = Samples(), 0.0, SystemClock()
    began, before = clock.monotonic(), _cpu()
    for report in load(url, RATE, SECONDS, 5.0):
        samples.add(Samples.of(report))
        samples.percentiles()  # as the board shows them
        elapsed = report["elapsed"]
    return samples, elapsed, (_cpu() - before) / (clock.monotonic() - began)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
