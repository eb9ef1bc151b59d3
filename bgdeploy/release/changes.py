"""What happened between two snapshots, one value for each thing a person would want to hear about. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from bgdeploy.release.phase import (
    Phase,
    described,
    duration,
    length,
    replaces_placeholder,
    shares,
    shifted,
    wait,
)
from bgdeploy.release.snapshot import Alarm, Deployment, Event, Listener, Snapshot, TaskSet

if TYPE_CHECKING:
    from bgdeploy.release.checks import CheckResult, ChecksState

Kind = Literal["deployment", "event", "traffic", "tasks", "trouble", "alarm", "check", "rollback"]


@dataclass(frozen=True)
class Change:
    """One thing that happened: to what, in words, when by AWS's clock, and whether that is good (None: neither)."""

    kind: Kind
    subject: str
    text: str
    at: datetime
    good: bool | None = None


@dataclass(frozen=True)
class Frame:
    """All that a view draws: the newest snapshot and what led to it."""

    snapshot: Snapshot
    phase: Phase
    now: datetime  # AWS's time, carried on since the snapshot was taken
    elapsed: float  # seconds since the watching began
    changes: tuple[Change, ...] = ()  # since the frame before
    checks: ChecksState | None = None
    notice: str = ""  # why the snapshot is old: AWS throttles us, the network is down
    throttled: int = 0  # calls of the last minute that AWS wanted later, and got again


@dataclass(frozen=True)
class Silence:
    """All that there is to draw for as long as AWS has not said where a deployment is."""

    deployment: str
    elapsed: float  # seconds since the watching began
    notice: str = ""  # why it says nothing: AWS throttles us, the network is down
    throttled: int = 0  # calls of the last minute that AWS wanted later, and got again


def changes(before: Snapshot | None, after: Snapshot) -> tuple[Change, ...]:
    """Return what happened between two snapshots of a deployment, by time; without a before, all that has."""
    found = (
        *_deployment(before, after),
        *_events(before.events if before else (), after.events, after.at, "event"),
        *_tasks(before, after),
        *_traffic(before, after),
        *_alarms(before, after),
        *_rollback(before, after),
    )
    return tuple(sorted(found, key=lambda change: change.at))


def _deployment(before: Snapshot | None, after: Snapshot) -> Iterator[Change]:
    old, new = before.deployment if before else None, after.deployment
    if old is None or old.status != new.status:
        yield _status_change(new, after)
    if shifted(after) and not new.over and not (before and shifted(before)):
        yield Change("deployment", new.id, f"all traffic has moved; {_kept(after)}", after.at, True)


def _kept(after: Snapshot) -> str:
    if replaces_placeholder(after):
        return "the placeholder is removed, there is nothing to go back to"
    waiting = wait(after)
    return f"blue is kept until {waiting.until:%H:%M:%SZ}" if waiting else "blue is kept"


def _status_change(new: Deployment, after: Snapshot) -> Change:
    text, good, at = new.status, None, after.at
    if new.status == "Succeeded":
        good, at = True, new.completed or at
    elif new.over:
        why = f": {new.error_code}: {new.error_message}" if new.error_code else ""
        text, good, at = f"{new.status}{why}", False, new.completed or at
    elif new.status == "Ready":
        waiting = wait(after)
        until = f" until {waiting.until:%H:%M:%SZ}" if waiting else ""
        text = f"Ready: waits for `bgdeploy promote`{until}"
    elif new.status == "InProgress":
        at = new.started or at
    return Change("deployment", new.id, text, at, good)


def throttled_text(calls: int) -> str:
    """Return in words that AWS throttles us, and that nothing is lost by it."""
    sent = "1 call was" if calls == 1 else f"{calls} calls were"
    return f"AWS is throttling us: {sent} sent again in the last minute"


_OUTCOMES = {"Succeeded": True, "Failed": False}


def _events(
    before: tuple[Event, ...], after: tuple[Event, ...], at: datetime, kind: Literal["event", "rollback"]
) -> Iterator[Change]:
    known = {event.name: event.status for event in before}
    for event in after:
        if event.status in {"Pending", "Unknown", known.get(event.name, "Pending")}:
            continue
        when = (event.start if event.status == "InProgress" else event.end) or at
        yield Change(kind, event.name, _event_text(event, at), when, _OUTCOMES.get(event.status))


def _event_text(event: Event, now: datetime) -> str:
    if event.status == "InProgress":
        return "began"
    if event.status == "Skipped":
        return "skipped"
    took = duration(event, now)
    after = f" after {length(took)}" if took is not None else ""
    return f"{event.status.lower()}{after}" + (f": {event.message}" if event.message else "")


def tasks_text(task_set: TaskSet) -> str:
    """Return how many of a side's tasks run and are healthy, in words."""
    if task_set.status == "DRAINING":
        return f"draining, {task_set.running} still running"
    pending = f", {task_set.pending} pending" if task_set.pending else ""
    return f"{task_set.running}/{task_set.desired} running{pending}, {task_set.healthy} healthy"


def _tasks(before: Snapshot | None, after: Snapshot) -> Iterator[Change]:
    known = {task_set.id: task_set for task_set in before.task_sets} if before else {}
    for task_set in after.task_sets:
        old = known.pop(task_set.id, None)
        subject = f"{task_set.side} {task_set.version}"
        if old is None or tasks_text(old) != tasks_text(task_set):
            yield Change("tasks", subject, tasks_text(task_set), after.at)
        for why in task_set.trouble:
            if old is None or why not in old.trouble:
                yield Change("trouble", subject, why, after.at, False)
    for gone in known.values():
        yield Change("tasks", f"{gone.side} {gone.version}", "its tasks are gone", after.at)


def _traffic(before: Snapshot | None, after: Snapshot) -> Iterator[Change]:
    yield from _listener("production", before.production if before else None, after.production, after)
    yield from _listener("test", before.test if before else None, after.test, after)


def _listener(name: str, old: Listener | None, new: Listener | None, after: Snapshot) -> Iterator[Change]:
    if new and (old is None or dict(old.weights) != dict(new.weights)):
        text = " · ".join(described(share) for share in shares(new, after)) or "nothing"
        yield Change("traffic", name, text, after.at)


def _alarms(before: Snapshot | None, after: Snapshot) -> Iterator[Change]:
    known = {alarm.name: alarm for alarm in before.alarms} if before else {}
    for alarm in after.alarms:
        old = known.get(alarm.name)
        if old is None or old.state != alarm.state:
            good = {"OK": True, "ALARM": False, "MISSING": False}.get(alarm.state)
            was = f"{old.state} to " if old else ""
            when = alarm.since if old and alarm.since else after.at
            yield Change("alarm", alarm.name, was + alarm_text(alarm), when, good)


def alarm_text(alarm: Alarm) -> str:
    """Return an alarm's state, with measured value, operator and limit when it has gone off."""
    if alarm.state != "ALARM":
        return alarm.state
    return f"ALARM: {alarm_verdict(alarm) or alarm.reason or 'no reason given'}"


def alarm_verdict(alarm: Alarm) -> str:
    """Return `2 >= 1`, "" when the alarm does not say what it measured."""
    if alarm.value is None or alarm.limit is None or not alarm.operator:
        return ""
    return f"{alarm.value:g} {alarm.operator} {alarm.limit:g}"


def _rollback(before: Snapshot | None, after: Snapshot) -> Iterator[Change]:
    old, new = before.rollback if before else None, after.rollback
    if new is None:
        return
    if old is None:
        text = f"deployment {new.id} rolls {after.deployment.id} back"
        yield Change("rollback", new.id, text, new.started or new.created)
    yield from _events(before.rollback_events if before else (), after.rollback_events, after.at, "rollback")
    if new.over and not (old and old.over):
        why = f": {new.error_code}: {new.error_message}" if new.error_code else ""
        done = new.completed or after.at
        yield Change("rollback", new.id, f"{new.status}{why}", done, new.status == "Succeeded")


def check_changes(
    before: ChecksState | None, after: ChecksState | None, at: datetime, *, shifted: bool = False
) -> tuple[Change, ...]:
    """Return what happened to the checks between two of their states, and to those from the shift on."""
    if after is None or after == before:
        return ()
    known = {result.name: result.verdict for result in before.results} if before else {}
    found = [
        Change("check", result.name, check_text(result), at, result.passed)
        for result in after.results
        if result.verdict is not None and known.get(result.name) is not result.verdict
    ]
    if before is None or before.stage != after.stage:
        subject = "checks after the shift" if shifted else "checks"
        text, good = checks_text(after, shifted=shifted), _STAGES[after.stage][1]
        unsure = shifted and after.stage == "inconclusive"  # which takes nothing back
        found.append(Change("check", subject, text, at, None if unsure else good))
    if after.access and after.access != (before.access if before else ""):
        found.append(Change("check", "test port", after.access, at))
    later = check_changes(before.after if before else None, after.after, at, shifted=True)
    return (*(change for change in found if change.text), *later)


def check_text(result: CheckResult) -> str:
    """Return what one check has found so far: what it wanted, what it got, after how many attempts."""
    if result.verdict is None:
        return _open_text(result)
    verdict = {"pass": "passed: ", "inconclusive": "inconclusive: "}.get(result.verdict, "")
    observed = "observed, " if result.observed else ""
    return f"{observed}{verdict}{found_text(result)} ({result.request}, {tries_text(result)})"


def found_text(result: CheckResult) -> str:
    """Return what the newest measurement found."""
    if result.passed or result.got == result.wanted or not result.wanted or not result.attempts:
        return result.got
    return f"wanted {result.wanted}, got {result.got}"


def tries_text(result: CheckResult) -> str:
    """Return how often a check has measured, and for how long."""
    word = "attempt" if result.kind == "get" and result.count is None else "measurement"
    of = f"/{result.count}" if result.count and result.count > 1 else ""
    plural = "s" if of or result.attempts != 1 else ""
    failed = f", {result.failures} failed" if 0 < result.failures < result.attempts else ""
    took = f"{result.seconds:.1f} s" if result.seconds < 60 else length(result.seconds)
    return f"{result.attempts}{of} {word}{plural}{failed}, {took}"


def _open_text(result: CheckResult) -> str:
    """Return how far a check is that has no verdict yet, and how long it may still take."""
    parts = [result.live or (found_text(result) if result.got else result.request)]
    if result.attempts:
        parts.append(tries_text(result))
    if result.left is not None:
        parts.append(f"{length(result.left)} left")
    elif result.due is not None:
        parts.append(f"next in {length(result.due)}")
    return "; ".join(parts)


_STAGES: dict[str, tuple[str, bool | None]] = {
    "idle": ("", None),
    "waiting": ("waiting for the hook", None),
    "running": ("running on the test listener", None),
    "passed": ("all passed", True),
    "failed": ("not all passed", False),
    "unreachable": ("could not reach the test listener", False),
    "inconclusive": ("inconclusive", False),
    "asking": ("inconclusive: `bgdeploy promote` lets it go on, `bgdeploy stop` ends it", None),
    "accepted": ("inconclusive, and accepted", True),
    "declined": ("inconclusive, and declined", False),
    "observed": ("observed only: they decide nothing", None),
    "skipped": ("not run, as asked", None),
    "elsewhere": ("", None),
    "lapsed": ("nobody answered the hook in time", False),
    "late": ("failed when the deployment was over already", False),
}
_SHIFTED = {
    "running": "running on the production listener",
    "failed": "failed: production goes back to blue",
    "inconclusive": "nothing failed, but not all could be measured",
}


def checks_text(state: ChecksState, *, shifted: bool = False) -> str:
    """Return the stage of the checks in words, "" when there is nothing to say."""
    if state.stage == "elsewhere":
        return f"run by {state.owner}" if state.owner else "run by somebody else"
    text = _STAGES[state.stage][0]
    if state.stage == "passed" and any(result.observed and not result.passed for result in state.results):
        text = "all that decide have passed"
    if state.stage == "passed" and not state.results:
        text = "none to run"
    return _SHIFTED.get(state.stage, text) if shifted else text
