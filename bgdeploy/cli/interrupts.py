"""Ctrl-C and SIGTERM, held back where they would lose something that nobody could find again."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

# What is ours to handle is what Python or the system would: where Ctrl-C is ignored (nohup, a job in the background),
# or somebody else handles it, it stays theirs.
_THEIRS = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}


class Interrupts:
    """Decides what becomes of Ctrl-C, and of SIGTERM, which is the same from somebody who has no terminal.

    Until told otherwise each one raises KeyboardInterrupt, once `install` was called.
    """

    def __init__(self) -> None:
        self.came: signal.Signals | None = None  # the newest that was raised
        self._before: dict[signal.Signals, Any] = {}
        self._single = False
        self._held = False
        self._waiting: signal.Signals | None = None

    def install(self) -> None:
        """Take them over, for as long as the process lasts or until `restore`."""
        if threading.current_thread() is threading.main_thread():
            for one, usual in _THEIRS.items():
                if signal.getsignal(one) is usual:
                    self._before[one] = signal.signal(one, self._came)

    def restore(self) -> None:
        """Give them back to whom they were taken from."""
        while self._before:
            signal.signal(*self._before.popitem())

    @property
    def held(self) -> bool:
        """Tell whether they are being held back."""
        return self._held

    def once(self) -> None:
        """Let one come and no more: what it makes the program say must not be cut short by a second one."""
        self._single = True

    def again(self) -> None:
        """Let one more come after the one that did: what it made the program say is said."""
        for one in self._before:
            signal.signal(one, self._came)

    def hold(self) -> None:
        """Hold them back until they are let through.

        A second Ctrl-C comes at once: somebody does not want to wait. SIGTERM does not, however often it is sent:
        what ends CI jobs sends both, one after the other.
        """
        self._held = True

    def let_through(self) -> None:
        """Let them come again; one that was held back comes now."""
        self._held = False
        if self._waiting:
            self._raise(self._waiting)

    def end(self) -> None:
        """Let none come any more: the little that is left to do is done in a moment."""
        for one in self._before:
            signal.signal(one, signal.SIG_IGN)  # so that Python's own end is left alone too

    def _came(self, number: int, _: FrameType | None) -> None:
        one = signal.Signals(number)
        if self._held and (self._waiting is None or one is signal.SIGTERM):
            self._waiting = one
            return
        self._raise(one)

    def _raise(self, one: signal.Signals) -> None:
        self.came, self._waiting = one, None
        if self._single:
            self.end()
        raise KeyboardInterrupt
