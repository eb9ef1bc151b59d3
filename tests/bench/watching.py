"""What following a release asks of AWS, however many tasks there are; and how soon a verdict is the hook's answer."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bgdeploy.clock import SystemClock
from bgdeploy.release.analysis.expectations import Answer
from bgdeploy.release.analysis.http import Http
from bgdeploy.release.phase import Phase
from bgdeploy.sandbox import control
from bgdeploy.sandbox.record import Recorded
from tests.bench.provisioning import sandbox
from tests.bench.table import Figure
from tests.functional.shops import Shop, stop

MANY = 100
_ANSWER = "PutLifecycleEventHookExecutionStatus"
_AFTER_SHIFT = 80.0  # seconds for which it is watched while the old version is kept


@dataclass(frozen=True)
class Watched:
    """One release at AWS's own speed, from its deployment's creation to a while after the shift."""

    calls: int
    minutes: float
    answer: float  # seconds from the last answer that a check got to what the hook was told


def figures() -> Iterator[Figure]:
    """Follow a release of one task, and one of many."""
    one, many = _watched(1), _watched(MANY)
    yield Figure("from a check's verdict to the hook's answer", max(one.answer, many.answer), 1, "s")
    yield Figure("calls a minute of watching, 1 task", one.calls / one.minutes, 40)
    yield Figure(f"calls a minute of watching, {MANY} tasks", many.calls / many.minutes, 40)


def _watched(tasks: int) -> Watched:
    with sandbox(speed=1.0, caller="vpc") as running, tempfile.TemporaryDirectory() as folder:
        os.environ.update(running.exports())
        shop, clock = Shop(Path(folder), "watched", 8440, tasks=tasks, speed=1), SystemClock()
        answered: list[float] = []

        def ask(url: str, timeout: float) -> Answer:
            answer = Http(clock)(url, timeout)
            answered.append(clock.monotonic())
            return answer

        shop.release("all-at-once", {})
        control.calls(running)
        ended: list[float] = []

        def leave(shop: Shop, deployment: str) -> None:
            ended.append(clock.monotonic() + _AFTER_SHIFT)
            threading.Timer(_AFTER_SHIFT, stop, (shop, deployment)).start()

        shop.release("all-at-once", {Phase.SHIFTED: leave}, ask=ask)
        return _told([call for call in control.calls(running) if not call.role], answered[-1], ended[0])


def _told(calls: list[Recorded], verdict: float, ended: float) -> Watched:
    """Return what the calls tell, of which those count that come after the deployment was created."""
    began = next(call.ended for call in calls if call.operation == "CreateDeployment")
    watching = [call for call in calls if began < call.began < ended]
    answer = next(call.began for call in calls if call.operation == _ANSWER)
    return Watched(len(watching), (ended - began) / 60, answer - verdict)
