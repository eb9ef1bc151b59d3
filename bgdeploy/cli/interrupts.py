"""Ctrl-C, held back where it would lose something that nobody could find again."""

from __future__ import annotations

import signal
import threading
from types import TracebackType
from typing import Any


class Interrupts:
    """Decides what becomes of Ctrl-C from entry to exit. Until told otherwise each one raises KeyboardInterrupt."""

    def __init__(self) -> None:
        self._before: Any = None
        self._single = False
        self._held = False
        self._waiting = False
        self._over = False

    def __enter__(self) -> Interrupts:
        self._single = self._held = self._waiting = self._over = False
        # Where Ctrl-C is ignored (nohup, a job in the background) or somebody else handles it, it stays theirs.
        ours = threading.current_thread() is threading.main_thread()
        if ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._came)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
        self._over = True

    def _came(self, *_: object) -> None:
        if self._over:
            return
        if self._held and not self._waiting:
            self._waiting = True
            return
        self._raise()

    def _raise(self) -> None:
        self._waiting = False
        self._over = self._single
        raise KeyboardInterrupt
