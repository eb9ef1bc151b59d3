"""What must hold of network and load balancer beyond their types: limits of AWS's, and keys that must fit. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from bgdeploy.config import CALLER, Config, LoadBalancer, Network, Subnets, UseNetwork

Broken = tuple[tuple["str | int", ...], str]

_HTTP = 80
_LONGEST_IDLE = 4000  # seconds (LoadBalancerAttribute, idle_timeout.timeout_seconds)
_LONGEST_STICKINESS = 7 * 86400  # seconds (TargetGroupAttribute, stickiness.lb_cookie.duration_seconds)


def broken_network_rules(config: Config) -> Iterator[Broken]:
    """Yield the key path of every value that cannot work, and a sentence that says why and what would."""
    yield from _network(config.network, config.load_balancer)
    yield from _doors(config.load_balancer)
    yield from _sources(config.load_balancer)
    yield from _times(config.load_balancer)
    if config.load_balancer.use:
        yield from _existing(config.load_balancer)


def cidr(text: str) -> ipaddress.IPv4Network | None:
    """Return the network that `text` writes, None when it writes none."""
    try:
        return ipaddress.IPv4Network(text)
    except ValueError:
        return None


def _network(network: Network, balancer: LoadBalancer) -> Iterator[Broken]:
    if network.create and network.use:
        yield (
            ("network", "use"),
            "cannot stand beside network.create: write `create: null` where another file creates one",
        )
    if network.use:
        yield from _used(network.use, balancer)
        return
    assert network.made
    made = cidr(network.made.cidr)
    if made is None or not 16 <= made.prefixlen <= 24:
        yield (
            ("network", "create", "cidr"),
            f"must be an IPv4 network of size /16 to /24, not {network.made.cidr!r}",
        )
    if balancer.use:
        yield ("load_balancer", "use"), "needs network.use: the load balancer stands in a network that exists"


def _used(network: UseNetwork, balancer: LoadBalancer) -> Iterator[Broken]:
    if balancer.use and network.load_balancer_subnets:
        yield (
            ("network", "use", "load_balancer_subnets"),
            "is not needed beside load_balancer.use: that load balancer has subnets of its own",
        )
    yield from _wanted(network.vpc, "vpc")
    yield from _wanted(network.task_subnets, "task_subnets")
    if not balancer.use:
        yield from _wanted(network.load_balancer_subnets, "load_balancer_subnets")


def _wanted(value: str | Subnets, key: str) -> Iterator[Broken]:
    if not value:
        yield ("network", "use", key), "is missing: write ids, or the tags to find them by"
    if isinstance(value, dict):
        return
    prefix = "vpc" if key == "vpc" else "subnet"
    for text in (value,) if isinstance(value, str) else value:
        if not re.fullmatch(rf"{prefix}-[0-9a-f]+", text):
            yield ("network", "use", key), f"must be {prefix}-… or a mapping of tags, not {text!r}"


def _doors(balancer: LoadBalancer) -> Iterator[Broken]:
    production, test = balancer.production, balancer.test
    if production.port == test.port:
        yield ("load_balancer", "test", "port"), "must differ from load_balancer.production.port"
    if production.certificate and production.port == _HTTP:
        yield (
            ("load_balancer", "production", "port"),
            "80 is where browsers speak plain HTTP: with a certificate, write port: 443",
        )
    if not production.redirect_http:
        return
    if not production.certificate:
        yield ("load_balancer", "production", "redirect_http"), "needs a certificate: it redirects to HTTPS"
    elif test.port == _HTTP:
        yield ("load_balancer", "test", "port"), "80 is where production.redirect_http listens"


def _sources(balancer: LoadBalancer) -> Iterator[Broken]:
    for index, source in enumerate(balancer.test.allow):
        if source not in {"vpc", CALLER} and cidr(source) is None:
            yield (
                ("load_balancer", "test", "allow", index),
                f"must be vpc, caller, or a CIDR such as 203.0.113.7/32, not {source!r}",
            )
    address = balancer.test.caller_address
    if address is not None and cidr(address) is None:
        yield (
            ("load_balancer", "test", "caller_address"),
            f"must be an IPv4 address or CIDR such as 203.0.113.7, not {address!r}",
        )
    elif address is not None and CALLER not in balancer.test.allow:
        yield ("load_balancer", "test", "caller_address"), "needs caller among load_balancer.test.allow"


def _times(balancer: LoadBalancer) -> Iterator[Broken]:
    if balancer.health_check.timeout >= balancer.health_check.interval:
        yield ("load_balancer", "health_check", "timeout"), "must be shorter than the interval"
    if not 5 <= balancer.health_check.interval <= 300:
        yield ("load_balancer", "health_check", "interval"), "must be between 5s and 5m"
    if balancer.deregistration_delay > 3600:
        yield ("load_balancer", "deregistration_delay"), "must be at most 1h"
    if not 1 <= balancer.idle_timeout <= _LONGEST_IDLE:
        yield ("load_balancer", "idle_timeout"), "must be between 1s and 4000s"
    if balancer.stickiness is not None and not 1 <= balancer.stickiness <= _LONGEST_STICKINESS:
        yield ("load_balancer", "stickiness"), "must be between 1s and 7d, or none"


def _existing(balancer: LoadBalancer) -> Iterator[Broken]:
    """What belongs to the load balancer itself is its owner's to set."""
    default = LoadBalancer()
    for key in ("idle_timeout", "deletion_protection", "access_logs"):
        if getattr(balancer, key) != getattr(default, key):
            yield ("load_balancer", key), "belongs to load_balancer.use, which is never changed: set it there"
    if not set(balancer.test.allow) <= set(default.test.allow):
        yield (
            ("load_balancer", "test", "allow"),
            "is for the security groups of load_balancer.use to say, which are never changed",
        )
