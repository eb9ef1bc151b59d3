"""Sends single requests over HTTP, and says in words why there was no answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bgdeploy import __version__
from bgdeploy.clock import Clock, speed_of
from bgdeploy.release.analysis.expectations import Answer
from bgdeploy.release.reach import BY_NAME, get
from bgdeploy.release.snapshot import Reach

if TYPE_CHECKING:
    import urllib3

_CONNECT = (
    3.0  # seconds; a security group drops packets, so being shut out shows as a connection that never comes
)
_LONGEST_BODY = 2**20
_CHUNK = 2**16
SIDE_BY_SIDE = 8

Ask = Callable[[str, float], Answer]


class Http:
    """Sends requests over connections that it keeps open. For several threads at once."""

    def __init__(self, clock: Clock, reach: Reach = BY_NAME) -> None:
        import urllib3

        self._clock = clock
        self._reach = reach
        self._pool = urllib3.PoolManager(
            num_pools=2,
            maxsize=SIDE_BY_SIDE,
            headers={"User-Agent": f"bgdeploy/{__version__}", "Accept-Encoding": "identity"},
        )

    def __call__(self, url: str, timeout: float) -> Answer:
        """Return what `url` answers within `timeout` seconds of the machine's, or why there is no answer."""
        import urllib3

        began, speed = self._clock.monotonic(), speed_of(self._clock)
        deadline = began + timeout * speed
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
        return Answer(response.status, body, headers, seconds=(self._clock.monotonic() - began) / speed)

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
