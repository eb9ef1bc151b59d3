"""What was seen of one deployment, by everybody who has followed it: values, and what they come to. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec

from bgdeploy.release.evidence import Series
from bgdeploy.release.phase import OF_EVENT, Phase

SCHEMA = 1


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
    log: tuple[str, ...] = ()  # the last lines of a new task that stopped
    series: tuple[Series, ...] = ()  # what the alarms measured that stopped it


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


_APPROVAL = timedelta(seconds=10)  # between two events that nothing but a wait for approval lies between


def spans(story: Story) -> tuple[Span, ...]:
    """Return the phases that the deployment went through, by the times of its lifecycle events (aws-facts 2.1)."""
    found: list[Span] = []
    own = [step for step in story.steps if step.deployment == story.deployment and step.start]
    for step in own:
        where, last = str(OF_EVENT.get(step.name, Phase.SHIFTING)), found[-1] if found else None
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
