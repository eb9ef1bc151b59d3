"""The load balancer of a stack: two doors, and the pair of target groups behind both."""

from __future__ import annotations

from dataclasses import dataclass

from bgdeploy.config import Config
from bgdeploy.names import Names
from bgdeploy.provision.resource import Resource
from bgdeploy.resources.load_balancer import Listener, LoadBalancer, TargetGroup
from bgdeploy.stack.network import Network


@dataclass(frozen=True)
class Balancing:
    """The doors, and who stands behind them."""

    production: Listener
    test: Listener
    blue: TargetGroup
    green: TargetGroup
    resources: tuple[Resource, ...]


def balancing(config: Config, names: Names, net: Network) -> Balancing:
    """Return a load balancer with a production and a test listener, both forwarding to both target groups."""
    balancer = LoadBalancer(name=names.plain, subnets=net.subnets, security_group=net.front, after=net.ready)
    blue, green = (
        TargetGroup(
            name=names.target_group(colour),
            label=colour,
            vpc=net.vpc,
            port=config.container.port,
            health=config.load_balancer.health_check,
            deregistration_delay=config.load_balancer.deregistration_delay,
        )
        for colour in ("blue", "green")
    )
    production, test = (
        Listener(
            name=f"{names.plain}-{label}", label=label, balancer=balancer, port=port, blue=blue, green=green
        )
        for label, port in (
            ("production", config.load_balancer.production.port),
            ("test", config.load_balancer.test.port),
        )
    )
    return Balancing(production, test, blue, green, (balancer, blue, green, production, test))
