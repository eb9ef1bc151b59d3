"""Task sets that a stopped deployment has left in the service: what is told of them, and how they are removed."""

from __future__ import annotations

from collections.abc import Iterator

from bgdeploy.aws import STACK_TAG, Attrs, Aws, error_code, server_time, tag_map
from bgdeploy.doctor.finding import Finding, Mend
from bgdeploy.errors import BgdeployError
from bgdeploy.names import Names
from bgdeploy.release import parse
from bgdeploy.release.leftover import Leftover
from bgdeploy.release.preflight import Standing, Weights, busy, forwards, told_of
from bgdeploy.release.reader import Reader
from bgdeploy.release.snapshot import Target

_AGAIN = "`bgdeploy doctor` looks again"
# Seconds after a deployment's end in which its rollback may still begin (aws-facts 4.2), and needs both task sets.
_ROLLBACK_MAY_COME = 60.0
# What ECS may say: AWS's troubleshooting of deployment controllers tells people to make this call on services of
# CodeDeploy's too, its reference speaks of the EXTERNAL controller alone (aws-facts 6.3).
_REFUSALS = {"InvalidParameterException", "UnsupportedFeatureException"}


def task_sets(standing: Standing, idle: bool) -> Iterator[Finding]:
    """Yield what is left over. A deployment that is active has two task sets, and removes one."""
    if not idle:
        return
    for leftover in standing.leftovers:
        problem = told_of(leftover, standing)
        yield Finding("task sets", "fails", problem.text, problem.hint, _removal(leftover, standing))
    if not standing.leftovers and standing.primary:
        yield Finding("task sets", "ok", "nothing runs beside the PRIMARY one")


def _removal(leftover: Leftover, standing: Standing) -> Mend | None:
    """Return how it goes: never from where production is. Whether users are on it the deed itself looks at again."""
    if leftover.target_group == standing.primary:
        return None
    on_test = leftover.target_group in _sent(standing.test or ())
    test = f", and give the test listener to {standing.primary}" if on_test else ""
    return Mend("task set", leftover.id, f"remove {leftover.who} from the service{test}")


def remove(reader: Reader, names: Names, ident: str) -> str:
    """Remove a task set of this stack's service that no users are on.

    Return the target group that the test listener is to be given to, "" when it does not lead to what was removed.
    Nothing happens when it is on its way out already. Raises BusyError when a deployment is
    active, BgdeployError when the task set is not what it was taken for, or when ECS refuses.
    """
    _await_rollback(reader)
    active = reader.active()
    if active:
        raise busy(reader, active)
    service = _service(reader.aws, reader.target, names)
    raw = next((each for each in service["taskSets"] if each["id"] == ident), None)
    if raw is None or raw["status"] == "DRAINING":
        return ""
    if raw["status"] == "PRIMARY":
        raise BgdeployError(f"the task set {ident} is PRIMARY: production's own tasks are its", _AGAIN)
    group = (raw.get("loadBalancers") or [{}])[0].get("targetGroupArn", "")
    _require_no_users(reader, ident, group)
    _delete(reader, ident)
    return _home(reader, service) if _on_test(reader, group) else ""


def _await_rollback(reader: Reader) -> None:
    """Wait until no rollback of the newest deployment can begin any more: right after its end none shows yet."""
    newest, clock = reader.latest(), reader.aws.clock
    if newest is None or reader.active():
        return
    answer = reader.aws.client("codedeploy").get_deployment(deploymentId=newest)
    completed = parse.utc(answer["deploymentInfo"].get("completeTime"))
    if completed:
        left = _ROLLBACK_MAY_COME - ((server_time(answer) or clock.now()) - completed).total_seconds()
        clock.sleep(min(max(left, 0.0), _ROLLBACK_MAY_COME))


def _service(aws: Aws, target: Target, names: Names) -> Attrs:
    """Return the service with its task sets. Raises BgdeployError when it is not this stack's."""
    found = aws.client("ecs").describe_services(
        cluster=target.cluster, services=[target.service], include=["TAGS"]
    )["services"]
    service: Attrs = next(iter(found), {})
    if tag_map(service.get("tags")).get(STACK_TAG) != names.stack:
        raise BgdeployError(
            f"the service {target.service} does not carry the tag {STACK_TAG}={names.stack}: nothing of it is removed",
            "`bgdeploy plan` shows whose it is",
        )
    return service


def _require_no_users(reader: Reader, ident: str, group: str) -> None:
    """Raise BgdeployError when any listener but the test listener sends requests to a task set's target group."""
    if not group:
        return
    elbv2, pair = reader.aws.client("elbv2"), {arn: name for name, arn in reader.target.target_groups.items()}
    pair.setdefault(group, parse.target_group_name(group))
    for balancer in elbv2.describe_target_groups(TargetGroupArns=[group])["TargetGroups"][0][
        "LoadBalancerArns"
    ]:
        for page in elbv2.get_paginator("describe_listeners").paginate(LoadBalancerArn=balancer):
            for listener in (each["ListenerArn"] for each in page["Listeners"]):
                if listener != reader.target.test_listener and pair[group] in _sent(
                    forwards(reader.aws, listener, pair)
                ):
                    raise BgdeployError(
                        f"the listener {listener} sends requests to {pair[group]}, where the task set {ident} is: "
                        "it is not removed while users may be on it",
                        "`bgdeploy doctor --fix` gives all of production to the PRIMARY task set first",
                    )


def _on_test(reader: Reader, group: str) -> bool:
    """Tell whether the test listener leads to a target group of the pair."""
    pair = {arn: name for name, arn in reader.target.target_groups.items()}
    test = reader.target.test_listener
    return bool(test and group in pair and pair[group] in _sent(forwards(reader.aws, test, pair)))


def _home(reader: Reader, service: Attrs) -> str:
    """Return the target group of the pair that the PRIMARY task set is in, "" when it is in neither."""
    primary: Attrs = next((each for each in service["taskSets"] if each["status"] == "PRIMARY"), {})
    behind = (primary.get("loadBalancers") or [{}])[0].get("targetGroupArn", "")
    return next((name for name, arn in reader.target.target_groups.items() if arn == behind), "")


def _sent(rules: tuple[Weights, ...]) -> set[str]:
    """Return the target groups that rules send requests to. One that is alone gets all, whatever its weight."""
    return {name for weights in rules for name, weight in weights.items() if weight or len(weights) == 1}


def _delete(reader: Reader, ident: str) -> None:
    from botocore.exceptions import ClientError

    target = reader.target
    try:
        reader.aws.client("ecs").delete_task_set(
            cluster=target.cluster, service=target.service, taskSet=ident, force=True
        )
    except ClientError as error:
        if error_code(error) == "TaskSetNotFoundException":
            return
        if error_code(error) not in _REFUSALS:
            raise
        said = error.response["Error"].get("Message", "")
        raise BgdeployError(
            f"ECS does not let the task set {ident} be removed: {error_code(error)}: {said}",
            "AWS Support can remove it. Without it the service has to go, and production is down meanwhile: "
            f"`aws ecs delete-service --cluster {target.cluster} --service {target.service} --force`, then "
            "`bgdeploy provision`, `bgdeploy doctor --fix` and `bgdeploy release VERSION`",
        ) from error
