"""Who reaches the internet, and what cannot do without it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bgdeploy.sandbox import internet
from tests.sandbox.fleet import Fleet, fleets

_ANYWHERE = "0.0.0.0/0"


@pytest.fixture(scope="module")
def regions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iterator[Fleet]]:
    made = fleets(tmp_path_factory.mktemp("sandbox"))
    yield made
    made.close()


@pytest.fixture
def fleet(regions: Iterator[Fleet]) -> Iterator[Fleet]:
    fleet = next(regions)
    yield fleet
    fleet.end()


def _reaches(fleet: Fleet, number: int, *, public: bool) -> bool:
    return internet.reaches(fleet.world, fleet.subnets[number], fleet.region, public=public)


def _own_table(fleet: Fleet) -> str:
    """Give the first subnet a route table of its own, without any route out."""
    ec2 = fleet.client("ec2")
    table = str(ec2.create_route_table(VpcId=fleet.vpc)["RouteTable"]["RouteTableId"])
    ec2.associate_route_table(RouteTableId=table, SubnetId=fleet.subnets[0])
    return table


def test_only_what_has_a_public_address_gets_out_by_the_internet_gateway(fleet: Fleet) -> None:
    assert _reaches(fleet, 0, public=True)
    assert not _reaches(fleet, 0, public=False)


def test_a_subnets_own_route_table_decides_and_not_the_main_one(fleet: Fleet) -> None:
    _own_table(fleet)
    assert not _reaches(fleet, 0, public=True)
    assert _reaches(fleet, 1, public=True)


def test_what_has_no_public_address_gets_out_by_nat(fleet: Fleet) -> None:
    ec2, table = fleet.client("ec2"), _own_table(fleet)
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    made = ec2.create_nat_gateway(SubnetId=fleet.subnets[1], AllocationId=address)["NatGateway"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock=_ANYWHERE, NatGatewayId=made["NatGatewayId"])
    assert _reaches(fleet, 0, public=False)


def test_a_route_to_a_gateway_that_is_not_attached_any_more_leads_nowhere(fleet: Fleet) -> None:
    mine = [{"Name": "attachment.vpc-id", "Values": [fleet.vpc]}]
    ec2 = fleet.client("ec2")
    gateway = ec2.describe_internet_gateways(Filters=mine)["InternetGateways"][0]["InternetGatewayId"]
    assert _reaches(fleet, 0, public=True)
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=fleet.vpc)
    assert not _reaches(fleet, 0, public=True)


def test_a_network_may_have_endpoints_instead_of_a_way_out(fleet: Fleet) -> None:
    ec2, needed = fleet.client("ec2"), ("ecr.api", "ecr.dkr")
    ec2.modify_vpc_attribute(VpcId=fleet.vpc, EnableDnsHostnames={"Value": True})
    for service in needed:
        assert not internet.has_endpoints(fleet.world, fleet.subnets[0], fleet.region, *needed)
        ec2.create_vpc_endpoint(
            VpcId=fleet.vpc,
            VpcEndpointType="Interface",
            ServiceName=f"com.amazonaws.{fleet.region}.{service}",
            SubnetIds=fleet.subnets[:1],
        )
    fleet.tick(600)
    assert internet.has_endpoints(fleet.world, fleet.subnets[0], fleet.region, *needed)
    assert not internet.has_endpoints(fleet.world, fleet.subnets[0], fleet.region, "s3")


def test_a_public_load_balancer_needs_an_internet_gateway(fleet: Fleet) -> None:
    subnets, mine = fleet.subnets, [{"Name": "attachment.vpc-id", "Values": [fleet.vpc]}]
    ec2 = fleet.client("ec2")
    gateway = ec2.describe_internet_gateways(Filters=mine)["InternetGateways"][0]["InternetGatewayId"]
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=fleet.vpc)
    refused = fleet.refused("elbv2", "create_load_balancer", Name="lb", Subnets=subnets)
    assert refused == ("InvalidSubnet", f"VPC {fleet.vpc} has no internet gateway")
    made = fleet.client("elbv2").create_load_balancer(Name="lb", Subnets=subnets, Scheme="internal")
    assert made["LoadBalancers"][0]["Scheme"] == "internal"
