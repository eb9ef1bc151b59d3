"""Tells people who do not watch a release of it, as the config asks: a companion that nobody has to wait for."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

from bgdeploy.cli.invocation import Invocation
from bgdeploy.errors import WARNING, Exit

if TYPE_CHECKING:
    from bgdeploy.config import Notification
    from bgdeploy.release.changes import Frame
    from bgdeploy.release.ending import Ending
    from bgdeploy.release.occasions import Occasion
    from bgdeploy.release.reader import Reader
    from bgdeploy.views.notice import Notice

# Seconds of the machine's that the end waits for what is still to be sent; a cancelled job has few.
_FAREWELL, _SHORT_FAREWELL = 6.0, 2.0


class Notifier:
    """A companion of one following, which sends in a thread of its own."""

    def __init__(self, invocation: Invocation, reader: Reader, told: tuple[Notification, ...]) -> None:
        self._invocation = invocation
        self._reader = reader
        self._whom = told
        self._frame: Frame | None = None
        self._seen: set[tuple[str, str]] = set()
        self._due: queue.SimpleQueue[Occasion | None] = queue.SimpleQueue()
        self._leaving = threading.Event()
        self._thread: threading.Thread | None = None
        self._troubles: list[str] = []

    def see(self, frame: Frame) -> None:
        """Have people told of what is new in a frame. Returns at once."""
        from bgdeploy.release.occasions import occasions

        self._frame = frame
        for occasion in occasions(frame):
            self._tell(occasion)

    def end(self, ended: Ending) -> None:
        """Have people told how it ended, wait a moment for that, and say what could not be sent."""
        from bgdeploy.release.occasions import at_end

        occasion = at_end(self._frame, ended) if self._frame else None
        if occasion:
            self._tell(occasion)
        if self._thread is None:
            return
        self._leaving.set()
        self._due.put(None)
        self._thread.join(_SHORT_FAREWELL if ended.exit is Exit.INTERRUPTED else _FAREWELL)
        if self._thread.is_alive():
            self._troubles.append("not everybody was told in time; whoever attaches soon tells them")
        for trouble in dict.fromkeys(self._troubles):
            self._invocation.say(f"{WARNING}{trouble}")

    def _tell(self, occasion: Occasion) -> None:
        name = (occasion.deployment, occasion.name)
        if name in self._seen or not any(occasion.kind in one.on for one in self._whom):
            return
        self._seen.add(name)
        self._due.put(occasion)
        if self._thread is None:
            # A daemon: a webhook that hangs must not keep the program from ending.
            self._thread = threading.Thread(target=self._run, name="notices", daemon=True)
            self._thread.start()

    # In a thread of its own

    def _run(self) -> None:
        from bgdeploy.aws import translated

        while (occasion := self._due.get()) is not None:
            try:
                self._send(occasion)
            except Exception as error:  # nobody is told, and the release goes on
                sentence = translated(error)
                why = sentence.message if sentence else type(error).__name__
                self._troubles.append(f"nobody was told of {occasion.name}: {why}")

    def _send(self, occasion: Occasion) -> None:
        from bgdeploy.release.posting import Notices, claimed
        from bgdeploy.release.records.record import described, goes_back
        from bgdeploy.views.notice import notice

        aws, bucket = self._reader.aws, self._reader.target.bucket
        if occasion.name == "approval" and goes_back(aws, bucket, occasion.snapshot.deployment.description):
            return  # whoever follows it approves it
        notices = Notices(aws, bucket, occasion.deployment, name=occasion.name)
        mine = claimed(notices, self._leaving.is_set)
        if mine is None:
            return
        told = described(occasion.snapshot.deployment.description)
        by = (told.by if told else "") or occasion.snapshot.deployment.creator
        written = notice(occasion, by, self._invocation.spelled)
        for whom in (one for one in self._whom if occasion.kind in one.on):
            renewed = notices.renew(mine)
            if renewed is None:  # we were taken for dead, and another sends it
                return
            mine = renewed
            if trouble := self._told(whom, written):
                self._troubles.append(trouble)
        notices.close(mine, "Succeeded")

    def _told(self, whom: Notification, written: Notice) -> str:
        """Tell somebody, and return what is wrong, "" when nothing is."""
        from bgdeploy.release.posting import post, publish

        if whom.sns:
            return publish(self._reader.aws, whom.sns, written.subject, written.text)
        if whom.webhook and whom.webhook.text:  # it is empty where the environment has none
            return post(whom.webhook, written.slack(), self._invocation.clock)
        return ""
