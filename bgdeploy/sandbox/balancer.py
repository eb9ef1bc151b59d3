"""The load balancers' data plane: one process that listens for all of them, checks targets and passes requests on.

It knows nothing of AWS. On its standard input it is told, one JSON document a line, everything it should be (listeners
with weights, target groups with targets); on its standard output it tells, a line each, what it found out (health,
ports it could not open). It ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, web
from yarl import URL

_HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "host",
    "content-length",
}
_IDEMPOTENT = {"GET", "HEAD", "OPTIONS"}
_IDLE_TIMEOUT = 60.0  # an application load balancer's default, after which it answers 504


@dataclass
class Target:
    """One target of a group, and what its health checks have found."""

    id: str  # "ip:port" as AWS knows it
    host: str
    port: int
    draining: bool = False
    state: str = "initial"
    reason: str = "Elb.InitialHealthChecking"
    detail: str = "Initial health checks in progress"
    streak: int = 0  # successes, or failures when negative
    checking: asyncio.Task[None] | None = None


@dataclass
class Group:
    """A target group."""

    arn: str
    health: Mapping[str, Any] = field(default_factory=dict)
    targets: dict[str, Target] = field(default_factory=dict)
    turn: int = 0

    def candidates(self) -> list[Target]:
        """Return whom to ask, best first: the healthy in turn; all when none is (a load balancer fails open)."""
        open_ones = [target for target in self.targets.values() if not target.draining]
        healthy = [target for target in open_ones if target.state == "healthy"]
        usable = healthy or open_ones
        self.turn += 1
        return usable[self.turn % len(usable) :] + usable[: self.turn % len(usable)] if usable else []


@dataclass
class Listener:
    """One port, and the weights by which it forwards. A refused port behaves as one whose packets are dropped."""

    arn: str
    host: str
    port: int
    reachable: bool
    weights: list[tuple[str, int]]
    runner: web.ServerRunner | None = None
    sockets: list[socket.socket] = field(default_factory=list)

    async def close(self) -> None:
        if self.runner is not None:
            await self.runner.cleanup()
        for each in self.sockets:
            each.close()


class Balancer:
    """All load balancers of the sandbox."""

    def __init__(self) -> None:
        self.listeners: dict[str, Listener] = {}
        self.groups: dict[str, Group] = {}
        self.client: ClientSession | None = None
        self.checker: ClientSession | None = None

    async def run(self) -> None:
        """Serve until the standard input ends."""
        self.client = ClientSession(
            connector=TCPConnector(limit=0, keepalive_timeout=30),
            auto_decompress=False,
            timeout=ClientTimeout(total=None, sock_connect=5, sock_read=_IDLE_TIMEOUT),
            cookie_jar=DummyCookieJar(),
        )
        self.checker = ClientSession(
            connector=TCPConnector(limit=0, force_close=True), cookie_jar=DummyCookieJar()
        )
        reader = asyncio.StreamReader(limit=2**24)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            await self.become(json.loads(line))
        for listener in self.listeners.values():
            await listener.close()
        await self.client.close()
        await self.checker.close()

    async def become(self, wanted: Mapping[str, Any]) -> None:
        """Change into what is wanted; what stays the same is not disturbed."""
        self._groups(wanted["groups"])
        named = {each["arn"]: each for each in wanted["listeners"]}
        for arn in [arn for arn, have in self.listeners.items() if not _same_port(have, named.get(arn))]:
            await self.listeners.pop(arn).close()
        for arn, each in named.items():
            weights = [(group, weight) for group, weight in each["weights"]]
            if arn in self.listeners:
                self.listeners[arn].weights = weights
            else:
                await self._listen(Listener(arn, each["host"], each["port"], each["reachable"], weights))

    def _groups(self, wanted: Mapping[str, Any]) -> None:
        for arn in self.groups.keys() - wanted.keys():
            for target in self.groups.pop(arn).targets.values():
                _cancel(target)
        for arn, described in wanted.items():
            group = self.groups.setdefault(arn, Group(arn))
            group.health = described["health"]
            named = {each["id"]: each for each in described["targets"]}
            for ident in group.targets.keys() - named.keys():
                _cancel(group.targets.pop(ident))
            for ident, each in named.items():
                if ident not in group.targets:
                    fresh = group.targets[ident] = Target(ident, each["host"], each["port"])
                    fresh.checking = asyncio.create_task(self._check_forever(group, fresh))
                group.targets[ident].draining = each["draining"]

    # Listening

    async def _listen(self, listener: Listener) -> None:
        self.listeners[listener.arn] = listener
        try:
            if listener.reachable:
                await self._open(listener)
            else:
                listener.sockets = _deaf(listener.host, listener.port)
        except OSError as error:
            _tell({"failed": listener.arn, "error": str(error)})

    async def _open(self, listener: Listener) -> None:
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            return await self.forward(listener, request)

        server = web.Server(handle, keepalive_timeout=_IDLE_TIMEOUT)
        listener.runner = web.ServerRunner(server, shutdown_timeout=1)
        await listener.runner.setup()
        await web.TCPSite(listener.runner, listener.host, listener.port, backlog=512).start()

    # Forwarding

    async def forward(self, listener: Listener, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request of a visitor's with a target's answer, or with the load balancer's own 502, 503 or 504."""
        group = self._choose(listener)
        candidates = group.candidates() if group else []
        if not candidates:
            return web.Response(
                status=503, text="<h1>503 Service Temporarily Unavailable</h1>", content_type="text/html"
            )
        body = request.content if request.can_read_body else None
        again = body is None and request.method in _IDEMPOTENT
        for target in candidates if again else candidates[:1]:
            try:
                return await self._pass_on(target, request, body)
            except asyncio.TimeoutError:
                return web.Response(
                    status=504, text="<h1>504 Gateway Time-out</h1>", content_type="text/html"
                )
            except (ClientError, OSError):
                continue
        return web.Response(status=502, text="<h1>502 Bad Gateway</h1>", content_type="text/html")

    def _choose(self, listener: Listener) -> Group | None:
        weights = [(group, weight) for group, weight in listener.weights if weight > 0]
        if not weights:
            return None
        chosen = random.choices([group for group, _ in weights], [weight for _, weight in weights])[0]
        return self.groups.get(chosen)

    async def _pass_on(self, target: Target, request: web.BaseRequest, body: Any) -> web.StreamResponse:
        assert self.client is not None
        url = f"http://{target.host}:{target.port}{request.raw_path}"
        upstream = self._upstream(request, url, body)
        async with upstream as answer:
            response = web.StreamResponse(status=answer.status, reason=answer.reason)
            for name, value in answer.headers.items():
                if name.lower() not in _HOP_BY_HOP or name.lower() == "content-length":
                    response.headers.add(name, value)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    def _upstream(self, request: web.BaseRequest, url: str, body: Any) -> Any:
        assert self.client is not None
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        before = headers.get("X-Forwarded-For")
        remote = request.remote or "127.0.0.1"
        headers["X-Forwarded-For"] = f"{before}, {remote}" if before else remote
        headers |= {"X-Forwarded-Proto": "http", "Host": request.headers.get("Host", "")}
        if body is not None and "Content-Length" in request.headers:
            headers["Content-Length"] = request.headers["Content-Length"]
        return self.client.request(
            request.method, URL(url, encoded=True), headers=headers, data=body, allow_redirects=False
        )

    # Health

    async def _check_forever(self, group: Group, target: Target) -> None:
        await asyncio.sleep(min(0.05, float(group.health["interval"])))
        while True:
            failure = await self._check(group, target)
            _judge(group, target, failure)
            await asyncio.sleep(float(group.health["interval"]))

    async def _check(self, group: Group, target: Target) -> tuple[str, str] | None:
        """Return None when the target is well, else AWS's reason code and description."""
        assert self.checker is not None
        url = f"http://{target.host}:{target.port}{group.health['path']}"
        timeout = ClientTimeout(total=max(1.0, float(group.health["timeout"])))
        try:
            async with self.checker.get(url, timeout=timeout, allow_redirects=False) as answer:
                await answer.read()
                if _matches(answer.status, group.health["matcher"]):
                    return None
                return (
                    "Target.ResponseCodeMismatch",
                    f"Health checks failed with these codes: [{answer.status}]",
                )
        except asyncio.TimeoutError:
            return "Target.Timeout", "Request timed out"
        except (ClientError, OSError):
            return "Target.FailedHealthChecks", "Health checks failed"


def _judge(group: Group, target: Target, failure: tuple[str, str] | None) -> None:
    """Take one health check into account. A new target is healthy after its first success."""
    before = (target.state, target.detail)
    if failure is None:
        target.streak = max(target.streak, 0) + 1
        if target.state == "initial" or target.streak >= group.health["healthy"]:
            target.state, target.reason, target.detail = "healthy", "", ""
    else:
        target.streak = min(target.streak, 0) - 1
        if -target.streak >= group.health["unhealthy"]:
            target.state, (target.reason, target.detail) = "unhealthy", failure
    if before != (target.state, target.detail):
        _tell(
            {
                "group": group.arn,
                "target": target.id,
                "state": target.state,
                "reason": target.reason,
                "detail": target.detail,
            }
        )


def _matches(status: int, matcher: str) -> bool:
    for part in matcher.split(","):
        first, _, last = part.strip().partition("-")
        if int(first) <= status <= int(last or first):
            return True
    return False


def _same_port(have: Listener, wanted: Mapping[str, Any] | None) -> bool:
    return wanted is not None and (have.host, have.port, have.reachable) == (
        wanted["host"],
        wanted["port"],
        wanted["reachable"],
    )


def _deaf(host: str, port: int) -> list[socket.socket]:
    """Return sockets that let nobody in: a listener with a full queue, so that a connection attempt times out.

    That is what a security group does: it drops packets, it does not refuse connections.
    """
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    deaf.bind((host, port))
    deaf.listen(0)
    crowd = []
    for _ in range(3):
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex((host, port))
        crowd.append(one)
    return [deaf, *crowd]


def _cancel(target: Target) -> None:
    if target.checking is not None:
        target.checking.cancel()


def _tell(what: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(Balancer().run())
