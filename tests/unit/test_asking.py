"""Asking real servers on loopback."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bgdeploy.clock import SystemClock
from bgdeploy.config import Check, Duration
from bgdeploy.release.asking import Ask, Asking, Http, Round, ask_until_passed
from bgdeploy.release.checks import Answer, CheckResult
from tests.clocks import HandClock

Reply = Callable[[BaseHTTPRequestHandler], None]


def _say(status: int, body: bytes = b"", **headers: str) -> Reply:
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
        self.url = ""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.connections.add(request.client_address)
        self.requests.append(request.path)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        reply(request)


@contextmanager
def serving(*replies: Reply) -> Iterator[Server]:
    server = Server(*replies)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            try:
                server.answer(self)
            except OSError:  # whoever asked has hung up
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """A test's output is no log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server.url = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        http.shutdown()


def _page(within: int = 5, timeout: int = 2, status: int = 200, contains: str | None = None) -> Check:
    return Check(
        name="page",
        get="/",
        status=status,
        contains=contains,
        within=Duration(within),
        timeout=Duration(timeout),
    )


def _ask(check: Check, url: str) -> CheckResult:
    http = Http(SystemClock())
    try:
        around = Round(url, http, SystemClock(), lambda place, result: None, lambda: False)
        return ask_until_passed(check, 0, around)
    finally:
        http.close()


def test_a_good_page_passes_at_once() -> None:
    with serving(_say(200, b"Hello from v2")) as server:
        result = _ask(_page(contains="Hello from v2"), server.url)
    assert (result.passed, result.attempts, result.request) == (True, 1, f"GET {server.url}/")


def test_a_balancer_without_targets_is_asked_again_until_it_has_some() -> None:
    with serving(_say(503), _say(503), _say(200, b"ok")) as server:
        result = _ask(_page(), server.url)
    assert (result.passed, result.attempts) == (True, 3)


def test_what_never_passes_fails_when_its_time_is_over() -> None:
    with serving(_say(200, b"Hullo from v2")) as server:
        result = _ask(_page(within=1, contains="Hello from v2"), server.url)
    assert (result.passed, result.got, result.reached) == (False, '"Hullo from v2"', True)
    assert 1 <= result.seconds < 1.5
    assert result.attempts >= 3


def test_an_answer_that_takes_too_long_is_no_answer() -> None:
    gone = threading.Event()
    with serving(lambda request: _wait(gone)) as server:
        result = _ask(_page(within=1, timeout=1), server.url)
        gone.set()
    assert (result.passed, result.got, result.reached) == (False, "no whole answer within 1 s", True)


def _wait(gone: threading.Event) -> None:
    gone.wait(10)


def test_a_body_that_drips_in_is_given_up_at_its_timeout() -> None:
    def drip(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "1000")
        request.end_headers()
        for _ in range(40):
            request.wfile.write(b".")
            request.wfile.flush()
            threading.Event().wait(0.1)

    with serving(drip) as server:
        result = _ask(_page(within=0, timeout=1), server.url)
    assert (result.passed, result.got) == (False, "no whole answer within 1 s")
    assert result.seconds < 2


def test_a_refused_connection_is_not_the_applications_failure() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        result = _ask(_page(within=1), f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert (result.passed, result.reached) == (False, False)
    assert result.got == "the connection was not made: refused"


def test_dropped_packets_show_as_a_connection_that_never_comes() -> None:
    with socket.socket() as deaf, socket.socket() as one, socket.socket() as other:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)  # its queue is full with these two: whoever comes next is not even refused
        for crowd in (one, other):
            crowd.setblocking(False)
            crowd.connect_ex(deaf.getsockname())
        result = _ask(_page(within=0, timeout=1), f"http://127.0.0.1:{deaf.getsockname()[1]}")
    assert (result.reached, result.got) == (False, "no connection within 1 s")


def test_a_connection_that_is_closed_without_an_answer_was_a_connection() -> None:
    def hang_up(request: BaseHTTPRequestHandler) -> None:
        request.close_connection = True

    with serving(hang_up) as server:
        result = _ask(_page(within=0), server.url)
    assert (result.reached, result.got) == (True, "the connection was closed without an answer")


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    with serving(_say(302, b"", Location="/login")) as server:
        result = _ask(_page(within=0), server.url)
        expected = _ask(_page(within=0, status=302), server.url)
    assert (result.got, expected.passed) == ("status 302", True)
    assert server.requests == ["/", "/"]


def test_connections_are_kept() -> None:
    with serving(_say(503), _say(503), _say(200, b"ok")) as server:
        _ask(_page(), server.url)
    assert len(server.connections) == 1


def test_of_an_endless_body_a_mebibyte_is_read() -> None:
    def pour(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(2**40))
        request.end_headers()
        while True:
            request.wfile.write(b"x" * 2**16)

    with serving(pour) as server:
        http = Http(SystemClock())
        answer = http(server.url + "/", 5)
        http.close()
    assert (answer.status, len(answer.body)) == (200, 2**20)


def test_a_body_is_read_in_its_own_charset() -> None:
    with serving(_say(200, "Grüße".encode("latin-1"), Content_Type="text/html; charset=latin-1")) as server:
        assert _ask(_page(contains="Grüße"), server.url).passed


class Scripted:
    """Answers 503 for a while, on a clock that stands still between two requests."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.asked: list[float] = []

    def __call__(self, url: str, timeout: float) -> Answer:
        self.asked.append(round(self.clock.monotonic(), 2))
        return Answer(503)


def test_the_pauses_grow_and_the_last_request_comes_when_time_is_over() -> None:
    server = Scripted()
    around = Round("http://t", server, server.clock, lambda place, result: None, lambda: False)
    result = ask_until_passed(_page(within=10), 0, around)
    pauses = [round(later - sooner, 2) for sooner, later in zip(server.asked, server.asked[1:], strict=False)]
    assert (pauses[0], max(pauses), server.asked[-1]) == (0.3, 2.0, 10)
    assert result.attempts == len(server.asked)


def _all(
    checks: tuple[Check, ...], ask: Ask, over: Callable[[], bool] = lambda: False
) -> dict[int, CheckResult]:
    found: dict[int, CheckResult] = {}
    asking = Asking(checks, Round("http://t", ask, SystemClock(), found.__setitem__, over))
    asking.start()
    deadline = time.monotonic() + 10
    while not asking.done and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    assert asking.done
    return found


def test_checks_are_asked_side_by_side() -> None:
    together = threading.Barrier(5, timeout=5)

    def meet(url: str, timeout: float) -> Answer:
        together.wait()
        return Answer(200)

    found = _all((_page(),) * 5, meet)
    assert [found[place].passed for place in range(5)] == [True] * 5


def test_a_check_that_breaks_has_not_passed() -> None:
    def broken(url: str, timeout: float) -> Answer:
        raise RuntimeError("no such thing")

    found = _all((_page(),), broken)
    assert (found[0].passed, found[0].got) == (False, "the check broke: RuntimeError: no such thing")


@pytest.mark.parametrize("count", [1, 20])
def test_checks_end_without_a_verdict_when_nobody_wants_to_know_any_more(count: int) -> None:
    over = threading.Event()

    def late(url: str, timeout: float) -> Answer:
        over.set()
        return Answer(503)

    found = _all((_page(within=60),) * count, late, over.is_set)
    assert {result.passed for result in found.values()} == {None}
