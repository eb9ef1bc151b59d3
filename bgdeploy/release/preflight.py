"""What must hold before a release is started: everything that CodeDeploy would fail on later, said at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bgdeploy.aws import Attrs, Aws, absent
from bgdeploy.errors import BgdeployError, BusyError
from bgdeploy.names import Names
from bgdeploy.release.changes import alarm_verdict
from bgdeploy.release.phase import Phase, new_version, phase
from bgdeploy.release.reader import Reader
from bgdeploy.release.snapshot import Alarm, Target

Weights = Mapping[str, int]  # target group name → weight


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


def check(reader: Reader, names: Names, *, ignore_alarms: bool = False) -> None:
    """Return when a release may start.

    Raises BusyError when a deployment is active, BgdeployError with every other problem at once.
    """
    active = reader.active()
    if active:
        raise busy(reader, active)
    found = tuple(problems(examine(reader, names), ignore_alarms=ignore_alarms))
    if not found:
        return
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


def examine(reader: Reader, names: Names) -> Standing:
    """Read what a release would begin on. Changes nothing."""
    target, aws = reader.target, reader.aws
    sets = reader.sides.service().get("taskSets") or ()
    primary: Attrs = next((one for one in sets if one["status"] == "PRIMARY"), {})
    behind = (primary.get("loadBalancers") or [{}])[0].get("targetGroupArn", "")
    pair = {arn: name for name, arn in target.target_groups.items()}
    return Standing(
        target=target,
        primary=pair.get(behind) or _group_name(behind),
        production=_forwards(aws, target.production_listener, pair),
        test=_forwards(aws, target.test_listener, pair) if target.test_listener else None,
        alarms=reader.alarms(),
        hook=_hook_state(aws, names.hook),
    )


def _group_name(arn: str) -> str | None:
    return arn.split("/")[1] if arn.count("/") == 2 else None


def _forwards(aws: Aws, listener: str, pair: Mapping[str, str]) -> tuple[Weights, ...]:
    """Return the weights of every rule that forwards to the pair; the default action is a rule too."""
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
