"""Keeps the story of a deployment while it is followed, and saves it in a thread of its own.

Whoever follows is never kept waiting: what AWS does not take now is tried again with the next thing that happens.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bgdeploy.aws import Aws
from bgdeploy.release.attending.claimant import who
from bgdeploy.release.records import stories, telling
from bgdeploy.release.records.stories import Kept
from bgdeploy.release.records.story import Story

if TYPE_CHECKING:
    from bgdeploy.release.changes import Frame
    from bgdeploy.release.ending import Ending

_SOON = 2.0  # seconds between two saves when something has happened
_RARELY = 60.0  # and when there are only more measurements
_FAREWELL = 5.0  # seconds of the machine's that the end waits for the last save


class Keeper:
    """A companion of one following."""

    def __init__(self, aws: Aws, bucket: str) -> None:
        self._aws = aws
        self._bucket = bucket
        self._by = who()
        self._since: datetime | None = None
        self._story: Story | None = None
        self._frame: Frame | None = None
        self._gist: tuple[Any, ...] = ()
        self._saved_at = float("-inf")
        self._lock = threading.Lock()
        self._due: Story | None = None  # what is to be saved next
        self._work = threading.Event()
        self._leaving = threading.Event()
        self._thread: threading.Thread | None = None

    def see(self, frame: Frame) -> None:
        """Take over what a frame shows, and have it saved when that is worth it."""
        with suppress(Exception):  # a story that cannot be told must not end the release that it would tell
            self._see(frame)

    def end(self, ended: Ending) -> None:
        """Take over how it ended, and wait a moment for all of it to be saved."""
        with suppress(Exception):
            self._end(ended)

    def _see(self, frame: Frame) -> None:
        if self._story is None or self._story.deployment != frame.snapshot.deployment.id:
            self._story, self._gist = telling.begun(frame), ()
            self._since = frame.now
        assert self._since is not None
        self._frame = frame
        self._story = telling.told(self._story, frame, self._by, self._since)
        gist = _gist(self._story)
        since = self._aws.clock.monotonic() - self._saved_at
        if since >= (_RARELY if gist == self._gist else _SOON):
            self._gist = gist
            self._save(self._story)

    def _end(self, ended: Ending) -> None:
        if self._story is None or self._frame is None:
            return
        self._save(telling.concluded(self._story, self._frame, ended))
        self._leaving.set()
        self._work.set()
        if self._thread:
            self._thread.join(_FAREWELL)

    def _save(self, told: Story) -> None:
        self._saved_at = self._aws.clock.monotonic()
        with self._lock:
            self._due = told
        self._work.set()
        if self._thread is None:
            # A daemon: a bucket that hangs must not keep the program from ending.
            self._thread = threading.Thread(target=self._run, name="story", daemon=True)
            self._thread.start()

    # In a thread of its own

    def _run(self) -> None:
        kept: Kept | None = None
        while not (self._leaving.is_set() and self._due is None):
            self._work.wait()
            self._work.clear()
            with self._lock:
                told, self._due = self._due, None
            if told is not None:
                kept = self._saved(told, kept)

    def _saved(self, told: Story, kept: Kept | None) -> Kept | None:
        """Save it, whatever AWS says: a story is worth less than the release that it tells."""
        seen = kept if kept and kept.story.deployment == told.deployment else None
        with suppress(Exception):
            return stories.save(self._aws, self._bucket, told, seen)
        return seen


def _gist(story: Story) -> tuple[Any, ...]:
    """Return what is worth saving at once when it changes; measurements come by the hundred."""
    return (
        story.facts and (story.facts.status, story.facts.rollback_status),
        tuple(step.status for step in story.steps),
        story.traffic,
        story.alarms,
        story.stages,
        story.trouble,
        tuple((check.name, check.verdict) for check in story.checks),
    )
