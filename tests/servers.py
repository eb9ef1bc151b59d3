"""Servers on loopback that tests ask: real sockets, answers as the test wants."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Reply = Callable[[BaseHTTPRequestHandler], None]


def say(status: int, body: bytes = b"", **headers: str) -> Reply:
    """Return the reply with this status, body and headers; `_` in their names stands for `-`."""

    def reply(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(body)

    return reply


class Server:
    """Gives its replies one after the other, and the last one from then on."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.connections: set[tuple[str, int]] = set()
        self.requests: list[str] = []
        self.bodies: list[bytes] = []  # what was posted
        self.url = ""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.connections.add(request.client_address)
        self.requests.append(request.path)
        if request.command == "POST":
            self.bodies.append(request.rfile.read(int(request.headers["Content-Length"])))
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        reply(request)


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


@contextmanager
def serving(*replies: Reply) -> Iterator[Server]:
    """Yield a server that gives these replies."""
    server = Server(*replies)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # or a keep-alive answer of two packets waits for the client's ACK

        def do_GET(self) -> None:
            try:
                server.answer(self)
            except OSError:  # whoever asked has hung up
                self.close_connection = True

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """A test's output is no log."""

    with _Http(("127.0.0.1", 0), Handler) as http:
        server.url = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        http.shutdown()
