"""How production traffic moves to the new version, in our words and in CodeDeploy's. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from bgdeploy.quantities import Duration

WORDS = "all-at-once, canary P% D, linear P% D, or the name of a CodeDeploy config"
_PREFIX = "CodeDeployDefault."
# CodeDeploy predefines exactly these five for ECS; "1Minutes" is its own plural (aws-facts 5.3).
PREDEFINED = tuple(
    f"{_PREFIX}ECS{way}"
    for way in (
        "AllAtOnce",
        "Canary10Percent5Minutes",
        "Canary10Percent15Minutes",
        "Linear10PercentEvery1Minutes",
        "Linear10PercentEvery3Minutes",
    )
)
_LONGEST = 2880  # minutes: two days (aws-facts 5.4)
_STEPS = re.compile(r"(?P<kind>canary|linear) +(?P<percent>\S+) +(?P<wait>\S+)")
_NAME = re.compile(r"[A-Za-z0-9._+=,@-]{1,100}")
_STEPWISE = re.compile(
    r"(?P<kind>Canary|Linear)(?P<percent>\d{1,2})Percent(?:Every)?(?P<minutes>\d{1,4})Minutes$"
)
_OURS = r"Canary\d+Percent\d+Minutes|Linear\d+PercentEvery\d+Minutes"


@dataclass(frozen=True)
class Strategy:
    """One way to move production."""

    kind: Literal["all-at-once", "canary", "linear", "named"]
    percent: int = 0  # of the traffic: canary's first part, or linear's every step
    minutes: int = 0  # before the rest, or between two steps
    name: str = ""  # of the config that is to be used as it is

    def config(self, stack: str) -> str:
        """Return the name of the deployment config that does it: CodeDeploy's own where it predefines one.

        Else the stack's: no two stacks share one, so that whoever removes a stack takes nothing from another. Its
        name says all that it does, and a config can never be changed: it is found again by name, and used again.
        """
        if self.kind == "named":
            return self.name
        predefined = f"{_PREFIX}ECS{self._way}"
        return predefined if predefined in PREDEFINED else f"{stack}-{self._way}"

    @property
    def predefined(self) -> bool:
        """Tell whether CodeDeploy brings its config along."""
        return self.config("") in PREDEFINED

    @property
    def routing(self) -> dict[str, Any]:
        """What CreateDeploymentConfig calls it; {} for a config that is only named."""
        if self.kind == "canary":
            steps = {"canaryPercentage": self.percent, "canaryInterval": self.minutes}
            return {"type": "TimeBasedCanary", "timeBasedCanary": steps}
        if self.kind == "linear":
            steps = {"linearPercentage": self.percent, "linearInterval": self.minutes}
            return {"type": "TimeBasedLinear", "timeBasedLinear": steps}
        return {"type": "AllAtOnce"} if self.kind == "all-at-once" else {}

    @property
    def _way(self) -> str:
        if self.kind == "all-at-once":
            return "AllAtOnce"
        every = "Every" if self.kind == "linear" else ""
        return f"{self.kind.capitalize()}{self.percent}Percent{every}{self.minutes}Minutes"


def parse(text: str) -> Strategy:
    """Return the strategy that `text` writes. Raises ValueError with everything that is wrong with it."""
    found = strategy_problems(text)
    if found:
        raise ValueError("; ".join(found))
    words = " ".join(text.split())
    if words == "all-at-once":
        return Strategy("all-at-once")
    match = _STEPS.fullmatch(words)
    if match is None:
        return Strategy("named", name=words)
    kind: Literal["canary", "linear"] = "canary" if match["kind"] == "canary" else "linear"
    return Strategy(kind, int(match["percent"].removesuffix("%")), Duration.parse(match["wait"]).minutes)


def stepwise(config: str) -> Strategy | None:
    """Return how a config moves production in steps, by its name; None where the name does not say so."""
    match = _STEPWISE.search(config)
    if match is None or not int(match["percent"]):
        return None
    kind: Literal["canary", "linear"] = "canary" if match["kind"] == "Canary" else "linear"
    return Strategy(kind, int(match["percent"]), int(match["minutes"]))


def strategy_problems(text: str) -> tuple[str, ...]:
    """Return everything that is wrong with a strategy, by CodeDeploy's own rules (aws-facts 5.4)."""
    words = " ".join(text.split())
    match = _STEPS.fullmatch(words)
    if match:
        return tuple(_step_problems(match["kind"], match["percent"], match["wait"]))
    return tuple(_name_problems(words))


def made_for(stack: str, config: str) -> bool:
    """Tell whether a config is one that was made for a strategy of this stack: configs carry no tags."""
    return re.fullmatch(f"{re.escape(stack)}-(?:{_OURS})", config) is not None


def _step_problems(kind: str, percent: str, wait: str) -> Iterator[str]:
    share = _whole(percent.removesuffix("%")) if percent.endswith("%") else None
    if share is None or not 1 <= share <= 99:
        yield f"the share must be whole percents from 1% to 99%, not {percent!r}"
        share = None
    try:
        seconds = Duration.parse(wait)
    except ValueError as error:
        yield f"the wait must be {error}"
        return
    if seconds % 60 or not seconds:
        yield f"the wait must be whole minutes, at least 1m, not {wait!r}"
    elif kind == "canary" and seconds.minutes > _LONGEST:
        yield f"the wait must be at most {_LONGEST} minutes (2 days), not {wait!r}"
    elif kind == "linear" and share and seconds.minutes * (100 // share) > _LONGEST:
        yield (
            f"{100 // share} steps with {seconds.minutes} minutes each are {seconds.minutes * (100 // share)} "
            f"minutes, and all must be over after {_LONGEST} (2 days)"
        )


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() else None


def _name_problems(words: str) -> Iterator[str]:
    if words == "all-at-once" or words in PREDEFINED:
        return
    near = difflib.get_close_matches(words, PREDEFINED, n=1, cutoff=0.8)
    kind = difflib.get_close_matches(words.lower(), ("all-at-once", "canary", "linear"), n=1, cutoff=0.8)
    if words.startswith(_PREFIX):
        meant = f"; did you mean {near[0]}?" if near else ""
        yield f"CodeDeploy predefines {', '.join(PREDEFINED)} for ECS, and no {words}{meant}"
    elif kind or not _NAME.fullmatch(words):
        meant = f"; did you mean {kind[0]!r}?" if kind and kind[0] == "all-at-once" else ""
        example = ", such as 'canary 10% 5m'" if not meant else ""
        yield f"must be {WORDS}{example}, not {words!r}{meant}"
