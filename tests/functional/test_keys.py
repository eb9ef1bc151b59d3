"""The board's keys, pressed at a real terminal: a pseudo one that this test holds the other end of."""

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
from collections.abc import Iterator
from pathlib import Path

import pytest

from bgdeploy.sandbox import control
from tests.functional.shells import Shop, environ

pytestmark = pytest.mark.slow

_CONFIG = """\
load_balancer:
  production: {{port: 8791}}
  test: {{port: 8792}}
  health_check: {{interval: 5s, timeout: 2s}}
deployment: {{approval: {approval}, keep_blue: 2h}}
checks: {checks}
"""
# A child whose terminal this is: job control and Ctrl-Z need a controlling one.
_CHILD = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
_CODES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")
_PATIENCE = 60.0


class Terminal:
    """A terminal of 24 lines of 80 columns, and a program that runs in it."""

    def __init__(self, shop: Shop, *command: str) -> None:
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

    def close(self) -> int:
        """Wait for the program's end, and return its exit status."""
        end = time.monotonic() + _PATIENCE
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


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Keyed]:
    """v1 is live; whatever comes next waits for approval."""
    made = _Keyed(tmp_path_factory.mktemp("keys"))
    assert made.run("release", "v1", "--until", "finished").returncode == 0
    made.configure(approval="1h")
    assert made.run("provision", "--yes").returncode == 0
    yield made
    control.stop(made.folder / "sandbox")


class _Keyed(Shop):
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project = folder / "shop"
        self.environ = environ(BGDEPLOY_SANDBOX_HOME=str(folder / "sandbox"))
        self.project.mkdir()
        self.run("init")
        self.configure(approval="none")
        self.provisioned = self.run("provision")

    def configure(self, approval: str, checks: str = "[]") -> None:
        text = _CONFIG.format(approval=approval, checks=checks)
        (self.project / "config/dev.yaml").write_text(text, encoding="utf-8")


def test_l_shows_the_log_and_p_promotes(shop: Shop) -> None:
    terminal = Terminal(shop, "release", "v2")
    terminal.wait_for("p promote   a stop and roll back   l logs   d detach")
    assert not terminal.as_before, "keys are told at once"
    terminal.press("l")
    terminal.wait_for("log of green v2")
    terminal.press("p")
    assert terminal.close() == 0, terminal.said
    assert "v2 is live and verified" in terminal.said
    assert terminal.as_before


def test_d_leaves_the_deployment_and_the_terminal_alone(shop: Shop) -> None:
    """While blue is kept, after the test above."""
    terminal = Terminal(shop, "watch")
    terminal.wait_for("p remove blue now")
    terminal.press("d")
    assert terminal.close() == 130
    assert "goes on (it was shifted)" in terminal.said
    assert terminal.as_before


def test_a_kill_gives_the_terminal_back(shop: Shop) -> None:
    terminal = Terminal(shop, "watch")
    terminal.wait_for("d detach")
    terminal.process.terminate()
    terminal.close()
    assert terminal.as_before


def test_a_stops_it_when_it_is_pressed_twice(shop: Shop) -> None:
    terminal = Terminal(shop, "watch")
    terminal.wait_for("a stop and roll back")
    terminal.press("a")
    terminal.wait_for("press a again within 5 s")
    terminal.press("a")
    assert terminal.close() == 4, terminal.said
    assert "with the board's key a" in terminal.said
    assert terminal.as_before


def test_p_accepts_checks_that_were_inconclusive(shop: _Keyed) -> None:
    shop.configure(approval="1h", checks='[{name: unsure, command: "exit 2"}]')
    terminal = Terminal(shop, "release", "v3")
    terminal.wait_for("p accept the checks")
    terminal.press("p")
    terminal.wait_for("p promote")
    terminal.press("d")
    assert terminal.close() == 130
    assert shop.run("stop").returncode == 0
    assert shop.run("watch").returncode == 4


def test_without_a_terminal_to_type_at_no_keys_are_offered(shop: Shop) -> None:
    told = shop.run("watch").stderr
    assert "d detach" not in told
