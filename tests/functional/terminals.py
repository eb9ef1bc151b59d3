"""A real terminal, a pseudo one that a test holds the other end of, and a program that runs in it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

# A child whose terminal this is: job control and Ctrl-Z need a controlling one.
_CHILD = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
_CODES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")
_PATIENCE = 60.0


class Runs(Protocol):
    """What a terminal needs of a shop."""

    @property
    def folder(self) -> Path: ...

    @property
    def environ(self) -> Mapping[str, str]: ...

    def argv(self, *command: str) -> list[str]: ...


class Terminal:
    """A terminal of 24 lines of 80 columns, and a program that runs in it."""

    def __init__(self, shop: Runs, *command: str) -> None:
        self._ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(self.theirs)
        self.process = subprocess.Popen(
            [sys.executable, "-c", _CHILD, *shop.argv(*command)],
            cwd=shop.folder,
            env={**shop.environ, "TERM": "xterm"},
            stdin=self.theirs,
            stdout=self.theirs,
            stderr=self.theirs,
            start_new_session=True,
        )
        self._shown = b""

    def press(self, key: str) -> None:
        os.write(self._ours, key.encode())

    def wait_for(self, text: str) -> None:
        """Read the screen until it has shown `text` since the last call."""
        end = time.monotonic() + _PATIENCE
        while text not in self._plain():
            assert time.monotonic() < end, self._plain()[-3000:]
            self._read()
        self._shown = b""

    def close(self, patience: float = _PATIENCE) -> int:
        """Wait for the program's end, so many seconds at most, and return its exit status."""
        end = time.monotonic() + patience
        while self.process.poll() is None:
            assert time.monotonic() < end, self._plain()[-3000:]
            self._read()
        return self.process.returncode

    @property
    def said(self) -> str:
        self._read()
        return self._plain()

    @property
    def as_before(self) -> bool:
        """Tell whether the terminal is as the program found it."""
        return termios.tcgetattr(self.theirs)[:6] == self.before[:6]

    def _plain(self) -> str:
        return _CODES.sub(b"", self._shown).decode("utf-8", "replace")

    def _read(self) -> None:
        ready, _, _ = select.select([self._ours], [], [], 0.1)
        if ready:
            self._shown += os.read(self._ours, 65536)
