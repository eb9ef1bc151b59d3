"""Judges the condition of a stack: what is well, what a release would fail on, what to do. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TypeVar

from bgdeploy.counting import counted
from bgdeploy.doctor.condition import (
    AlarmSeen,
    Condition,
    HookSeen,
    ImageSeen,
    InFlight,
    LinkedRole,
    RoleSeen,
    Room,
    TopicSeen,
    Unread,
)
from bgdeploy.doctor.finding import Finding, Mend
from bgdeploy.doctor.leftover import task_sets
from bgdeploy.release.phase import (
    EVENT_LIMIT,
    Phase,
    current_event,
    duration,
    length,
    new_version,
    phase,
    wait,
)
from bgdeploy.release.preflight import Standing, alarm_problems, hook_problems, listener_problems
from bgdeploy.release.snapshot import Snapshot

T = TypeVar("T")

_PROVISION = "`bgdeploy provision` puts it right"
# Fargate starts tasks within a minute or two (aws-facts 1.4); what takes far longer does not come any more.
_LONGEST_INSTALL = timedelta(minutes=15)
_LONGEST_UNATTENDED = timedelta(seconds=30)
_LONGEST_LIST = 3  # of what a role lacks, in a sentence


def findings(condition: Condition) -> Iterator[Finding]:
    """Yield how everything is, in the order in which a release would meet it; one reason is told once."""
    first: dict[tuple[str, str], str] = {}
    for finding in _all(condition):
        check = first.setdefault((finding.text, finding.hint), finding.check)
        if check != finding.check:
            text = f"could not be looked at, for the same reason as {check}"
            yield Finding(finding.check, "not checked", text)
        else:
            yield finding


def _all(condition: Condition) -> Iterator[Finding]:
    idle = isinstance(condition.in_flight, InFlight) and condition.in_flight.snapshot is None
    yield Finding("account", "ok", f"{condition.account}, as {condition.caller}")
    yield from _each("roles", condition.roles, _roles)
    yield from _each("linked roles", condition.linked, _linked)
    yield from _each("deployment", condition.in_flight, _in_flight)
    yield from _each("listeners", condition.standing, lambda standing: _listeners(standing, idle))
    yield from _each("target groups", condition.standing, lambda standing: _target_groups(standing, idle))
    yield from _each("task sets", condition.standing, lambda standing: task_sets(standing, idle))
    yield from _each("hook", condition.hook, _hook)
    yield from _each("alarms", condition.alarms, _alarms)
    yield from _each("room", condition.room, _room)
    yield from _each("image", condition.image, _image)
    yield from _each("claims", condition.leftovers, _leftovers)
    yield from _each("topics", condition.topics, _topics)
    yield from _each("test port", condition.let_in, _let_in)


def _each(check: str, part: T | Unread, judge: Callable[[T], Iterator[Finding]]) -> Iterator[Finding]:
    if isinstance(part, Unread):
        yield Finding(check, "fails" if part.broken else "not checked", part.why, part.hint)
    else:
        yield from judge(part)


# Roles


def _roles(roles: tuple[RoleSeen, ...]) -> Iterator[Finding]:
    missing = [role.name for role in roles if not role.exists]
    found = [finding for role in roles if role.exists for finding in _role(role)]
    if missing:
        found.insert(0, Finding("roles", "fails", f"no role is called {' or '.join(missing)}", _PROVISION))
    yield from found
    if not found:
        exist = counted(len(roles), "role exists, and its service may", "roles exist, and their services may")
        yield Finding("roles", "ok", f"{exist} assume {'it' if len(roles) == 1 else 'them'}")


def _role(role: RoleSeen) -> Iterator[Finding]:
    if not role.trusting:
        text = f"the role {role.name} does not let {role.service} assume it"
        yield Finding("roles", "fails", text, _PROVISION)
    if role.lacks:
        more = f" and {len(role.lacks) - _LONGEST_LIST} more" if len(role.lacks) > _LONGEST_LIST else ""
        text = f"the role {role.name} may not {', '.join(role.lacks[:_LONGEST_LIST])}{more}"
        yield Finding("roles", "fails", text, _PROVISION)


def _linked(roles: tuple[LinkedRole, ...]) -> Iterator[Finding]:
    for role in roles:
        if not role.exists:
            mend = Mend(
                "service-linked role", role.service, f"create the service-linked role of {role.service}"
            )
            yield Finding(
                "linked roles",
                "fails",
                f"the account has no service-linked role of {role.service}, which {role.why}",
                "`bgdeploy doctor --fix` creates it",
                mend,
            )
    if all(role.exists for role in roles):
        names = ", ".join(role.service.partition(".")[0] for role in roles)
        yield Finding("linked roles", "ok", f"every service-linked role exists: {names}")


# What runs


def _in_flight(found: InFlight) -> Iterator[Finding]:
    snapshot = found.snapshot
    if snapshot is None:
        yield Finding("deployment", "ok", "none is active")
        return
    ident, version = snapshot.deployment.id, new_version(snapshot)
    name = f"{ident} of {version}" if version else ident
    stuck = _stuck(found, snapshot)
    if stuck:
        yield Finding("deployment", "fails", f"{name} is stuck: {stuck[0]}", stuck[1].format(id=ident))
        return
    waiting = wait(snapshot)
    until = f": {waiting.what}, until {waiting.until:%H:%M:%SZ} at most" if waiting else ""
    text = f"{name} is active, a release has to wait: it is {phase(snapshot)}{until}"
    yield Finding("deployment", "warning", text, f"`bgdeploy watch {ident}` follows it")


def _stuck(found: InFlight, snapshot: Snapshot) -> tuple[str, str] | None:
    """Return why a deployment does not get on by itself, and what to do; None when it does."""
    where, event = phase(snapshot), current_event(snapshot)
    if where is Phase.CHECKING and found.attended is False:
        held = found.held_for or timedelta()
        if held > _LONGEST_UNATTENDED:
            why = f"its hook has held it for {length(held)}, and nobody runs its checks"
            return why, "`bgdeploy watch {id}` runs them; when nobody does, the hook fails it"
    if event is None or event.status != "InProgress":
        return None
    taken = duration(event, snapshot.at) or timedelta()
    if event.name == "Install" and taken > _LONGEST_INSTALL:
        trouble = f": {snapshot.trouble[0]}" if snapshot.trouble else ""
        return (
            f"its new tasks have not come up for {length(taken)}{trouble}",
            "`bgdeploy stop` stops it and rolls back",
        )
    if taken > EVENT_LIMIT:
        return f"{event.name} has taken {length(taken)}", "`bgdeploy stop` stops it and rolls back"
    return None


# Where traffic goes


def _listeners(standing: Standing, idle: bool) -> Iterator[Finding]:
    problems = tuple(listener_problems(standing))
    for problem in problems:
        mend = _weights(standing) if idle and "doctor --fix" in problem.hint else None
        yield Finding("listeners", "fails", problem.text, problem.hint, mend)
    if not problems:
        yield Finding("listeners", "ok", f"all of production is on {standing.primary}, where its tasks are")


def _weights(standing: Standing) -> Mend | None:
    """Return how production comes to stand on the PRIMARY task set's target group (aws-facts 7.3)."""
    primary = standing.primary
    if primary not in standing.target.target_groups:
        return None
    deed = f"give all of production to {primary}, where its tasks are, and nothing to the other target group"
    return Mend("weights", str(primary), deed)


def _target_groups(standing: Standing, idle: bool) -> Iterator[Finding]:
    behind = {name for weights in standing.production for name in weights}
    missing = [name for name in standing.target.target_groups if name not in behind]
    if not missing:
        names = " and ".join(standing.target.target_groups)
        yield Finding("target groups", "ok", f"{names} are both behind the production listener")
    elif standing.primary not in missing:  # else the listeners have been told of already
        yield Finding(
            "target groups",
            "warning",
            f"{missing[0]} is not behind the production listener: until the shift, nobody checks the health of the "
            "tasks in it",
            "`bgdeploy doctor --fix` puts it there with the weight 0",
            _weights(standing) if idle else None,
        )


def _hook(hook: HookSeen) -> Iterator[Finding]:
    found = [Finding("hook", "fails", problem.text, problem.hint) for problem in hook_problems(hook.state)]
    if hook.state and hook.update == "Failed":
        found.append(
            Finding("hook", "fails", f"the last update of the function {hook.name} failed", _PROVISION)
        )
    if hook.denied:
        how = "IAM says" if hook.simulated else "going by its policies"
        text = (
            f"its role may not {', '.join(hook.denied)} ({how}): CodeDeploy would wait an hour for its answer"
        )
        found.append(Finding("hook", "fails", text, _PROVISION))
    if hook.state and not hook.current:
        text = f"the code of the function {hook.name} is not the project's hook_lambda/"
        found.append(Finding("hook", "warning", text, "`bgdeploy provision` brings it there"))
    found += [Finding("hook", "warning", text, hint) for text, hint in hook.doubts]
    yield from found or [
        Finding("hook", "ok", f"{hook.name} is Active, has the project's code and may answer")
    ]


# Alarms


def _alarms(alarms: tuple[AlarmSeen, ...]) -> Iterator[Finding]:
    if not alarms:
        yield Finding("alarms", "ok", "the config has none: nothing but a person rolls a live release back")
    for seen in alarms:
        found = list(_alarm(seen))
        yield from found or [Finding("alarms", "ok", f"{seen.alarm.name} is {seen.alarm.state}")]


def _alarm(seen: AlarmSeen) -> Iterator[Finding]:
    name, state = seen.alarm.name, seen.alarm.state
    if seen.watched:
        yield from (
            Finding("alarms", "fails", each.text, each.hint) for each in alarm_problems((seen.alarm,))
        )
    elif state == "MISSING":
        yield Finding("alarms", "warning", f"alarm {name} of the config does not exist", _PROVISION)
    else:
        text = f"alarm {name} is not watched by the deployment group: it rolls nothing back"
        yield Finding("alarms", "warning", text, _PROVISION)
    if not seen.declared and state != "MISSING":
        text = f"alarm {name} is watched by the deployment group, and is not in the config"
        yield Finding("alarms", "warning", text, "`bgdeploy plan` shows what differs")
    if seen.blind:
        text = f"alarm {name} cannot go off: {seen.blind}"
        yield Finding("alarms", "warning", text, "`bgdeploy plan` shows what differs")
    elif seen.doubt:
        hint = "fine if nothing of the kind happened; `aws logs test-metric-filter` tries a pattern on lines"
        yield Finding("alarms", "warning", f"alarm {name} may never go off: {seen.doubt}", hint)
    if seen.silent:
        text = f"alarm {name} has been in INSUFFICIENT_DATA ever since it was made: it has never had a value"
        yield Finding("alarms", "warning", text, "check the metric that it is on, or its missing_data")


# What a release needs


def _room(room: Room) -> Iterator[Finding]:
    if room.addresses < room.tasks:
        yield Finding(
            "addresses",
            "fails",
            f"the subnets of the tasks have {counted(room.addresses, 'free address', 'free addresses')}, and a release "
            f"starts {counted(room.tasks, 'task')} beside those that run",
            "free some, use larger subnets, or fewer tasks",
        )
    else:
        text = (
            f"{counted(room.addresses, 'is', 'are')} free in the tasks' subnets, a release needs {room.tasks}"
        )
        yield Finding("addresses", "ok", text)
    yield _quota(room)


def _quota(room: Room) -> Finding:
    if room.quota is None:
        return Finding("vCPU quota", "not checked", room.unread)
    more = room.tasks * room.vcpus
    used = more if room.used is None else room.used  # at least what runs of this service itself
    text = f"{used:g} of {room.quota:g} Fargate vCPUs are in use, a release needs {more:g} more until blue is gone"
    if used + more > room.quota:
        return Finding("vCPU quota", "fails", text, "ask for more in Service Quotas, or use smaller tasks")
    return Finding("vCPU quota", "ok", text)


def _image(image: ImageSeen) -> Iterator[Finding]:
    if image.present is None:
        text = f"production runs {image.reference}, which is in no registry of this account"
        yield Finding("image", "not checked", text)
    elif image.present:
        yield Finding("image", "ok", f"ECR has what production runs, {image.reference}")
    else:
        text = (
            f"ECR does not have {image.reference} any more, which production runs: no task could be replaced"
        )
        yield Finding("image", "warning", text, "`bgdeploy release` a version that is there")


def _leftovers(keys: tuple[str, ...]) -> Iterator[Finding]:
    if not keys:
        yield Finding("claims", "ok", "none are left over")
        return
    one = len(keys) == 1
    text = (
        f"{'a claim' if one else f'{len(keys)} claims'} to run checks {'was' if one else 'were'} never answered, and "
        f"the deployment{'' if one else 's'} over: the process that held {'it' if one else 'them'} died"
    )
    mend = Mend("claim", " ".join(keys), f"remove {' and '.join(keys)}")
    hint = "harmless, and gone after a month; `bgdeploy doctor --fix` removes what is left"
    yield Finding("claims", "warning", text, hint, mend)


def _topics(topics: tuple[TopicSeen, ...]) -> Iterator[Finding]:
    for topic in topics:
        if topic.exists:
            yield Finding("topics", "ok", f"{topic.arn} is told of releases")
        else:
            text = f"the topic {topic.arn} does not exist: nobody is told of releases by it"
            yield Finding(
                "topics", "warning", text, "create it, or take it out of notifications in the config"
            )


def _let_in(cidrs: tuple[str, ...]) -> Iterator[Finding]:
    if not cidrs:
        yield Finding("test port", "ok", "nobody is let in for checks that have ended")
        return
    text = f"it is still open for {', '.join(cidrs)}: who ran checks from there was killed"
    yield Finding(
        "test port", "warning", text, "`bgdeploy provision` closes it, and so does `bgdeploy watch`"
    )
