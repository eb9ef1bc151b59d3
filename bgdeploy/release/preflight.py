"""What must hold before a release is started: everything that CodeDeploy would fail on later, said at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from bgdeploy.aws import Attrs, Aws, NotYetError, absent, wait_until
from bgdeploy.errors import BgdeployError, BusyError
from bgdeploy.names import Names
from bgdeploy.release.changes import alarm_verdict
from bgdeploy.release.leftover import Leftover, beside_production, elsewhere, in_the_way, leftovers
from bgdeploy.release.phase import Phase, new_version, phase
from bgdeploy.release.reader import Reader
from bgdeploy.release.snapshot import Alarm, Target

Weights = Mapping[str, int]  # target group name → weight

# Seconds for which ECS may still show a task set as ACTIVE whose deployment has just ended and removes it.
_LAG = 15.0


@dataclass(frozen=True)
class Problem:
    """Something that a release would fail on, and what to do about it."""

    text: str
    hint: str


@dataclass(frozen=True)
class Standing:
    """What a release begins on. A plain value."""

    target: Target
    primary: str | None  # the target group of the PRIMARY task set
    production: tuple[Weights, ...]  # of each rule of the listener that forwards to the pair
    test: tuple[Weights, ...] | None  # None: there is no test listener
    alarms: tuple[Alarm, ...]
    hook: str | None  # the state of the hook's function, None when there is none
    leftovers: tuple[
        Leftover, ...
    ] = ()  # ACTIVE beside the PRIMARY one: nobody's, when no deployment is active
    live: str = ""  # the version of the PRIMARY task set, known where something is left over


def check(reader: Reader, names: Names, *, ignore_alarms: bool = False) -> tuple[str, ...]:
    """Return when a release may start, with what is to be warned of all the same.

    Raises BusyError when a deployment is active, BgdeployError with every other problem at once.
    """
    active = reader.active()
    if active:
        raise busy(reader, active)
    standing = examine(reader, names)
    if standing.leftovers:
        standing = _looked_at_again(reader, standing)
    found = tuple(problems(standing, ignore_alarms=ignore_alarms))
    if not found:
        return tuple(f"{each.text}; {each.hint}" for each in leftover_warnings(standing))
    several = f"{len(found)} things are in the way of a release:\n" if len(found) > 1 else ""
    raise BgdeployError(
        several + "\n".join(f"{'  ' if several else ''}{problem.text}" for problem in found),
        "; ".join(dict.fromkeys(problem.hint for problem in found)),
        {"problems": [problem.text for problem in found]},
    )


def busy(reader: Reader, deployment_id: str) -> BusyError:
    """Return the error that says which deployment is in the way, where it is, and what can be done about it."""
    snapshot = reader.read(deployment_id)
    where, version = phase(snapshot), new_version(snapshot)
    ways = [f"`bgdeploy watch {deployment_id}` follows it"]
    if where in {Phase.SHIFTED, Phase.READY}:
        ways.append("`bgdeploy promote` ends its wait")
    ways += ["`bgdeploy stop` stops it and rolls back", "--if-active wait or replace makes way for this one"]
    of = f" of {version}" if version else ""
    return BusyError(
        f"deployment {deployment_id}{of} is active: it is {where}, and a deployment group has one at a time",
        ", ".join(ways),
        {"deployment": deployment_id, "phase": str(where), "version": version},
    )


def _looked_at_again(reader: Reader, standing: Standing) -> Standing:
    """Return it with the leftovers that do not go by themselves within a moment."""
    found = standing.leftovers

    def gone() -> bool:
        nonlocal found
        reader.sides.forget()
        found = _leftovers(reader)
        return not found

    with suppress(NotYetError):
        wait_until(reader.aws, gone, _LAG)
    return replace(standing, leftovers=found)


def _leftovers(reader: Reader) -> tuple[Leftover, ...]:
    return leftovers(reader.sides.service().get("taskSets") or (), reader.sides.version)


def examine(reader: Reader, names: Names) -> Standing:
    """Read what a release would begin on. Changes nothing."""
    target, aws = reader.target, reader.aws
    sets = reader.sides.service().get("taskSets") or ()
    primary: Attrs = next((one for one in sets if one["status"] == "PRIMARY"), {})
    behind = (primary.get("loadBalancers") or [{}])[0].get("targetGroupArn", "")
    pair = {arn: name for name, arn in target.target_groups.items()}
    left = _leftovers(reader)
    return Standing(
        target=target,
        primary=pair.get(behind) or _group_name(behind),
        production=forwards(aws, target.production_listener, pair),
        test=forwards(aws, target.test_listener, pair) if target.test_listener else None,
        alarms=reader.alarms(),
        hook=_hook_state(aws, names.hook),
        leftovers=left,
        live=reader.sides.version(primary["taskDefinition"]) if primary and left else "",
    )


def _group_name(arn: str) -> str | None:
    return arn.split("/")[1] if arn.count("/") == 2 else None


def forwards(aws: Aws, listener: str, pair: Mapping[str, str]) -> tuple[Weights, ...]:
    """Return the weights of every rule that forwards to the pair; the default action is a rule too.

    `pair` tells the names of the target groups by their ARNs.
    """
    rules = aws.client("elbv2").describe_rules(ListenerArn=listener)["Rules"]
    found = []
    for rule in rules:
        for action in rule["Actions"]:
            groups = (action.get("ForwardConfig") or {}).get("TargetGroups") or [action]
            weights = {
                pair[group["TargetGroupArn"]]: int(group.get("Weight", 1))
                for group in groups
                if group.get("TargetGroupArn") in pair
            }
            if weights:
                found.append(weights)
    return tuple(found)


def _hook_state(aws: Aws, name: str) -> str | None:
    with absent("ResourceNotFoundException"):
        return str(aws.client("lambda").get_function_configuration(FunctionName=name).get("State", "Active"))
    return None


def problems(standing: Standing, *, ignore_alarms: bool = False) -> Iterator[Problem]:
    """Yield everything that a release would fail on. Pure."""
    yield from listener_problems(standing)
    yield from leftover_problems(standing)
    if not ignore_alarms:
        yield from alarm_problems(standing.alarms)
    yield from hook_problems(standing.hook)


def hook_problems(state: str | None) -> Iterator[Problem]:
    """Yield why the hook's function, in `state`, could not hold a deployment; None: there is none."""
    if state is None:
        yield Problem(
            "the hook's function is missing, so no release could be checked", "`bgdeploy provision` makes it"
        )
    elif state != "Active":
        yield Problem(f"the hook's function is {state}, not Active", "wait a moment, or `bgdeploy provision`")


def listener_problems(standing: Standing) -> Iterator[Problem]:
    """Yield what CodeDeploy refuses to begin on (aws-facts 7.3), in its words where it has some."""
    target, primary = standing.target, standing.primary
    if primary is None:
        yield Problem("the service has no PRIMARY task set", "`bgdeploy status` shows what runs")
        return
    if primary not in target.target_groups:
        yield Problem(
            f"the PRIMARY task set is in the target group {primary}, which the deployment group does not know",
            "`bgdeploy plan` shows what differs",
        )
        return
    other = next((name for name in target.target_groups if name != primary), "")
    repair = f"`bgdeploy doctor --fix` gives all of production to {primary}, where its tasks are"
    for weights in standing.production or ({},):
        if not weights.get(primary):
            yield Problem(
                f"the production listener does not forward to {primary}, where the PRIMARY task set is: CodeDeploy "
                '"Primary taskset target group must be behind listener"',
                repair,
            )
        elif weights.get(other):
            yield Problem(
                f"the production listener gives {other} the weight {weights[other]}, which no task set of production "
                'is in: CodeDeploy "Green taskset target group cannot have non-zero weight prior to traffic shifting"',
                repair,
            )
    if standing.test == ():
        yield Problem(
            "the test listener forwards to neither target group of the pair",
            "`bgdeploy plan` shows what differs",
        )


def leftover_problems(standing: Standing) -> Iterator[Problem]:
    """Yield the task sets that stand where the new one would be put, and would answer beside it."""
    yield from (told_of(each, standing) for each in standing.leftovers if _blocks(each, standing))


def leftover_warnings(standing: Standing) -> Iterator[Problem]:
    """Yield the other ones that are left over: a release does not make them worse."""
    yield from (told_of(each, standing) for each in standing.leftovers if not _blocks(each, standing))


def _blocks(leftover: Leftover, standing: Standing) -> bool:
    group = leftover.target_group
    return group in standing.target.target_groups and group != standing.primary


def told_of(leftover: Leftover, standing: Standing) -> Problem:
    """Return what a task set does that was left over, and how one gets rid of it."""
    if _blocks(leftover, standing):
        return Problem(in_the_way(leftover), "`bgdeploy doctor --fix` removes it")
    if leftover.target_group == standing.primary:
        live = standing.live or "VERSION"
        # Removed from there it would take requests with it that users have sent.
        hint = (
            f"`bgdeploy release {live} --force` moves production to the other target group, then "
            "`bgdeploy doctor --fix` removes it"
        )
        return Problem(beside_production(leftover, standing.live or "the live version"), hint)
    return Problem(elsewhere(leftover), "`bgdeploy doctor --fix` removes it")


def alarm_problems(alarms: tuple[Alarm, ...]) -> Iterator[Problem]:
    """Yield what CodeDeploy would stop at once for: alarms that went off before it began (aws-facts 4.1)."""
    for alarm in alarms:
        if alarm.state == "ALARM":
            told = ": ".join(part for part in (alarm_verdict(alarm), alarm.reason) if part)
            yield Problem(
                f"alarm {alarm.name} is in ALARM" + (f" ({told})" if told else ""),
                "wait until it is OK again, or release with --ignore-alarms when this release is the cure",
            )
        elif alarm.state == "MISSING":
            yield Problem(
                f"alarm {alarm.name}, which the deployment group watches, does not exist",
                "`bgdeploy provision` makes those of the config; an existing one is for its owner to make",
            )
