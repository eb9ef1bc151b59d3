"""How a release ended, why, what is live now, and what to type next. Pure: it judges what was read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from bgdeploy.counting import counted
from bgdeploy.errors import Exit
from bgdeploy.release.cause import Kind, cause, failures, meant, next_steps, verb
from bgdeploy.release.changes import checks_text
from bgdeploy.release.evidence import Evidence, Series
from bgdeploy.release.phase import (
    Phase,
    failed_event,
    length,
    new_version,
    old_version,
    phase,
    shares,
    wait,
)
from bgdeploy.release.snapshot import Listener, Side, Snapshot

if TYPE_CHECKING:
    from bgdeploy.release.checks import ChecksState


@dataclass(frozen=True)
class Page:
    """What production answered to one request."""

    url: str
    status: int | None
    error: str = ""


@dataclass(frozen=True)
class Live:
    """What answers at a listener."""

    listener: str  # "production" or "test"
    url: str
    side: str
    version: str
    percent: int

    @property
    def who(self) -> str:
        """Who that is, in words: `green v2`."""
        return " ".join(part for part in (self.side, self.version) if part) or "nobody"


@dataclass(frozen=True)
class Ending:
    """The end of a release, or of watching it."""

    kind: Kind
    exit: Exit
    headline: str
    deployment: str
    version: str
    why: tuple[str, ...] = ()
    live: tuple[Live, ...] = ()
    green: str = ""  # what became of the new tasks
    next: tuple[str, ...] = ()
    event: str = ""  # the lifecycle event in which it failed
    rollback: str = ""  # the deployment that rolled it back
    verified: bool = True  # False: what is really live is not what CodeDeploy says
    log: tuple[str, ...] = ()  # the last lines of a new task that stopped
    series: tuple[Series, ...] = ()  # what the alarms measured that stopped it
    seconds: float = 0.0  # from the deployment's creation to its end, or until now

    @property
    def good(self) -> bool:
        """Tell whether everything that was asked for has come true."""
        return self.exit is Exit.DONE

    def as_dict(self) -> dict[str, Any]:
        """Return the ending as plain data, for programs."""
        return {**asdict(self), "kind": self.kind.value, "exit": int(self.exit)}


def ending(
    snapshot: Snapshot,
    checks: ChecksState | None = None,
    *,
    page: Page | None = None,
    evidence: Evidence | None = None,
) -> Ending:
    """Return how a settled deployment ended: exit 0, 4 or 5, by what is really live."""
    if phase(snapshot) in {Phase.FINISHED, Phase.SHIFTED}:
        return _success(snapshot, checks.after if checks else None, page)
    evidence = evidence or Evidence()
    failed = _failure(snapshot, checks, page, evidence)
    return replace(failed, log=evidence.log, series=evidence.series)


def gave_up(snapshot: Snapshot | None, deployment_id: str, why: str) -> Ending:
    """Return the end of a watching that took too long: exit 6, the deployment goes on."""
    return _left(snapshot, deployment_id, Kind.GAVE_UP, Exit.GAVE_UP_WAITING, f"gave up waiting: {why}")


def detached(snapshot: Snapshot | None, deployment_id: str) -> Ending:
    """Return the end of a watching that somebody interrupted: exit 130, the deployment goes on."""
    return _left(snapshot, deployment_id, Kind.DETACHED, Exit.INTERRUPTED, "stopped watching")


def cancelled(snapshot: Snapshot | None, deployment_id: str, said: str, how: str = "cancelled") -> Ending:
    """Return the end of a watching that was cancelled or left, and has stopped the deployment: exit 130.

    How that ends is CodeDeploy's, which `said` something about the stop.
    """
    left = detached(snapshot, deployment_id)
    where = f" (it was {phase(snapshot)})" if snapshot else ""
    return replace(
        left,
        kind=Kind.CANCELLED,
        headline=f"{how}: deployment {deployment_id} is being stopped and rolled back{where}",
        why=(f"CodeDeploy says: {said}",) if said else (),
    )


_BEFORE_THE_VERDICT = {Phase.CREATED, Phase.INSTALLING, Phase.TEST_TRAFFIC, Phase.CHECKING}
_UNCHECKED = "when nobody attaches to run its checks, it fails, and production stays where it is"


def _left(snapshot: Snapshot | None, deployment_id: str, kind: Kind, status: Exit, headline: str) -> Ending:
    where = f"it was {phase(snapshot)}" if snapshot else "nothing is known of it yet"
    return Ending(
        kind=kind,
        exit=status,
        headline=f"{headline}; deployment {deployment_id} goes on ({where})",
        deployment=deployment_id,
        version=new_version(snapshot) if snapshot else "",
        why=(_UNCHECKED,) if snapshot is None or phase(snapshot) in _BEFORE_THE_VERDICT else (),
        live=live(snapshot) if snapshot else (),
        next=(f"bgdeploy watch {deployment_id}",),
        seconds=_seconds(snapshot) if snapshot else 0.0,
    )


# Success


def _success(snapshot: Snapshot, later: ChecksState | None, page: Page | None) -> Ending:
    version = new_version(snapshot) or "the new version"
    problems = problems_with(snapshot, "green", page)
    took = length(_seconds(snapshot))
    if snapshot.superseded_by:
        return _ending(
            snapshot,
            Kind.LIVE,
            Exit.DONE,
            f"{version} went live after {took}; {snapshot.superseded_by} is live now",
        )
    if problems:
        headline = f"CodeDeploy says that {version} is live, but it could not be verified"
        steps = ("bgdeploy status",)
        wrong = _ending(snapshot, Kind.UNVERIFIED, Exit.NEEDS_A_PERSON, headline, problems, steps)
        return replace(wrong, verified=False)
    if later and later.stage in {"failed", "late"} and phase(snapshot) is Phase.FINISHED:
        headline = f"{version} is live, and a check failed when it was too late to go back"
        steps = (f"bgdeploy release {old_version(snapshot) or 'VERSION'}",)
        return _ending(
            snapshot, Kind.CHECK_FAILED_AFTER, Exit.NEEDS_A_PERSON, headline, failures(later), steps
        )
    headline = f"{version} is live and verified after {took}"
    waiting = wait(snapshot)
    if waiting is None:
        return _ending(snapshot, Kind.LIVE, Exit.DONE, headline, (*_checked(later), *_answered(page)))
    kept = f"blue {old_version(snapshot)} is kept until {waiting.until:%H:%M:%SZ}: until then a rollback is instant"
    following = (f"bgdeploy watch {snapshot.deployment.id}", "bgdeploy stop", "bgdeploy promote")
    return _ending(snapshot, Kind.LIVE, Exit.DONE, headline, (kept, *_answered(page)), following)


def _checked(later: ChecksState | None) -> tuple[str, ...]:
    """Say what the checks after the shift came to."""
    if later is None or later.stage not in {"passed", "inconclusive"}:
        return ()
    measured = sum(result.attempts for result in later.results)
    return (
        f"checks after the shift: {checks_text(later, shifted=True)} ({counted(measured, 'measurement')})",
    )


def _answered(page: Page | None) -> tuple[str, ...]:
    if page is None:
        return ()
    if page.status is None:
        return (f"{page.url} cannot be reached from here ({page.error}), so its answer is unknown",)
    return (f"{page.url} answers {page.status}",)


# Failure


def _failure(snapshot: Snapshot, checks: ChecksState | None, page: Page | None, evidence: Evidence) -> Ending:
    kind, why = cause(snapshot, checks, evidence)
    means, do = meant(snapshot, why) if kind in _AWS_WORDS else ((), ())
    why = (*why, *means)
    where = phase(snapshot)
    at = failed_event(snapshot)
    version = new_version(snapshot) or "the new version"
    failed = (
        f"{version} {verb(kind)}" + (f" at {at.name}" if at else "") + f" after {length(_seconds(snapshot))}"
    )
    problems = problems_with(snapshot, "blue", page)
    if where is Phase.ROLLBACK_FAILED:
        return _needs_a_person(
            snapshot, kind, f"{failed}, and the rollback failed", (*why, _rollback_error(snapshot))
        )
    if where is Phase.ROLLING_BACK:
        return _needs_a_person(snapshot, kind, f"{failed}; the rollback is not over", why)
    if problems and not snapshot.superseded_by:
        wrong = _needs_a_person(snapshot, kind, f"{failed}; production is not what it was", (*why, *problems))
        return replace(wrong, verified=False)
    leftover = _leftover(snapshot)
    if where is not Phase.ROLLED_BACK and leftover:
        return _needs_a_person(snapshot, kind, f"{failed}, and nothing was rolled back", (*why, leftover))
    stands = snapshot.superseded_by or old_version(snapshot) or "the previous version"
    rolled = "rolled back: " if where is Phase.ROLLED_BACK else ""
    headline = f"{rolled}{failed}; production is on {stands}"
    return _ending(
        snapshot, kind, Exit.ROLLED_BACK, headline, why, (*do, *next_steps(snapshot, kind, checks))
    )


def _needs_a_person(snapshot: Snapshot, kind: Kind, headline: str, why: tuple[str, ...]) -> Ending:
    """A full release of the old version is what leads back from anywhere (aws-facts 4.2), even where it is live."""
    old = old_version(snapshot)
    back = (f"bgdeploy release {old} --force",) if old and ":" not in old else ()
    # Nothing is begun while weight is where no tasks of production are (aws-facts 7.3), or tasks where no weight is.
    if (_astray(snapshot) or _leftover(snapshot)) and phase(snapshot) is not Phase.ROLLING_BACK:
        back = ("bgdeploy doctor --fix", *back)
    return _ending(snapshot, kind, Exit.NEEDS_A_PERSON, headline, why, ("bgdeploy status", *back))


# Those that AWS has words for, which need a translation.
_AWS_WORDS = {Kind.EARLY, Kind.INSTALL_FAILED, Kind.FAILED, Kind.HOOK_FAILED, Kind.STOPPED}


def _leftover(snapshot: Snapshot) -> str:
    green = snapshot.side("green")
    if green is None or green.status == "DRAINING":
        return ""
    return (
        f"green {green.version} still runs beside production ({counted(green.running, 'task')}): "
        "nothing can be released before `bgdeploy doctor --fix` has removed it"
    )


def _rollback_error(snapshot: Snapshot) -> str:
    rollback = snapshot.rollback
    if rollback is None:
        return ""
    said = f": {rollback.error_code}: {rollback.error_message}" if rollback.error_code else ""
    return f"rollback deployment {rollback.id} ended {rollback.status}{said}"


# What is really live


def live(snapshot: Snapshot) -> tuple[Live, ...]:
    """Return what answers at each listener."""
    doors: Mapping[str, Listener | None] = {"production": snapshot.production, "test": snapshot.test}
    return tuple(
        Live(name, door.url, share.side or "", share.version, share.percent)
        for name, door in doors.items()
        if door
        for share in shares(door, snapshot)
        if share.percent
    )


def problems_with(snapshot: Snapshot, expected: Side, page: Page | None = None) -> tuple[str, ...]:
    """Return in what way production is not `expected`: the PRIMARY task set and the listener must agree."""
    found = []
    primary, door = snapshot.primary, snapshot.production
    wanted = snapshot.side(expected)
    if primary is None:
        found.append("the service has no PRIMARY task set")
    elif wanted is None or primary.id != wanted.id:
        found.append(f"the PRIMARY task set is {primary.side} {primary.version}, not {expected}")
    if primary and door and _astray(snapshot):
        given = ", ".join(f"{group} {weight}" for group, weight in door.weights.items())
        found.append(f"the production listener's weights are {given}, not all on {primary.target_group}")
    if (
        wanted and wanted.running and not wanted.healthy
    ):  # CodeDeploy's success does not prove that it is well
        why = f": {wanted.trouble[0]}" if wanted.trouble else ""
        found.append(f"no task of {wanted.version} is healthy, of {wanted.running}{why}")
    if wanted and wanted.healthy > wanted.running:  # those that drain are not healthy ones
        found.append(
            f"{counted(wanted.healthy, 'target')} of {wanted.target_group} are healthy, and {wanted.version} runs "
            f"{counted(wanted.running, 'task')}: something else answers beside it; `bgdeploy doctor` says what"
        )
    if page and page.status is not None and page.status >= 500:
        found.append(f"{page.url} answers {page.status}, which is not < 500")
    return tuple(found)


def _astray(snapshot: Snapshot) -> bool:
    """Tell whether requests to production go elsewhere than to the PRIMARY task set."""
    primary, door = snapshot.primary, snapshot.production
    return bool(primary and door and door.weights.get(primary.target_group, 0) != sum(door.weights.values()))


def _ending(
    snapshot: Snapshot,
    kind: Kind,
    status: Exit,
    headline: str,
    why: tuple[str, ...] = (),
    following: tuple[str, ...] = (),
) -> Ending:
    at = failed_event(snapshot)
    green = snapshot.side("green")
    return Ending(
        kind=kind,
        exit=status,
        headline=headline,
        deployment=snapshot.deployment.id,
        version=new_version(snapshot),
        why=tuple(line for line in why if line),
        live=live(snapshot),
        green=_green(green.running, green.healthy, green.status) if green else "",
        next=tuple(dict.fromkeys(following)),
        event=at.name if at else "",
        rollback=snapshot.deployment.rollback_id or "",
        seconds=_seconds(snapshot),
    )


def _green(running: int, healthy: int, status: str) -> str:
    if status == "DRAINING":
        return f"draining, {counted(running, 'task')} left"
    return f"{counted(running, 'task')}, {healthy} healthy"


def _seconds(snapshot: Snapshot) -> float:
    """From the deployment's creation to its end. While blue is kept that is the last event's end."""
    deployment = snapshot.deployment
    end = deployment.completed or snapshot.at
    if phase(snapshot) is Phase.SHIFTED:
        end = max((event.end for event in snapshot.events if event.end), default=end)
    return max(end - deployment.created, timedelta()).total_seconds()
