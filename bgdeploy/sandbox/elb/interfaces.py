"""The network interfaces of load balancers and tasks, which keep security groups and subnets from being deleted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from bgdeploy.sandbox.elb.topology import Topologies
from bgdeploy.sandbox.world import PASS, Call, Handler, RefusedError, World, _Pass

# A load balancer's interfaces outlive it "by some minutes" at most (aws-facts 7.4); how long exactly is not known.
_OUTLIVE = timedelta(seconds=20)


class Interfaces:
    """Refuses to delete what an interface still stands in."""

    def __init__(self, world: World, topologies: Topologies) -> None:
        self._world = world
        self._topologies = topologies
        self._leaving: list[tuple[datetime, frozenset[str]]] = []

    def handlers(self) -> Mapping[tuple[str, str], Handler]:
        return {
            ("ec2", "DeleteSecurityGroup"): self._delete_security_group,
            ("ec2", "DeleteSubnet"): self._delete_subnet,
        }

    def outlive(self, balancer: str, region: str) -> None:
        """A load balancer is about to go; its interfaces go a little later."""
        known = self._topologies.of(region).balancers.get(balancer)
        if known is not None:
            until = self._world.clock.now() + _OUTLIVE
            self._leaving.append((until, frozenset(_uses(known))))

    def _delete_security_group(self, call: Call) -> _Pass:
        group = call.params.get("GroupId", "")
        self._check(group, call.region)
        for other in self._world.beneath("ec2", region=call.region).describe_security_groups()[
            "SecurityGroups"
        ]:
            rules = (*other.get("IpPermissions", ()), *other.get("IpPermissionsEgress", ()))
            named = {pair.get("GroupId") for rule in rules for pair in rule.get("UserIdGroupPairs", ())}
            if other["GroupId"] != group and group in named:
                raise _dependent(group)
        self._topologies.touch(call.region)
        return PASS

    def _delete_subnet(self, call: Call) -> _Pass:
        self._check(call.params["SubnetId"], call.region)
        self._topologies.touch(call.region)
        return PASS

    def _check(self, name: str, region: str) -> None:
        now = self._world.clock.now()
        self._leaving = [(until, used) for until, used in self._leaving if until > now]
        balancers = self._topologies.of(region).balancers.values()
        used = {each for balancer in balancers for each in _uses(balancer)}
        tasks = self._world.ecs.interfaces(region) if hasattr(self._world, "ecs") else ()
        if name in used or name in tasks or any(name in left for _, left in self._leaving):
            raise _dependent(name)


def _uses(balancer: Mapping[str, object]) -> Iterator[str]:
    groups, zones = balancer.get("SecurityGroups") or [], balancer["AvailabilityZones"]
    assert isinstance(groups, list)
    assert isinstance(zones, list)
    yield from groups
    yield from (zone["SubnetId"] for zone in zones)


def _dependent(name: str) -> RefusedError:
    kind = "subnet" if name.startswith("subnet-") else "resource"
    what = f"The subnet '{name}' has dependencies and cannot be deleted." if kind == "subnet" else ""
    return RefusedError("DependencyViolation", what or f"resource {name} has a dependent object")
