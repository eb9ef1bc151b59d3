"""How the checks of a deployment ended, for whoever looks when they are over: from its story. Pure."""

from __future__ import annotations

from typing import cast, get_args

from bgdeploy.checktypes import Kind
from bgdeploy.release.analysis.tally import Verdict
from bgdeploy.release.checks import CheckResult, ChecksState, Stage
from bgdeploy.release.records.story import Checked, Story

# Whoever tells the story may have been killed before the checks were over.
_UNFINISHED = {"waiting", "running", "asking"}


def checks_before(story: Story) -> ChecksState | None:
    """Return how the checks before the shift ended, None when the story does not tell."""
    last = next((each for each in reversed(story.stages) if not each.after), None)
    if last is None or last.stage in _UNFINISHED or last.stage not in get_args(Stage):
        return None
    checks = sorted((each for each in story.checks if not each.after), key=lambda each: each.place)
    return ChecksState(cast(Stage, last.stage), last.owner, tuple(map(_result, checks)), why=last.why)


def _seconds(told: Checked) -> float:
    """Return how long a check took: each measurement is told with when it ended, and how long it took itself."""
    if not told.measurements:
        return 0.0
    first, last = told.measurements[0], told.measurements[-1]
    return (last.at - first.at).total_seconds() + first.seconds


def _result(told: Checked) -> CheckResult:
    return CheckResult(
        name=told.name,
        request=told.request,
        verdict=cast("Verdict | None", told.verdict),
        wanted=told.wanted,
        got=told.got,
        attempts=len(told.measurements),
        seconds=_seconds(told),
        kind=cast(Kind, told.kind),
        observed=told.observed,
        failures=sum(each.verdict == "fail" for each in told.measurements),
    )
