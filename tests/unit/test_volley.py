"""Many requests, sent to real servers on loopback by a process of their own."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from bgdeploy.release.analysis.samples import Samples
from bgdeploy.release.analysis.volley import ProbeError, load, take_turns
from tests.servers import Reply, say, serving


def _load(url: str, rate: float, seconds: float, timeout: float = 5.0) -> tuple[Samples, float]:
    samples, elapsed = Samples(), 0.0
    for report in load(url, rate, seconds, timeout):
        samples.add(Samples.of(report))
        elapsed = report["elapsed"]
    return samples, elapsed


def _after(seconds: float, reply: Reply) -> Reply:
    def late(request: BaseHTTPRequestHandler) -> None:
        threading.Event().wait(seconds)
        reply(request)

    return late


def test_a_load_sends_so_many_requests_a_second_over_few_connections() -> None:
    with serving(say(200, b"Hello")) as server:
        samples, elapsed = _load(server.url + "/page", 100, 0.5)
    assert (samples.requests, samples.statuses[200]) == (50, 50)
    assert 0.48 <= elapsed < 1.5
    assert set(server.requests) == {"/page"}
    assert len(server.connections) < 20


def test_requests_are_sent_when_they_are_due_however_slow_the_answers_are() -> None:
    with serving(_after(0.3, say(200))) as server:
        samples, elapsed = _load(server.url, 100, 0.3)
    assert samples.requests == 30
    assert elapsed < 2.5  # one after the other they would take 9 s
    assert samples.percentile(0.5) >= 0.3


def test_every_status_is_counted_and_nothing_is_followed() -> None:
    with serving(say(503), say(302, Location="/elsewhere"), say(200)) as server:
        samples, _ = _load(server.url, 50, 0.2)
    assert samples.statuses == {503: 1, 302: 1, 200: 8}


def test_an_answer_that_takes_too_long_is_none() -> None:
    with serving(_after(1.0, say(200))) as server:
        samples, _ = _load(server.url, 10, 0.3, timeout=0.2)
    assert samples.errors == {"no whole answer within 0.2 s": 3}
    assert samples.unreached == 0


def test_a_refused_connection_is_not_the_applications_failure() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        samples, _ = _load(f"http://127.0.0.1:{taken.getsockname()[1]}", 50, 0.1)
    assert (samples.errors, samples.unreached) == ({"the connection was not made: refused": 5}, 5)


def test_dropped_packets_show_as_a_connection_that_never_comes() -> None:
    with socket.socket() as deaf, socket.socket() as one, socket.socket() as other:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)  # its queue is full with these two
        for crowd in (one, other):
            crowd.setblocking(False)
            crowd.connect_ex(deaf.getsockname())
        samples, _ = _load(f"http://127.0.0.1:{deaf.getsockname()[1]}", 10, 0.2, timeout=0.5)
    assert (samples.errors, samples.unreached) == ({"no connection within 0.5 s": 2}, 2)


def test_a_connection_that_is_closed_without_an_answer_was_a_connection() -> None:
    def hang_up(request: BaseHTTPRequestHandler) -> None:
        request.close_connection = True

    with serving(hang_up) as server:
        samples, _ = _load(server.url, 10, 0.2)
    assert (samples.errors, samples.unreached) == ({"the connection was closed without an answer": 2}, 0)


def test_reports_come_while_the_load_goes_on() -> None:
    with serving(say(200)) as server:
        counts = [Samples.of(report).requests for report in load(server.url, 50, 1.0, 5.0)]
    assert len(counts) >= 4
    assert sum(counts) == 50


def test_two_urls_are_asked_in_turns() -> None:
    with serving(say(200)) as blue, serving(_after(0.05, say(404))) as green:
        rounds = list(take_turns((blue.url, green.url), 5, 5.0))
    assert [[answer[0] for answer in one["answers"]] for one in rounds] == [[200, 404]] * 5
    assert all(green_ >= 0.05 for one in rounds for _, green_, _ in one["answers"][1:])
    assert (len(blue.requests), len(green.requests)) == (5, 5)


def test_a_load_that_nobody_wants_any_more_ends_at_once() -> None:
    with serving(say(200)) as server:
        reports = load(server.url, 10, 60.0, 5.0)
        next(reports)
        began = time.monotonic()
        reports.close()
        sent = len(server.requests)
        threading.Event().wait(0.5)
    assert time.monotonic() - began < 3
    assert len(server.requests) == sent


def test_a_task_that_cannot_be_done_is_told() -> None:
    with pytest.raises(ProbeError, match="ZeroDivisionError"):
        list(load("http://127.0.0.1", 0, 1.0, 1.0))


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listed.read_text().split()]


def _until(true: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 10
    while not (found := true()):
        assert time.monotonic() < deadline, "it never came true"
        threading.Event().wait(0.02)
    return found


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes in /proc")
def test_a_load_ends_with_whoever_wanted_it_even_if_that_is_killed() -> None:
    with serving(say(200)) as server:
        parent = os.fork()
        if parent == 0:
            for _ in load(server.url, 10, 60.0, 5.0):
                pass
            os._exit(0)
        (prober,) = _until(lambda: _children(parent))
        _until(lambda: server.requests)
        os.kill(parent, signal.SIGKILL)
        os.waitpid(parent, 0)
        _until(lambda: not Path(f"/proc/{prober}").exists())
