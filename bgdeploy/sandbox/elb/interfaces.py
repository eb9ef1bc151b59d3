"""The network interfaces of load balancers: one in each of their subnets, and a little longer than they themselves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from bgdeploy.sandbox.elb.topology import Facts, Topologies
from bgdeploy.sandbox.elb.validate import SCHEME
from bgdeploy.sandbox.network.model import Interface, interface_id
from bgdeploy.sandbox.world import World

# A load balancer's interfaces outlive it "by some minutes" at most (aws-facts 7.4); how long exactly is not known.
_OUTLIVE = timedelta(seconds=20)


class Interfaces:
    """Keeps security groups and subnets from being deleted."""

    def __init__(self, world: World, topologies: Topologies) -> None:
        self._world = world
        self._topologies = topologies
        self._leaving: list[tuple[datetime, str, tuple[Interface, ...]]] = []

    def outlive(self, balancer: str, region: str) -> None:
        """A load balancer is about to go; its interfaces go a little later."""
        known = self._topologies.of(region).balancers.get(balancer)
        if known is not None:
            until = self._world.clock.now() + _OUTLIVE
            self._leaving.append((until, region, tuple(_of(known))))

    def all(self, region: str) -> list[Interface]:
        """Return the interfaces in a region, those of deleted load balancers too while they last."""
        now = self._world.clock.now()
        self._leaving = [each for each in self._leaving if each[0] > now]
        left = [one for _, where, interfaces in self._leaving if where == region for one in interfaces]
        balancers = self._topologies.of(region).balancers.values()
        return [*left, *(one for balancer in balancers for one in _of(balancer))]


def _of(balancer: Facts) -> Iterator[Interface]:
    arn = balancer["LoadBalancerArn"]
    for zone in balancer["AvailabilityZones"]:
        yield Interface(
            interface_id(arn, zone["SubnetId"]),
            zone["SubnetId"],
            f"ELB {arn.partition(':loadbalancer/')[2]}",
            "amazon-elb",
            tuple(balancer.get("SecurityGroups") or ()),
            public=balancer.get("Scheme", SCHEME) == SCHEME,
        )
