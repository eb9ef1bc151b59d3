"""Ctrl-C, held back where it would lose something that nobody could find again."""

from __future__ import annotations

import signal
import threading
from typing import Any


class Interrupts:
    """Decides what becomes of Ctrl-C once it is installed. Until told otherwise each one raises KeyboardInterrupt."""

    def __init__(self) -> None:
        self._before: Any = None
        self._single = False
        self._held = False
        self._waiting = False

    def install(self) -> None:
        """Take Ctrl-C over, for as long as the process lasts or until `restore`."""
        # Where Ctrl-C is ignored (nohup, a job in the background) or somebody else handles it, it stays theirs.
        ours = threading.current_thread() is threading.main_thread()
        if ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._came)

    def restore(self) -> None:
        """Give Ctrl-C back to whom it was taken from."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None

    @property
    def held(self) -> bool:
        """Tell whether Ctrl-C is being held back."""
        return self._held

    def once(self) -> None:
        """Let Ctrl-C come once and no more: what it makes the program say must not be cut short by a second one."""
        self._single = True

    def hold(self) -> None:
        """Hold Ctrl-C back until it is let through. A second one comes at once: somebody does not want to wait."""
        self._held = True

    def let_through(self) -> None:
        """Let Ctrl-C come again; one that was held back comes now."""
        self._held = False
        if self._waiting:
            self._raise()

    def end(self) -> None:
        """Let no Ctrl-C come any more: the little that is left to do is done in a moment."""
        if self._before is not None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # so that Python's own end is left alone too

    def _came(self, *_: object) -> None:
        if self._held and not self._waiting:
            self._waiting = True
            return
        self._raise()

    def _raise(self) -> None:
        self._waiting = False
        if self._single:
            self.end()
        raise KeyboardInterrupt
