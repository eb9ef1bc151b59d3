"""NAT gateways, VPC endpoints and routes as they come and go, and what stands in the way of their networks' end."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from bgdeploy.sandbox.server import build_world, close_world
from bgdeploy.sandbox.world import Settings, World
from tests.clocks import HandClock

S3, API = "com.amazonaws.{}.s3", "com.amazonaws.{}.ecr.api"
TAGS = [{"Key": "bgdeploy:stack", "Value": "shop-dev"}]
SOON, LATER = 30.0, 300.0  # AWS seconds: before something is done, and after it


@dataclass
class Vpc:
    """A VPC in a region of its own, with a public subnet and a private one; the rest when it is first asked for."""

    world: World
    clock: HandClock
    region: str

    @cached_property
    def ec2(self) -> Any:
        return self.world.client("ec2", region=self.region)

    @cached_property
    def id(self) -> str:
        vpc = str(self.ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"])
        self.ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
        return vpc

    @cached_property
    def zones(self) -> list[str]:
        return [each["ZoneName"] for each in self.ec2.describe_availability_zones()["AvailabilityZones"]]

    def subnet(self, number: int, zone: int = 0) -> str:
        made = self.ec2.create_subnet(
            VpcId=self.id, CidrBlock=f"10.20.{number}.0/24", AvailabilityZone=self.zones[zone]
        )
        return str(made["Subnet"]["SubnetId"])

    @cached_property
    def public(self) -> str:
        return self.subnet(0)

    @cached_property
    def private(self) -> str:
        return self.subnet(1)

    @cached_property
    def internet(self) -> str:
        gateway = str(self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"])
        self.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=self.id)
        return gateway

    @cached_property
    def address(self) -> str:
        return str(self.ec2.allocate_address(Domain="vpc")["AllocationId"])

    @cached_property
    def nat(self) -> str:
        _ = self.internet
        made = self.ec2.create_nat_gateway(SubnetId=self.public, AllocationId=self.address)
        return str(made["NatGateway"]["NatGatewayId"])

    @cached_property
    def table(self) -> str:
        return str(self.ec2.create_route_table(VpcId=self.id)["RouteTable"]["RouteTableId"])

    @cached_property
    def group(self) -> str:
        return str(
            self.ec2.create_security_group(GroupName="endpoints", Description="x", VpcId=self.id)["GroupId"]
        )

    @cached_property
    def gateway(self) -> str:
        """A gateway endpoint for S3 in the route table."""
        return self.endpoint(S3, "Gateway", RouteTableIds=[self.table])

    @cached_property
    def interface(self) -> str:
        """An interface endpoint for ECR in the private subnet."""
        return self.endpoint(
            API, "Interface", SubnetIds=[self.private], SecurityGroupIds=[self.group], PrivateDnsEnabled=True
        )

    def endpoint(self, service: str, kind: str, **settings: Any) -> str:
        made = self.ec2.create_vpc_endpoint(
            VpcId=self.id, ServiceName=service.format(self.region), VpcEndpointType=kind, **settings
        )
        return str(made["VpcEndpoint"]["VpcEndpointId"])

    def wait(self, seconds: float) -> None:
        """Let AWS's time pass, and the engine see it."""
        self.clock.advance(seconds)
        with self.world.lock:
            self.world.network.tick()

    def state(self, ident: str) -> str:
        """Return the state of a NAT gateway or an endpoint."""
        if ident.startswith("nat-"):
            return str(self.ec2.describe_nat_gateways(NatGatewayIds=[ident])["NatGateways"][0]["State"])
        return str(self.ec2.describe_vpc_endpoints(VpcEndpointIds=[ident])["VpcEndpoints"][0]["State"])

    def states(self, ident: str) -> list[str]:
        """Return a thing's state now, soon and later."""
        seen = [self.state(ident)]
        for pause in (SOON, LATER):
            self.wait(pause)
            seen.append(self.state(ident))
        return seen

    def refused(self, operation: str, **params: Any) -> tuple[str, str]:
        with pytest.raises(ClientError) as caught:
            getattr(self.ec2, operation)(**params)
        error = caught.value.response["Error"]
        return error["Code"], error["Message"]

    def routes(self) -> list[dict[str, Any]]:
        found = self.ec2.describe_route_tables(RouteTableIds=[self.table])["RouteTables"][0]["Routes"]
        return [each for each in found if each.get("GatewayId") != "local"]


def _vpcs(home: Path) -> Generator[Vpc, None, None]:
    """Yield VPC after VPC; when the regions of a world are used up, those of another."""
    while True:
        clock = HandClock()
        settings = Settings(home=home, speed=60.0)
        world, _gateway = build_world(settings, "AKIATEST", clock, ("network", "elb"))
        try:
            for region in boto3.Session().get_available_regions("elbv2"):
                yield Vpc(world, clock, region)
        finally:
            close_world(world)
            world.moto.reset()


@pytest.fixture(scope="module")
def vpcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iterator[Vpc]]:
    made = _vpcs(tmp_path_factory.mktemp("sandbox"))
    yield made
    made.close()


@pytest.fixture
def vpc(vpcs: Iterator[Vpc]) -> Vpc:
    return next(vpcs)


# NAT gateways


def test_a_nat_gateway_takes_its_time_to_come(vpc: Vpc) -> None:
    assert vpc.states(vpc.nat) == ["pending", "pending", "available"]


def test_a_nat_gateway_takes_its_time_to_go_and_is_told_of_for_a_while(vpc: Vpc) -> None:
    _ = vpc.nat
    vpc.wait(LATER)
    vpc.ec2.delete_nat_gateway(NatGatewayId=vpc.nat)
    assert vpc.states(vpc.nat) == ["deleting", "deleting", "deleted"]
    vpc.wait(4000)
    assert vpc.refused("describe_nat_gateways", NatGatewayIds=[vpc.nat])[0] == "NatGatewayNotFound"


def test_a_nat_gateway_is_found_by_its_tags_and_its_state(vpc: Vpc) -> None:
    _ = vpc.internet
    tags = [{"ResourceType": "natgateway", "Tags": TAGS}]
    made = vpc.ec2.create_nat_gateway(SubnetId=vpc.public, AllocationId=vpc.address, TagSpecifications=tags)[
        "NatGateway"
    ]["NatGatewayId"]

    def found(**wanted: str) -> list[str]:
        asked = [{"Name": name.replace("_", ":", 1), "Values": [value]} for name, value in wanted.items()]
        told = vpc.ec2.describe_nat_gateways(Filters=asked)["NatGateways"]
        return [each["NatGatewayId"] for each in told]

    stack = {"tag_bgdeploy:stack": "shop-dev"}
    assert found(**stack, state="pending") == [made]
    assert found(**stack, state="available") == []
    assert found(**{"tag_bgdeploy:stack": "another"}) == []
    assert found(**{"vpc-id": "vpc-0", **stack}) == []


def test_the_same_creation_with_the_same_token_is_one_nat_gateway(vpc: Vpc) -> None:
    _ = vpc.internet
    asked = {"SubnetId": vpc.public, "AllocationId": vpc.address, "ClientToken": "again"}
    first, second = (vpc.ec2.create_nat_gateway(**asked)["NatGateway"]["NatGatewayId"] for _ in range(2))
    assert first == second
    assert len(vpc.ec2.describe_nat_gateways()["NatGateways"]) == 1
    other = vpc.refused("create_nat_gateway", **{**asked, "SubnetId": vpc.private})
    assert other[0] == "IdempotentParameterMismatch"


def test_a_nat_gateway_fails_where_there_is_no_internet_gateway(vpc: Vpc) -> None:
    made = vpc.ec2.create_nat_gateway(SubnetId=vpc.public, AllocationId=vpc.address)["NatGateway"]
    vpc.wait(SOON)
    told = vpc.ec2.describe_nat_gateways(NatGatewayIds=[made["NatGatewayId"]])["NatGateways"][0]
    assert made["State"] == "pending"
    assert (told["State"], told["FailureCode"]) == ("failed", "Gateway.NotAttached")
    vpc.ec2.release_address(AllocationId=vpc.address)
    vpc.ec2.delete_subnet(SubnetId=vpc.public)


def test_a_nat_gateway_fails_with_the_address_of_another_one(vpc: Vpc) -> None:
    _ = vpc.nat
    second = vpc.ec2.create_nat_gateway(SubnetId=vpc.private, AllocationId=vpc.address)["NatGateway"]
    vpc.wait(SOON)
    told = vpc.ec2.describe_nat_gateways(NatGatewayIds=[second["NatGatewayId"]])["NatGateways"][0]
    assert (told["State"], told["FailureCode"]) == ("failed", "Resource.AlreadyAssociated")


@pytest.mark.parametrize(
    ("operation", "params", "code"),
    [
        ("create_nat_gateway", {"SubnetId": "subnet-0", "AllocationId": "e"}, "InvalidSubnetID.NotFound"),
        ("delete_nat_gateway", {"NatGatewayId": "nat-0"}, "NatGatewayNotFound"),
        ("describe_nat_gateways", {"NatGatewayIds": ["nat-0"]}, "NatGatewayNotFound"),
        ("describe_vpc_endpoints", {"VpcEndpointIds": ["vpce-0"]}, "InvalidVpcEndpointId.NotFound"),
        ("release_address", {"AllocationId": "eipalloc-0"}, "InvalidAllocationID.NotFound"),
        (
            "describe_network_interfaces",
            {"NetworkInterfaceIds": ["eni-0"]},
            "InvalidNetworkInterfaceID.NotFound",
        ),
        (
            "describe_nat_gateways",
            {"Filters": [{"Name": "colour", "Values": ["x"]}]},
            "InvalidParameterValue",
        ),
    ],
)
def test_what_is_not_there_is_said_to_be_so(
    vpc: Vpc, operation: str, params: dict[str, Any], code: str
) -> None:
    vpc.ec2.describe_vpcs()
    _ = vpc.nat
    assert vpc.refused(operation, **params)[0] == code


# Elastic addresses


def test_the_address_of_a_nat_gateway_stays_until_that_is_gone(vpc: Vpc) -> None:
    _ = vpc.nat
    standing = vpc.refused("release_address", AllocationId=vpc.address)
    vpc.ec2.delete_nat_gateway(NatGatewayId=vpc.nat)
    going = vpc.refused("release_address", AllocationId=vpc.address)
    vpc.wait(LATER)
    vpc.ec2.release_address(AllocationId=vpc.address)

    assert standing == going
    assert standing == ("AuthFailure", "You do not have permission to access the specified resource.")
    assert vpc.refused("describe_addresses", AllocationIds=[vpc.address])[0] == "InvalidAllocationID.NotFound"


def test_the_address_of_a_nat_gateway_cannot_be_taken_from_it(vpc: Vpc) -> None:
    _ = vpc.nat
    association = vpc.ec2.describe_addresses(AllocationIds=[vpc.address])["Addresses"][0]["AssociationId"]
    assert vpc.refused("disassociate_address", AssociationId=association)[0] == "AuthFailure"


def test_an_address_on_an_interface_of_ones_own_is_in_use(vpc: Vpc) -> None:
    made = vpc.ec2.create_network_interface(SubnetId=vpc.private)["NetworkInterface"]
    vpc.ec2.associate_address(AllocationId=vpc.address, NetworkInterfaceId=made["NetworkInterfaceId"])
    assert vpc.refused("release_address", AllocationId=vpc.address)[0] == "InvalidIPAddress.InUse"


# Routes


def test_a_route_leads_to_a_nat_gateway_that_there_is(vpc: Vpc) -> None:
    route = {"RouteTableId": vpc.table, "DestinationCidrBlock": "0.0.0.0/0"}
    missing = vpc.refused("create_route", **route, NatGatewayId="nat-0")
    vpc.ec2.create_route(**route, NatGatewayId=vpc.nat)
    active = vpc.routes()
    vpc.ec2.delete_nat_gateway(NatGatewayId=vpc.nat)

    assert missing == ("InvalidNatGatewayID.NotFound", "The natGateway ID 'nat-0' does not exist")
    assert [(each["NatGatewayId"], each["State"]) for each in active] == [(vpc.nat, "active")]
    assert [each["State"] for each in vpc.routes()] == ["blackhole"]
    assert vpc.refused("replace_route", **route, NatGatewayId=vpc.nat)[0] == "InvalidNatGatewayID.NotFound"


def test_a_route_leads_to_an_internet_gateway_of_the_same_network(vpc: Vpc) -> None:
    gateway = vpc.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    route = {"RouteTableId": vpc.table, "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": gateway}
    detached = vpc.refused("create_route", **route)
    vpc.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc.id)
    vpc.ec2.create_route(**route)
    attached = vpc.routes()
    vpc.ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc.id)

    assert detached[0] == "InvalidParameterValue"
    assert [each["State"] for each in attached + vpc.routes()] == ["active", "blackhole"]


def test_a_subnet_has_one_route_table(vpc: Vpc) -> None:
    other = vpc.ec2.create_route_table(VpcId=vpc.id)["RouteTable"]["RouteTableId"]
    vpc.ec2.associate_route_table(RouteTableId=vpc.table, SubnetId=vpc.private)
    refused = vpc.refused("associate_route_table", RouteTableId=other, SubnetId=vpc.private)
    assert refused[0] == "Resource.AlreadyAssociated"


def test_the_same_creation_with_the_same_token_is_one_route_table(vpc: Vpc) -> None:
    made = [
        vpc.ec2.create_route_table(VpcId=vpc.id, ClientToken="again")["RouteTable"]["RouteTableId"]
        for _ in range(2)
    ]
    assert made[0] == made[1]


def test_a_vpc_has_one_internet_gateway(vpc: Vpc) -> None:
    _ = vpc.internet
    second = vpc.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    refused = vpc.refused("attach_internet_gateway", InternetGatewayId=second, VpcId=vpc.id)
    again = vpc.refused("attach_internet_gateway", InternetGatewayId=vpc.internet, VpcId=vpc.id)
    assert refused == ("InvalidParameterValue", f"Network {vpc.id} already has an internet gateway attached")
    assert again[0] == "Resource.AlreadyAssociated"


# Endpoints


def test_a_gateway_endpoint_is_there_at_once_and_is_a_route(vpc: Vpc) -> None:
    assert vpc.state(vpc.gateway) == "available"
    assert [each["GatewayId"] for each in vpc.routes()] == [vpc.gateway]
    assert vpc.routes()[0]["DestinationPrefixListId"].startswith("pl-")
    vpc.ec2.delete_vpc_endpoints(VpcEndpointIds=[vpc.gateway])
    assert vpc.routes() == []
    assert vpc.ec2.describe_vpc_endpoints()["VpcEndpoints"] == []


def test_a_gateway_endpoint_follows_its_route_tables(vpc: Vpc) -> None:
    other = vpc.ec2.create_route_table(VpcId=vpc.id)["RouteTable"]["RouteTableId"]
    vpc.ec2.modify_vpc_endpoint(
        VpcEndpointId=vpc.gateway, AddRouteTableIds=[other], RemoveRouteTableIds=[vpc.table]
    )
    told = vpc.ec2.describe_vpc_endpoints(VpcEndpointIds=[vpc.gateway])["VpcEndpoints"][0]
    tables = vpc.ec2.describe_route_tables(RouteTableIds=[other])["RouteTables"]
    assert told["RouteTableIds"] == [other]
    assert vpc.routes() == []
    assert vpc.gateway in [route.get("GatewayId") for route in tables[0]["Routes"]]
    vpc.ec2.delete_vpc_endpoints(VpcEndpointIds=[vpc.gateway])


def test_an_interface_endpoint_takes_its_time_to_come_and_to_go(vpc: Vpc) -> None:
    assert vpc.states(vpc.interface) == ["pending", "pending", "available"]
    vpc.ec2.delete_vpc_endpoints(VpcEndpointIds=[vpc.interface])
    going = vpc.state(vpc.interface)
    vpc.wait(LATER)
    assert going == "deleting"
    assert vpc.refused("describe_vpc_endpoints", VpcEndpointIds=[vpc.interface])[0] == (
        "InvalidVpcEndpointId.NotFound"
    )


def test_an_interface_endpoint_stands_in_its_subnets_with_its_groups(vpc: Vpc) -> None:
    second = vpc.subnet(2, zone=1)
    vpc.ec2.modify_vpc_endpoint(VpcEndpointId=vpc.interface, AddSubnetIds=[second])
    told = vpc.ec2.describe_vpc_endpoints(VpcEndpointIds=[vpc.interface])["VpcEndpoints"][0]
    found = vpc.ec2.describe_network_interfaces(NetworkInterfaceIds=told["NetworkInterfaceIds"])
    interfaces = found["NetworkInterfaces"]
    assert {each["SubnetId"] for each in interfaces} == {vpc.private, second} == set(told["SubnetIds"])
    assert {each["Groups"][0]["GroupId"] for each in interfaces} == {vpc.group}
    assert {each["InterfaceType"] for each in interfaces} == {"vpc_endpoint"}
    assert told["PrivateDnsEnabled"] is True
    assert told["DnsEntries"]


def test_an_endpoint_without_a_group_has_its_vpcs_default_one(vpc: Vpc) -> None:
    made = vpc.endpoint(API, "Interface", SubnetIds=[vpc.private])
    groups = vpc.ec2.describe_vpc_endpoints(VpcEndpointIds=[made])["VpcEndpoints"][0]["Groups"]
    assert [group["GroupName"] for group in groups] == ["default"]


def test_an_endpoint_is_found_by_its_tags_service_and_network(vpc: Vpc) -> None:
    tags = [{"ResourceType": "vpc-endpoint", "Tags": TAGS}]
    made = vpc.endpoint(S3, "Gateway", RouteTableIds=[vpc.table], TagSpecifications=tags)
    _ = vpc.interface

    def found(name: str, value: str) -> list[str]:
        told = vpc.ec2.describe_vpc_endpoints(Filters=[{"Name": name, "Values": [value]}])
        return [each["VpcEndpointId"] for each in told["VpcEndpoints"]]

    assert found("tag:bgdeploy:stack", "shop-*") == [made]
    assert found("service-name", S3.format(vpc.region)) == [made]
    assert found("vpc-endpoint-state", "pending") == [vpc.interface]
    assert sorted(found("vpc-id", vpc.id)) == sorted([made, vpc.interface])


def test_deleting_an_endpoint_that_is_not_there_is_told_without_an_error(vpc: Vpc) -> None:
    told = vpc.ec2.delete_vpc_endpoints(VpcEndpointIds=["vpce-0", vpc.gateway])["Unsuccessful"]
    assert [(each["ResourceId"], each["Error"]["Code"]) for each in told] == [
        ("vpce-0", "InvalidVpcEndpoint.NotFound")
    ]


def _second(vpc: Vpc, service: str, kind: str, **settings: Any) -> tuple[str, str]:
    """Return how an endpoint beside the two of `vpc` is refused."""
    _ = vpc.gateway, vpc.interface
    return vpc.refused(
        "create_vpc_endpoint",
        VpcId=vpc.id,
        ServiceName=service.format(vpc.region),
        VpcEndpointType=kind,
        **settings,
    )


def test_a_route_table_has_one_gateway_for_a_service(vpc: Vpc) -> None:
    assert _second(vpc, S3, "Gateway", RouteTableIds=[vpc.table])[0] == "RouteAlreadyExists"


def test_a_network_has_one_private_name_for_a_service(vpc: Vpc) -> None:
    code, message = _second(vpc, API, "Interface", SubnetIds=[vpc.private])
    assert code == "InvalidParameter"
    assert f"conflicting DNS domain for api.ecr.{vpc.region}.amazonaws.com in the VPC {vpc.id}" in message


def test_an_endpoint_stands_in_one_subnet_of_a_zone(vpc: Vpc) -> None:
    subnets = [vpc.private, vpc.public]
    code, _ = _second(vpc, "com.amazonaws.{}.logs", "Interface", SubnetIds=subnets)
    assert code == "DuplicateSubnetsInSameZone"


def test_an_endpoint_is_of_a_type_that_its_service_has(vpc: Vpc) -> None:
    code, message = _second(vpc, API, "Gateway", RouteTableIds=[vpc.table])
    assert code == "InvalidParameter"
    assert message == "Endpoint type (Gateway) does not match available service types ([Interface])."


def test_an_endpoint_is_of_a_service_that_there_is(vpc: Vpc) -> None:
    assert _second(vpc, "com.amazonaws.{}.nothing", "Interface")[0] == "InvalidServiceName"


def test_private_names_need_a_network_with_host_names(vpc: Vpc) -> None:
    vpc.ec2.modify_vpc_attribute(VpcId=vpc.id, EnableDnsHostnames={"Value": False})
    code, message = vpc.refused(
        "create_vpc_endpoint",
        VpcId=vpc.id,
        ServiceName=API.format(vpc.region),
        VpcEndpointType="Interface",
        SubnetIds=[vpc.private],
    )
    assert code == "InvalidParameter"
    assert message.startswith("Enabling private DNS requires both enableDnsSupport and enableDnsHostnames")


# What stands in the way


def test_a_nat_gateway_keeps_its_subnet_and_the_internet_gateway_until_it_is_gone(vpc: Vpc) -> None:
    detach = {"InternetGatewayId": vpc.internet, "VpcId": vpc.id}
    _ = vpc.nat
    vpc.ec2.delete_nat_gateway(NatGatewayId=vpc.nat)
    subnet = vpc.refused("delete_subnet", SubnetId=vpc.public)
    gateway = vpc.refused("detach_internet_gateway", **detach)
    vpc.wait(LATER)
    vpc.ec2.delete_subnet(SubnetId=vpc.public)
    vpc.ec2.detach_internet_gateway(**detach)

    assert subnet == (
        "DependencyViolation",
        f"The subnet '{vpc.public}' has dependencies and cannot be deleted.",
    )
    assert gateway[0] == "DependencyViolation"
    assert gateway[1].startswith(f"Network {vpc.id} has some mapped public address(es).")
    assert vpc.ec2.describe_network_interfaces()["NetworkInterfaces"] == []


def test_a_nat_gateway_stands_in_its_subnet(vpc: Vpc) -> None:
    _ = vpc.nat
    found = vpc.ec2.describe_network_interfaces()["NetworkInterfaces"]
    assert [(each["SubnetId"], each["InterfaceType"], each["Description"]) for each in found] == [
        (vpc.public, "nat_gateway", f"Interface for NAT Gateway {vpc.nat}")
    ]


def test_an_interface_endpoint_keeps_its_subnet_and_its_group_until_it_is_gone(vpc: Vpc) -> None:
    _ = vpc.interface
    vpc.ec2.delete_vpc_endpoints(VpcEndpointIds=[vpc.interface])
    subnet = vpc.refused("delete_subnet", SubnetId=vpc.private)
    group = vpc.refused("delete_security_group", GroupId=vpc.group)
    vpc.wait(LATER)
    vpc.ec2.delete_subnet(SubnetId=vpc.private)
    vpc.ec2.delete_security_group(GroupId=vpc.group)

    assert subnet[0] == "DependencyViolation"
    assert group == ("DependencyViolation", f"resource {vpc.group} has a dependent object")


def test_a_load_balancer_that_faces_the_internet_keeps_the_internet_gateway(vpc: Vpc) -> None:
    elbv2 = vpc.world.client("elbv2", region=vpc.region)
    detach = {"InternetGatewayId": vpc.internet, "VpcId": vpc.id}
    subnets = [vpc.public, vpc.subnet(2, zone=1)]
    made = elbv2.create_load_balancer(Name="front", Subnets=subnets)["LoadBalancers"][0]
    described = vpc.ec2.describe_network_interfaces(
        Filters=[{"Name": "description", "Values": ["ELB app/front/*"]}]
    )["NetworkInterfaces"]
    standing = vpc.refused("detach_internet_gateway", **detach)
    elbv2.delete_load_balancer(LoadBalancerArn=made["LoadBalancerArn"])
    vpc.wait(LATER)
    vpc.ec2.detach_internet_gateway(**detach)

    assert standing[0] == "DependencyViolation"
    assert [each["SubnetId"] for each in described] == subnets
    assert {each["RequesterId"] for each in described} == {"amazon-elb"}


def test_an_internal_load_balancer_does_not(vpc: Vpc) -> None:
    detach = {"InternetGatewayId": vpc.internet, "VpcId": vpc.id}
    elbv2 = vpc.world.client("elbv2", region=vpc.region)
    subnets = [vpc.public, vpc.subnet(2, zone=1)]
    elbv2.create_load_balancer(Name="inside", Subnets=subnets, Scheme="internal")
    vpc.ec2.detach_internet_gateway(**detach)


def test_a_vpc_goes_last(vpc: Vpc) -> None:
    refused = ("DependencyViolation", f"The vpc '{vpc.id}' has dependencies and cannot be deleted.")
    _ = vpc.internet, vpc.group, vpc.private
    assert vpc.refused("delete_vpc", VpcId=vpc.id) == refused
    vpc.ec2.delete_subnet(SubnetId=vpc.private)
    assert vpc.refused("delete_vpc", VpcId=vpc.id) == refused
    vpc.ec2.delete_security_group(GroupId=vpc.group)
    assert vpc.refused("delete_vpc", VpcId=vpc.id) == refused
    vpc.ec2.detach_internet_gateway(InternetGatewayId=vpc.internet, VpcId=vpc.id)
    vpc.ec2.delete_vpc(VpcId=vpc.id)


def test_a_vpc_stays_while_it_has_an_endpoint(vpc: Vpc) -> None:
    made = vpc.endpoint(S3, "Gateway")
    refused = vpc.refused("delete_vpc", VpcId=vpc.id)
    vpc.ec2.delete_vpc_endpoints(VpcEndpointIds=[made])
    vpc.ec2.delete_vpc(VpcId=vpc.id)
    assert refused[0] == "DependencyViolation"
