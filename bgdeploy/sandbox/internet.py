"""Who in a network reaches the internet, by what EC2 says of gateways, routes and endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bgdeploy.sandbox.world import World

_ANYWHERE = "0.0.0.0/0"


def has_gateway(world: World, vpc: str, region: str) -> bool:
    """Tell whether an internet gateway is attached to a VPC."""
    return bool(_gateways(world, vpc, region))


def reaches(world: World, subnet: str, region: str, *, public: bool) -> bool:
    """Tell whether an interface in `subnet` gets out: by an internet gateway when it is public, or by NAT."""
    table = _table(world, subnet, region)
    gateways = _gateways(world, table["VpcId"], region) if public else set()
    return any(
        each.get("NatGatewayId") or each.get("GatewayId") in gateways
        for each in table["Routes"]
        if each.get("DestinationCidrBlock") == _ANYWHERE and each.get("State") != "blackhole"
    )


def has_endpoints(world: World, subnet: str, region: str, *services: str) -> bool:
    """Tell whether the subnet's VPC has an endpoint of its own for each of these services (ecr.api)."""
    inside = _filter("vpc-id", _vpc(world, subnet, region))
    found = _ec2(world, region).describe_vpc_endpoints(Filters=inside)["VpcEndpoints"]
    there = {each["ServiceName"] for each in found if each["State"].lower() == "available"}
    return {f"com.amazonaws.{region}.{service}" for service in services} <= there


def _gateways(world: World, vpc: str, region: str) -> set[str]:
    attached = _filter("attachment.vpc-id", vpc)
    found = _ec2(world, region).describe_internet_gateways(Filters=attached)["InternetGateways"]
    return {each["InternetGatewayId"] for each in found}


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
