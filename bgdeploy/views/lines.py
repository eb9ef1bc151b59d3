"""A release told line by line, where nobody watches a terminal: one line for each change, and a sign of life."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bgdeploy.release.changes import Silence, tasks_text, throttled_text
from bgdeploy.release.phase import length, wait
from bgdeploy.views.theme import UNICODE, Glyphs, plain

if TYPE_CHECKING:
    from bgdeploy.release.changes import Change, Frame

HEARTBEAT = 30.0  # seconds of silence; CI systems kill what says nothing for long


class Lines:
    """Turns frames into lines; it remembers when it spoke last."""

    def __init__(self, signs: Glyphs = UNICODE) -> None:
        self._signs = signs
        self._spoke_at = 0.0
        self._notice = ""
        self._throttled = False

    def feed(self, frame: Frame | Silence) -> list[str]:
        """Return the lines that a frame adds, none when nothing is new."""
        new = self._unheard(frame) if isinstance(frame, Silence) else self._new(frame)
        lines = [plain(line, self._signs) for line in new]
        if lines:
            self._spoke_at = frame.elapsed
        return lines

    def _unheard(self, silence: Silence) -> Iterator[str]:
        if silence.notice and silence.notice != self._notice:
            yield f"{self._signs.warn} {silence.notice}"
        self._notice = silence.notice
        if silence.elapsed - self._spoke_at >= HEARTBEAT:
            yield f"{self._signs.dot} AWS has been asked where it is for {length(silence.elapsed)}"

    def _new(self, frame: Frame) -> Iterator[str]:
        for change in frame.changes:
            yield self._line(change)
        if frame.notice and frame.notice != self._notice:
            yield f"{frame.now:%H:%M:%SZ} {self._signs.warn} {frame.notice}"
        self._notice = frame.notice
        if frame.throttled and not self._throttled:
            yield f"{frame.now:%H:%M:%SZ} {self._signs.warn} {throttled_text(frame.throttled)}"
        self._throttled = bool(frame.throttled)
        if not frame.changes and frame.elapsed - self._spoke_at >= HEARTBEAT:
            yield f"{frame.now:%H:%M:%SZ} {self._signs.dot} {_still(frame)}"

    def _line(self, change: Change) -> str:
        mark = {True: self._signs.good, False: self._signs.bad, None: self._signs.dot}[change.good]
        return f"{change.at:%H:%M:%SZ} {mark} {change.kind:<10} {change.subject}: {change.text}"


def _still(frame: Frame) -> str:
    """Return where it still is, and for how long it may stay there."""
    parts = [f"still {frame.phase}"]
    waiting = wait(frame.snapshot)
    if waiting:
        parts.append(waiting.text(frame.now))
    green = frame.snapshot.side("green")
    if green:
        parts.append(f"green {green.version} {tasks_text(green)}")
    return "; ".join(parts)
