"""Attends a deployment: has its checks claimed and run while the hook holds it, and again from the shift on.

Whoever follows a deployment shows it every snapshot, from any machine. One attendant of all of them holds each claim;
the others watch it, and take over when it lapses.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bgdeploy.aws import Aws
from bgdeploy.config import EarlyFail
from bgdeploy.release.analysis.metrics import Metrics
from bgdeploy.release.attending import hook, inside
from bgdeploy.release.attending.approving import Approving
from bgdeploy.release.attending.claimant import Claimant
from bgdeploy.release.attending.giving_up import GivingUp
from bgdeploy.release.attending.guarding import Guarding
from bgdeploy.release.attending.holding import Doors, Holding
from bgdeploy.release.attending.hook import Claims, Decision
from bgdeploy.release.attending.opening import NOBODY, Caller, Opening
from bgdeploy.release.attending.session import AwsTime, Means, Session
from bgdeploy.release.checks import ChecksState
from bgdeploy.release.phase import HELD, Phase, phase, replaces_placeholder
from bgdeploy.release.records import record as records
from bgdeploy.release.records import stories
from bgdeploy.release.records.recalling import checks_before
from bgdeploy.release.records.record import Record
from bgdeploy.release.snapshot import Snapshot, Target

if TYPE_CHECKING:
    from bgdeploy.release.analysis.measuring import Ask

S = TypeVar("S", bound=Session)
_OTHERS = {"idle", "elsewhere"}  # stages that say that we have not run the checks


@dataclass
class Attendant:
    """Attends one deployment. One thread shows it every snapshot; the rest is for whoever follows the deployment."""

    aws: Aws
    target: Target
    record: Record | None = None  # when it is known already
    ask: Ask | None = None  # instead of HTTP
    me: Claimant | None = None
    folder: Path = Path()  # where commands are run
    interactive: bool = False  # somebody is there who can be asked about inconclusive checks
    early: EarlyFail | None = None  # when to give up before users are on it; None: never
    caller: Caller = NOBODY  # for whom the test port is opened
    otherwise: Callable[[Snapshot], Record] | None = (
        None  # what to ask of what bgdeploy did not start; None: nothing
    )
    _giving_up: GivingUp | None = None
    _approving: Approving = field(init=False)
    _holding: Holding | None = None
    _guarding: Guarding | None = None
    _recalled: bool = False
    _found: ChecksState | None = None  # by others, before the shift; None: nobody knows
    _looks: int = 3  # for it that are left
    _found_after: ChecksState = field(default_factory=ChecksState)
    _time: AwsTime = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closed: bool = False

    def __post_init__(self) -> None:
        self.me = self.me or Claimant.me()
        self._time = AwsTime(self.aws.clock)
        self._giving_up = GivingUp(self.aws, self.early) if self.early else None
        self._approving = Approving(self.aws, self.target.bucket, self.record)

    @property
    def state(self) -> ChecksState:
        """How the checks stand."""
        before = self._own
        if self._found and before.stage in _OTHERS:
            before = self._found
        after = self._guarding.state if self._guarding else self._found_after
        return replace(before, after=None if after == ChecksState() else after)

    @property
    def _own(self) -> ChecksState:
        return self._holding.state if self._holding else ChecksState()

    def attend(self, snapshot: Snapshot) -> None:
        """Look at where the deployment is, and begin or end what that asks for; nothing once it is closed."""
        self._time.set(snapshot.at)
        if self._giving_up and not self._closed:
            self._giving_up.look(snapshot)
        if not self._closed:
            self._approving.look(snapshot)
        with self._lock:
            if self._closed:
                return
            self._holding = self._next(self._holding, snapshot, _held(snapshot), self._hold)
            self._guarding = self._next(self._guarding, snapshot, _moving(snapshot), self._guard)
        if self._guarding and phase(snapshot) is Phase.SHIFTED:
            self._guarding.move()
        if self._own.stage in _OTHERS and not self._found and self._looks and _answered(snapshot):
            # The hook itself, or somebody else, who may tell the story's newest chapter a moment later.
            self._looks -= 1
            self._found = self._inside(snapshot) or self._told(snapshot)
        if not (self._holding or self._guarding or self._recalled) and _failed(snapshot):
            self._recalled = True
            self._recall(snapshot)

    def _next(
        self, session: S | None, snapshot: Snapshot, wanted: bool, begin: Callable[[Snapshot, Means], S]
    ) -> S | None:
        ours = session is not None and session.deployment == snapshot.deployment.id
        if session and (not wanted or not ours):
            session.release(snapshot)
        if not wanted or ours:
            return session
        key = records.key_of(snapshot.deployment.description) or ""
        known = self._known(key, snapshot)
        if not key and known is None:  # bgdeploy did not start it, and nobody knows what to ask
            return session
        means = Means(self._time, self.target.reach, known, key, self.ask, self.folder, self.interactive)
        begun = begin(snapshot, means)
        begun.start()
        return begun

    def _known(self, key: str, snapshot: Snapshot) -> Record | None:
        """Return the record where nobody has to look for it in the bucket."""
        if not key:
            return self.otherwise(snapshot) if self.otherwise else None
        return self.record if self.record and self.record.key == key else None

    def _inside(self, snapshot: Snapshot) -> ChecksState | None:
        """Return what a hook has found that runs the checks itself, None for any other."""
        from botocore.exceptions import BotoCoreError, ClientError

        if self.record and not self.record.door:
            return None
        try:
            told = hook.read_results(self.aws, self.target.bucket, snapshot.deployment.id)
        except (BotoCoreError, ClientError):  # then nobody knows
            return None
        return inside.state(told) if told else None

    def _told(self, snapshot: Snapshot) -> ChecksState | None:
        """Return what the deployment's story tells of its checks, None when it does not."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            kept = stories.load(self.aws, self.target.bucket, snapshot.deployment.id)
        except (BotoCoreError, ClientError, ValueError):  # then nobody knows
            return None
        return checks_before(kept.story) if kept else None

    def _recall(self, snapshot: Snapshot) -> None:
        """Find out what whoever ran the checks of a deployment that has failed has said of them."""
        if self._found is None:
            self._found = self._inside(snapshot) or self._claimed(snapshot)
        after = self._claimed(snapshot, after=True)
        self._found_after = after if after.why else ChecksState()

    def _claimed(self, snapshot: Snapshot, *, after: bool = False) -> ChecksState:
        """Return what a claim says of the checks under it."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            claim = self._claims(snapshot, after=after).read()
        except (BotoCoreError, ClientError):  # then nobody knows
            claim = None
        return ChecksState("elsewhere", claim.owner, why=claim.why) if claim else ChecksState()

    def _hold(self, snapshot: Snapshot, means: Means) -> Holding:
        green = snapshot.test.url if snapshot.test else self._url(self.target.test_listener)
        blue = snapshot.production.url if snapshot.production else ""
        opening = Opening(self.aws, self.target.gate, snapshot.deployment.id, self.caller)
        doors = Doors(green.rstrip("/"), "" if replaces_placeholder(snapshot) else blue.rstrip("/"), opening)
        return Holding(self._claims(snapshot), means, doors)

    def _guard(self, snapshot: Snapshot, means: Means) -> Guarding:
        url = snapshot.production.url if snapshot.production else self._url(self.target.production_listener)
        metrics = Metrics.of_green(self.aws, snapshot)
        return Guarding(self._claims(snapshot, after=True), means, url.rstrip("/"), metrics)

    def _claims(self, snapshot: Snapshot, *, after: bool = False) -> Claims:
        assert self.me is not None
        return Claims(self.aws, self.target.bucket, snapshot.deployment.id, self.me, after)

    def _url(self, listener: str | None) -> str:
        return self.target.urls.get(listener or "", "")

    def decide(self, decision: Decision) -> None:
        """Answer the question that inconclusive checks ask; nothing while `state` does not say "asking"."""
        if self._holding:
            self._holding.decide(decision)

    def close(self) -> None:
        """Stop attending. A claim that is still unanswered is given up, so that another may take it at once."""
        with self._lock:
            self._closed = True
        for session in (self._holding, self._guarding):
            if session:
                session.close()


def _answered(snapshot: Snapshot) -> bool:
    """Tell whether the hook has been answered for."""
    event = snapshot.event(HELD)
    return event is not None and event.status in {"Succeeded", "Failed"}


def _failed(snapshot: Snapshot) -> bool:
    """Tell whether it is over, and not because it succeeded."""
    return snapshot.deployment.over and snapshot.deployment.status != "Succeeded"


def _held(snapshot: Snapshot) -> bool:
    """Tell whether the hook holds the deployment."""
    event = snapshot.event(HELD)
    return event is not None and event.status == "InProgress" and not snapshot.deployment.over


def _moving(snapshot: Snapshot) -> bool:
    """Tell whether users are on green, and blue is there to take them back."""
    where, green, door = phase(snapshot), snapshot.side("green"), snapshot.production
    if replaces_placeholder(snapshot) or where not in {Phase.SHIFTING, Phase.SHIFTED}:
        return False
    return where is Phase.SHIFTED or bool(green and door and door.weights.get(green.target_group))
