"""What attending a deployment takes, before the shift and after it: a thread, a claim that is renewed, patience.

AWS's troubles are outlasted: checks are worth nothing when their verdict is not heard.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from bgdeploy.aws import Aws, translated
from bgdeploy.clock import Clock
from bgdeploy.release.analysis.asking import Placed, Round, pending
from bgdeploy.release.analysis.measuring import Ask, Scene
from bgdeploy.release.attending.hook import Claim, Claims, Lapse
from bgdeploy.release.checks import CheckResult, ChecksState, Stage
from bgdeploy.release.records import record as records
from bgdeploy.release.records.record import Record
from bgdeploy.release.snapshot import Reach, Snapshot

T = TypeVar("T")

LOOK = 0.2  # seconds between two looks at how the checks are doing: a verdict is answered within a second
_LONGEST_PAUSE = 5.0  # after one of AWS's troubles
_FAREWELL = 3.0  # seconds that closing waits for the thread to give its claim up


class AwsTime:
    """AWS's time, carried on since its newest answer: the one clock that all who watch share."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._at, self._since = clock.now(), clock.monotonic()

    def set(self, at: datetime) -> None:
        """Take over what AWS has just said."""
        self._at, self._since = at, self._clock.monotonic()

    def now(self) -> datetime:
        return self._at + timedelta(seconds=self._clock.monotonic() - self._since)


@dataclass(frozen=True)
class Rhythm:
    """How often things are done, in seconds."""

    beat: float  # between two renewals of a claim
    lapse: float  # without one, and the claim is anybody's
    poll: float  # between two looks for the hook, or at somebody else's claim


@dataclass(frozen=True)
class Means:
    """What sessions work with."""

    time: AwsTime
    reach: Reach
    record: Record | None  # when it is known already
    key: str  # of the record
    ask: Ask | None  # instead of HTTP
    folder: Path  # where commands are run
    interactive: bool  # somebody is there who can be asked


class Session(ABC):
    """The attendance of one deployment under one claim."""

    def __init__(self, claims: Claims, means: Means, rhythm: Rhythm) -> None:
        self.deployment = claims.deployment
        self.state = ChecksState()
        self._claims = claims
        self._aws: Aws = claims.aws
        self._clock = claims.aws.clock
        self._means = means
        self._rhythm = rhythm
        self._lapse = Lapse(claims.me, self._clock, rhythm.lapse)
        self._over = threading.Event()  # the deployment needs us no more
        self._closed = threading.Event()  # we are to leave
        self._lost = threading.Event()  # of the round that runs: its claim is ours no more
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"attend-{self.deployment}", daemon=True)

    # For the thread that follows the deployment

    def start(self) -> None:
        self._thread.start()

    def release(self, snapshot: Snapshot) -> None:
        """The deployment is past us, as `snapshot` shows: whatever we still do is for nothing."""
        self._over.set()

    def close(self) -> None:
        """Leave, and give up what we hold."""
        self._closed.set()
        self._thread.join(_FAREWELL)

    # In a thread of its own

    @abstractmethod
    def _attend(self, record: Record) -> None:
        """Attend the deployment until it is over, or we are to leave."""

    def _done(self) -> bool:
        return self._over.is_set() or self._closed.is_set()

    def _run(self) -> None:
        try:
            record = self._outlast(self._find_record)
            if record is not None:
                self._attend(record)
        except Exception as error:  # our mistake: the claim lapses, and the hook fails closed
            self._notice(error)

    def _find_record(self) -> Record | None:
        return self._means.record or records.load(self._aws, self._claims.bucket, self._means.key)

    def _claim(self) -> Claim | None:
        """Take the claim if it is to be had, else say who has it."""
        seen = self._claims.read()
        if seen and (seen.answer or not self._lapse.over(seen)):
            self._tell("elsewhere", seen.owner, seen.why)
            return None
        return self._claims.take(seen)

    def _round(self, scene: Scene) -> Round:
        """Return the round of the checks that are run for as long as the claim is ours, and no longer."""
        lost = self._lost = threading.Event()

        def report(place: int, result: CheckResult) -> None:
            if not lost.is_set():
                self._report(place, result)

        return Round(scene, report, lambda: self._done() or lost.is_set(), now=self._means.time.now)

    def _begin(self, checks: tuple[Placed, ...], scene: Scene) -> None:
        """Show the checks before any has found out anything."""
        with self._lock:
            results = tuple(pending(check, scene) for _, check in checks)
            self.state = ChecksState("running", self._claims.me.owner, results, access=self.state.access)

    def _keep(self, claim: Claim, until: Callable[[], object]) -> Claim | None:
        """Renew our claim until `until` is true or we are done, and return it; None when it is lost."""
        mine: Claim | None = claim
        beat_at = self._clock.monotonic() + self._rhythm.beat
        while not until() and not self._done():
            if mine and self._clock.monotonic() >= beat_at:
                mine = self._renewed(mine)
                beat_at = self._clock.monotonic() + self._rhythm.beat
            if mine is None:
                self._lost.set()
                break
            self._clock.sleep(LOOK)
        return mine

    def _renewed(self, mine: Claim) -> Claim | None:
        """Renew the claim; one beat that AWS does not take is no reason to stop, there are several in a lapse."""
        try:
            return self._claims.renew(mine)
        except Exception as error:
            self._notice(error)
            return mine

    def _give_up(self, mine: Claim) -> None:
        """Let another take the claim at once."""
        self._outlast(lambda: self._claims.abandon(mine), self._over.is_set, tries=1)

    # What everything here rests on

    def _report(self, place: int, result: CheckResult) -> None:
        with self._lock:
            results = list(self.state.results)
            if self.state.stage == "running" and place < len(results):
                results[place] = result
                self.state = replace(self.state, results=tuple(results))

    def _tell(self, stage: Stage, owner: str = "", why: tuple[str, ...] = ()) -> None:
        with self._lock:
            known = self.state.results if stage not in {"waiting", "elsewhere"} else ()
            results = tuple(replace(result, live="", left=None, due=None) for result in known)
            self.state = ChecksState(stage, owner, results, why=why, access=self.state.access)

    def _notice(self, error: Exception | None) -> None:
        """Say what is wrong with AWS, and that it is over."""
        sentence = translated(error) if error else None
        told = sentence.message if sentence else f"{type(error).__name__}: {error}" if error else ""
        with self._lock:
            self.state = replace(self.state, notice=told)

    def _await(self, look: Callable[[], T | None]) -> T | None:
        """Return the first that `look` finds, None when nobody waits for it any more."""
        while not self._done():
            found = self._outlast(look)
            if found is not None:
                return found
            self._clock.sleep(self._rhythm.poll)
        return None

    def _outlast(
        self, call: Callable[[], T], over: Callable[[], bool] | None = None, tries: int = 1000
    ) -> T | None:
        """Return what `call` returns, calling again when AWS has trouble; None when nobody wants it any more."""
        over = over or self._done
        pause = LOOK
        for _ in range(tries):
            if over():
                return None
            try:
                found = call()
            except Exception as error:
                self._notice(error)
            else:
                self._notice(None)
                return found
            self._clock.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        return None
