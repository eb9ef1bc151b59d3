"""The keys that somebody presses while a release is shown, without waiting for one; the terminal is left as it was.

Ctrl-C stays a signal. Ctrl-Z and a kill give the terminal back first; what SIGKILL leaves behind, `stty sane` mends.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

_ESCAPE = b"\x1b"  # begins what arrows and function keys send, which is no letter
_SHOW_CURSOR = "\x1b[?25h"  # that the live board hides


class Keyboard:
    """A terminal that tells each key at once. Use `keyboard`, which gives it back."""

    def __init__(self, fd: int) -> None:
        import termios

        self._fd = fd
        self._kept = termios.tcgetattr(fd)
        self._open = True

    def pressed(self) -> str:
        """Return the keys pressed since the last call, "" when there were none. Never waits."""
        if not self._open or not self._ours():
            return ""
        self._listen()
        ready, _, _ = select.select([self._fd], [], [], 0)
        if not ready:
            return ""
        try:
            read = os.read(self._fd, 64)
        except OSError:
            read = b""
        self._open = bool(read)  # else the terminal is gone
        return "" if read.startswith(_ESCAPE) else read.decode("utf-8", "ignore")

    def give_back(self) -> None:
        """Leave the terminal as it was found."""
        import termios

        if self._ours():  # whoever took the terminal from us has set it up for itself
            with suppress(termios.error):
                termios.tcsetattr(self._fd, termios.TCSADRAIN, self._kept)

    def _listen(self) -> None:
        """Have the terminal tell each key at once: to begin with, and again when we were stopped and went on.

        What was typed before that was meant for somebody else: no `a a` of it may stop a deployment.
        """
        import termios
        import tty

        with suppress(termios.error):
            if termios.tcgetattr(self._fd)[3] & termios.ICANON:
                tty.setcbreak(self._fd, termios.TCSAFLUSH)

    def _ours(self) -> bool:
        """Tell whether we may touch the terminal: a job in the background that does is stopped."""
        try:
            return os.tcgetpgrp(self._fd) == os.getpgrp()
        except OSError:  # it controls nobody
            return True


@contextmanager
def keyboard(wanted: bool) -> Iterator[Keyboard | None]:
    """Yield the keyboard; None where none is wanted, or the system has no such terminals."""
    try:
        import termios
    except ImportError:
        yield None
        return
    if not (wanted and sys.stdin.isatty() and threading.current_thread() is threading.main_thread()):
        yield None
        return
    try:
        keys = Keyboard(sys.stdin.fileno())
    except (termios.error, OSError):
        yield None
        return
    before = _on_signals(keys)
    try:
        yield keys
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        keys.give_back()


def _on_signals(keys: Keyboard) -> dict[signal.Signals, Any]:
    """Have the terminal given back before a signal stops or ends us; those that somebody handles stay theirs."""

    def give_way(number: int, _: FrameType | None) -> None:
        keys.give_back()
        with suppress(OSError):
            sys.stderr.write(f"{_SHOW_CURSOR}\n")
            sys.stderr.flush()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, give_way)  # after Ctrl-Z, once we go on

    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP)
    ours = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    return {number: signal.signal(number, give_way) for number in ours}
