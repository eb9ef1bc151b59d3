"""Asks the new version what the checks want to know: HTTP requests, again and again until they pass or time is over."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bgdeploy import __version__
from bgdeploy.clock import Clock
from bgdeploy.config import Check
from bgdeploy.release.checks import Answer, CheckResult, judge, wanted
from bgdeploy.release.reach import BY_NAME, get
from bgdeploy.release.snapshot import Reach

if TYPE_CHECKING:
    import urllib3

_FIRST_PAUSE, _LONGEST_PAUSE = 0.3, 2.0
_CONNECT = (
    3.0  # seconds; a security group drops packets, so being shut out shows as a connection that never comes
)
_LONGEST_BODY = 2**20
_CHUNK = 2**16
_SIDE_BY_SIDE = 8

Ask = Callable[[str, float], Answer]


class Http:
    """Sends requests over connections that it keeps open. For several threads at once."""

    def __init__(self, clock: Clock, reach: Reach = BY_NAME) -> None:
        import urllib3

        self._clock = clock
        self._reach = reach
        self._pool = urllib3.PoolManager(
            num_pools=2,
            maxsize=_SIDE_BY_SIDE,
            headers={"User-Agent": f"bgdeploy/{__version__}", "Accept-Encoding": "identity"},
        )

    def __call__(self, url: str, timeout: float) -> Answer:
        """Return what `url` answers within `timeout` seconds, or why there is no answer."""
        import urllib3

        deadline = self._clock.monotonic() + timeout
        limits = urllib3.Timeout(connect=min(timeout, _CONNECT), read=timeout)
        try:
            response = get(self._pool, url, self._reach, limits)
            try:
                body = self._body(response, deadline)
            finally:
                response.close()  # a connection whose answer was read whole is back in the pool by now
        except (urllib3.exceptions.HTTPError, OSError, _TooSlowError) as error:
            return _no_answer(error, timeout)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, body, headers)

    def _body(self, response: urllib3.BaseHTTPResponse, deadline: float) -> str:
        """Read the body, at most a mebibyte of it. The read timeout counts anew with every piece, the deadline not."""
        read = b""
        while len(read) < _LONGEST_BODY and (piece := response.read1(_CHUNK)):
            read += piece
            if self._clock.monotonic() > deadline:
                raise _TooSlowError
        charset = _charset(response.headers.get("Content-Type", ""))
        return read[:_LONGEST_BODY].decode(charset, "replace")

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()


class _TooSlowError(Exception):
    """The body had not come whole when its time was over."""


def _charset(content_type: str) -> str:
    import codecs

    named = content_type.partition("charset=")[2].partition(";")[0].strip(" \"'")
    try:
        return codecs.lookup(named).name
    except LookupError:
        return "utf-8"


def _no_answer(error: Exception, timeout: float) -> Answer:
    from urllib3 import exceptions as e

    if isinstance(error, e.NameResolutionError):
        return Answer(None, error="its name could not be resolved", reached=False)
    if isinstance(error, e.NewConnectionError):
        why = "refused" if "refused" in str(error).lower() else str(error).rpartition(": ")[2]
        return Answer(None, error=f"the connection was not made: {why}", reached=False)
    if isinstance(error, e.ConnectTimeoutError):  # after what in some versions of urllib3 are kinds of it
        return Answer(None, error=f"no connection within {min(timeout, _CONNECT):g} s", reached=False)
    if isinstance(error, e.SSLError):
        return Answer(None, error=f"its certificate was refused: {error}")
    if isinstance(error, (e.ReadTimeoutError, _TooSlowError)):
        return Answer(None, error=f"no whole answer within {timeout:g} s")
    if isinstance(error, (e.ProtocolError, OSError)):
        return Answer(None, error="the connection was closed without an answer")
    return Answer(None, error=f"{type(error).__name__}: {error}")


@dataclass(frozen=True)
class Round:
    """One round of all checks: against what, and who hears what they find."""

    base_url: str  # of the listener, without a path
    ask: Ask
    clock: Clock
    report: Callable[[int, CheckResult], None]  # the check's place in the list, and what it has found so far
    over: Callable[[], bool]  # tells that nobody wants to know any more


def pending(check: Check, base_url: str) -> CheckResult:
    """Return the result of a check that has not asked anything yet."""
    return CheckResult(check.name, f"GET {base_url}{check.get}", None, wanted(check), "", 0, 0.0)


def ask_until_passed(check: Check, place: int, around: Round) -> CheckResult:
    """Ask until the check passes, for `within` seconds at most, and return its verdict. Always asks once."""
    result = pending(check, around.base_url)
    began, pause, reached = around.clock.monotonic(), _FIRST_PAUSE, False
    while True:
        answer = around.ask(around.base_url + check.get, float(check.timeout))
        verdict = judge(check, answer)
        reached = reached or answer.reached
        seconds = around.clock.monotonic() - began
        result = replace(
            result,
            passed=True if verdict.passed else None,
            wanted=verdict.wanted,
            got=verdict.got,
            attempts=result.attempts + 1,
            seconds=seconds,
            reached=reached,
        )
        left = check.within - seconds
        if not verdict.passed and left <= 0:
            result = replace(result, passed=False)
        around.report(place, result)
        if result.passed is not None or around.over():
            return result
        around.clock.sleep(min(pause, left))
        pause = min(pause * 1.5, _LONGEST_PAUSE)


@dataclass
class Asking:
    """All checks side by side, in threads that do not keep the program from ending."""

    checks: tuple[Check, ...]
    around: Round
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Start asking."""
        queue = list(enumerate(self.checks))[::-1]
        for number in range(min(_SIDE_BY_SIDE, len(queue))):
            thread = threading.Thread(target=self._work, args=(queue,), name=f"check-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self, queue: list[tuple[int, Check]]) -> None:
        while not self.around.over():
            try:
                place, check = queue.pop()
            except IndexError:
                return
            self._one(place, check)

    def _one(self, place: int, check: Check) -> None:
        try:
            ask_until_passed(check, place, self.around)
        except Exception as error:  # a check that breaks has not passed, whatever broke it
            broken = replace(
                pending(check, self.around.base_url),
                passed=False,
                got=f"the check broke: {type(error).__name__}: {error}",
                attempts=1,
            )
            self.around.report(place, broken)

    @property
    def done(self) -> bool:
        """Tell whether no check is asking any more."""
        return not any(thread.is_alive() for thread in self._threads)
