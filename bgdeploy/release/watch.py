"""Follows a deployment, and the rollback that it may lead to, until it has ended: snapshot, phase, view, again.

AWS is asked in a thread, one question at a time: the view and the checks have their turn while botocore sends a
throttled call again and again.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol

from bgdeploy import background
from bgdeploy.aws import THROTTLING, error_code, translated
from bgdeploy.clock import speed_of
from bgdeploy.errors import BgdeployError
from bgdeploy.release import operations
from bgdeploy.release.changes import Change, Frame, Silence, changes, check_changes
from bgdeploy.release.ending import Ending, Page, detached, ending, gave_up
from bgdeploy.release.evidence import Evidence
from bgdeploy.release.phase import Phase, length, phase, replaces_placeholder, rollback_awaited, settled
from bgdeploy.release.snapshot import Snapshot

if TYPE_CHECKING:
    from bgdeploy.aws import Aws
    from bgdeploy.release.checks import ChecksState

__all__ = ["Ending", "Frame", "Silence", "Until", "follow"]

Until = Literal["shifted", "finished"]

# A poll every 2.5 to 2.8 s is 24 a minute at most, and shows what happened within 3 s. The view and the checks
# get their turn more often: a verdict must not wait for a poll.
_POLL, _JITTER, _ROUND = 2.5, 0.3, 0.5
_ROLLBACK_PATIENCE = 60.0  # for rollbackInfo, which may lag the status (aws-facts 4.2)
_STOP_PATIENCE = 10.0  # after a stop by hand that may not have asked for a rollback
_BLIND_PATIENCE = 300.0  # for which AWS may throttle us or be out of reach
_SECOND_LOOKS = 5  # at what is live, before it is called wrong: listeners and services lag a moment


class Reads(Protocol):
    """What this loop needs of `reader.Reader`."""

    @property
    def aws(self) -> Aws: ...

    def read(self, deployment_id: str, *, fresh: bool = False) -> Snapshot: ...

    def page(self) -> Page | None: ...

    def evidence(self, snapshot: Snapshot) -> Evidence: ...


class Attends(Protocol):
    """Who runs the checks when the hook holds the deployment, in a thread of its own."""

    @property
    def state(self) -> ChecksState: ...

    def attend(self, snapshot: Snapshot) -> None:
        """Look at where the deployment is. Called from the thread that asks AWS, once for each snapshot."""
        ...


Show = Callable[[Frame], None]
Hear = Callable[[Silence], None]


def follow(
    reader: Reads,
    deployment_id: str,
    *,
    attendant: Attends | None = None,
    until: Until = "finished",
    timeout: float | None = None,
    show: Show = lambda frame: None,
    hear: Hear = lambda silence: None,
) -> Ending:
    """Follow a deployment until it has ended, and return how.

    Asked to follow a rollback, it follows the deployment that is rolled back: that is the whole story. With `until`
    "shifted" it ends when all traffic has moved; while blue is kept on, the deployment goes on. After `timeout`
    seconds the ending says that it gave up (exit 6), after Ctrl-C that it detached (exit 130): the deployment goes
    on in both. AWS's throttling and network troubles are shown and survived; until AWS has said where the deployment
    is, `hear` has them. Raises BgdeployError for a deployment that does not exist; AWS's other refusals pass through.
    """
    clock = reader.aws.clock
    watch = _Watch(reader, deployment_id, attendant, until, show, hear)
    deadline = None if timeout is None else clock.monotonic() + timeout
    poll_at = clock.monotonic()
    try:
        while True:
            if not watch.asking and clock.monotonic() >= poll_at:
                poll_at = clock.monotonic() + _POLL + _JITTER * random.random()
                watch.ask()
            if ended := watch.turn():
                return ended
            if deadline is not None and clock.monotonic() >= deadline:
                return gave_up(watch.snapshot, watch.deployment_id, "the time of --timeout is over")
            if not watch.asking:
                clock.sleep(_ROUND)
    except KeyboardInterrupt:
        return detached(watch.snapshot, watch.deployment_id)


class _Watch:
    """What the loop remembers from one round to the next."""

    def __init__(
        self,
        reader: Reads,
        deployment_id: str,
        attendant: Attends | None,
        until: Until,
        show: Show,
        hear: Hear,
    ) -> None:
        self.deployment_id = deployment_id
        self.snapshot: Snapshot | None = None
        self._reader = reader
        self._clock = reader.aws.clock
        self._attendant = attendant
        self._until = until
        self._show = show
        self._hear = hear
        self._began = self._clock.monotonic()
        self._read_at = self._began
        self._checks: ChecksState | None = None
        self._settling_since: float | None = None
        self._looks = 0
        self._released: set[str] = set()
        self._notice = ""
        self._answer: Future[Callable[[], Ending | None]] | None = None  # with what is to be done about it

    @property
    def asking(self) -> bool:
        """Tell whether AWS has been asked for something and has not answered yet."""
        return self._answer is not None

    def ask(self) -> None:
        """Have a thread find out where the deployment is."""
        self._answer = background.begin(self._look)

    def turn(self) -> Ending | None:
        """Show what AWS has answered, or that time goes by, and return the ending when there is one.

        For an answer it waits as long as a round takes, in the machine's seconds.
        """
        if self._answer:
            wait({self._answer}, _ROUND / speed_of(self._clock))
        if not (self._answer and self._answer.done()):
            self._round(())
            return None
        answer, self._answer = self._answer, None
        try:
            return answer.result()()
        except Exception as error:
            return self._survive(error)

    # In the thread that asks AWS

    def _look(self) -> Callable[[], Ending | None]:
        snapshot = self._read()
        self._release_rollback(snapshot)
        self._let_placeholder_go(snapshot)
        return partial(self._seen, snapshot)

    def _look_closely(self) -> Callable[[], Ending | None]:
        """Look at what is really live, now that nothing more will come."""
        snapshot = self._read(fresh=True)
        return partial(self._end, snapshot, self._reader.page(), self._reader.evidence(snapshot))

    def _read(self, *, fresh: bool = False) -> Snapshot:
        snapshot = self._reader.read(self.deployment_id, fresh=fresh)
        if snapshot.deployment.rolls_back and snapshot.deployment.rolls_back != self.deployment_id:
            self.deployment_id = snapshot.deployment.rolls_back
            return self._read(fresh=fresh)
        if self._attendant:
            self._attendant.attend(snapshot)
        return snapshot

    def _release_rollback(self, snapshot: Snapshot) -> None:
        """Let a rollback that waits for approval go on, once (aws-facts 4.2)."""
        rollback = snapshot.rollback
        if rollback and rollback.status == "Ready" and rollback.id not in self._released:
            with suppress(BgdeployError):  # somebody else let it go on already
                operations.go_on(self._reader.aws, rollback.id)
            self._released.add(rollback.id)

    def _let_placeholder_go(self, snapshot: Snapshot) -> None:
        """End the wait of a first release, once: who attends it decides, who only watches does not."""
        done = self._attendant is None or snapshot.deployment.id in self._released
        if done or phase(snapshot) is not Phase.SHIFTED or not replaces_placeholder(snapshot):
            return
        with suppress(BgdeployError):  # somebody else ended it, or its time is over
            operations.promote(self._reader.aws, snapshot.deployment.id, Phase.SHIFTED)
        self._released.add(snapshot.deployment.id)

    # In the thread that follows

    def _seen(self, snapshot: Snapshot) -> None:
        """Show what has changed, and have a closer look taken once nothing more will come."""
        self._show_next(snapshot)
        if settled(snapshot, self._until, overdue=self._overdue(snapshot)) and not self._taking_back(
            snapshot
        ):
            self._answer = background.begin(self._look_closely)

    def _end(self, snapshot: Snapshot, page: Page | None, evidence: Evidence) -> Ending | None:
        self._show_next(snapshot)
        ended = ending(snapshot, self._checks, page=page, evidence=evidence)
        self._looks += 1
        return ended if ended.verified or self._looks >= _SECOND_LOOKS else None

    def _show_next(self, snapshot: Snapshot) -> None:
        before, self.snapshot = self.snapshot, snapshot
        self._read_at, self._notice = self._clock.monotonic(), ""
        self._round(changes(before, snapshot))

    def _round(self, found: tuple[Change, ...]) -> None:
        """Let the view have its turn, with what the checks have found out meanwhile."""
        elapsed = self._clock.monotonic() - self._began
        again = self._reader.aws.throttled()
        snapshot = self.snapshot
        if snapshot is None:
            self._hear(Silence(self.deployment_id, elapsed, self._notice, again))
            return
        now = self._now(snapshot)
        if self._attendant:
            state = self._attendant.state
            found += check_changes(self._checks, state, now)
            self._checks = state
        self._show(Frame(snapshot, phase(snapshot), now, elapsed, found, self._checks, self._notice, again))

    def _now(self, snapshot: Snapshot) -> Any:
        """AWS's time, carried on since the snapshot was taken: nothing but its display depends on it."""
        return snapshot.at + timedelta(seconds=self._clock.monotonic() - self._read_at)

    def _taking_back(self, snapshot: Snapshot) -> bool:
        """Tell whether a check after the shift has failed, and CodeDeploy has not yet said that it stops."""
        later = self._checks.after if self._checks else None
        return later is not None and later.stage == "failed" and phase(snapshot) is Phase.SHIFTED

    def _overdue(self, snapshot: Snapshot) -> bool:
        """Tell whether a rollback that should come has been waited for long enough."""
        if not rollback_awaited(snapshot):
            self._settling_since = None
            return False
        if self._settling_since is None:
            self._settling_since = self._clock.monotonic()
        by_hand_only = "DEPLOYMENT_STOP_ON_REQUEST" not in snapshot.deployment.rollback_on
        stopped = snapshot.deployment.error_code == "MANUAL_STOP" and by_hand_only
        patience = _STOP_PATIENCE if stopped else _ROLLBACK_PATIENCE
        return self._clock.monotonic() - self._settling_since >= patience

    def _survive(self, error: Exception) -> Ending | None:
        """Show an error that will pass, and give up when it does not; raise any other."""
        notice = passing(error)
        if notice is None:
            raise error
        blind = self._clock.monotonic() - self._read_at
        if blind >= _BLIND_PATIENCE:
            return gave_up(self.snapshot, self.deployment_id, f"{notice} for {length(blind)}")
        self._notice = notice
        self._round(())
        return None


def passing(error: Exception) -> str | None:
    """Return a notice for an error of AWS's that will pass by itself, None for any other."""
    from botocore import exceptions as b

    if isinstance(error, b.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if error_code(error) in THROTTLING:
            return "AWS is throttling us"
        return f"AWS has trouble of its own ({error_code(error) or status})" if status >= 500 else None
    if isinstance(error, (b.NoCredentialsError, b.CredentialRetrievalError, BgdeployError)):
        return None
    if isinstance(error, (b.ConnectionError, b.HTTPClientError)) and translated(error):
        return "AWS cannot be reached"
    return None
