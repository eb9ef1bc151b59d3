"""The part of the sandbox that is EC2's network, as far as moto is too kind or too quick."""

from __future__ import annotations

from collections.abc import Mapping

from bgdeploy.sandbox.inprocess import forwarded
from bgdeploy.sandbox.network.endpoints import Endpoints
from bgdeploy.sandbox.network.guards import Guards
from bgdeploy.sandbox.network.interfaces import Descriptions
from bgdeploy.sandbox.network.model import Interface
from bgdeploy.sandbox.network.nat import NatGateways
from bgdeploy.sandbox.network.repeats import Repeats
from bgdeploy.sandbox.network.routes import Routes
from bgdeploy.sandbox.world import Handler, World

_WITH_TOKEN = ("CreateNatGateway", "CreateVpcEndpoint", "CreateRouteTable")


class Network:
    """Networks that cannot be taken apart while something stands in them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._nats = NatGateways(world)
        self._endpoints = Endpoints(world)
        self._routes = Routes(world, self._nats)
        self._descriptions = Descriptions(world, self._managed)
        self._guards = Guards(world, self.interfaces, self._endpoints.all, self._nats.holds)
        self._repeats = Repeats()

    @property
    def operations(self) -> Mapping[tuple[str, str], Handler]:
        ours: dict[str, Handler] = {"CreateRouteTable": lambda call: forwarded(self._world, call)}
        for group in (self._nats, self._endpoints, self._routes, self._descriptions, self._guards):
            ours |= group.handlers()
        ours |= {name: self._repeats.once(ours[name]) for name in _WITH_TOKEN}
        return {("ec2", name): handler for name, handler in ours.items()}

    def tick(self) -> None:
        """Let time pass for what comes and goes."""
        self._nats.tick()
        self._endpoints.tick()

    def close(self) -> None:
        """Nothing to end."""

    def interfaces(self, region: str) -> list[Interface]:
        """Return every network interface of a region."""
        made = [
            Interface(
                each["NetworkInterfaceId"],
                each["SubnetId"],
                each.get("Description", ""),
                "",
                tuple(group["GroupId"] for group in each.get("Groups", ())),
                public="Association" in each,
            )
            for each in self._descriptions.made(region)
        ]
        return [*made, *self._managed(region)]

    def _managed(self, region: str) -> list[Interface]:
        """Return the interfaces that services have."""
        found = [*self._nats.interfaces(region), *self._endpoints.interfaces(region)]
        for part in ("elb", "ecs", "functions"):
            if hasattr(self._world, part):
                found += getattr(self._world, part).interfaces(region)
        return found
