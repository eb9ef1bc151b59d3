"""The ports of the listeners: open, or deaf as a port is that no security group lets anybody reach."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

from aiohttp import web

from bgdeploy.sandbox.balancer.model import Listener

_LARGEST_LINE, _LARGEST_HEADER = 2**14, 2**16  # of a request, as an application load balancer takes it
_IDLE_TIMEOUT = 60.0

Answerer = Callable[[Listener, web.BaseRequest], Awaitable[web.StreamResponse]]


class Door:
    """The port of one listener."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self._runner: web.ServerRunner | None = None
        self._sockets: list[socket.socket] = []

    async def open(self, answerer: Answerer) -> None:
        """Begin to listen. Raises OSError when the port is taken or not ours to use."""
        if not self.listener.reachable:
            self._sockets = _deaf(self.listener.host, self.listener.bind)
            return

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            return await answerer(self.listener, request)

        server = web.Server(
            handle,
            access_log=None,
            keepalive_timeout=_IDLE_TIMEOUT,
            max_line_size=_LARGEST_LINE,
            max_field_size=_LARGEST_HEADER,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.listener.host, self.listener.bind, backlog=512).start()

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        for each in self._sockets:
            each.close()


def _deaf(host: str, port: int) -> list[socket.socket]:
    """Return sockets that let nobody in: a listener with a full queue, so that a connection attempt times out.

    That is what a security group does: it drops packets, it does not refuse connections.
    """
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        deaf.bind((host, port))
    except OSError:
        deaf.close()
        raise
    deaf.listen(0)
    crowd = [socket.socket() for _ in range(3)]
    for one in crowd:
        one.setblocking(False)
        one.connect_ex((host, port))
    return [deaf, *crowd]
