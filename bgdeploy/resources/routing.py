"""The ways out of the network: gateways, the address that the world sees, and the routes that lead there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bgdeploy.aws import Attrs, Aws, absent, retry, wait_until
from bgdeploy.errors import BgdeployError
from bgdeploy.provision.resource import Known, Look, Resource
from bgdeploy.resources import ec2
from bgdeploy.resources.network import ANYWHERE, Subnet, Vpc
from bgdeploy.resources.storage import Bucket

_NAT_PATIENCE = 600.0  # seconds; AWS says that a NAT gateway comes within minutes


@dataclass(frozen=True, eq=False, kw_only=True)
class InternetGateway(Resource):
    """The way out of the network, and into it."""

    kind = "internet-gateway"
    found_by = "its tags"
    routed = ("GatewayId", "InternetGatewayId")  # how a route names it, and how it names itself
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
class Address(Resource):
    """A public address that stays the same: the world sees private tasks come from it."""

    kind = "address"
    found_by = "its tags"
    immutable = frozenset({"Domain"})
    bucket: Bucket

    def desired(self, known: Known) -> Attrs:
        return {"Domain": "vpc"}

    def find(self, look: Look) -> Attrs | None:
        return ec2.mine(self, look, ec2.ADDRESS, self.bucket.name)

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        tags = ec2.specification(self, aws, ec2.ADDRESS)
        made = aws.client("ec2").allocate_address(**desired, TagSpecifications=tags)
        return ec2.settle(self, aws, ec2.ADDRESS, self.bucket.name, dict(made))

    def retag(self, aws: Aws, actual: Attrs, tags: Mapping[str, str]) -> None:
        ec2.retag(aws, actual["AllocationId"], tags)

    def delete(self, aws: Aws, actual: Attrs) -> None:
        ec2.ADDRESS.delete(aws, actual["AllocationId"])


class _AddressHeldError(BgdeployError):
    """A NAT gateway came to nothing, because its address belongs to another."""


@dataclass(frozen=True, eq=False, kw_only=True)
class NatGateway(Resource):
    """The way out of private subnets, by which nobody comes in."""

    kind = "nat-gateway"
    found_by = "its tags"
    routed = ("NatGatewayId", "NatGatewayId")
    immutable = frozenset({"SubnetId", "AllocationId"})
    subnet: Subnet  # a public one
    elastic: Address  # and with it, which of several counts: one gets the address, the others fail

    def desired(self, known: Known) -> Attrs:
        return {
            "SubnetId": known[self.subnet]["SubnetId"],
            "AllocationId": known[self.elastic]["AllocationId"],
            "State": "available",
        }

    def find(self, look: Look) -> Attrs | None:
        found = ec2.mine(self, look, ec2.NAT_GATEWAY)
        held = ((found or {}).get("NatGatewayAddresses") or [{}])[0]
        return found and {**found, "AllocationId": held.get("AllocationId")}

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        def make() -> Attrs:
            asked = {key: desired[key] for key in ("SubnetId", "AllocationId")}
            tags = ec2.specification(self, aws, ec2.NAT_GATEWAY)
            made = aws.client("ec2").create_nat_gateway(**asked, TagSpecifications=tags)["NatGateway"]
            try:
                return {**made, **self.update(aws, dict(made), desired)}
            except _AddressHeldError:
                other = self.find(Look(aws))  # of somebody who provisions the same stack
                if other is None:
                    raise
                return {**other, **self.update(aws, other, desired)}

        # The address of one that is just going comes free a little later.
        return retry(aws, make, lambda error: isinstance(error, _AddressHeldError), _NAT_PATIENCE)

    def update(self, aws: Aws, actual: Attrs, changed: Attrs) -> Attrs:
        """Wait until it is available: no route should lead to it before."""
        ident = actual["NatGatewayId"]

        def available() -> bool:
            found = aws.client("ec2").describe_nat_gateways(NatGatewayIds=[ident])["NatGateways"][0]
            if found["State"] == "failed":
                held = found.get("FailureCode") == "Resource.AlreadyAssociated"
                kind = _AddressHeldError if held else BgdeployError
                raise kind(f"AWS could not make it: {found.get('FailureMessage')}", "run it again")
            return bool(found["State"] == "available")

        wait_until(aws, available, _NAT_PATIENCE)
        return changed

    def retag(self, aws: Aws, actual: Attrs, tags: Mapping[str, str]) -> None:
        ec2.retag(aws, actual["NatGatewayId"], tags)

    def delete(self, aws: Aws, actual: Attrs) -> None:
        ec2.NAT_GATEWAY.delete(aws, actual["NatGatewayId"])


@dataclass(frozen=True, eq=False, kw_only=True)
class RouteTable(Resource):
    """The route out of the network, if there is one, and the subnets that take it."""

    kind = "route-table"
    found_by = "its tags"
    immutable = frozenset({"VpcId"})
    vpc: Vpc
    gateway: InternetGateway | NatGateway | None
    subnets: tuple[Subnet, ...]

    def desired(self, known: Known) -> Attrs:
        return {
            "VpcId": known[self.vpc]["VpcId"],
            "DefaultRoute": self.gateway and known[self.gateway][self.gateway.routed[1]],
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
            self._lead(aws, actual, changed["DefaultRoute"])
        for subnet in sorted(changed.get("Subnets", set()) - actual["Subnets"]):
            self._take(aws, ident, subnet)
        for each in actual.get("Associations", []):
            if "Subnets" in changed and each.get("SubnetId") in actual["Subnets"] - changed["Subnets"]:
                client.disassociate_route_table(AssociationId=each["RouteTableAssociationId"])
        return changed

    def _take(self, aws: Aws, ident: str, subnet: str) -> None:
        """Have a subnet take this table, whichever it takes now."""
        client = aws.client("ec2")
        with absent("Resource.AlreadyAssociated"):
            client.associate_route_table(RouteTableId=ident, SubnetId=subnet)
            return
        filters = [{"Name": "association.subnet-id", "Values": [subnet]}]
        found = client.describe_route_tables(Filters=filters)["RouteTables"]
        for each in (each for one in found for each in one["Associations"] if each.get("SubnetId") == subnet):
            if each["RouteTableId"] != ident:  # else somebody who provisions the same stack was faster
                client.replace_route_table_association(
                    AssociationId=each["RouteTableAssociationId"], RouteTableId=ident
                )

    def _lead(self, aws: Aws, actual: Attrs, target: str | None) -> None:
        client = aws.client("ec2")
        route = {"RouteTableId": actual["RouteTableId"], "DestinationCidrBlock": ANYWHERE}
        if self.gateway is None:
            with absent("InvalidRoute.NotFound"):
                client.delete_route(**route)
            return
        call = client.replace_route if actual["DefaultRoute"] else client.create_route
        with absent("RouteAlreadyExists"):
            call(**route, **{self.gateway.routed[0]: target})

    def retag(self, aws: Aws, actual: Attrs, tags: Mapping[str, str]) -> None:
        ec2.retag(aws, actual["RouteTableId"], tags)

    def delete(self, aws: Aws, actual: Attrs) -> None:
        ec2.ROUTE_TABLE.delete(aws, actual["RouteTableId"])


def _described(found: Attrs) -> Attrs:
    routes = [each for each in found.get("Routes", []) if each.get("DestinationCidrBlock") == ANYWHERE]
    subnets = {each["SubnetId"] for each in found.get("Associations", []) if "SubnetId" in each}
    # A route names what it leads to by the kind of it: GatewayId, NatGatewayId, NetworkInterfaceId, …
    targets = [value for each in routes for key, value in each.items() if key.endswith("Id") and value]
    return {**found, "DefaultRoute": targets[0] if targets else None, "Subnets": subnets}
