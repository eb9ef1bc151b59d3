"""A small web server for tests: it remembers what it was asked, and answers as the path says."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Seen:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Upstream:
    """The server. `/status/500` answers 500, `/hold` waits for `go`, `/break` ends within its answer."""

    name: str
    seen: list[Seen] = field(default_factory=list)
    go: threading.Event = field(default_factory=threading.Event)
    held: threading.Event = field(default_factory=threading.Event)
    health: int = 200
    port: int = 0

    def asked(self) -> list[Seen]:
        """Return what visitors asked for: everything but health checks."""
        return [each for each in self.seen if not each.headers.get("User-Agent", "").startswith("ELB-Health")]

    @contextmanager
    def serving(self) -> Iterator[Upstream]:
        server = _Server(("127.0.0.1", 0), _Handler)
        server.upstream = self
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.go.set()
            server.shutdown()
            server.server_close()
            thread.join()


class _Server(ThreadingHTTPServer):
    upstream: Upstream
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that breaks off is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are written apart
    server: _Server

    def _answer(self) -> None:
        upstream = self.server.upstream
        length = int(self.headers.get("Content-Length") or 0)
        body = (
            self._chunked() if self.headers.get("Transfer-Encoding") == "chunked" else self.rfile.read(length)
        )
        upstream.seen.append(Seen(self.command, self.path, dict(self.headers.items()), body))
        status = upstream.health if self.path == "/health" else 200
        if self.path.startswith("/status/"):
            status = int(self.path.rpartition("/")[2])
        if self.path == "/hold":
            upstream.held.set()
            upstream.go.wait(10)
        if self.path == "/drop":
            self.close_connection = True
            return
        said = upstream.name.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(said) + (10 if self.path == "/break" else 0)))
        self.send_header("Set-Cookie", "a=1")
        self.send_header("Set-Cookie", "b=2")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(said)
        self.close_connection = self.close_connection or self.path == "/break"

    do_GET = do_HEAD = do_POST = _answer  # noqa: N815 - http.server's names

    def _chunked(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def nobody() -> int:
    """Return a port on which nobody listens."""
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as server:
        return int(server.server_address[1])
