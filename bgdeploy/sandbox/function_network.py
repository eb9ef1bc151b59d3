"""What a function in a VPC reaches: what its subnets and security groups let it reach, and nothing else.

It has a private address and never a public one, so that out of public subnets nothing leads anywhere.
"""

from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from bgdeploy.sandbox import internet
from bgdeploy.sandbox.moto_bridge import FunctionCode
from bgdeploy.sandbox.world import World

_SERVICES = ("codedeploy", "s3", "ec2", "logs", "sts")  # those that a hook may want
_HOST = 20  # which address of its subnet it has
_NOWHERE = "http://198.51.100.1"  # from a range that nobody has (RFC 5737)


def surroundings(world: World, function: FunctionCode, region: str) -> dict[str, Any] | None:
    """Return where connections of a function lead; None for one that stands in no VPC and goes where it wants."""
    if not function.subnets:
        return None
    place = _place(world, function, region)
    with world.lock:
        doors = world.elb.inside(place) if hasattr(world, "elb") else {}
    gateway = urlsplit(world.endpoint)
    return {"doors": doors, "gateway": [gateway.hostname, gateway.port]}


def unreachable(world: World, function: FunctionCode, region: str) -> dict[str, str]:
    """Return the environment that leads a function in a VPC to nowhere, for the services that it cannot reach."""
    if not function.subnets:
        return {}
    place = _place(world, function, region)
    closed = [each for each in _SERVICES if not internet.reaches(world, place, each)]
    return {f"AWS_ENDPOINT_URL_{each.upper()}": _NOWHERE for each in closed}


def _place(world: World, function: FunctionCode, region: str) -> internet.Place:
    subnet = function.subnets[0]
    found = world.client("ec2", region=region).describe_subnets(SubnetIds=[subnet])["Subnets"][0]
    address = str(ipaddress.IPv4Network(found["CidrBlock"])[_HOST])
    return internet.Place(region, subnet, address, function.security_groups)
