"""Pursues checks: measures again and again until each has a verdict, those side by side that do not disturb another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from bgdeploy.checktypes import Check
from bgdeploy.release.analysis.limits import wanted
from bgdeploy.release.analysis.measuring import Scene, measure, request
from bgdeploy.release.analysis.tally import Terms, Verdict, closing, terms, verdict
from bgdeploy.release.checks import CheckResult, Measurement

_FIRST_PAUSE, _LONGEST_PAUSE = 0.3, 2.0
_GLANCE = 1.0  # seconds between two looks, in a pause, whether anybody still waits
_SIDE_BY_SIDE = 8
_KEPT = 1000  # measurements of one check

Placed = tuple[int, Check]  # a check, and its place in the list


@dataclass(frozen=True)
class Round:
    """One round of checks: against what, and who hears what they find."""

    scene: Scene
    report: Callable[[int, CheckResult], None]  # the check's place in the list, and what it has found so far
    over: Callable[[], bool]  # tells that nobody wants to know any more
    now: Callable[[], datetime]


def pending(check: Check, scene: Scene) -> CheckResult:
    """Return the result of a check that has not measured anything yet."""
    return CheckResult(
        name=check.name,
        request=request(check, scene),
        verdict=None,
        wanted=wanted(check),
        got="",
        attempts=0,
        seconds=0.0,
        kind=check.kind,
        observed=check.mode == "observe",
        count=terms(check).count,
    )


class Pursuit:
    """One check, until it has a verdict or nobody wants to know any more."""

    def __init__(self, check: Check, place: int, around: Round) -> None:
        self.result = pending(check, around.scene)
        self._check = check
        self._place = place
        self._around = around
        self._clock = around.scene.clock
        self._terms: Terms = terms(check)
        self._found: list[Verdict] = []
        self._began = self._clock.monotonic()

    def run(self) -> CheckResult:
        """Measure until there is a verdict, and return all that was found. Always measures once."""
        pause = _FIRST_PAUSE if self._terms.interval is None else self._terms.interval
        while True:
            before = self._clock.monotonic()
            measured = measure(self._check, self._around.scene, self._around.over, self._tell)
            if measured is None:
                return self.result
            self._take(measured, self._clock.monotonic() - before)
            if self.result.verdict or self._around.over():
                return self.result
            self._wait(pause)
            if self._terms.interval is None:
                pause = min(pause * 1.5, _LONGEST_PAUSE)

    def _take(self, measured: Measurement, seconds: float) -> None:
        """Count a measurement in. Once users are there, a network between us and them is not the application's."""
        unheard = not measured.reached and self._check.moment != "before"
        value = self._check.no_data if unheard else measured.verdict
        measured = replace(measured, verdict=value, at=self._around.now(), seconds=seconds)
        self._found.append(value)
        come = verdict(self._found, self._terms)
        if come is None and self._left() == 0.0:
            come = closing(self._found, self._terms)
        self._report(
            verdict=come,
            wanted=measured.wanted,
            got=measured.got,
            attempts=len(self._found),
            reached=(self.result.reached and self.result.attempts > 0) or measured.reached,
            failures=self._found.count("fail"),
            live="",
            left=None,
            due=None,
            output=measured.output,
            measurements=(*self.result.measurements, measured)[-_KEPT:],
        )

    def _left(self) -> float | None:
        """Return the seconds until its time is over, None when it has no end."""
        if self._terms.within is None:
            return None
        return max(self._terms.within - (self._clock.monotonic() - self._began), 0.0)

    def _tell(self, live: str, left: float) -> None:
        self._report(live=live, left=left, due=None)

    def _wait(self, pause: float) -> None:
        """Wait for the next measurement, but not beyond the end, and say how long it still is."""
        end = self._left()
        until = self._clock.monotonic() + (pause if end is None else min(pause, end))
        while (due := until - self._clock.monotonic()) > 0 and not self._around.over():
            self._report(left=self._left(), due=due)
            self._clock.sleep(min(due, _GLANCE))

    def _report(self, **known: Any) -> None:
        seconds = self._clock.monotonic() - self._began
        self.result = replace(self.result, seconds=seconds, **known)
        self._around.report(self._place, self.result)


def _broken(result: CheckResult, check: Check, error: Exception) -> CheckResult:
    """A check that breaks has not passed, whatever broke it; but it takes nothing from users that they have."""
    value: Verdict = "fail" if check.moment == "before" else "inconclusive"
    got = f"the check broke: {type(error).__name__}: {error}"
    return replace(result, verdict=value, wanted="", got=got, attempts=result.attempts + 1)


@dataclass
class Asking:
    """Many checks, in threads that do not keep the program from ending.

    Requests go side by side. What measures time would measure the others as well, so it comes after them, one at a
    time, and not at all once a check that counts has failed. `together` has each go its own way instead.
    """

    checks: Sequence[Placed]
    around: Round
    together: bool = False
    _threads: list[threading.Thread] = field(default_factory=list)
    _failed: str = ""  # the first check that counts and has failed
    _concluded: int = 0
    started: bool = False

    def start(self) -> None:
        """Start asking."""
        self.started = True
        if self.together:
            for placed in self.checks:
                self._start(self._one, placed)
            return
        self._start(self._in_order)

    def _start(self, work: Callable[..., None], *args: object) -> threading.Thread:
        name = f"check-{len(self._threads)}"
        thread = threading.Thread(target=work, args=args, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _in_order(self) -> None:
        requests = [placed for placed in self.checks if placed[1].kind == "get"][::-1]
        workers = min(_SIDE_BY_SIDE, len(requests))
        for thread in [self._start(self._work, requests) for _ in range(workers)]:
            thread.join()
        for placed in (placed for placed in self.checks if placed[1].kind != "get"):
            if self.around.over():
                return
            if self._failed:
                self._leave_out(*placed)
            else:
                self._one(placed)

    def _work(self, queue: list[Placed]) -> None:
        while not self.around.over():
            try:
                placed = queue.pop()
            except IndexError:
                return
            self._one(placed)

    def _one(self, placed: Placed) -> None:
        place, check = placed
        pursuit = Pursuit(check, place, self.around)
        try:
            result = pursuit.run()
        except Exception as error:
            result = _broken(pursuit.result, check, error)
            self.around.report(place, result)
        self._concluded += result.verdict is not None
        if result.verdict == "fail" and not result.observed:
            self._failed = self._failed or result.name

    def _leave_out(self, place: int, check: Check) -> None:
        result = replace(pending(check, self.around.scene), got=f"not run: {self._failed} had failed")
        self.around.report(place, result)
        self._concluded += 1

    @property
    def complete(self) -> bool:
        """Tell whether all that were to be asked have a verdict."""
        return self._concluded == len(self.checks)

    @property
    def done(self) -> bool:
        """Tell whether no check is asking any more."""
        return not any(thread.is_alive() for thread in tuple(self._threads))
