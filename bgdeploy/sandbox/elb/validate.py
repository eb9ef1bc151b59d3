"""What ELBv2 refuses and moto does not, in AWS's words. Functions of values."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bgdeploy.sandbox.world import RefusedError

_MOST_GROUPS = 5  # of one forward action (aws-facts 7.1)
SCHEME = "internet-facing"  # when none is given; moto does not tell it then
_TLS = frozenset({"SslPolicy", "AlpnPolicy", "Certificates"})
# A redirect that changes nothing, which is also what AWS tells of the parts that were not given.
_UNCHANGED = {
    "Protocol": "#{protocol}",
    "Port": "#{port}",
    "Host": "#{host}",
    "Path": "/#{path}",
    "Query": "#{query}",
}


def weights(actions: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return target group ARN → weight of the forward actions among `actions`."""
    found: dict[str, int] = {}
    for action in actions:
        if action.get("Type") != "forward":
            continue
        groups = action.get("ForwardConfig", {}).get("TargetGroups", [])
        found |= {group["TargetGroupArn"]: int(group.get("Weight", 1)) for group in groups}
        if not groups and "TargetGroupArn" in action:
            found[action["TargetGroupArn"]] = 1
    return found


def check_actions(
    actions: Sequence[Mapping[str, Any]], known: Mapping[str, Sequence[str]], balancer: str
) -> None:
    """Refuse forward actions that AWS would. `known`: target group ARN → the load balancers it belongs to."""
    forwards = weights(actions)
    if len(forwards) > _MOST_GROUPS:
        raise RefusedError(
            "TooManyTargetGroupsException", f"An action can forward to at most {_MOST_GROUPS} target groups"
        )
    for arn, weight in forwards.items():
        if arn not in known:
            raise RefusedError("TargetGroupNotFoundException", "One or more target groups not found")
        if not 0 <= weight <= 999:  # aws-facts 7.1
            raise RefusedError("ValidationError", "Weight must be between 0 and 999")
        if any(other != balancer for other in known[arn]):  # a target group belongs to one load balancer
            message = (
                f"The following target groups cannot be associated with more than one load balancer: {arn}"
            )
            raise RefusedError("TargetGroupAssociationLimitException", message)


def check_redirects(actions: Iterable[Mapping[str, Any]]) -> None:
    """Refuse a redirect to where the request came from: something of the URL must become another."""
    for action in actions:
        config = action.get("RedirectConfig", {})
        if action["Type"] == "redirect" and all(
            config.get(name, default) == default for name, default in _UNCHANGED.items()
        ):
            message = "The redirect configuration is not valid because it creates a loop."
            raise RefusedError("InvalidLoadBalancerActionException", message)


def check_name(name: str) -> None:
    """Refuse a name that no load balancer can have."""
    problems = {
        f"The load balancer name '{name}' cannot be longer than '32' characters": len(name) > 32,
        f"The load balancer name '{name}' can only contain alphanumeric characters and hyphens(-)": (
            not re.fullmatch(r"[A-Za-z0-9-]*", name)
        ),
        f"The load balancer name '{name}' cannot begin or end with a hyphen(-)": name.strip("-") != name,
        f"The load balancer name '{name}' cannot begin with 'internal-'": name.startswith("internal-"),
    }
    for message, true in problems.items():
        if true:
            raise RefusedError("ValidationError", message)


def check_port(listeners: Sequence[Mapping[str, Any]], port: int) -> None:
    """Refuse a second listener on a port."""
    if any(listener["Port"] == port for listener in listeners):
        raise RefusedError(
            "DuplicateListenerException", "A listener already exists on this port for this load balancer"
        )


def check_type(kind: str) -> None:
    """Refuse what is no application load balancer: the sandbox's speaks HTTP only."""
    if kind != "application":
        raise RefusedError("NotImplemented", f"a {kind} load balancer is not implemented in the sandbox", 501)


def check_address(group: Mapping[str, Any], ip: str) -> None:
    """Refuse a target that is no address, in a group of addresses."""
    if group.get("TargetType") == "ip":
        try:
            ipaddress.ip_address(ip)
        except ValueError:
            raise RefusedError(
                "ValidationError", f"The IP address '{ip}' is not a valid IPv4 address"
            ) from None


def check_subnets(zones: Sequence[str], asked: int) -> None:
    """Refuse a load balancer that does not stand in two zones."""
    if asked < 2 or len(set(zones)) < 2:
        raise RefusedError(
            "ValidationError", "At least two subnets in two different Availability Zones must be specified"
        )


def as_told(listener: Mapping[str, Any]) -> dict[str, Any]:
    """Return a listener (or rule) as AWS describes it: one target group is told twice, several only in ForwardConfig.

    Code that reads the action's own TargetGroupArn breaks on the second form, which CodeDeploy leaves (aws-facts 7.2).
    """
    key = "DefaultActions" if "DefaultActions" in listener else "Actions"
    plain = listener.get("Protocol") == "HTTP"  # moto gives TLS settings to plain HTTP too
    kept = {name: value for name, value in listener.items() if not (plain and name in _TLS)}
    return {**kept, key: [_action(action) for action in listener.get(key, [])]}


def weighted(weights: Mapping[str, int]) -> dict[str, Any]:
    """Return the forward action that CodeDeploy writes: every group in it, also those of weight 0 (aws-facts 7.2)."""
    groups = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items()]
    config = {"TargetGroups": groups, "TargetGroupStickinessConfig": {"Enabled": False}}
    return {"Type": "forward", "ForwardConfig": config}


def check_same_group(existing: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Refuse another target group of the same name, unless it would be the same group (aws-facts 7.4)."""
    name = asked["Name"]
    if any(existing.get(key) != value for key, value in asked.items() if key not in {"Name", "Tags"}):
        message = f"A target group with the same name '{name}' exists, but with different settings"
        raise RefusedError("DuplicateTargetGroupNameException", message)


def check_same_balancer(
    existing: Mapping[str, Any], asked: Mapping[str, Any], subnets: Iterable[str]
) -> None:
    """Refuse another load balancer of the same name, unless it would be the same one (aws-facts 7.4)."""
    have = {zone["SubnetId"] for zone in existing["AvailabilityZones"]}
    groups = set(asked.get("SecurityGroups", existing.get("SecurityGroups", [])))
    same = (
        have == set(subnets)
        and groups == set(existing.get("SecurityGroups", []))
        and asked.get("Scheme", SCHEME) == existing.get("Scheme", SCHEME)
    )
    if not same:
        message = f"A load balancer with the same name '{asked['Name']}' exists, but with different settings"
        raise RefusedError("DuplicateLoadBalancerNameException", message)


def _action(action: Mapping[str, Any]) -> dict[str, Any]:
    if action.get("Type") == "redirect":
        return {**action, "RedirectConfig": {**_UNCHANGED, **action["RedirectConfig"]}}
    if action.get("Type") != "forward":
        return dict(action)
    groups = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights([action]).items()]
    plain = {name: value for name, value in action.items() if name not in {"TargetGroupArn", "ForwardConfig"}}
    sticky = action.get("ForwardConfig", {}).get("TargetGroupStickinessConfig", {})
    plain["ForwardConfig"] = {
        "TargetGroups": groups,
        "TargetGroupStickinessConfig": {"Enabled": False, **sticky},
    }
    return plain | ({"TargetGroupArn": groups[0]["TargetGroupArn"]} if len(groups) == 1 else {})
