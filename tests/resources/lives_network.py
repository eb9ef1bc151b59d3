"""How a network, and who may talk to whom in it, are changed behind our back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bgdeploy import config as c
from bgdeploy.aws import tag_list
from bgdeploy.resources.endpoints import Endpoint
from bgdeploy.resources.network import Subnet, Vpc
from bgdeploy.resources.routing import Address, InternetGateway, NatGateway, RouteTable
from bgdeploy.resources.security import SecurityGroup
from bgdeploy.sandbox.world import World
from tests.resources.life import Deed, Life, Tags, nothing
from tests.resources.near import Scene

_IDS = {
    Vpc: "VpcId",
    Subnet: "SubnetId",
    InternetGateway: "InternetGatewayId",
    RouteTable: "RouteTableId",
    SecurityGroup: "GroupId",
    Address: "AllocationId",
    NatGateway: "NatGatewayId",
    Endpoint: "VpcEndpointId",
}
_TAGS = Tags(
    lambda scene, tags: scene("ec2").create_tags(Resources=[_id(scene)], Tags=tag_list(tags)),
    lambda scene, key: scene("ec2").delete_tags(Resources=[_id(scene)], Tags=[{"Key": key}]),
)


def _id(scene: Scene) -> str:
    return str(scene.born[_IDS[type(scene.resource)]])


def _private(way: str) -> Callable[[World], Mapping[str, Any]]:
    return lambda world: {"network": c.Network(create=c.CreateNetwork(private=way))}  # type: ignore[arg-type]


def _no_host_names(scene: Scene) -> None:
    scene("ec2").modify_vpc_attribute(VpcId=_id(scene), EnableDnsHostnames={"Value": False})


# Ways out


def _lose_gateway(scene: Scene) -> None:
    vpc = scene.needed(Vpc)["VpcId"]
    scene("ec2").detach_internet_gateway(InternetGatewayId=_id(scene), VpcId=vpc)


def _move_gateway(scene: Scene) -> None:
    _lose_gateway(scene)
    other = scene("ec2").create_vpc(CidrBlock="10.99.0.0/16")["Vpc"]["VpcId"]
    scene("ec2").attach_internet_gateway(InternetGatewayId=_id(scene), VpcId=other)


def _route(call: str) -> Deed:
    """Have the default route lead through a NAT gateway, which a route holds under another name."""

    def lead(scene: Scene) -> None:
        ec2, subnet = scene("ec2"), sorted(scene.actual["Subnets"])[0]
        address = ec2.allocate_address(Domain="vpc")["AllocationId"]
        nat = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)["NatGateway"]["NatGatewayId"]
        route = {"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": nat}
        getattr(ec2, call)(RouteTableId=_id(scene), **route)

    return lead


def _drop_route(scene: Scene) -> None:
    scene("ec2").delete_route(RouteTableId=_id(scene), DestinationCidrBlock="0.0.0.0/0")


def _association(scene: Scene) -> str:
    found = scene.actual["Associations"]
    return next(str(each["RouteTableAssociationId"]) for each in found if "SubnetId" in each)


def _let_subnet_go(scene: Scene) -> None:
    scene("ec2").disassociate_route_table(AssociationId=_association(scene))


def _take_subnet_away(scene: Scene) -> None:
    """Have a subnet take another route table."""
    ec2, vpc = scene("ec2"), scene.needed(Vpc)["VpcId"]
    other = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.replace_route_table_association(AssociationId=_association(scene), RouteTableId=other)


def _give_subnet(scene: Scene) -> None:
    """Have a subnet of somebody else's take the table."""
    ec2, vpc = scene("ec2"), scene.needed(Vpc)["VpcId"]
    other = ec2.create_subnet(VpcId=vpc, CidrBlock="10.20.240.0/20")["Subnet"]["SubnetId"]
    ec2.associate_route_table(RouteTableId=_id(scene), SubnetId=other)


_SUBNETS = (("Subnets", _let_subnet_go), ("Subnets", _take_subnet_away), ("Subnets", _give_subnet))


# Somebody who was killed right after making it has left it behind, not available yet


def _tagged(scene: Scene, kind: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": tag_list(scene.resource.tags(scene.aws))}]


def _gateway_still_comes(scene: Scene) -> None:
    ec2, old = scene("ec2"), scene.actual
    ec2.delete_nat_gateway(NatGatewayId=old["NatGatewayId"])
    scene.aws.clock.sleep(120)
    place = {key: old[key] for key in ("SubnetId", "AllocationId")}
    ec2.create_nat_gateway(**place, TagSpecifications=_tagged(scene, "natgateway"))
    scene.born = scene.actual


def _endpoint_still_comes(scene: Scene) -> None:
    ec2, old = scene("ec2"), scene.actual
    ec2.delete_vpc_endpoints(VpcEndpointIds=[old["VpcEndpointId"]])
    scene.aws.clock.sleep(120)
    ec2.create_vpc_endpoint(
        **{key: old[key] for key in ("VpcId", "ServiceName", "VpcEndpointType", "PrivateDnsEnabled")},
        SubnetIds=sorted(old["SubnetIds"]),
        SecurityGroupIds=sorted(old["Groups"]),
        TagSpecifications=_tagged(scene, "vpc-endpoint"),
    )
    scene.born = scene.actual


# Endpoints


def _endpoint(**changed: Any) -> Deed:
    return lambda scene: scene("ec2").modify_vpc_endpoint(VpcEndpointId=_id(scene), **changed)


def _less(field: str, argument: str) -> Deed:
    """Take one of several from an endpoint."""
    return lambda scene: _endpoint(**{argument: sorted(scene.actual[field])[:1]})(scene)


def _more_groups(scene: Scene) -> None:
    vpc = scene.needed(Vpc)["VpcId"]
    made = scene("ec2").create_security_group(GroupName="theirs", Description="theirs", VpcId=vpc)
    _endpoint(AddSecurityGroupIds=[made["GroupId"]])(scene)


# Security groups


def _allow(way: str, **permission: Any) -> Deed:
    return lambda scene: getattr(scene("ec2"), f"authorize_security_group_{way}")(
        GroupId=_id(scene), IpPermissions=[permission]
    )


def _revoke_all(way: str) -> Deed:
    def revoke(scene: Scene) -> None:
        key = "IpPermissions" if way == "ingress" else "IpPermissionsEgress"
        call = getattr(scene("ec2"), f"revoke_security_group_{way}")
        call(GroupId=_id(scene), IpPermissions=scene.actual[key])

    return revoke


def _rules(way: str) -> tuple[Deed, ...]:
    """Return the ways to add rules of every kind, and to remove ours."""
    everywhere = [{"CidrIp": "198.51.100.0/24"}]
    secure = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}
    return (
        _revoke_all(way),
        _allow(way, IpProtocol="tcp", FromPort=22, ToPort=22, IpRanges=everywhere),
        _allow(way, IpProtocol="tcp", FromPort=8000, ToPort=9000, IpRanges=everywhere),
        _allow(way, IpProtocol="udp", FromPort=53, ToPort=53, IpRanges=everywhere),
        _allow(way, IpProtocol="icmp", FromPort=8, ToPort=-1, IpRanges=everywhere),
        _allow(way, IpProtocol="-1", IpRanges=everywhere),
        _six(way),
        lambda scene: _allow(way, **secure, PrefixListIds=[{"PrefixListId": _prefix_list(scene)}])(scene),
        lambda scene: _allow(way, **secure, UserIdGroupPairs=[{"GroupId": _id(scene)}])(scene),
    )


def _six(way: str) -> Deed:
    """Give the VPC IPv6, and let it through."""

    def allow(scene: Scene) -> None:
        vpc = scene.needed(Vpc)
        if not vpc.get("Ipv6CidrBlockAssociationSet"):
            scene("ec2").associate_vpc_cidr_block(VpcId=vpc["VpcId"], AmazonProvidedIpv6CidrBlock=True)
        everywhere = [{"CidrIpv6": "::/0"}]
        _allow(way, IpProtocol="tcp", FromPort=443, ToPort=443, Ipv6Ranges=everywhere)(scene)

    return allow


def _prefix_list(scene: Scene) -> str:
    made = scene("ec2").create_managed_prefix_list(
        PrefixListName="offices", MaxEntries=1, AddressFamily="IPv4", Entries=[{"Cidr": "198.51.100.0/24"}]
    )
    return str(made["PrefixList"]["PrefixListId"])


LIVES = (
    Life(Vpc, _TAGS, nameless=True),
    Life(
        Vpc,
        _TAGS,
        (("EnableDnsHostnames", _no_host_names),),
        nameless=True,
        config=_private("endpoints"),
        what="with endpoints",
    ),
    Life(Subnet, _TAGS, moves=(("AvailabilityZone", nothing),), nameless=True),
    Life(InternetGateway, _TAGS, (("VpcId", _lose_gateway), ("VpcId", _move_gateway)), nameless=True),
    Life(
        RouteTable,
        _TAGS,
        (("DefaultRoute", _drop_route), ("DefaultRoute", _route("replace_route")), *_SUBNETS),
        nameless=True,
    ),
    Life(
        RouteTable,
        _TAGS,
        (("DefaultRoute", _drop_route), *_SUBNETS),
        nameless=True,
        label="private",
        config=_private("nat"),
        what="to a NAT gateway",
    ),
    Life(
        RouteTable,
        _TAGS,
        (("DefaultRoute", _route("create_route")), *_SUBNETS),
        nameless=True,
        label="private",
        config=_private("endpoints"),
        what="to nowhere",
    ),
    Life(Address, _TAGS, nameless=True, config=_private("nat")),
    Life(NatGateway, _TAGS, (("State", _gateway_still_comes),), nameless=True, config=_private("nat")),
    Life(
        Endpoint,
        _TAGS,
        (
            ("PrivateDnsEnabled", _endpoint(PrivateDnsEnabled=False)),
            ("SubnetIds", _less("SubnetIds", "RemoveSubnetIds")),
            ("Groups", _more_groups),
            ("State", _endpoint_still_comes),
        ),
        nameless=True,
        label="logs",
        config=_private("endpoints"),
    ),
    Life(
        Endpoint,
        _TAGS,
        (("RouteTableIds", _less("RouteTableIds", "RemoveRouteTableIds")),),
        at_once=frozenset({"State"}),
        nameless=True,
        label="s3",
        config=_private("endpoints"),
        what="as a route",
    ),
    Life(
        SecurityGroup,
        _TAGS,
        (
            *(("Ingress", deed) for deed in _rules("ingress")),
            *(("Egress", deed) for deed in _rules("egress")),
        ),
    ),
)
