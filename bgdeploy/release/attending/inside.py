"""Checks that the hook runs itself, from inside the VPC: how it finds the test listener, and what it says it found."""

from __future__ import annotations

from typing import Any

from bgdeploy.aws import Aws
from bgdeploy.errors import BgdeployError
from bgdeploy.release.checks import HOOK, CheckResult, ChecksState
from bgdeploy.release.records.record import Door
from bgdeploy.release.snapshot import Target


def find_door(aws: Aws, target: Target) -> Door:
    """Return where the test listener is inside the VPC. Raises BgdeployError when it is nowhere.

    A load balancer that faces the internet has a name that leads to its public addresses, from inside the VPC as well;
    a request to those leaves the VPC, and is not let in as one from inside.
    """
    listener, gate = target.test_listener, target.gate
    if listener is None or gate is None:
        raise BgdeployError("the deployment group has no test listener", "`bgdeploy provision` makes it")
    # arn:…:listener/app/shop-dev/0a1b/2c3d → ELB app/shop-dev/0a1b, which its network interfaces are described as.
    balancer = listener.partition(":listener/")[2].rpartition("/")[0]
    filters = [{"Name": "description", "Values": [f"ELB {balancer}"]}]
    found = aws.client("ec2").describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
    addresses = tuple(sorted(str(each["PrivateIpAddress"]) for each in found))
    if not addresses:
        raise BgdeployError(
            f"the load balancer {balancer} has no address inside the VPC, so its hook could not check anything",
            "wait a moment, or `checks_from: caller`",
        )
    return Door(target.urls[listener].rstrip("/"), gate.port, addresses, target.reach.host)


def state(told: dict[str, Any]) -> ChecksState:
    """Return how the checks stand, as the hook has written it."""
    results = tuple(
        CheckResult(
            name=each["name"],
            request=each["request"],
            verdict=each["verdict"],
            wanted=each["wanted"],
            got=each["got"],
            attempts=int(each["attempts"]),
            seconds=float(each["seconds"]),
            reached=bool(each["reached"]),
            observed=bool(each["observed"]),
            count=each["count"],
            failures=int(each["failures"]),
        )
        for each in told["results"]
    )
    return ChecksState(told["stage"], HOOK, results)
