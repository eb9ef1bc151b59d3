"""Who in a network reaches the internet and AWS's services, by what EC2 says of routes, gateways and endpoints."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bgdeploy.sandbox.elb import reach

if TYPE_CHECKING:
    from bgdeploy.sandbox.world import World

_ANYWHERE = "0.0.0.0/0"
_OUTSIDE = ipaddress.IPv4Network("198.51.100.1/32")  # stands for any address of the internet
_HTTPS = 443


@dataclass(frozen=True)
class Place:
    """Where something stands in a network, as far as it matters for what it reaches."""

    region: str
    subnet: str
    address: str  # its private one
    security_groups: tuple[str, ...] = ()
    public: bool = False  # has a public address too


def has_gateway(world: World, vpc: str, region: str) -> bool:
    """Tell whether an internet gateway is attached to a VPC."""
    attached = _filter("attachment.vpc-id", vpc)
    return bool(_ec2(world, region).describe_internet_gateways(Filters=attached)["InternetGateways"])


def reaches_internet(world: World, place: Place) -> bool:
    """Tell whether something gets out: by an internet gateway when it is public, or by NAT."""
    led = _leads_out(world, place.subnet, place.region, public=place.public)
    return led and _lets_out(world, place, [_OUTSIDE], ())


def reaches(world: World, place: Place, service: str) -> bool:
    """Tell whether something gets to a service of AWS's (ecr.api): over the internet, or by an endpoint of its VPC."""
    if reaches_internet(world, place):
        return True
    inside = _filter("vpc-id", _vpc(world, place.subnet, place.region))
    named = _filter("service-name", f"com.amazonaws.{place.region}.{service}")
    endpoints = _ec2(world, place.region).describe_vpc_endpoints(Filters=[*inside, *named])["VpcEndpoints"]
    return any(
        each["State"].lower() == "available"
        and (
            _routed(world, place, each)
            if each["VpcEndpointType"] == "Gateway"
            else _admitted(world, place, each)
        )
        for each in endpoints
    )


def _leads_out(world: World, subnet: str, region: str, *, public: bool) -> bool:
    routes = (
        each
        for each in _table(world, subnet, region)["Routes"]
        if each.get("DestinationCidrBlock") == _ANYWHERE and each.get("State") != "blackhole"
    )
    return any(
        _nat_leads_out(world, each["NatGatewayId"], region)
        if each.get("NatGatewayId")
        else public and each.get("GatewayId", "").startswith("igw-")
        for each in routes
    )


def _nat_leads_out(world: World, nat: str, region: str) -> bool:
    """A NAT gateway is a way out once it is available, and where its own subnet leads to the internet."""
    told = _ec2(world, region).describe_nat_gateways(NatGatewayIds=[nat])["NatGateways"][0]
    routes = _table(world, told["SubnetId"], region)["Routes"]
    by_gateway = any(
        each.get("DestinationCidrBlock") == _ANYWHERE and each.get("GatewayId", "").startswith("igw-")
        for each in routes
    )
    return told["State"] == "available" and by_gateway


def _routed(world: World, place: Place, endpoint: dict[str, Any]) -> bool:
    table = _table(world, place.subnet, place.region)["RouteTableId"]
    return table in endpoint["RouteTableIds"]


def _admitted(world: World, place: Place, endpoint: dict[str, Any]) -> bool:
    """Tell whether an interface endpoint has the service's own name, and both sides' groups let traffic pass."""
    groups = [group["GroupId"] for group in endpoint["Groups"]]
    found = _ec2(world, place.region).describe_subnets(SubnetIds=endpoint["SubnetIds"])["Subnets"]
    homes = [ipaddress.IPv4Network(each["CidrBlock"]) for each in found]
    rules = _rules(world, place.region, groups, "IpPermissions")
    here = [ipaddress.IPv4Network(place.address)]
    return (
        bool(endpoint["PrivateDnsEnabled"])
        and reach.admitted(rules, _HTTPS, here, place.security_groups)
        and _lets_out(world, place, homes, groups)
    )


def _lets_out(
    world: World, place: Place, networks: Iterable[ipaddress.IPv4Network], groups: Iterable[str]
) -> bool:
    rules = _rules(world, place.region, place.security_groups, "IpPermissionsEgress")
    return not place.security_groups or reach.admitted(rules, _HTTPS, networks, tuple(groups))


def _rules(world: World, region: str, groups: Iterable[str], side: str) -> list[dict[str, Any]]:
    wanted = list(groups)
    if not wanted:
        return []
    found = _ec2(world, region).describe_security_groups(GroupIds=wanted)["SecurityGroups"]
    return [rule for group in found for rule in group[side]]


def _table(world: World, subnet: str, region: str) -> Any:
    """Return the subnet's own route table, or the main one of its VPC."""
    ec2 = _ec2(world, region)
    own = ec2.describe_route_tables(Filters=_filter("association.subnet-id", subnet))["RouteTables"]
    if own:
        return own[0]
    main = [*_filter("vpc-id", _vpc(world, subnet, region)), *_filter("association.main", "true")]
    return ec2.describe_route_tables(Filters=main)["RouteTables"][0]


def _vpc(world: World, subnet: str, region: str) -> str:
    return str(_ec2(world, region).describe_subnets(SubnetIds=[subnet])["Subnets"][0]["VpcId"])


def _ec2(world: World, region: str) -> Any:
    return world.client("ec2", region=region)


def _filter(name: str, value: str) -> list[dict[str, Any]]:
    return [{"Name": name, "Values": [value]}]
