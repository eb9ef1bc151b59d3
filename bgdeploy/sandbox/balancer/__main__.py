"""The balancer's process: `python -m bgdeploy.sandbox.balancer`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Mapping
from typing import Any

from aiohttp import ClientSession, DummyCookieJar, TCPConnector

from bgdeploy.sandbox.balancer.doors import Door
from bgdeploy.sandbox.balancer.health import check_forever
from bgdeploy.sandbox.balancer.model import Group, Listener, Served, Target, tell
from bgdeploy.sandbox.balancer.proxy import Proxy

_REPORTS = 0.5  # real seconds between two reports of what was served
_LONGEST_LINE = 2**26


class Balancer:
    """All load balancers of the sandbox."""

    def __init__(self, checker: ClientSession) -> None:
        self._groups: dict[str, Group] = {}
        self._doors: dict[str, Door] = {}
        self._proxy = Proxy(self._groups)
        self._checker = checker

    async def become(self, wanted: Mapping[str, Any]) -> None:
        """Change into what is wanted; what stays the same is not disturbed."""
        self._become_groups(wanted["groups"])
        listeners = {each["arn"]: Listener.wanted(each) for each in wanted["listeners"]}
        for arn in [
            arn for arn, door in self._doors.items() if not door.listener.same_door(listeners.get(arn))
        ]:
            await self._doors.pop(arn).close()
        for arn, listener in listeners.items():
            if arn in self._doors:
                self._doors[arn].listener.adopt(listener)
            else:
                await self._open(Door(listener))

    async def _open(self, door: Door) -> None:
        try:
            await door.open(self._proxy.answer)
        except OSError as error:
            await door.close()
            tell({"failed": door.listener.arn, "error": str(error)})
        else:
            self._doors[door.listener.arn] = door

    def _become_groups(self, wanted: Mapping[str, Any]) -> None:
        for arn in self._groups.keys() - wanted.keys():
            for target in self._groups.pop(arn).targets.values():
                target.drain()
        for arn, described in wanted.items():
            group = self._groups.setdefault(arn, Group(arn))
            group.health, group.sticky = described["health"], described["sticky"]
            named = {each["id"]: each for each in described["targets"]}
            for ident in group.targets.keys() - named.keys():
                group.targets.pop(ident).drain()
            for ident, each in named.items():
                self._become_target(group, ident, each)

    def _become_target(self, group: Group, ident: str, described: Mapping[str, Any]) -> None:
        if ident not in group.targets:
            target = group.targets[ident] = Target(ident, described["host"], described["port"])
            target.checking = asyncio.create_task(check_forever(self._checker, group, target))
        target = group.targets[ident]
        target.reachable = described["reachable"]
        if described["draining"]:
            target.drain()

    async def report_forever(self) -> None:
        """Tell now and then what was served."""
        while True:
            await asyncio.sleep(_REPORTS)
            for group in self._groups.values():
                if group.served.codes:
                    served, group.served = group.served, Served()
                    tell({"group": group.arn, "codes": served.codes, "seconds": served.seconds})
            for door in self._doors.values():
                if door.listener.refused:
                    tell({"listener": door.listener.arn, "refused": door.listener.refused})
                    door.listener.refused.clear()

    async def close(self) -> None:
        for door in self._doors.values():
            await door.close()
        await self._proxy.close()


async def main() -> None:
    """Serve until the standard input ends."""
    reader = asyncio.StreamReader(limit=_LONGEST_LINE)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    async with ClientSession(
        connector=TCPConnector(limit=0, force_close=True), cookie_jar=DummyCookieJar()
    ) as checker:
        balancer = Balancer(checker)
        reporting = asyncio.create_task(balancer.report_forever())
        while line := await reader.readline():
            await balancer.become(json.loads(line))
        reporting.cancel()
        await balancer.close()


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):  # nobody listens any more: the sandbox has ended
        asyncio.run(main())
