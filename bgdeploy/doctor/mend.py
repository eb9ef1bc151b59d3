"""Puts right what can be put right without risk. Each deed is a value of `finding`, and somebody has said yes to it."""

from __future__ import annotations

from typing import Any

from bgdeploy.aws import Aws, absent
from bgdeploy.doctor import leftover
from bgdeploy.doctor.finding import Mend
from bgdeploy.names import Names
from bgdeploy.release.preflight import busy
from bgdeploy.release.reader import Reader, find_target
from bgdeploy.release.snapshot import Target


def carry_out(aws: Aws, names: Names, mend: Mend) -> None:
    """Do what `mend` says. Raises BusyError when a deployment has begun meanwhile that it would get in the way of."""
    if mend.cure == "weights":
        _give_production_back(aws, names, mend.subject)
    elif mend.cure == "task set":
        _remove_task_set(aws, names, mend.subject)
    elif mend.cure == "service-linked role":
        # Where it is there already it is refused: how, no document says for certain (aws-facts 8.4).
        with absent("InvalidInput", "EntityAlreadyExists"):
            aws.client("iam").create_service_linked_role(AWSServiceName=mend.subject)
    else:
        bucket = names.bucket(aws.account, aws.region)
        for key in mend.subject.split():
            aws.client("s3").delete_object(Bucket=bucket, Key=key)


def _give_production_back(aws: Aws, names: Names, primary: str) -> None:
    """Give one of the two target groups all of production, in every rule that forwards to them (aws-facts 7.3)."""
    reader = Reader(aws, find_target(aws, names))
    active = reader.active()
    if active:  # CodeDeploy moves the weights
        raise busy(reader, active)
    _give(aws, reader.target, reader.target.production_listener, primary)


def _remove_task_set(aws: Aws, names: Names, ident: str) -> None:
    """Remove what a stopped deployment has left, and leave the test listener as a rollback would have."""
    reader = Reader(aws, find_target(aws, names))
    home, test = leftover.remove(reader, names, ident), reader.target.test_listener
    if home and test:
        _give(aws, reader.target, test, home)


def _give(aws: Aws, target: Target, listener: str, primary: str) -> None:
    """Give one of the two target groups all of a listener."""
    elbv2 = aws.client("elbv2")
    production = (
        listener == target.production_listener
    )  # whose default action may have come to lead elsewhere
    for rule in elbv2.describe_rules(ListenerArn=listener)["Rules"]:
        if not (rule["IsDefault"] and production) and not _forwards_to(rule["Actions"], target):
            continue
        actions = _forwarding(rule["Actions"], target, primary)
        if rule["IsDefault"]:
            elbv2.modify_listener(ListenerArn=listener, DefaultActions=actions)
        else:
            elbv2.modify_rule(RuleArn=rule["RuleArn"], Actions=actions)


def _forwards_to(actions: list[dict[str, Any]], target: Target) -> bool:
    return any(
        group.get("TargetGroupArn") in target.target_groups.values()
        for action in actions
        for group in (action, *action.get("ForwardConfig", {}).get("TargetGroups", ()))
    )


def _forwarding(actions: list[dict[str, Any]], target: Target, primary: str) -> list[dict[str, Any]]:
    """Return the actions with all traffic on `primary`; who must log in and who sticks to a target stays."""
    kept = [action for action in actions if action["Type"].startswith("authenticate-")]
    config: dict[str, Any] = next((each["ForwardConfig"] for each in actions if "ForwardConfig" in each), {})
    weights = [
        {"TargetGroupArn": arn, "Weight": 100 if name == primary else 0}
        for name, arn in target.target_groups.items()
    ]
    order = {"Order": max(action["Order"] for action in kept) + 1} if kept else {}
    return [*kept, {"Type": "forward", **order, "ForwardConfig": {**config, "TargetGroups": weights}}]
