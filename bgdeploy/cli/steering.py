"""What the keys do that somebody presses while a release is shown: promote, stop, look at the log, leave.

What they ask AWS for is done in a thread, so that the board goes on; whoever leaves waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bgdeploy.cli.invocation import Invocation
from bgdeploy.errors import WARNING

if TYPE_CHECKING:
    from bgdeploy.cli.keyboard import Keyboard
    from bgdeploy.release.changes import Frame
    from bgdeploy.release.keys import Action, Offer
    from bgdeploy.release.reader import Reader
    from bgdeploy.release.records.told import Said
    from bgdeploy.release.snapshot import Snapshot
    from bgdeploy.views.panel import Panel

_PATIENCE = 5.0  # seconds: for the second press, and for what was said to be read
# Seconds that whoever leaves waits for what was asked for: at first in silence, then told so.
_MOMENT, _FAREWELL = 1.0, 9.0
_UNANSWERED = "AWS has not answered what a key asked for: it may not have happened, `bgdeploy status` tells"


class Steering:
    """One person at one keyboard."""

    def __init__(self, invocation: Invocation, reader: Reader, keys: Keyboard | None) -> None:
        self.panel: Panel | None = None  # None: nobody can press a key
        self.stopped: str | None = None  # what CodeDeploy said when a key had it stop the deployment
        self._clock = invocation.clock  # the person's time, and not the sandbox's
        self._reader = reader
        self._keys = keys
        self._logs = False
        self._said, self._said_at = "", 0.0
        self._deeds: list[Future[str]] = []  # that AWS has not answered yet
        # What is done when its key is pressed once more, and when it was pressed first.
        self._asked: tuple[Action, float] | None = None

    def see(self, frame: Frame) -> None:
        """Do what the keys pressed since the last frame ask for. Raises KeyboardInterrupt for who wants to leave."""
        from bgdeploy.release.keys import chosen, offers
        from bgdeploy.views.panel import Panel

        if self._keys is None:
            return
        for deed in [one for one in self._deeds if one.done()]:
            self._deeds.remove(deed)
            self._say(_outcome(deed))
        offered = offers(frame.snapshot, frame.checks.stage if frame.checks else "idle")
        for key in self._keys.pressed():
            offer = chosen(key, offered)
            if offer and (not offer.twice or self._again(offer)):
                self._do(offer.action, frame)
        self.panel = Panel(offered, self._saying(), self._log(frame), self._whose(frame.snapshot))

    def _do(self, action: Action, frame: Frame) -> None:
        from bgdeploy.release.keys import Action

        if action is Action.DETACH:
            raise KeyboardInterrupt
        if action is Action.LOGS:
            self._logs = not self._logs
        elif action is Action.STOP:
            self._stop(frame.snapshot)
        elif not self._deeds:  # pressed again while AWS is being asked it means the same, and no later wait
            self._begin(lambda: self._promote(action, frame))

    def _again(self, offer: Offer) -> bool:
        """Tell whether this is the second press, and else ask for it."""
        before, self._asked = self._asked, (offer.action, self._clock.monotonic())
        if before and before[0] is offer.action and self._clock.monotonic() - before[1] <= _PATIENCE:
            self._asked = None
            return True
        self._say(f"press {offer.key} again within {_PATIENCE:.0f} s to {offer.label}")
        return False

    def _stop(self, snapshot: Snapshot) -> None:
        from bgdeploy.release.attending import stopping

        by = stopping.by_me("the board's key a")
        bucket, ident = self._reader.target.bucket, snapshot.deployment.id

        def stop() -> str:
            self.stopped = stopping.stop(self._reader.aws, bucket, ident, by)
            return f"it is being stopped: {self.stopped}"

        self._begin(stop)

    def _promote(self, action: Action, frame: Frame) -> str:
        from bgdeploy.release import operations
        from bgdeploy.release.attending import hook
        from bgdeploy.release.keys import Action

        aws, ident = self._reader.aws, frame.snapshot.deployment.id
        if action is Action.ACCEPT:
            return hook.accept(aws, self._reader.target.bucket, ident) or "nobody asks any more"
        return operations.promote(aws, ident, frame.phase)

    def _begin(self, act: Callable[[], str]) -> None:
        """Have something done, and what came of it said."""
        from bgdeploy import background

        self._deeds.append(background.begin(act))

    def leave(self) -> Iterator[str]:
        """Wait for what was asked for, and yield what came of it that nobody has been told yet."""
        if wait(self._deeds, _MOMENT).not_done:
            yield "waiting for AWS to answer what a key asked for"
            wait(self._deeds, _FAREWELL)
        for deed in self._deeds:
            yield _outcome(deed) if deed.done() else f"{WARNING}{_UNANSWERED}"

    def _say(self, text: str) -> None:
        self._said, self._said_at = text, self._clock.monotonic()

    def _saying(self) -> str:
        if self._deeds:
            return "AWS is being asked"
        return self._said if self._clock.monotonic() - self._said_at <= _PATIENCE else ""

    def _whose(self, snapshot: Snapshot) -> str:
        from bgdeploy.release.phase import new_version

        return f"green {new_version(snapshot)}"

    def _log(self, frame: Frame) -> tuple[Said, ...] | None:
        """Return the newest lines of green's log while they are asked for; what cannot be read is said."""
        from bgdeploy.aws import translated
        from bgdeploy.release.phase import new_version

        version = new_version(frame.snapshot)
        if not self._logs or not version:
            return () if self._logs else None
        try:
            return self._reader.tail.read(version, frame.now)
        except Exception as error:
            told = translated(error)
            if told is None:
                raise
            return ((frame.now, told.message),)


@contextmanager
def steering(invocation: Invocation, reader: Reader) -> Iterator[Steering]:
    """Yield who listens to the keys, where somebody sits at a real terminal that shows a board."""
    from bgdeploy.cli.keyboard import keyboard

    with keyboard(invocation.watched) as keys:
        steer = Steering(invocation, reader, keys)
        try:
            yield steer
        finally:
            for said in steer.leave():
                invocation.say(invocation.spelled(said))


def _outcome(deed: Future[str]) -> str:
    """Return what came of something: nothing that a key brings about ends the watching."""
    from bgdeploy.aws import sentence_of

    try:
        return deed.result()
    except Exception as error:
        told = sentence_of(error)
        if told is None:
            raise
        return told.message
