"""Asking real servers on loopback."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from bgdeploy.clock import FastClock, SystemClock
from bgdeploy.config import Check, Duration
from bgdeploy.quantities import Limit
from bgdeploy.release.analysis.asking import Asking, Pursuit, Round
from bgdeploy.release.analysis.expectations import Answer
from bgdeploy.release.analysis.http import Http
from bgdeploy.release.analysis.measuring import Ask, Scene
from bgdeploy.release.checks import CheckResult
from tests.clocks import HandClock
from tests.servers import say, serving


def _page(within: int = 5, timeout: int = 2, status: int = 200, contains: str | None = None) -> Check:
    return Check(
        name="page",
        get="/",
        status=status,
        contains=contains,
        within=Duration(within),
        timeout=Duration(timeout),
    )


def _round(
    scene: Scene,
    report: Callable[[int, CheckResult], None] = lambda place, result: None,
    over: Callable[[], bool] = lambda: False,
) -> Round:
    return Round(scene, report, over, scene.clock.now)


def _ask(check: Check, url: str) -> CheckResult:
    http = Http(SystemClock())
    try:
        return Pursuit(check, 0, _round(Scene(url, SystemClock(), http))).run()
    finally:
        http.close()


def test_a_good_page_passes_at_once() -> None:
    with serving(say(200, b"Hello from v2")) as server:
        result = _ask(_page(contains="Hello from v2"), server.url)
    assert (result.passed, result.attempts, result.request) == (True, 1, f"GET {server.url}/")


def test_a_balancer_without_targets_is_asked_again_until_it_has_some() -> None:
    with serving(say(503), say(503), say(200, b"ok")) as server:
        result = _ask(_page(), server.url)
    assert (result.passed, result.attempts) == (True, 3)


def test_what_never_passes_fails_when_its_time_is_over() -> None:
    with serving(say(200, b"Hullo from v2")) as server:
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
    with serving(say(302, b"", Location="/login")) as server:
        result = _ask(_page(within=0), server.url)
        expected = _ask(_page(within=0, status=302), server.url)
    assert (result.got, expected.passed) == ("status 302", True)
    assert server.requests == ["/", "/"]


def test_connections_are_kept() -> None:
    with serving(say(503), say(503), say(200, b"ok")) as server:
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
    with serving(say(200, "Grüße".encode("latin-1"), Content_Type="text/html; charset=latin-1")) as server:
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
    result = Pursuit(_page(within=10), 0, _round(Scene("http://t", server.clock, server))).run()
    pauses = [round(later - sooner, 2) for sooner, later in zip(server.asked, server.asked[1:], strict=False)]
    assert (pauses[0], max(pauses), server.asked[-1]) == (0.3, 2.0, 10)
    assert result.attempts == len(server.asked)


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        threading.Event().wait(0.01)


def _all(
    checks: tuple[Check, ...], ask: Ask, over: Callable[[], bool] = lambda: False
) -> dict[int, CheckResult]:
    found: dict[int, CheckResult] = {}
    scene = Scene("http://t", SystemClock(), ask)
    asking = Asking(tuple(enumerate(checks)), _round(scene, found.__setitem__, over))
    asking.start()
    until(lambda: asking.done)
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


def test_a_request_that_must_be_fast_is_asked_again_until_it_is() -> None:
    slow = threading.Event()

    def once_slow(request: BaseHTTPRequestHandler) -> None:
        if not slow.is_set():
            slow.set()
            threading.Event().wait(0.3)
        say(200)(request)

    check = Check(name="page", get="/", below=Limit.parse("150ms"), within=Duration(5))
    with serving(once_slow) as server:
        result = _ask(check, server.url)
    assert (result.verdict, result.attempts) == ("pass", 2)
    assert result.measurements[0].got.endswith("> 150 ms")
    assert 0.3 <= result.measurements[0].values["latency"] < 1


def test_a_sandboxs_short_seconds_make_no_answer_fast() -> None:
    def wait(request: BaseHTTPRequestHandler) -> None:
        threading.Event().wait(0.1)
        say(200)(request)

    with serving(wait) as server:
        http = Http(FastClock(60, SystemClock()))
        answer = http(server.url + "/", 5)
        http.close()
    assert answer.status == 200
    assert 0.1 <= answer.seconds < 1


def test_measurements_are_counted_and_kept_with_their_times() -> None:
    clock = HandClock()
    answers = [Answer(200), Answer(500), Answer(200)]
    check = Check(name="page", get="/", count=3, interval=Duration(5), failure_limit=1)
    scene = Scene("http://t", clock, lambda url, timeout: answers.pop(0))
    result = Pursuit(check, 0, _round(scene)).run()
    assert (result.verdict, result.attempts, result.failures) == ("pass", 3, 1)
    began = clock.now() - timedelta(seconds=10)
    assert [measured.at for measured in result.measurements] == [
        began + timedelta(seconds=5 * n) for n in range(3)
    ]
    assert [measured.verdict for measured in result.measurements] == ["pass", "fail", "pass"]


def test_how_long_it_still_takes_is_told_while_it_waits() -> None:
    clock, told = HandClock(), list[float | None]()
    check = Check(name="page", get="/", count=2, interval=Duration(3))
    scene = Scene("http://t", clock, lambda url, timeout: Answer(200))
    Pursuit(check, 0, _round(scene, lambda place, result: told.append(result.due))).run()
    assert told == [None, 3.0, 2.0, 1.0, None]


def test_after_the_shift_a_connection_that_is_not_made_is_no_data() -> None:
    check = Check(name="page", get="/", when="after", count=1)
    shut = Answer(None, error="refused", reached=False)
    result = Pursuit(check, 0, _round(Scene("http://t", HandClock(), lambda url, timeout: shut))).run()
    assert (result.verdict, result.reached) == ("inconclusive", False)


def _run(checks: tuple[Check, ...], folder: Path, ask: Ask) -> list[CheckResult]:
    found: dict[int, CheckResult] = {}
    scene = Scene("http://t", SystemClock(), ask, folder=folder)
    asking = Asking(tuple(enumerate(checks)), _round(scene, found.__setitem__))
    asking.start()
    until(lambda: asking.done)
    assert asking.complete
    return [found[place] for place in range(len(checks))]


def test_what_takes_its_time_comes_after_the_requests_and_one_at_a_time(tmp_path: Path) -> None:
    commands = tuple(
        Check(name=name, command=f"echo {name} begins >>log; sleep 0.1; echo {name} ends >>log")
        for name in ("one", "other")
    )

    def ask(url: str, timeout: float) -> Answer:
        with (tmp_path / "log").open("a") as log:
            log.write("asked\n")
        return Answer(200)

    results = _run((*commands, _page()), tmp_path, ask)
    assert [result.verdict for result in results] == ["pass"] * 3
    log = (tmp_path / "log").read_text().splitlines()
    assert log == ["asked", "one begins", "one ends", "other begins", "other ends"]


def test_once_a_check_that_counts_has_failed_nothing_long_is_begun(tmp_path: Path) -> None:
    checks = (_page(within=0), Check(name="smoke", command="touch begun"))
    page, smoke = _run(checks, tmp_path, lambda url, timeout: Answer(500))
    assert (page.verdict, smoke.verdict, smoke.got) == ("fail", None, "not run: page had failed")
    assert not (tmp_path / "begun").exists()


def test_a_failure_that_is_only_observed_keeps_nothing_from_being_run(tmp_path: Path) -> None:
    checks = (
        Check(name="seen", get="/", mode="observe", within=Duration(0)),
        Check(name="smoke", command="true"),
    )
    seen, smoke = _run(checks, tmp_path, lambda url, timeout: Answer(500))
    assert (seen.verdict, seen.observed, smoke.verdict) == ("fail", True, "pass")


def test_after_the_shift_a_check_that_breaks_takes_nothing_from_users() -> None:
    def broken(url: str, timeout: float) -> Answer:
        raise RuntimeError("no such thing")

    found = _all((Check(name="page", get="/", when="after"),), broken)
    assert (found[0].verdict, found[0].got) == (
        "inconclusive",
        "the check broke: RuntimeError: no such thing",
    )


def test_that_aws_does_not_tell_a_metric_is_no_data() -> None:
    def denied(metric: object) -> float:
        raise OSError("no route to host")

    check = Check(name="errors", metric="target_5xx_rate", below=Limit.parse("1%"), count=1)
    scene = Scene("http://t", HandClock(), lambda url, timeout: Answer(200), metric=denied)
    result = Pursuit(check, 0, _round(scene)).run()
    assert (result.verdict, result.got) == ("inconclusive", "no data: OSError: no route to host")
