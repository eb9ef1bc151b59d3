"""Attends a deployment while the hook holds it: claims the checks, runs them, answers. In a thread of its own.

Whoever follows a deployment shows it every snapshot, from any machine. One attendant of all of them holds the claim;
the others watch it, and take over when it lapses. AWS's troubles are outlasted: the checks are worth nothing when
their verdict is not answered.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from bgdeploy.aws import Aws, translated
from bgdeploy.release import hook
from bgdeploy.release import record as records
from bgdeploy.release.asking import Asking, Http, Round, pending
from bgdeploy.release.checks import CheckResult, ChecksState, Stage, outcome
from bgdeploy.release.claimant import Claimant
from bgdeploy.release.hook import Claim, Claims, HookCall, Lapse, Verdict
from bgdeploy.release.phase import HELD
from bgdeploy.release.record import Record
from bgdeploy.release.snapshot import Reach, Snapshot, Target

if TYPE_CHECKING:
    from bgdeploy.release.asking import Ask

T = TypeVar("T")

_LOOK = 0.2  # seconds between two looks at how the checks are doing: a verdict is answered within a second
_POLL = 0.5  # seconds between two looks for the hook, or at somebody else's claim
_LONGEST_PAUSE = 5.0  # after one of AWS's troubles
_FAREWELL = 3.0  # seconds that closing waits for the thread to give its claim up


class Attendant:
    """Attends one deployment. `attend` and `state` are for one thread, the one that follows the deployment."""

    def __init__(
        self,
        aws: Aws,
        target: Target,
        record: Record | None = None,
        *,
        ask: Ask | None = None,
        me: Claimant | None = None,
    ) -> None:
        self._aws = aws
        self._target = target
        self._record = record
        self._ask = ask
        self._me = me or Claimant.me()
        self._session: Session | None = None

    @property
    def state(self) -> ChecksState:
        """How the checks stand."""
        return self._session.state if self._session else ChecksState()

    def attend(self, snapshot: Snapshot) -> None:
        """Look at where the deployment is, and begin or end what that asks for. Returns at once."""
        event = snapshot.event(HELD)
        held = event is not None and event.status == "InProgress" and not snapshot.deployment.over
        session = self._session
        if session and (not held or session.deployment != snapshot.deployment.id):
            session.release()
        if not held or (session and session.deployment == snapshot.deployment.id):
            return
        self._session = self._begin(snapshot)

    def _begin(self, snapshot: Snapshot) -> Session | None:
        key = records.key_of(snapshot.deployment.description)
        known = self._record if self._record and self._record.key == key else None
        if key is None:  # not a deployment of bgdeploy's: nobody knows what to ask
            return None
        door = snapshot.test.url if snapshot.test else self._target.urls.get(self._target.test_listener or "")
        claims = Claims(self._aws, self._target.bucket, snapshot.deployment.id, self._me)
        session = Session(claims, door or "", key, known, self._ask, self._target.reach)
        session.start()
        return session

    def close(self) -> None:
        """Stop attending. A claim that is still unanswered is given up, so that another may take it at once."""
        if self._session:
            self._session.close()


class Session:
    """The attendance of one deployment, from the hook's call to its answer."""

    def __init__(
        self,
        claims: Claims,
        base_url: str,
        key: str,
        record: Record | None,
        ask: Ask | None,
        reach: Reach,
    ) -> None:
        self.deployment = claims.deployment
        self.state = ChecksState()
        self._claims = claims
        self._aws = claims.aws
        self._clock = claims.aws.clock
        self._base_url = base_url.rstrip("/")
        self._key = key
        self._record = record
        self._ask = ask
        self._reach = reach
        self._lapse = Lapse(claims.me, self._clock)
        self._over = threading.Event()  # the deployment is held no more
        self._closed = threading.Event()  # we are to leave
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"attend-{self.deployment}", daemon=True)

    # For the thread that follows the deployment

    def start(self) -> None:
        self._thread.start()

    def release(self) -> None:
        """The deployment is held no more: whatever we still do is for nothing."""
        self._over.set()

    def close(self) -> None:
        """Leave, and give up what we hold."""
        self._closed.set()
        self._thread.join(_FAREWELL)

    # In a thread of its own

    def _done(self) -> bool:
        return self._over.is_set() or self._closed.is_set()

    def _run(self) -> None:
        try:
            self._attend()
        except Exception as error:  # our mistake: the claim lapses, and the hook fails closed
            self._notice(error)

    def _attend(self) -> None:
        """From the hook's call to its answer; between two, watch who else claims it."""
        record = self._outlast(self._find_record)
        if record is None:
            return
        self._tell("waiting")
        call = self._await(lambda: hook.read_call(self._aws, self._claims.bucket, self.deployment))
        while call and not self._done():
            claim = self._await(self._claim)
            if claim is not None:
                self._hold(call, claim, record)
        if self._over.is_set() and self.state.stage in {"waiting", "running"}:
            self._tell("idle")

    def _find_record(self) -> Record | None:
        return self._record or records.load(self._aws, self._claims.bucket, self._key)

    def _claim(self) -> Claim | None:
        """Take the claim if it is to be had, else say who has it."""
        seen = self._claims.read()
        if seen and (seen.answer or not self._lapse.over(seen)):
            self._tell("elsewhere", seen.owner)
            return None
        return self._claims.take(seen)

    def _hold(self, call: HookCall, claim: Claim, record: Record) -> None:
        """Run the checks, renewing the claim, and answer; leaving before all have a verdict, give the claim up."""
        if record.mode == "none":
            self._answer(call, claim, "Succeeded", "skipped")
            return
        mine, asking = self._check(claim, record)
        if mine is None:
            return
        if not asking.done or any(result.passed is None for result in self.state.results):
            self._outlast(lambda: self._claims.abandon(mine), self._over.is_set, tries=1)
            return
        found = outcome(self.state.results)
        if record.mode == "observe":
            self._answer(call, mine, "Succeeded", "observed")
        else:
            self._answer(call, mine, "Succeeded" if found == "passed" else "Failed", found)

    def _check(self, claim: Claim, record: Record) -> tuple[Claim | None, Asking]:
        """Run the checks until all have a verdict or nobody waits for one; return our claim, None when it is lost."""
        with self._lock:
            results = tuple(pending(check, self._base_url) for check in record.checks)
            self.state = ChecksState("running", self._claims.me.owner, results)
        lost = threading.Event()
        http = self._ask or Http(self._clock, self._reach)
        around = Round(self._base_url, http, self._clock, self._report, lambda: self._done() or lost.is_set())
        asking = Asking(record.checks, around)
        asking.start()
        mine: Claim | None = claim
        beat_at = self._clock.monotonic() + hook.BEAT
        while not asking.done and not self._done():
            if mine and self._clock.monotonic() >= beat_at:
                mine = self._renewed(mine)
                beat_at = self._clock.monotonic() + hook.BEAT
            if mine is None:
                lost.set()
                break
            self._clock.sleep(_LOOK)
        if isinstance(http, Http):
            http.close()
        return mine, asking

    def _renewed(self, mine: Claim) -> Claim | None:
        """Renew the claim; one beat that AWS does not take is no reason to stop, there are several in a lapse."""
        try:
            return self._claims.renew(mine)
        except Exception as error:
            self._notice(error)
            return mine

    def _report(self, place: int, result: CheckResult) -> None:
        with self._lock:
            results = list(self.state.results)
            if self.state.stage == "running" and place < len(results):
                results[place] = result
                self.state = replace(self.state, results=tuple(results))

    def _answer(self, call: HookCall, claim: Claim, verdict: Verdict, stage: Stage) -> None:
        """Answer, however often it takes, and say so in the claim: the hook ends when it reads it."""
        taken = self._outlast(lambda: hook.answer(self._aws, call, verdict), self._over.is_set)
        if taken is None:
            return
        self._tell(stage if taken else "lapsed", self._claims.me.owner)
        self._outlast(lambda: self._claims.close(claim, verdict), lambda: False, tries=3)
        self._await(lambda: None)  # until a snapshot shows that the deployment has heard it

    # What everything here rests on

    def _tell(self, stage: Stage, owner: str = "") -> None:
        with self._lock:
            results = self.state.results if stage not in {"waiting", "elsewhere"} else ()
            self.state = ChecksState(stage, owner, results)

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
            self._clock.sleep(_POLL)
        return None

    def _outlast(
        self, call: Callable[[], T], over: Callable[[], bool] | None = None, tries: int = 1000
    ) -> T | None:
        """Return what `call` returns, calling again when AWS has trouble; None when nobody wants it any more."""
        over = over or self._done
        pause = _LOOK
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
