"""What all that EC2 keeps has in common: found by the stack's tags, one call for a whole type; removed by its id."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from bgdeploy.aws import (
    ADDRESS_TAG,
    STACK_TAG,
    Attrs,
    Aws,
    absent,
    error_code,
    retry,
    tag_list,
    tag_map,
    wait_until,
)
from bgdeploy.provision.resource import TAGS, Look, Remains, Resource
from bgdeploy.resources.election import elect, elected

# A load balancer's network interfaces outlive it by some minutes; until then its neighbours cannot go (aws-facts 7.4).
DRAINING_PATIENCE = 900.0
_GONE = {"deleting", "deleted", "failed"}


@dataclass(frozen=True)
class Type:
    """One type of thing in EC2."""

    prefix: str  # of its ids
    label: str  # what tags call it
    what: str  # describe_<what>
    key: str  # of the answer, and of each thing its id
    ident: str
    delete: Callable[[Aws, str], None]
    filters: str = "Filters"  # what the call names its filters


def tagged(look: Look, kind: Type) -> list[Attrs]:
    """Return everything of one type that carries the stack's tag: one call for all resources of the type."""

    def ask() -> list[Attrs]:
        call = getattr(look.aws.client("ec2"), f"describe_{kind.what}")
        filters = [{"Name": f"tag:{STACK_TAG}", "Values": [look.aws.stack]}]
        answer = call(**{kind.filters: filters})[kind.key]
        found = [{**each, TAGS: tag_map(each.get("Tags"))} for each in answer]
        return [each for each in found if str(each.get("State", "")).lower() not in _GONE]

    found: list[Attrs] = look.once(kind, ask)
    return found


def mine(resource: Resource, look: Look, kind: Type, bucket: str = "") -> Attrs | None:
    """Return what carries the resource's address; of several, which a lost answer may leave, the one that counts."""
    there = tagged(look, kind)
    ours = [each for each in there if each[TAGS].get(ADDRESS_TAG) == resource.address]
    # Its name tells too, when somebody has taken the address from it.
    ours = ours or [each for each in there if _name(each) == resource.name]
    found = {each[kind.ident]: each for each in ours}
    if len(found) > 1 and bucket:
        counts = look.once((kind, resource.address), lambda: elected(look.aws, bucket, resource.address))
        if counts in found:
            return found[counts]
    return found[min(found)] if found else None


def _name(found: Attrs) -> str | None:
    """Return the name of what has one of its own, or of what has no address."""
    name: str | None = found.get("GroupName")
    return name or (None if ADDRESS_TAG in found[TAGS] else found[TAGS].get("Name"))


def settle(resource: Resource, aws: Aws, kind: Type, bucket: str, made: Attrs) -> Attrs:
    """Return what counts: `made`, unless somebody else was faster; then `made` is removed again."""
    others: dict[str, Attrs] = {}

    def lives(ident: str) -> bool:
        others.update({each[kind.ident]: each for each in tagged(Look(aws), kind)})
        return ident in others

    counts = elect(aws, bucket, resource.address, made[kind.ident], lives)
    if counts == made[kind.ident]:
        return made
    kind.delete(aws, made[kind.ident])
    return others[counts]


def specification(resource: Resource, aws: Aws, kind: Type) -> list[dict[str, Any]]:
    """Return the TagSpecifications that `resource` is made with."""
    return [{"ResourceType": kind.label, "Tags": tag_list(resource.tags(aws))}]


def retag(aws: Aws, ident: str, tags: Mapping[str, str]) -> None:
    """Put `tags` on what has this id."""
    aws.client("ec2").create_tags(Resources=[ident], Tags=tag_list(tags))


def forgotten(look: Look, declared: Collection[Resource], bucket: str) -> list[Remains]:
    """Return all that EC2 has of the stack and that is not what any of `declared` stands for."""
    ours = [{"Name": "key", "Values": [STACK_TAG]}, {"Name": "value", "Values": [look.aws.stack]}]
    tags = look.once("tags", lambda: look.aws.client("ec2").describe_tags(Filters=ours)["Tags"])
    types = {kind.prefix: kind for kind in TYPES}
    found = []
    for ident in dict.fromkeys(tag["ResourceId"] for tag in tags if _prefix(tag["ResourceId"]) in types):
        kind = types[_prefix(ident)]
        actual = next((each for each in tagged(look, kind) if each[kind.ident] == ident), None)
        if actual is not None and not _stands_for(declared, look, kind, actual, bucket):
            address = actual[TAGS].get(ADDRESS_TAG, kind.label)
            found.append(Remains(name=ident, was=address, actual=actual, remove=partial(_remove, kind)))
    if look.for_removal or not _tasks_in(look, [each.actual for each in found]):
        return found
    # Where the tasks stand is a release's to say; until then they need the subnets, and the ways out of them.
    waits = "tasks stand there until the next release moves them; run provision again after it"
    return [replace(each, waits=waits) for each in found]


def _prefix(ident: str) -> str:
    return ident.partition("-")[0]


def _tasks_in(look: Look, things: Sequence[Attrs]) -> bool:
    """Tell whether tasks stand in one of the subnets among `things`."""
    subnets = [each["SubnetId"] for each in things if SUBNET.ident in each and "CidrBlock" in each]
    if not subnets:
        return False

    def ask() -> list[Attrs]:
        filters = [{"Name": "subnet-id", "Values": subnets}]
        found = look.aws.client("ec2").describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
        return list(found)

    # Gateways and endpoints have types of their own, and load balancers say who they are (aws-facts 7.4).
    return any(
        each["InterfaceType"] == "interface" and each.get("RequesterId") != "amazon-elb"
        for each in look.once("interfaces", ask)
    )


def _remove(kind: Type, aws: Aws, actual: Attrs) -> None:
    kind.delete(aws, actual[kind.ident])


def _stands_for(declared: Collection[Resource], look: Look, kind: Type, actual: Attrs, bucket: str) -> bool:
    counting = (mine(resource, look, kind, bucket) for resource in declared)
    return any(counts is not None and counts[kind.ident] == actual[kind.ident] for counts in counting)


# How each type goes


def _in_use(error: Exception) -> bool:
    # An address belongs to AWS itself as long as a NAT gateway has it, even one that is all but gone.
    lent = error_code(error) == "AuthFailure" and "access the specified resource" in str(error)
    return lent or error_code(error) in {"DependencyViolation", "InvalidIPAddress.InUse"}


def _removing(name: str, argument: str, *gone: str) -> Callable[[Aws, str], None]:
    """Return how a type goes that is removed by one call, once nothing uses it any more."""

    def delete(aws: Aws, ident: str) -> None:
        def call() -> None:
            with absent(*gone):
                getattr(aws.client("ec2"), name)(**{argument: ident})

        retry(aws, call, _in_use, DRAINING_PATIENCE)

    return delete


def _delete_internet_gateway(aws: Aws, ident: str) -> None:
    ec2 = aws.client("ec2")

    def call() -> None:
        with absent("InvalidInternetGatewayID.NotFound"):
            found = ec2.describe_internet_gateways(InternetGatewayIds=[ident])["InternetGateways"]
            for attachment in (each for one in found for each in one["Attachments"]):
                with absent("Gateway.NotAttached"):
                    ec2.detach_internet_gateway(InternetGatewayId=ident, VpcId=attachment["VpcId"])
            ec2.delete_internet_gateway(InternetGatewayId=ident)

    retry(aws, call, _in_use, DRAINING_PATIENCE)


def _delete_route_table(aws: Aws, ident: str) -> None:
    ec2 = aws.client("ec2")

    def call() -> None:
        with absent("InvalidRouteTableID.NotFound"):
            found = ec2.describe_route_tables(RouteTableIds=[ident])["RouteTables"]
            for association in (each for one in found for each in one["Associations"]):
                with absent("InvalidAssociationID.NotFound"):
                    ec2.disassociate_route_table(AssociationId=association["RouteTableAssociationId"])
            ec2.delete_route_table(RouteTableId=ident)

    retry(aws, call, _in_use, DRAINING_PATIENCE)


def _delete_nat_gateway(aws: Aws, ident: str) -> None:
    """Remove it and wait until it is gone: its address and its subnet are in use until then."""
    ec2 = aws.client("ec2")

    def gone() -> bool:
        with absent("NatGatewayNotFound"):
            found = ec2.describe_nat_gateways(NatGatewayIds=[ident])["NatGateways"]
            return all(each["State"] == "deleted" for each in found)
        return True

    with absent("NatGatewayNotFound"):
        ec2.delete_nat_gateway(NatGatewayId=ident)
    wait_until(aws, gone, DRAINING_PATIENCE)


def _delete_endpoint(aws: Aws, ident: str) -> None:
    """Remove it and wait until it is gone: its network interfaces keep subnet and security group in use."""
    ec2 = aws.client("ec2")

    def gone() -> bool:
        with absent("InvalidVpcEndpointId.NotFound"):
            found = ec2.describe_vpc_endpoints(VpcEndpointIds=[ident])["VpcEndpoints"]
            return all(each["State"].lower() == "deleted" for each in found)
        return True

    with absent("InvalidVpcEndpointId.NotFound"):
        ec2.delete_vpc_endpoints(VpcEndpointIds=[ident])
    wait_until(aws, gone, DRAINING_PATIENCE)


VPC = Type("vpc", "vpc", "vpcs", "Vpcs", "VpcId", _removing("delete_vpc", "VpcId", "InvalidVpcID.NotFound"))
SUBNET = Type(
    "subnet",
    "subnet",
    "subnets",
    "Subnets",
    "SubnetId",
    _removing("delete_subnet", "SubnetId", "InvalidSubnetID.NotFound"),
)
INTERNET_GATEWAY = Type(
    "igw",
    "internet-gateway",
    "internet_gateways",
    "InternetGateways",
    "InternetGatewayId",
    _delete_internet_gateway,
)
ROUTE_TABLE = Type("rtb", "route-table", "route_tables", "RouteTables", "RouteTableId", _delete_route_table)
SECURITY_GROUP = Type(
    "sg",
    "security-group",
    "security_groups",
    "SecurityGroups",
    "GroupId",
    _removing("delete_security_group", "GroupId", "InvalidGroup.NotFound"),
)
NAT_GATEWAY = Type(
    "nat", "natgateway", "nat_gateways", "NatGateways", "NatGatewayId", _delete_nat_gateway, "Filter"
)
ADDRESS = Type(
    "eipalloc",
    "elastic-ip",
    "addresses",
    "Addresses",
    "AllocationId",
    _removing("release_address", "AllocationId", "InvalidAllocationID.NotFound"),
)
ENDPOINT = Type("vpce", "vpc-endpoint", "vpc_endpoints", "VpcEndpoints", "VpcEndpointId", _delete_endpoint)
TYPES = (VPC, SUBNET, INTERNET_GATEWAY, ROUTE_TABLE, SECURITY_GROUP, NAT_GATEWAY, ADDRESS, ENDPOINT)
