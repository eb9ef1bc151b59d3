"""Runs the command of a check in a process group of its own, and ends all of it when its time is over."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from bgdeploy.clock import Clock, speed_of
from bgdeploy.release.analysis.limits import Finished

_LINES = 20  # of its output that are kept
_LONGEST_LINE = 500  # characters
_GLANCE = 0.1  # seconds between two looks at it
_GRACE = 3.0  # seconds in which it may end by itself


def run(
    command: str,
    environ: Mapping[str, str],
    folder: Path,
    limit: float,
    clock: Clock,
    over: Callable[[], bool],
    tell: Callable[[str, float], None],
) -> Finished | None:
    """Run `command` in a shell and return how it ended; None when nobody wants to know any more.

    `tell` hears its newest line and the seconds that it has left. Whatever it has started and left behind is ended.
    The limit is in seconds of the machine's: a program runs no faster in a sandbox.
    """
    speed, began = speed_of(clock), clock.monotonic()
    group = _Group(command, environ, folder)
    try:
        while not group.ended(_GLANCE):
            left = limit - (clock.monotonic() - began) / speed
            tell(group.newest, max(left, 0.0))
            if over():
                return None
            if left <= 0:
                group.end()
                return Finished(None, group.output())
        group.end()  # what it has left behind would hold its output open
        return Finished(group.status, group.output())
    finally:
        group.end()


class _Group:
    """A shell and all that it starts."""

    def __init__(self, command: str, environ: Mapping[str, str], folder: Path) -> None:
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            cwd=folder,
            env={**os.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._reader = threading.Thread(target=self._read, name="check-output", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with suppress(OSError, ValueError), self._process.stdout as output:
            while line := output.readline(_LONGEST_LINE):
                if said := line.decode(errors="replace").rstrip():
                    self._lines.append(said)

    @property
    def newest(self) -> str:
        """The newest line of its output."""
        return self._lines[-1] if self._lines else ""

    @property
    def status(self) -> int:
        """The shell's exit status, minus the signal's number when one has killed it."""
        return self._process.returncode

    def output(self) -> tuple[str, ...]:
        """Return the last lines of all that it has said."""
        self._reader.join(_GRACE)
        return tuple(self._lines)

    def ended(self, seconds: float) -> bool:
        """Tell whether the shell ends within `seconds`."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def end(self) -> None:
        """End the whole group: politely, and then not."""
        if self._process.poll() is None:
            self._signal(signal.SIGTERM)
            self.ended(_GRACE)
        self._signal(signal.SIGKILL)
        self.ended(_GRACE)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):  # nobody of it is left; macOS says it differently
            os.killpg(self._process.pid, number)
