"""The checks before the shift: while the hook holds the deployment they are claimed, run, and answered for."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import urlsplit

from msgspec import structs

from bgdeploy.release.analysis.asking import Asking, Placed
from bgdeploy.release.analysis.http import Http
from bgdeploy.release.analysis.measuring import Scene
from bgdeploy.release.attending import hook, inside
from bgdeploy.release.attending.hook import Claim, Claims, Decision, HookCall, Verdict
from bgdeploy.release.attending.opening import Opening
from bgdeploy.release.attending.session import LOOK, Means, Rhythm, Session
from bgdeploy.release.cause import check_failure
from bgdeploy.release.checks import ChecksState, Stage, outcome
from bgdeploy.release.records.record import Record

_RHYTHM = Rhythm(beat=hook.BEAT, lapse=hook.LAPSE, poll=0.5)
_HEARD_OF = 10.0  # seconds after which a new rule must be in force everywhere
_KNOCK = 1.0  # seconds of the machine's for one try


@dataclass(frozen=True)
class Doors:
    """Where the two sides are to be reached."""

    green: str  # the test listener, without a path
    blue: str  # the production listener, "" when nothing was released before
    opening: Opening  # of the test listener's port, for this machine


class Holding(Session):
    """The attendance of one deployment from the hook's call to its answer."""

    def __init__(self, claims: Claims, means: Means, doors: Doors) -> None:
        super().__init__(claims, means, _RHYTHM)
        self._doors = doors
        self._opener: threading.Thread | None = None
        self._decision: Decision | None = None
        self._look_at = 0.0  # when to look next whether somebody has decided elsewhere

    def decide(self, decision: Decision) -> None:
        """Answer the question that inconclusive checks ask; nothing when nobody asks."""
        if self.state.stage == "asking":
            self._decision = decision

    def _attend(self, record: Record) -> None:
        """From the hook's call to its answer; between two, watch who else claims it."""
        self._tell("waiting")
        call = self._await(partial(self._heard_of, record))
        if isinstance(call, ChecksState):
            self._heed(call)
        while isinstance(call, HookCall) and not self._done():
            claim = self._await(self._claim)
            if claim is not None:
                self._hold(call, claim, record)
        if self._over.is_set() and self.state.stage in {"waiting", "running", "asking"}:
            self._tell("idle")

    def _heard_of(self, record: Record) -> HookCall | ChecksState | None:
        """Return the hook's call; or what it has found, when it runs the checks itself, as the release wanted it to."""
        found = self._results() if record.door else None
        return found or hook.read_call(self._aws, self._claims.bucket, self.deployment)

    def _results(self) -> ChecksState | None:
        told = hook.read_results(self._aws, self._claims.bucket, self.deployment)
        return inside.state(told) if told else None

    def _heed(self, newest: ChecksState | None) -> None:
        """Show what the hook finds. It has written down all of it before it answers, and we may hear of that first."""
        while not self._done():
            self._show(newest)
            self._clock.sleep(self._rhythm.poll)
            newest = self._outlast(self._results)
        self._show(self._outlast(self._results, lambda: False, tries=3))

    def _show(self, found: ChecksState | None) -> None:
        with self._lock:
            self.state = found or self.state

    def _hold(self, call: HookCall, claim: Claim, record: Record) -> None:
        """Run the checks, renewing the claim, and answer; leaving before all have a verdict, give the claim up."""
        if record.mode == "none":
            self._answer(call, claim, "Succeeded", "skipped")
            return
        mine, asking = self._check(claim, record)
        if mine is None:
            return
        if not asking.complete:
            self._give_up(mine)
            return
        found = outcome(self.state.results)
        if record.mode == "observe":
            self._answer(call, mine, "Succeeded", "observed")
        elif found == "inconclusive" and self._means.interactive:
            self._have_decided(call, mine)
        else:
            self._answer(call, mine, "Succeeded" if found == "passed" else "Failed", found)

    def _check(self, claim: Claim, record: Record) -> tuple[Claim | None, Asking]:
        """Run the checks until all have a verdict or nobody waits for one; return our claim, None when it is lost."""
        http = Http(self._clock, self._means.reach)
        scene = Scene(
            url=self._doors.green,
            clock=self._clock,
            ask=self._means.ask or http,
            reach=self._means.reach,
            blue=self._doors.blue,
            version=record.version,
            deployment=self.deployment,
            folder=self._means.folder,
        )
        checks = placed(record, before=True)
        self._begin(checks, scene)
        asking = Asking(checks, self._round(scene))
        mine = self._let_in(claim) if checks else claim
        if mine is None:
            return None, asking
        asking.start()
        mine = self._keep(mine, lambda: asking.done)
        http.close()
        return mine, asking

    def _let_in(self, claim: Claim) -> Claim | None:
        """Have the test port opened for this machine, renewing the claim meanwhile; None when it is lost."""
        opener = threading.Thread(target=self._open, name=f"open-{self.deployment}", daemon=True)
        self._opener = opener
        opener.start()
        return self._keep(claim, lambda: not opener.is_alive())

    def _open(self) -> None:
        try:
            access = self._doors.opening.open()
        except Exception as error:  # our mistake: perhaps the checks get in anyway
            self._notice(error)
            return
        with self._lock:
            self.state = replace(self.state, access=access)
        if self._doors.opening.opened:
            self._await_door()

    def _await_door(self) -> None:
        """Wait until the rule is heard of where it counts: not all kinds of checks would try again."""
        door = urlsplit(self._doors.green)
        deadline = self._clock.monotonic() + _HEARD_OF
        while not self._done() and self._clock.monotonic() < deadline:
            try:
                socket.create_connection((door.hostname or "", door.port or 80), timeout=_KNOCK).close()
            except OSError:
                self._clock.sleep(LOOK)
            else:
                return

    def _close(self) -> None:
        """Close what was opened; whatever goes wrong, the next command that comes by closes it."""
        if self._opener:
            self._opener.join()
        self._outlast(self._doors.opening.close, lambda: False, tries=3)

    def _give_up(self, mine: Claim) -> None:
        self._close()  # first: whoever takes the claim over may come from the same address
        super()._give_up(mine)

    def _have_decided(self, call: HookCall, claim: Claim) -> None:
        """Ask somebody what inconclusive checks are worth, holding the claim until there is an answer."""
        self._tell("asking", self._claims.me.owner)
        mine = self._outlast(lambda: self._claims.ask(claim))
        if mine is None:
            return
        mine = self._keep(mine, self._heard)
        if mine is None or self._over.is_set():
            return
        if self._decision is None:
            self._give_up(mine)
        elif self._decision == "pass":
            self._answer(call, mine, "Succeeded", "accepted")
        else:
            self._answer(call, mine, "Failed", "declined")

    def _heard(self) -> bool:
        """Tell whether somebody has decided: here, or by a command somewhere else."""
        if self._decision is None and self._clock.monotonic() >= self._look_at:
            self._look_at = self._clock.monotonic() + self._rhythm.beat
            self._outlast(self._hear, tries=1)
        return self._decision is not None

    def _hear(self) -> None:
        if hook.accepted(self._aws, self._claims.bucket, self.deployment):
            self._decision = self._decision or "pass"

    def _answer(self, call: HookCall, claim: Claim, verdict: Verdict, stage: Stage) -> None:
        """Answer, however often it takes, and say so in the claim: the hook ends when it reads it."""
        taken = self._outlast(lambda: hook.answer(self._aws, call, verdict), self._over.is_set)
        self._close()
        if taken is None:
            return
        self._tell(stage if taken else "lapsed", self._claims.me.owner)
        why = tuple(check_failure(result) for result in self.state.results if result.decisive)
        self._outlast(
            lambda: self._claims.close(claim, verdict, () if verdict == "Succeeded" else why),
            lambda: False,
            tries=3,
        )
        self._await(lambda: None)  # until a snapshot shows that the deployment has heard it


def placed(record: Record, *, before: bool) -> tuple[Placed, ...]:
    """Return the record's checks before the shift, or those from it on; when all are observed, none decides."""
    chosen = [check for check in record.checks if (check.moment == "before") is before]
    if record.mode == "observe":
        chosen = [structs.replace(check, mode="observe") for check in chosen]
    return tuple(enumerate(chosen))
