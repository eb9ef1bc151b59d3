"""What moto knows of load balancers and of the network around them, read at once and kept until something changes."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bgdeploy.sandbox.elb import validate
from bgdeploy.sandbox.world import RefusedError, World

Facts = dict[str, Any]


@dataclass(frozen=True)
class Topology:
    """Everything by its ARN or id, as the API describes it; a listener also holds its `Rules`."""

    balancers: Mapping[str, Facts] = field(default_factory=dict)
    listeners: Mapping[str, Facts] = field(default_factory=dict)
    groups: Mapping[str, Facts] = field(default_factory=dict)
    security_groups: Mapping[str, Facts] = field(default_factory=dict)
    subnets: Mapping[str, ipaddress.IPv4Network] = field(default_factory=dict)
    vpcs: Mapping[str, ipaddress.IPv4Network] = field(default_factory=dict)
    behind: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # target group → its load balancers

    def require_listener(self, arn: str) -> Facts:
        if arn not in self.listeners:
            raise RefusedError("ListenerNotFoundException", f"One or more listeners not found: '{arn}'")
        return self.listeners[arn]

    def require_group(self, arn: str) -> Facts:
        if arn not in self.groups:
            raise RefusedError("TargetGroupNotFoundException", f"Target groups '{arn}' not found")
        return self.groups[arn]

    def require_balancer(self, arn: str) -> Facts:
        if arn not in self.balancers:
            raise RefusedError("LoadBalancerNotFoundException", f"Load balancers '{arn}' not found")
        return self.balancers[arn]

    def listener_of_rule(self, arn: str) -> Facts:
        """Return the listener that a rule belongs to."""
        for listener in self.listeners.values():
            if any(rule["RuleArn"] == arn for rule in listener["Rules"]):
                return listener
        raise RefusedError("RuleNotFoundException", f"One or more rules not found: '{arn}'")


class Topologies:
    """The topology of every region that anybody has used, read again when it is stale."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._known: dict[str, Topology] = {}
        self.stale: set[str] = set()
        self.changed = False  # since the balancer was told last; reading it again tells the balancer nothing

    def of(self, region: str) -> Topology:
        """Return a region's topology as it is now."""
        if region in self.stale or region not in self._known:
            self._known[region] = self._read(region)
            self.stale.discard(region)
        return self._known[region]

    def touch(self, region: str) -> None:
        """Something in `region` is about to change, or has."""
        self.stale.add(region)
        self.changed = True

    def all(self) -> dict[str, Topology]:
        """Return the topologies of the regions in use."""
        return {region: self.of(region) for region in sorted(self._known.keys() | self.stale)}

    def _read(self, region: str) -> Topology:
        elbv2, ec2 = self._world.beneath("elbv2", region=region), self._world.beneath("ec2", region=region)
        groups = _by(_all(elbv2, "describe_target_groups", "TargetGroups"), "TargetGroupArn")
        balancers = _by(_all(elbv2, "describe_load_balancers", "LoadBalancers"), "LoadBalancerArn")
        if not balancers:
            return Topology(groups=groups)
        listeners = _by((each for arn in balancers for each in _listeners(elbv2, arn)), "ListenerArn")
        return Topology(
            balancers,
            listeners,
            groups,
            _by(_all(ec2, "describe_security_groups", "SecurityGroups"), "GroupId"),
            _networks(_all(ec2, "describe_subnets", "Subnets"), "SubnetId"),
            _networks(_all(ec2, "describe_vpcs", "Vpcs"), "VpcId"),
            _behind(listeners.values()),
        )


def _all(client: Any, operation: str, key: str, **arguments: str) -> list[Facts]:
    return list(client.get_paginator(operation).paginate(**arguments).build_full_result()[key])


def _by(facts: Iterable[Facts], key: str) -> dict[str, Facts]:
    return {each[key]: each for each in facts}


def _networks(facts: Iterable[Facts], key: str) -> dict[str, ipaddress.IPv4Network]:
    return {each[key]: ipaddress.IPv4Network(each["CidrBlock"]) for each in facts}


def _listeners(elbv2: Any, balancer: str) -> Iterator[Facts]:
    for listener in _all(elbv2, "describe_listeners", "Listeners", LoadBalancerArn=balancer):
        rules = elbv2.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
        own = [rule for rule in rules if not rule["IsDefault"]]
        yield {**listener, "Rules": sorted(own, key=lambda rule: int(rule["Priority"]))}


def _behind(listeners: Iterable[Facts]) -> dict[str, tuple[str, ...]]:
    """Return which load balancers forward to a target group, whatever its weight (aws-facts 7.2)."""
    used: dict[str, tuple[str, ...]] = {}
    for listener in listeners:
        for actions in (listener["DefaultActions"], *(rule["Actions"] for rule in listener["Rules"])):
            for group in validate.weights(actions):
                used[group] = tuple(dict.fromkeys((*used.get(group, ()), listener["LoadBalancerArn"])))
    return used
