"""What made a release fail, in sentences with what was measured, and what to do about it. Pure."""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING

from bgdeploy.names import Names
from bgdeploy.release.changes import alarm_verdict, found_text, tries_text
from bgdeploy.release.checks import HOOK
from bgdeploy.release.evidence import Evidence, Series
from bgdeploy.release.hints import hints
from bgdeploy.release.phase import HELD, failed_event, length, new_version
from bgdeploy.release.snapshot import Snapshot

if TYPE_CHECKING:
    from bgdeploy.release.checks import CheckResult, ChecksState


class Kind(str, Enum):
    """What made it end."""

    LIVE = "live"
    UNVERIFIED = "unverified"  # CodeDeploy says it succeeded, what is really live says otherwise
    CHECK_FAILED = "check failed"
    CHECK_INCONCLUSIVE = "check inconclusive"
    CHECK_FAILED_AFTER = "check failed after the shift"
    CHECKS_UNREACHABLE = "checks unreachable"
    HOOK_FAILED = "hook failed"
    HOOK_SILENT = "hook silent"
    ALARM = "alarm"
    INSTALL_FAILED = "install failed"
    EARLY = "failed early"
    APPROVAL_EXPIRED = "approval expired"
    STOPPED = "stopped"
    FAILED = "failed"
    GAVE_UP = "gave up waiting"
    DETACHED = "detached"
    CANCELLED = "cancelled"  # whoever followed it has stopped it, and was cancelled or left

    def __str__(self) -> str:
        return self.value


def verb(kind: Kind) -> str:
    """Return what became of a version, as the headline says it."""
    return {
        Kind.EARLY: "failed early",
        Kind.STOPPED: "was stopped",
        Kind.ALARM: "was stopped by an alarm",
        Kind.CHECK_FAILED_AFTER: "failed a check while users were on it",
        Kind.CHECK_INCONCLUSIVE: "could not be judged",
        Kind.CHECKS_UNREACHABLE: "could not be checked",
        Kind.HOOK_SILENT: "was never answered for",
        Kind.APPROVAL_EXPIRED: "was never promoted",
    }.get(kind, "failed")


Cause = tuple[Kind, tuple[str, ...]]
_NOTHING = Evidence()
_LINES = 5  # of a failed command's output, on a card


def cause(snapshot: Snapshot, checks: ChecksState | None, evidence: Evidence = _NOTHING) -> Cause:
    """Return what made the deployment fail, and sentences that say so with what was measured."""
    deployment = snapshot.deployment
    said = (f"{deployment.error_code}: {deployment.error_message}",) if deployment.error_code else ()
    at = failed_event(snapshot)
    if deployment.error_code == "ALARM_ACTIVE":
        return Kind.ALARM, _alarms(snapshot, evidence)
    if "waiting for a notification to continue" in deployment.error_message:
        return Kind.APPROVAL_EXPIRED, said
    if deployment.error_code == "MANUAL_STOP":
        if checks and checks.after and (why := failures(checks.after)):
            return Kind.CHECK_FAILED_AFTER, why
        return _stopped(snapshot, evidence, said)
    if "waiting for a status callback" in deployment.error_message:
        return Kind.HOOK_SILENT, (*said, *_hook_log(snapshot, evidence))
    if at and at.name == HELD:
        return _held(snapshot, checks, evidence, said)
    if deployment.error_code == "HOOK_EXECUTION_FAILURE":
        return Kind.HOOK_FAILED, (*said, *_event_message(snapshot))
    if at and at.name == "Install":
        return Kind.INSTALL_FAILED, (*said, *_trouble(snapshot))
    return Kind.FAILED, (*said, *_event_message(snapshot)) or ("CodeDeploy gave no reason",)


def _stopped(snapshot: Snapshot, evidence: Evidence, said: tuple[str, ...]) -> Cause:
    """CodeDeploy does not say who stopped a deployment; bgdeploy leaves a note when it does so."""
    stop = evidence.stop
    if stop is None:
        who = "CloudTrail's StopDeployment event says who stopped it"
        return Kind.STOPPED, (*said, who, *_trouble(snapshot))
    if not stop.early:
        return Kind.STOPPED, (stop.sentence, *_trouble(snapshot))
    end = snapshot.deployment.completed or snapshot.at
    after = length(end - snapshot.deployment.created)
    spared = f"{stop.why}: stopped by {stop.by} after {after} instead of waiting CodeDeploy's hour"
    return Kind.EARLY, (spared, *_trouble(snapshot))


def _held(snapshot: Snapshot, checks: ChecksState | None, evidence: Evidence, said: tuple[str, ...]) -> Cause:
    """The deployment failed while the hook held it: whose answer was that?"""
    stage = checks.stage if checks else "idle"
    if checks and stage == "unreachable":
        return Kind.CHECKS_UNREACHABLE, _unreachable(snapshot, checks)
    if checks and stage in {"inconclusive", "declined"}:
        nobody = "nobody was there to decide" if stage == "inconclusive" else "somebody decided against it"
        why = (*(check_failure(result) for result in checks.results if result.decisive), nobody)
        return Kind.CHECK_INCONCLUSIVE, why
    if checks and (why := failures(checks)):
        return Kind.CHECK_FAILED, why
    owner = checks.owner if checks and stage == "elsewhere" else ""
    whose = (f"the checks were run by {owner}: its output says which failed",) if owner else ()
    return Kind.HOOK_FAILED, (*said, *_event_message(snapshot), *whose, *_hook_log(snapshot, evidence))


def failures(checks: ChecksState) -> tuple[str, ...]:
    """Return what of the checks has failed, in sentences, whoever ran them."""
    if checks.stage not in {"failed", "late"}:
        return checks.why
    failed = [result for result in checks.results if result.verdict == "fail" and not result.observed]
    return tuple(line for result in failed for line in (check_failure(result), *_tail(result)))


def check_failure(result: CheckResult) -> str:
    """Return a check that has not passed as a sentence: which, what it wanted, what it got."""
    verdict = "inconclusive: " if result.verdict == "inconclusive" else ""
    return f'check "{result.name}": {verdict}{found_text(result)} ({result.request}, {tries_text(result)})'


def _tail(result: CheckResult) -> tuple[str, ...]:
    """Return the last lines that a command has said; the very last one is told already."""
    return result.output[-_LINES - 1 : -1]


def _unreachable(snapshot: Snapshot, checks: ChecksState) -> tuple[str, ...]:
    door = snapshot.test.url if snapshot.test else "the test listener"
    got = next(
        (result.got for result in checks.results if result.passed is False and result.got), "no answer"
    )
    return (
        f"the checks could not reach {door}: {got}",
        *([checks.access] if checks.access else []),
        f"that says nothing about the application: {_who(checks)} is not let in",
    )


def _who(checks: ChecksState) -> str:
    return "the hook's function" if checks.owner == HOOK else "this machine"


def _alarms(snapshot: Snapshot, evidence: Evidence) -> tuple[str, ...]:
    """The message names the alarms; by now their state may have changed again."""
    message = snapshot.deployment.error_message
    named = activated(message)
    known = {alarm.name: alarm for alarm in snapshot.alarms}
    measured = {series.alarm: series for series in evidence.series}
    names = named or [alarm.name for alarm in snapshot.alarms if alarm.state == "ALARM"]
    if not names:
        return (f"{snapshot.deployment.error_code}: {message}",)
    lines = []
    for name in names:
        alarm = known.get(name)
        went_off = alarm is not None and alarm.state == "ALARM"
        verdict = alarm_verdict(alarm) if alarm and went_off else ""
        reason = alarm.reason if alarm and went_off else ""
        told = ": ".join(part for part in (verdict, reason) if part) or _recovered(measured.get(name))
        lines.append(f"alarm {name} went off: {told}")
    return tuple(lines)


def _recovered(series: Series | None) -> str:
    """Say what it measured when it went off: its newest value that was too much."""
    bad = [(at, value) for at, value in series.points if series.breaches(value)] if series else []
    if series is None or not bad:
        return "it has recovered since"
    at, value = bad[-1]
    return f"{value:g} {series.operator} {series.limit:g} at {at:%H:%M:%SZ}; it has recovered since"


def activated(message: str) -> list[str]:
    """Return the alarms that CodeDeploy's message names as the reason of a stop (aws-facts 4.2)."""
    return re.findall(r"[^\s<>]+", message.partition("Activated alarms:")[2])


def _event_message(snapshot: Snapshot) -> tuple[str, ...]:
    at = failed_event(snapshot)
    return (f"{at.name}: {at.message}",) if at and at.message else ()


def _trouble(snapshot: Snapshot) -> tuple[str, ...]:
    return snapshot.trouble[:3]


def _hook_log(snapshot: Snapshot, evidence: Evidence) -> tuple[str, ...]:
    if evidence.hook_log:
        return tuple(f"hook: {line}" for line in evidence.hook_log)
    return (f"the hook's own log is in the log group {Names(snapshot.target.group).hook_log_group}",)


def meant(snapshot: Snapshot, why: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what AWS's words come down to, and what to do about it."""
    found = hints((*snapshot.trouble, *why))
    return tuple(hint.means for hint in found), tuple(hint.do for hint in found)


def next_steps(snapshot: Snapshot, kind: Kind, checks: ChecksState | None = None) -> tuple[str, ...]:
    version = new_version(snapshot) or "VERSION"
    again = f"bgdeploy release {version}"
    application = "or mend the application, and release it as another version"
    return {
        Kind.CHECKS_UNREACHABLE: (
            "have the load balancer's security groups let the function in"
            if checks and checks.owner == HOOK
            else "add this machine's address to load_balancer.test.allow in config/base.yaml",
            "bgdeploy provision",
            again,
        ),
        Kind.CHECK_FAILED: (f"mend the check, then {again}", application),
        Kind.CHECK_FAILED_AFTER: (f"mend the check, then {again}", application),
        Kind.CHECK_INCONCLUSIVE: (again, "on a terminal it asks what inconclusive checks are worth"),
        Kind.ALARM: ("bgdeploy status", f"when the alarm is OK again: {again}"),
        Kind.EARLY: ("bgdeploy logs --since 1h", again),
        Kind.INSTALL_FAILED: ("bgdeploy logs --since 1h", again),
        Kind.HOOK_FAILED: (f"aws logs tail {Names(snapshot.target.group).hook_log_group}", again),
        Kind.HOOK_SILENT: (f"aws logs tail {Names(snapshot.target.group).hook_log_group}", again),
    }.get(kind, (again,))
