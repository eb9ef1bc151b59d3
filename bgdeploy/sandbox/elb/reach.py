"""Who reaches whom through security groups. Functions of values."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from bgdeploy.sandbox.elb.topology import Topology

Facts = Mapping[str, Any]


def caller_reaches(balancer: Facts, port: int, caller: str, topology: Topology) -> bool:
    """Tell whether a load balancer's security groups let the sandbox's caller in on `port`.

    `caller` is an address, or "vpc" for one inside the load balancer's own VPC.
    """
    address = topology.vpcs[balancer["VpcId"]][10] if caller == "vpc" else ipaddress.IPv4Address(caller)
    groups = balancer.get("SecurityGroups") or ()
    rules = _rules(groups, "IpPermissions", topology)
    return not groups or admitted(rules, port, [ipaddress.IPv4Network(address)], ())


def inside_reaches(
    balancer: Facts, port: int, address: str, security_groups: Collection[str], topology: Topology
) -> bool:
    """Tell whether something inside a load balancer's VPC gets to it: out of its groups, and into the balancer's."""
    own = balancer.get("SecurityGroups") or ()
    homes = [topology.subnets[zone["SubnetId"]] for zone in balancer["AvailabilityZones"]]
    outward, inward = (
        _rules(security_groups, "IpPermissionsEgress", topology),
        _rules(own, "IpPermissions", topology),
    )
    out = not security_groups or admitted(outward, port, homes, own)
    into = not own or admitted(inward, port, [ipaddress.IPv4Network(address)], security_groups)
    return out and into


def balancer_reaches(
    balancer: Facts, ip: str, port: int, security_groups: Collection[str], topology: Topology
) -> bool:
    """Tell whether a load balancer may send to a target: out of its own groups, and into the target's."""
    own = balancer.get("SecurityGroups") or ()
    homes = [topology.subnets[zone["SubnetId"]] for zone in balancer["AvailabilityZones"]]
    there = [ipaddress.IPv4Network(ip)]
    outward, inward = (
        _rules(own, "IpPermissionsEgress", topology),
        _rules(security_groups, "IpPermissions", topology),
    )
    out = not own or admitted(outward, port, there, security_groups)
    into = not security_groups or admitted(inward, port, homes, own)
    return out and into


def admitted(
    rules: Iterable[Facts],
    port: int,
    networks: Iterable[ipaddress.IPv4Network],
    groups: Collection[str],
) -> bool:
    """Tell whether a rule lets traffic on a TCP port pass, to or from one of these networks or groups."""
    there = list(networks)
    return any(_admits(rule, port) and _names(rule, there, groups) for rule in rules)


def _rules(groups: Iterable[str], side: str, topology: Topology) -> Iterator[Facts]:
    for group in groups:
        yield from topology.security_groups.get(group, {}).get(side, ())


def _admits(rule: Facts, port: int) -> bool:
    if rule["IpProtocol"] == "-1":
        return True
    first, last = int(rule.get("FromPort", 0)), int(rule.get("ToPort", 65535))
    return rule["IpProtocol"] in {"tcp", "6"} and first <= port <= last


def _names(rule: Facts, networks: Iterable[ipaddress.IPv4Network], groups: Collection[str]) -> bool:
    """Tell whether a rule is about one of these networks or groups."""
    if any(pair.get("GroupId") in groups for pair in rule.get("UserIdGroupPairs", ())):
        return True
    ranges = [ipaddress.ip_network(each["CidrIp"]) for each in rule.get("IpRanges", ())]
    return any(network.subnet_of(each) for network in networks for each in ranges)  # type: ignore[arg-type]
