"""The checks from the shift on: while users are on green and blue is kept, a check that fails brings blue back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from bgdeploy.checktypes import RawMetric
from bgdeploy.errors import BgdeployError
from bgdeploy.release.analysis.asking import Asking, Placed
from bgdeploy.release.analysis.http import Http
from bgdeploy.release.analysis.measuring import Scene
from bgdeploy.release.analysis.metrics import Metrics
from bgdeploy.release.analysis.tally import so_far
from bgdeploy.release.attending import stopping
from bgdeploy.release.attending.holding import placed
from bgdeploy.release.attending.hook import Claim, Claims
from bgdeploy.release.attending.session import Means, Rhythm, Session
from bgdeploy.release.cause import check_failure
from bgdeploy.release.checks import CheckResult, Outcome, outcome
from bgdeploy.release.records.record import Record
from bgdeploy.release.snapshot import Snapshot

# Blue may be kept for days: six renewals a minute are what is left of the calls that watching may cost.
_RHYTHM = Rhythm(beat=10.0, lapse=60.0, poll=10.0)


class Guarding(Session):
    """The attendance of one deployment from its first shifted request to its end."""

    def __init__(self, claims: Claims, means: Means, url: str, metrics: Metrics) -> None:
        super().__init__(claims, means, _RHYTHM)
        self._url = url  # of the production listener, without a path
        self._metrics = metrics
        self._since = means.time.now()
        self._moved = threading.Event()  # all traffic is on green

    # For the thread that follows the deployment

    def move(self) -> None:
        """All traffic is on green: who asks production now, asks green."""
        self._moved.set()

    def release(self, snapshot: Snapshot) -> None:
        """Conclude from what was found until now, unless the deployment was taken back."""
        with self._lock:
            if not self._over.is_set() and self.state.stage == "running":
                kept = snapshot.deployment.status == "Succeeded"
                results = tuple(map(_concluded, self.state.results)) if kept else self.state.results
                stage = outcome(results) if kept else "idle"
                self.state = replace(self.state, stage=stage, results=results)
        super().release(snapshot)

    # In a thread of its own

    def _attend(self, record: Record) -> None:
        checks = placed(record, before=False)
        while checks and record.mode != "none" and not self._done():
            claim = self._await(self._claim)
            if claim is not None:
                self._guard(claim, record, checks)

    def _guard(self, claim: Claim, record: Record, checks: tuple[Placed, ...]) -> None:
        """Run the checks until one that counts has failed, all have a verdict, or the deployment is over."""
        http = Http(self._clock, self._means.reach)
        scene = Scene(
            url=self._url,
            clock=self._clock,
            ask=self._means.ask or http,
            reach=self._means.reach,
            version=record.version,
            deployment=self.deployment,
            folder=self._means.folder,
            metric=self._metric,
        )
        self._begin(checks, scene)
        started = self._starter(checks, scene)
        mine = self._keep(claim, lambda: self._failed() or started())
        self._lost.set()  # whatever still asks may stop
        http.close()
        if mine is None or self._over.is_set():
            return
        if self._failed():
            self._take_back(mine)
        elif self._closed.is_set():
            self._give_up(mine)
        else:
            self._tell(self._come(), self._claims.me.owner)
            self._outlast(lambda: self._claims.close(mine, "Succeeded"), tries=3)
            self._await(lambda: None)

    def _starter(self, checks: tuple[Placed, ...], scene: Scene) -> Callable[[], bool]:
        """Start those that need not wait; return what starts the others in time, and tells when all are complete."""
        round_ = self._round(scene)
        early = tuple(placed for placed in checks if placed[1].moment == "shift")
        late = tuple(placed for placed in checks if placed not in early)
        askings = [Asking(early, round_, together=True), Asking(late, round_, together=True)]
        askings[0].start()

        def look() -> bool:
            if self._moved.is_set() and not askings[1].started:
                askings[1].start()
            return all(asking.complete for asking in askings)

        return look

    def _metric(self, metric: str | RawMetric) -> float | None:
        return self._metrics.read(metric, self._since, self._means.time.now())

    def _failed(self) -> tuple[CheckResult, ...]:
        results = self.state.results
        return tuple(result for result in results if result.verdict == "fail" and not result.observed)

    def _come(self) -> Outcome:
        return outcome(self.state.results)

    def _take_back(self, mine: Claim) -> None:
        """Stop the deployment and have blue back, however often it takes to be heard; say why in the claim."""
        why = tuple(check_failure(result) for result in self._failed())
        self._tell("failed", self._claims.me.owner)
        stopped = self._outlast(self._stop, self._over.is_set)
        if stopped is False:
            self._tell("late", self._claims.me.owner)
        self._outlast(lambda: self._claims.close(mine, "Failed", why), lambda: False, tries=3)
        self._await(lambda: None)

    def _stop(self) -> bool:
        """Stop the deployment; False when it is over already."""
        try:
            why = "; ".join(check_failure(result) for result in self._failed())
            by = stopping.by_me("a check after the shift", why)
            stopping.stop(self._aws, self._claims.bucket, self.deployment, by)
        except BgdeployError:
            return False
        return True


def _concluded(result: CheckResult) -> CheckResult:
    """Return a check that was to go on to the end of the deployment, and did."""
    if result.verdict:
        return replace(result, live="", left=None, due=None)
    found = [measured.verdict for measured in result.measurements]
    return replace(result, verdict=so_far(found), live="", left=None, due=None)
