"""Who reaches the internet, and what cannot do without it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bgdeploy.sandbox import internet
from bgdeploy.sandbox.internet import Place
from tests.sandbox.fleet import Fleet, container, fleets, forward

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


def _place(fleet: Fleet, number: int, *, public: bool = False) -> Place:
    """Return a place in one of the subnets, in the tasks' security group."""
    return Place(fleet.region, fleet.subnets[number], f"10.20.{number}.9", (fleet.back,), public)


def _reaches(fleet: Fleet, number: int, *, public: bool) -> bool:
    return internet.reaches_internet(fleet.world, _place(fleet, number, public=public))


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
    pending = _reaches(fleet, 0, public=False)
    fleet.tick(600)
    assert (pending, _reaches(fleet, 0, public=False)) == (False, True)
    ec2.delete_nat_gateway(NatGatewayId=made["NatGatewayId"])
    assert not _reaches(fleet, 0, public=False)


def test_nat_in_a_subnet_that_leads_nowhere_is_no_way_out(fleet: Fleet) -> None:
    ec2, table = fleet.client("ec2"), _own_table(fleet)
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    made = ec2.create_nat_gateway(SubnetId=fleet.subnets[0], AllocationId=address)["NatGateway"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock=_ANYWHERE, NatGatewayId=made["NatGatewayId"])
    fleet.tick(600)
    assert not _reaches(fleet, 0, public=False)


def test_a_security_group_that_lets_nothing_out_keeps_everything_in(fleet: Fleet) -> None:
    everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": _ANYWHERE}]}]
    assert _reaches(fleet, 0, public=True)
    fleet.client("ec2").revoke_security_group_egress(GroupId=fleet.back, IpPermissions=everything)
    assert not _reaches(fleet, 0, public=True)


def test_a_route_to_a_gateway_that_is_not_attached_any_more_leads_nowhere(fleet: Fleet) -> None:
    mine = [{"Name": "attachment.vpc-id", "Values": [fleet.vpc]}]
    ec2 = fleet.client("ec2")
    gateway = ec2.describe_internet_gateways(Filters=mine)["InternetGateways"][0]["InternetGatewayId"]
    assert _reaches(fleet, 0, public=True)
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=fleet.vpc)
    assert not _reaches(fleet, 0, public=True)


def _endpoint(fleet: Fleet, service: str, kind: str, **settings: Any) -> None:
    ec2 = fleet.client("ec2")
    ec2.modify_vpc_attribute(VpcId=fleet.vpc, EnableDnsHostnames={"Value": True})
    name = f"com.amazonaws.{fleet.region}.{service}"
    ec2.create_vpc_endpoint(VpcId=fleet.vpc, VpcEndpointType=kind, ServiceName=name, **settings)


def _open_group(fleet: Fleet, port: int) -> str:
    """Make a security group that lets the tasks in on a port."""
    ec2 = fleet.client("ec2")
    group = str(ec2.create_security_group(GroupName="e", Description="e", VpcId=fleet.vpc)["GroupId"])
    pairs = [{"GroupId": fleet.back}]
    rule = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "UserIdGroupPairs": pairs}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    return group


def test_a_network_may_have_endpoints_instead_of_a_way_out(fleet: Fleet) -> None:
    place = _place(fleet, 0)
    before = internet.reaches(fleet.world, place, "ecr.api")
    groups = [_open_group(fleet, 443)]
    _endpoint(fleet, "ecr.api", "Interface", SubnetIds=fleet.subnets[:1], SecurityGroupIds=groups)
    pending = internet.reaches(fleet.world, place, "ecr.api")
    fleet.tick(600)
    assert (before, pending) == (False, False)
    assert internet.reaches(fleet.world, place, "ecr.api")
    assert not internet.reaches(fleet.world, place, "logs")


def test_an_endpoint_lets_in_whom_its_security_groups_do(fleet: Fleet) -> None:
    groups = [_open_group(fleet, 80)]
    _endpoint(fleet, "ecr.api", "Interface", SubnetIds=fleet.subnets[:1], SecurityGroupIds=groups)
    fleet.tick(600)
    assert not internet.reaches(fleet.world, _place(fleet, 0), "ecr.api")


def test_an_endpoint_without_a_private_name_is_not_found(fleet: Fleet) -> None:
    settings = {"SubnetIds": fleet.subnets[:1], "SecurityGroupIds": [_open_group(fleet, 443)]}
    _endpoint(fleet, "ecr.api", "Interface", PrivateDnsEnabled=False, **settings)
    fleet.tick(600)
    assert not internet.reaches(fleet.world, _place(fleet, 0), "ecr.api")


def test_a_gateway_endpoint_is_for_the_subnets_of_its_route_tables(fleet: Fleet) -> None:
    _endpoint(fleet, "s3", "Gateway", RouteTableIds=[_own_table(fleet)])
    assert internet.reaches(fleet.world, _place(fleet, 0), "s3")
    assert not internet.reaches(fleet.world, _place(fleet, 1), "s3")


def test_a_public_load_balancer_needs_an_internet_gateway(fleet: Fleet) -> None:
    subnets, mine = fleet.subnets, [{"Name": "attachment.vpc-id", "Values": [fleet.vpc]}]
    ec2 = fleet.client("ec2")
    gateway = ec2.describe_internet_gateways(Filters=mine)["InternetGateways"][0]["InternetGatewayId"]
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=fleet.vpc)
    refused = fleet.refused("elbv2", "create_load_balancer", Name="lb", Subnets=subnets)
    assert refused == ("InvalidSubnet", f"VPC {fleet.vpc} has no internet gateway")
    made = fleet.client("elbv2").create_load_balancer(Name="lb", Subnets=subnets, Scheme="internal")
    assert made["LoadBalancers"][0]["Scheme"] == "internal"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (
            {"logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/app"}}},
            "There is a connection issue between the task and Amazon CloudWatch.",
        ),
        (
            {"secrets": [{"name": "KEY", "valueFrom": "key"}]},
            "The task cannot pull secrets from AWS Systems Manager Parameter Store.",
        ),
        (
            {"secrets": [{"name": "KEY", "valueFrom": "arn:aws:secretsmanager:{}:123456789012:secret:a-B"}]},
            "The task cannot pull secrets from AWS Secrets Manager.",
        ),
    ],
)
def test_a_task_behind_endpoints_for_its_image_alone_gets_nothing_else(
    fleet: Fleet, settings: dict[str, Any], reason: str
) -> None:
    table, groups = _own_table(fleet), [_open_group(fleet, 443)]
    _endpoint(fleet, "s3", "Gateway", RouteTableIds=[table])
    for service in ("ecr.api", "ecr.dkr"):
        _endpoint(fleet, service, "Interface", SubnetIds=fleet.subnets[:1], SecurityGroupIds=groups)
    fleet.tick(600)
    for secret in settings.get("secrets", []):
        secret["valueFrom"] = secret["valueFrom"].format(fleet.region)
    image = f"123456789012.dkr.ecr.{fleet.region}.amazonaws.com/web:v1"
    network = {"subnets": fleet.subnets[:1], "securityGroups": [fleet.back]}
    fleet.create(
        taskDefinition=fleet.definition(container(image, **settings)),
        networkConfiguration={"awsvpcConfiguration": network},
    )
    fleet.until(lambda: [each for each in fleet.tasks("STOPPED") if each["lastStatus"] == "STOPPED"])
    assert reason in fleet.tasks("STOPPED")[0]["stoppedReason"]


def test_a_load_balancer_lets_in_from_inside_whom_both_sides_groups_do(fleet: Fleet) -> None:
    listener = fleet.listener(8080, forward({fleet.blue: 1}))
    place = _place(fleet, 0)
    doors = fleet.world.elb.inside(place)
    assert {address.rpartition(":")[2] for address in doors} == {"8080"}
    assert len(doors) == len(fleet.subnets)
    rule = {"IpProtocol": "tcp", "FromPort": 8080, "ToPort": 8080, "IpRanges": [{"CidrIp": "10.20.0.0/16"}]}
    fleet.client("ec2").revoke_security_group_ingress(GroupId=fleet.front, IpPermissions=[rule])
    assert fleet.world.elb.inside(place) == {}
    assert listener
