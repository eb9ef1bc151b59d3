"""What checks are: what they ask, what they have found, and what all of it comes to. Pure: `asking` does the asking."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from msgspec import structs

from bgdeploy.checktypes import Check, Kind, RawMetric
from bgdeploy.release.analysis.tally import Verdict

HOOK = "the hook"  # who has run them, when it runs them itself
Mode = Literal["all", "observe", "none"]
Stage = Literal[
    "idle",  # the deployment is not at the hook
    "waiting",  # it is, and the hook has not said so yet
    "running",
    "passed",
    "failed",
    "unreachable",  # nobody let us in: that is not the application's failure
    "inconclusive",  # neither passed nor failed, and nobody was there to decide
    "asking",  # the same, and somebody is asked
    "accepted",  # somebody has decided for it
    "declined",  # or against it
    "observed",  # run and reported only, as asked; the deployment goes on whatever they found
    "skipped",  # not run, as asked
    "elsewhere",  # another bgdeploy runs them
    "lapsed",  # the hook was answered for before we could
    "late",  # after the shift: they failed when the deployment was over already
]


@dataclass(frozen=True)
class Measurement:
    """What one measurement found, and what that is worth."""

    verdict: Verdict
    wanted: str  # what is not as it should be, "" where `got` says it all
    got: str
    values: Mapping[str, float] = field(default_factory=dict)  # in seconds, and in parts of one
    reached: bool = True  # False: no attempt could connect
    output: tuple[str, ...] = ()  # a command's last lines
    at: datetime | None = None
    seconds: float = 0.0  # that it took

    @property
    def passed(self) -> bool:
        return self.verdict == "pass"


@dataclass(frozen=True)
class CheckResult:
    """What one check has found so far; `verdict` is None until it has one."""

    name: str
    request: str  # GET http://…/
    verdict: Verdict | None
    wanted: str
    got: str
    attempts: int
    seconds: float
    reached: bool = True  # False: no attempt could connect
    kind: Kind = "get"
    observed: bool = False  # reported only: it decides nothing
    count: int | None = None  # measurements that it takes, None where that is open
    failures: int = 0  # measurements that failed
    live: str = ""  # how far the measurement is that runs
    left: float | None = None  # seconds until its time is over, or that of the measurement that runs
    due: float | None = None  # seconds until the next measurement
    output: tuple[str, ...] = ()  # a command's last lines
    measurements: tuple[Measurement, ...] = ()

    @property
    def passed(self) -> bool | None:
        """True or False once it has passed or failed."""
        return {"pass": True, "fail": False}.get(self.verdict or "")

    @property
    def decisive(self) -> bool:
        """Tell whether it keeps the release from going on."""
        return not self.observed and self.verdict in {"fail", "inconclusive"}


@dataclass(frozen=True)
class ChecksState:
    """Where the checks of a deployment stand, and who runs them."""

    stage: Stage = "idle"
    owner: str = ""
    results: tuple[CheckResult, ...] = ()
    notice: str = ""  # AWS's trouble that is being outlasted
    why: tuple[str, ...] = ()  # what has failed, as whoever ran them elsewhere says
    access: str = ""  # whether this machine was let in to the test listener for them
    after: ChecksState | None = None  # those from the shift on, None when there are none


def fill(check: Check, version: str) -> Check:
    """Return the check for one version: `{version}` is replaced wherever it may stand.

    In `matches` it stands for the very text of the version, not for a regular expression.
    """

    def text(value: str) -> str:
        return value.replace("{version}", version)

    def perhaps(value: str | None) -> str | None:
        return None if value is None else text(value)

    metric = check.metric
    if isinstance(metric, RawMetric):
        named = {name: text(value) for name, value in metric.dimensions.items()}
        metric = structs.replace(metric, dimensions=named)
    return structs.replace(
        check,
        get=perhaps(check.get),
        contains=perhaps(check.contains),
        matches=None if check.matches is None else check.matches.replace("{version}", re.escape(version)),
        json={path: text(value) if isinstance(value, str) else value for path, value in check.json.items()},
        header={name: text(value) for name, value in check.header.items()},
        command=perhaps(check.command),
        metric=metric,
    )


Outcome = Literal["passed", "failed", "unreachable", "inconclusive"]


def outcome(results: tuple[CheckResult, ...]) -> Outcome:
    """Return what the verdicts come to of the checks that decide anything.

    A listener that let nobody in says nothing about the application.
    """
    deciding = [result for result in results if not result.observed]
    if any(result.verdict == "fail" for result in deciding):
        return "failed" if any(result.reached for result in deciding) else "unreachable"
    return "passed" if all(result.passed for result in deciding) else "inconclusive"
