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
from bgdeploy.release.limits import Finished

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
    process = subprocess.Popen(
        ["/bin/sh", "-c", command],
        cwd=folder,
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    lines: deque[str] = deque(maxlen=_LINES)
    reader = threading.Thread(target=_read, args=(process, lines), name="check-output", daemon=True)
    reader.start()
    try:
        while not _ended(process, _GLANCE):
            left = limit - (clock.monotonic() - began) / speed
            tell(lines[-1] if lines else "", max(left, 0.0))
            if over():
                return None
            if left <= 0:
                _end(process)
                reader.join(_GRACE)
                return Finished(None, tuple(lines))
        # What it has left behind would hold its output open.
        _signal(process, signal.SIGKILL)
        reader.join(_GRACE)
        return Finished(process.returncode, tuple(lines))
    finally:
        _end(process)


def _read(process: subprocess.Popen[bytes], lines: deque[str]) -> None:
    assert process.stdout is not None
    with suppress(OSError, ValueError), process.stdout:
        while line := process.stdout.readline(_LONGEST_LINE):
            if said := line.decode(errors="replace").rstrip():
                lines.append(said)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the whole group: politely, and then not."""
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        _ended(process, _GRACE)
    _signal(process, signal.SIGKILL)
    _ended(process, _GRACE)


def _ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(
        ProcessLookupError, PermissionError
    ):  # nobody of the group is left; macOS says it differently
        os.killpg(process.pid, number)
