"""What was seen of one deployment, by everybody who has followed it: values, and how two tellings become one. Pure.

Several may watch at once, or one after the other: whoever saves a story joins it with what is there. `joined` is
commutative, associative and idempotent, so neither the order nor a repetition matters, and nothing seen is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec

from bgdeploy.release.phase import HELD, Phase

T = TypeVar("T")

SCHEMA = 1
MOST_MEASUREMENTS = 1000  # of one check: the newest


@dataclass(frozen=True)
class Facts:
    """The deployment itself, as it was told last."""

    at: datetime
    version: str
    before: str  # the version that was live before
    status: str
    description: str
    config: str
    created: datetime
    key: str = ""  # of the record that its description names
    started: datetime | None = None
    completed: datetime | None = None
    error_code: str = ""
    error_message: str = ""
    rollback: str = ""  # the deployment that rolls it back
    rollback_status: str = ""
    rollback_created: datetime | None = None
    rollback_completed: datetime | None = None

    @property
    def end(self) -> datetime | None:
        """When all of it was over, its rollback too; None while something goes on."""
        if self.rollback:
            return self.rollback_completed
        return self.completed


@dataclass(frozen=True)
class Step:
    """One lifecycle event, of the deployment or of its rollback."""

    deployment: str
    place: int  # in the order in which they happen
    name: str
    status: str
    start: datetime | None = None
    end: datetime | None = None
    message: str = ""


@dataclass(frozen=True)
class Part:
    """What part of a listener's requests one side gets."""

    side: str  # "blue", "green", "" when its target group has no tasks of this deployment
    version: str
    percent: int


@dataclass(frozen=True)
class Traffic:
    """How a listener's requests were shared out, from a moment on."""

    at: datetime
    listener: str  # "production" or "test"
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class AlarmState:
    """The state that an alarm had from a moment on, and what it was decided by."""

    at: datetime
    name: str
    state: str
    value: float | None = None
    operator: str = ""
    limit: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Measured:
    """One measurement of a check."""

    at: datetime
    verdict: str
    wanted: str
    got: str
    seconds: float = 0.0  # that it took
    values: tuple[tuple[str, float], ...] = ()  # in seconds, and in parts of one
    output: tuple[str, ...] = ()


@dataclass(frozen=True)
class Checked:
    """One check, as it was told last, and all its measurements, whoever made them."""

    after: bool  # from the shift on
    place: int
    name: str
    kind: str
    request: str
    wanted: str
    observed: bool
    seen: datetime
    verdict: str | None = None
    got: str = ""
    measurements: tuple[Measured, ...] = ()


@dataclass(frozen=True)
class Stage:
    """How the checks as a whole stood, from a moment on."""

    at: datetime
    after: bool
    stage: str
    owner: str = ""
    why: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trouble:
    """Why tasks did not come up, when it was heard first."""

    subject: str
    text: str
    at: datetime


@dataclass(frozen=True)
class Watched:
    """Who followed it, from when to when."""

    by: str
    since: datetime
    until: datetime


@dataclass(frozen=True)
class Standing:
    """What answered at a listener in the end."""

    listener: str
    url: str
    side: str
    version: str
    percent: int


@dataclass(frozen=True)
class Ended:
    """How it ended; `over` is False for one that went on to keep the old version."""

    at: datetime
    over: bool
    kind: str
    exit: int
    headline: str
    why: tuple[str, ...] = ()
    next: tuple[str, ...] = ()
    live: tuple[Standing, ...] = ()
    event: str = ""
    verified: bool = True
    seconds: float = 0.0


@dataclass(frozen=True)
class Story:
    """All that was seen of one deployment."""

    deployment: str
    facts: Facts | None = None
    steps: tuple[Step, ...] = ()
    traffic: tuple[Traffic, ...] = ()
    alarms: tuple[AlarmState, ...] = ()
    checks: tuple[Checked, ...] = ()
    stages: tuple[Stage, ...] = ()
    trouble: tuple[Trouble, ...] = ()
    watched: tuple[Watched, ...] = ()
    ending: Ended | None = None


# Two tellings become one


def joined(one: Story, other: Story) -> Story:
    """Return what both tell of the same deployment."""
    assert one.deployment == other.deployment
    return Story(
        deployment=one.deployment,
        facts=_best((one.facts, other.facts), lambda facts: facts.at),
        steps=_keyed(
            (*one.steps, *other.steps),
            lambda step: (step.deployment, step.place, step.name),
            lambda step: _RANKS.get(step.status, 2),
        ),
        traffic=_all((*one.traffic, *other.traffic)),
        alarms=_all((*one.alarms, *other.alarms)),
        checks=_checks((*one.checks, *other.checks)),
        stages=_all((*one.stages, *other.stages)),
        trouble=_keyed(
            (*one.trouble, *other.trouble),
            lambda each: (each.subject, each.text),
            lambda each: -_time(each.at),
        ),
        watched=_keyed(
            (*one.watched, *other.watched), lambda each: (each.by, _time(each.since)), lambda each: each.until
        ),
        # The earliest that is final: what a later look found live may be another release's doing.
        ending=_best((one.ending, other.ending), lambda ended: (ended.over, -_time(ended.at))),
    )


_RANKS = {"Unknown": 0, "Pending": 0, "InProgress": 1}


def _time(moment: datetime) -> float:
    return moment.timestamp()


def _order(value: Any) -> bytes:
    """Any order will do between what is equally good, as long as everybody has the same."""
    return msgspec.json.encode(value)


def _best(found: Iterable[T | None], rank: Callable[[T], Any]) -> T | None:
    there = [each for each in found if each is not None]
    return max(there, key=lambda each: (rank(each), _order(each)), default=None)


def _keyed(found: Iterable[T], key: Callable[[T], Hashable], rank: Callable[[T], Any]) -> tuple[T, ...]:
    """Return the best of each key, by key."""
    groups: dict[Any, list[T]] = {}
    for each in found:
        groups.setdefault(key(each), []).append(each)
    best = {name: max(group, key=lambda each: (rank(each), _order(each))) for name, group in groups.items()}
    return tuple(best[name] for name in sorted(best))


def _all(found: Iterable[Any]) -> tuple[Any, ...]:
    """Return each of them once, by time."""
    return tuple(sorted(set(found), key=lambda each: (each.at, _order(each))))


def _checks(found: Iterable[Checked]) -> tuple[Checked, ...]:
    groups: dict[tuple[bool, str], list[Checked]] = {}
    for each in found:
        groups.setdefault((each.after, each.name), []).append(each)
    return tuple(sorted(map(_check, groups.values()), key=lambda each: (each.after, each.place, each.name)))


def _check(told: list[Checked]) -> Checked:
    """Return the newest telling of a check with everybody's measurements."""
    if len(told) == 1:
        return told[0]
    bare = (replace(each, measurements=()) for each in told)
    newest = max(bare, key=lambda each: (each.seen, _order(each)))
    measured = _all(one for each in told for one in each.measurements)
    return replace(newest, measurements=measured[-MOST_MEASUREMENTS:])


# What it comes to


@dataclass(frozen=True)
class Span:
    """A phase that the deployment was in."""

    phase: str
    start: datetime
    end: datetime | None  # None: it still is

    @property
    def seconds(self) -> float | None:
        return (self.end - self.start).total_seconds() if self.end else None


_PHASES = {
    "BeforeInstall": Phase.INSTALLING,
    "Install": Phase.INSTALLING,
    "AfterInstall": Phase.INSTALLING,
    "AllowTestTraffic": Phase.TEST_TRAFFIC,
    HELD: Phase.CHECKING,
}
_APPROVAL = timedelta(seconds=10)  # between two events that nothing but a wait for approval lies between


def spans(story: Story) -> tuple[Span, ...]:
    """Return the phases that the deployment went through, by the times of its lifecycle events (aws-facts 2.1)."""
    found: list[Span] = []
    own = [step for step in story.steps if step.deployment == story.deployment and step.start]
    for step in own:
        where, last = str(_PHASES.get(step.name, Phase.SHIFTING)), found[-1] if found else None
        if last and last.phase == where:
            found[-1] = replace(last, end=step.end)
            continue
        if where == Phase.SHIFTING.value and last and last.end and _start(step) - last.end > _APPROVAL:
            found.append(Span(str(Phase.READY), last.end, step.start))
        found.append(Span(where, _start(step), step.end))
    return (*found, *_afterwards(story, own))


def _start(step: Step) -> datetime:
    assert step.start is not None
    return step.start


def _afterwards(story: Story, own: list[Step]) -> Iterator[Span]:
    """Yield the time for which the old version was kept, and the rollback."""
    facts = story.facts
    if facts is None:
        return
    shifted = bool(own) and all(
        s.status == "Succeeded" for s in story.steps if s.deployment == story.deployment
    )
    if shifted and own[-1].end:
        yield Span(str(Phase.SHIFTED), own[-1].end, facts.completed)
    if facts.rollback and facts.rollback_created:
        yield Span(str(Phase.ROLLING_BACK), facts.rollback_created, facts.rollback_completed)


def shared(story: Story, listener: str) -> tuple[Traffic, ...]:
    """Return how a listener's requests were shared out, by time, each change once."""
    found: list[Traffic] = []
    for each in story.traffic:
        if each.listener == listener and (not found or found[-1].parts != each.parts):
            found.append(each)
    return tuple(found)


# As JSON


def encode(story: Story) -> bytes:
    """Return the story as JSON, with the phases for whoever reads it without us."""
    phases = [
        {"phase": each.phase, "start": each.start, "end": each.end, "seconds": each.seconds}
        for each in spans(story)
    ]
    told = {"schema": SCHEMA, **msgspec.to_builtins(story), "phases": phases}
    return msgspec.json.format(msgspec.json.encode(told), indent=1)


def decode(body: bytes) -> Story:
    """Return the story that `encode` wrote, or one of a later bgdeploy that says more. Raises ValueError for others."""
    try:
        return msgspec.json.decode(body, type=Story)
    except msgspec.MsgspecError as error:
        raise ValueError(f"no story: {error}") from error
