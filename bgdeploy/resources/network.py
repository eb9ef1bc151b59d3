"""The network: a VPC with public subnets in two zones, and who may talk to whom."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from bgdeploy.aws import Attrs, Aws, absent
from bgdeploy.provision.resource import Known, Look, Resource
from bgdeploy.resources import ec2
from bgdeploy.resources.storage import Bucket

ANYWHERE = "0.0.0.0/0"


@dataclass(frozen=True, eq=False, kw_only=True)
class Vpc(Resource):
    """The network that everything else stands in."""

    kind = "vpc"
    immutable = frozenset({"CidrBlock"})
    cidr: str
    bucket: Bucket  # where it is written which VPC counts

    def desired(self, known: Known) -> Attrs:
        return {"CidrBlock": self.cidr}

    def find(self, look: Look) -> Attrs | None:
        return ec2.mine(self, look, ec2.VPC, self.bucket.name)

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        made = aws.client("ec2").create_vpc(
            **desired, TagSpecifications=ec2.specification(self, aws, ec2.VPC)
        )["Vpc"]
        return ec2.settle(self, aws, ec2.VPC, self.bucket.name, dict(made))

    def retag(self, aws: Aws, actual: Attrs, tags: Mapping[str, str]) -> None:
        ec2.retag(aws, actual["VpcId"], tags)

    def delete(self, aws: Aws, actual: Attrs) -> None:
        ec2.VPC.delete(aws, actual["VpcId"])


def zones(aws: Aws) -> list[str]:
    """Return the zones of the region that can be used, by name."""
    found = aws.client("ec2").describe_availability_zones()["AvailabilityZones"]
    return sorted(zone["ZoneName"] for zone in found if zone.get("State") == "available")


@dataclass(frozen=True, eq=False, kw_only=True)
class Subnet(Resource):
    """One of the public subnets; each stands in a zone of its own."""

    kind = "subnet"
    immutable = frozenset({"CidrBlock", "VpcId"})
    # Chosen at creation from what the region has then; a zone that AWS adds later must not move a subnet.
    create_only = frozenset({"AvailabilityZone"})
    taken = frozenset({"InvalidSubnet.Conflict"})
    vpc: Vpc
    number: int

    @property
    def cidr(self) -> str:
        """The subnet's share of the network: one of sixteen equal parts."""
        return str(list(ipaddress.IPv4Network(self.vpc.cidr).subnets(prefixlen_diff=4))[self.number])

    def desired(self, known: Known) -> Attrs:
        return {"CidrBlock": self.cidr, "VpcId": known[self.vpc]["VpcId"], "AvailabilityZone": None}

    def find(self, look: Look) -> Attrs | None:
        return ec2.mine(self, look, ec2.SUBNET)

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        asked = {**desired, "AvailabilityZone": zones(aws)[self.number]}
        made = aws.client("ec2").create_subnet(
            **asked, TagSpecifications=ec2.specification(self, aws, ec2.SUBNET)
        )
        return dict(made["Subnet"])

    def retag(self, aws: Aws, actual: Attrs, tags: Mapping[str, str]) -> None:
        ec2.retag(aws, actual["SubnetId"], tags)

    def delete(self, aws: Aws, actual: Attrs) -> None:
        ec2.SUBNET.delete(aws, actual["SubnetId"])


@dataclass(frozen=True, eq=False, kw_only=True)
class InternetGateway(Resource):
    """The way out of the network."""

    kind = "internet-gateway"
    vpc: Vpc

    def desired(self, known: Known) -> Attrs:
        return {"VpcId": known[self.vpc]["VpcId"]}

    def find(self, look: Look) -> Attrs | None:
        found = ec2.mine(self, look, ec2.INTERNET_GATEWAY, self.vpc.bucket.name)
        attached = (each["VpcId"] for each in (found or {}).get("Attachments", []))
        return found and {**found, "VpcId": next(attached, None)}

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        tags = ec2.specification(self, aws, ec2.INTERNET_GATEWAY)
        made = aws.client("ec2").create_internet_gateway(TagSpecifications=tags)["InternetGateway"]
        counts = ec2.settle(self, aws, ec2.INTERNET_GATEWAY, self.vpc.bucket.name, dict(made))
        return {**counts, **self.update(aws, {**counts, "VpcId": None}, desired)}

    def update(self, aws: Aws, actual: Attrs, changed: Attrs) -> Attrs:
        ident = actual["InternetGatewayId"]
        if actual["VpcId"]:
            aws.client("ec2").detach_internet_gateway(InternetGatewayId=ident, VpcId=actual["VpcId"])
        with absent("Resource.AlreadyAssociated"):  # by somebody who provisions the same stack
            aws.client("ec2").attach_internet_gateway(InternetGatewayId=ident, **changed)
        return changed

    def retag(self, aws: Aws, actual: Attrs, tags: Mapping[str, str]) -> None:
        ec2.retag(aws, actual["InternetGatewayId"], tags)

    def delete(self, aws: Aws, actual: Attrs) -> None:
        ec2.INTERNET_GATEWAY.delete(aws, actual["InternetGatewayId"])


@dataclass(frozen=True, eq=False, kw_only=True)
class RouteTable(Resource):
    """The route to the internet, and the subnets that take it."""

    kind = "route-table"
    immutable = frozenset({"VpcId"})
    vpc: Vpc
    gateway: InternetGateway
    subnets: tuple[Subnet, ...]

    def desired(self, known: Known) -> Attrs:
        return {
            "VpcId": known[self.vpc]["VpcId"],
            "DefaultRoute": known[self.gateway]["InternetGatewayId"],
            "Subnets": {known[subnet]["SubnetId"] for subnet in self.subnets},
        }

    def find(self, look: Look) -> Attrs | None:
        found = ec2.mine(self, look, ec2.ROUTE_TABLE, self.vpc.bucket.name)
        return found and _described(found)

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        tags = ec2.specification(self, aws, ec2.ROUTE_TABLE)
        made = aws.client("ec2").create_route_table(VpcId=desired["VpcId"], TagSpecifications=tags)[
            "RouteTable"
        ]
        counts = _described(ec2.settle(self, aws, ec2.ROUTE_TABLE, self.vpc.bucket.name, dict(made)))
        return {
            **counts,
            **self.update(aws, counts, {key: desired[key] for key in ("DefaultRoute", "Subnets")}),
        }

    def update(self, aws: Aws, actual: Attrs, changed: Attrs) -> Attrs:
        client, ident = aws.client("ec2"), actual["RouteTableId"]
        if "DefaultRoute" in changed:
            route = {"DestinationCidrBlock": ANYWHERE, "GatewayId": changed["DefaultRoute"]}
            call = client.replace_route if actual["DefaultRoute"] else client.create_route
            with absent("RouteAlreadyExists"):
                call(RouteTableId=ident, **route)
        for subnet in sorted(changed.get("Subnets", set()) - actual["Subnets"]):
            with absent("Resource.AlreadyAssociated"):
                client.associate_route_table(RouteTableId=ident, SubnetId=subnet)
        for each in actual.get("Associations", []):
            if "Subnets" in changed and each.get("SubnetId") in actual["Subnets"] - changed["Subnets"]:
                client.disassociate_route_table(AssociationId=each["RouteTableAssociationId"])
        return changed

    def retag(self, aws: Aws, actual: Attrs, tags: Mapping[str, str]) -> None:
        ec2.retag(aws, actual["RouteTableId"], tags)

    def delete(self, aws: Aws, actual: Attrs) -> None:
        ec2.ROUTE_TABLE.delete(aws, actual["RouteTableId"])


def _described(found: Attrs) -> Attrs:
    routes = [each for each in found.get("Routes", []) if each.get("DestinationCidrBlock") == ANYWHERE]
    subnets = {each["SubnetId"] for each in found.get("Associations", []) if "SubnetId" in each}
    return {**found, "DefaultRoute": routes[0].get("GatewayId") if routes else None, "Subnets": subnets}
