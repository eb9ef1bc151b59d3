"""Sees to it that nothing the sandbox started outlives it, however it ends.

`Reaper` starts a small process that is told of every process group. When its standard input ends, because the sandbox
closed it or was killed, it kills the groups that are left.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading


class Reaper:
    """Remembers process groups for as long as this process lives, and kills them after it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Not a package's module but the file itself: it must be small and start at once. -I keeps its neighbours
        # here from standing in for modules of the standard library.
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-I", __file__], stdin=subprocess.PIPE, start_new_session=True
        )

    def watch(self, group: int) -> None:
        """Have `group` killed should this process end; at once when this has been closed."""
        if not self._say(f"+{group}"):
            _kill(group)

    def forget(self, group: int) -> None:
        """`group` has ended by itself."""
        self._say(f"-{group}")

    def close(self) -> None:
        """Kill what is left, now."""
        assert self._process.stdin is not None
        with self._lock, contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.wait()

    def _say(self, line: str) -> bool:
        """Tell the process, and return whether it could be told."""
        assert self._process.stdin is not None
        with self._lock, contextlib.suppress(OSError, ValueError):  # a ValueError says that it is closed
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
            return True
        return False


def reap() -> None:
    """Read which groups there are until the input ends, then kill them."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        groups.add(group) if line[0] == "+" else groups.discard(group)
    for group in groups:
        _kill(group)


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    reap()
