"""The load balancer of a stack: two doors, and the pair of target groups behind both."""

from __future__ import annotations

from dataclasses import dataclass

from bgdeploy.config import Config
from bgdeploy.names import Names
from bgdeploy.provision.resource import Resource
from bgdeploy.resources.existing import ExistingLoadBalancer
from bgdeploy.resources.listeners import Listener, Redirect, Tls
from bgdeploy.resources.load_balancer import LoadBalancer, TargetGroup
from bgdeploy.stack.network import PLAIN_HTTP, Network


@dataclass(frozen=True)
class Balancing:
    """The doors, and who stands behind them."""

    production: Listener
    test: Listener
    blue: TargetGroup
    green: TargetGroup
    resources: tuple[Resource, ...]

    @property
    def path(self) -> str:
        """What the ARNs of the doors go on with after their type: `app/shop-dev`."""
        balancer = self.production.balancer
        if isinstance(balancer, ExistingLoadBalancer):
            return balancer.arn.partition(":loadbalancer/")[2]
        return f"app/{balancer.name}"


def balancing(config: Config, names: Names, net: Network) -> Balancing:
    """Return a production and a test listener, both forwarding to both target groups, and what they are part of."""
    wanted = config.load_balancer
    own = None if net.balancer else _balancer(config, names, net)
    balancer = net.balancer or own
    assert balancer
    blue, green = (
        TargetGroup(
            name=names.target_group(colour),
            label=colour,
            vpc=net.vpc,
            port=config.container.port,
            health=wanted.health_check,
            deregistration_delay=wanted.deregistration_delay,
            stickiness=wanted.stickiness,
        )
        for colour in ("blue", "green")
    )
    certificate = wanted.production.certificate
    production, test = (
        Listener(
            name=f"{names.plain}-{label}",
            label=label,
            balancer=balancer,
            port=port,
            blue=blue,
            green=green,
            tls=Tls(certificate, wanted.production.tls_policy) if certificate else None,
            host=wanted.host,
        )
        for label, port in (("production", wanted.production.port), ("test", wanted.test.port))
    )
    doors = (production, test, *_redirect(config, names, balancer, (production, test)))
    made = (own,) if own else ()  # one that exists is told with its network
    return Balancing(production, test, blue, green, (*made, blue, green, *doors))


def _balancer(config: Config, names: Names, net: Network) -> LoadBalancer:
    wanted, logs = config.load_balancer, config.load_balancer.access_logs
    assert net.front
    return LoadBalancer(
        name=names.plain,
        subnets=net.subnets,
        security_group=net.front,
        idle_timeout=int(wanted.idle_timeout),
        protected=wanted.deletion_protection,
        logs=(logs.bucket, logs.prefix) if logs else None,
        after=net.routes,
    )


def _redirect(
    config: Config,
    names: Names,
    balancer: LoadBalancer | ExistingLoadBalancer,
    doors: tuple[Listener, ...],
) -> tuple[Redirect, ...]:
    """Return the door that leads from plain HTTP to HTTPS, where there is to be one."""
    production = config.load_balancer.production
    if not production.redirect_http:
        return ()
    # One of the others may hold its port until now.
    return (
        Redirect(
            name=f"{names.plain}-redirect",
            balancer=balancer,
            port=PLAIN_HTTP,
            to=production.port,
            after=doors,
        ),
    )
