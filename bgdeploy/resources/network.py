"""The network: a VPC with public subnets in two zones, and who may talk to whom."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bgdeploy.aws import STACK_TAG, Attrs, Aws, absent, error_code, retry, tag_list, tag_map
from bgdeploy.provision.resource import TAGS, Known, Look, Resource

ANYWHERE = "0.0.0.0/0"
# A load balancer's network interfaces outlive it by some minutes; until then its neighbours cannot go (aws-facts 7.4).
_DRAINING_PATIENCE = 900.0


def _tagged(look: Look, what: str, key: str) -> list[Attrs]:
    """Return everything of one EC2 type that carries the stack's tag: one call for all resources of the type."""

    def ask() -> list[Attrs]:
        call = getattr(look.aws.client("ec2"), f"describe_{what}")
        filters = [{"Name": f"tag:{STACK_TAG}", "Values": [look.aws.stack]}]
        return [{**each, TAGS: tag_map(each.get("Tags"))} for each in call(Filters=filters)[key]]

    return look.once(what, ask)


def _mine(resource: Resource, look: Look, what: str, key: str) -> Attrs | None:
    found = _tagged(look, what, key)
    return next((each for each in found if each[TAGS].get("bgdeploy:address") == resource.address), None)


def _specification(resource: Resource, aws: Aws, kind: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": tag_list(resource.tags(aws))}]


def _in_use(error: Exception) -> bool:
    return error_code(error) == "DependencyViolation"


@dataclass(frozen=True, eq=False, kw_only=True)
class Vpc(Resource):
    """The network that everything else stands in."""

    kind = "vpc"
    immutable = frozenset({"CidrBlock"})
    cidr: str

    def desired(self, known: Known) -> Attrs:
        return {"CidrBlock": self.cidr}

    def find(self, look: Look) -> Attrs | None:
        return _mine(self, look, "vpcs", "Vpcs")

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        ec2 = aws.client("ec2")
        made = ec2.create_vpc(**desired, TagSpecifications=_specification(self, aws, "vpc"))["Vpc"]
        return dict(made)

    def delete(self, aws: Aws, actual: Attrs) -> None:
        ec2 = aws.client("ec2")

        def remove() -> None:
            with absent("InvalidVpcID.NotFound"):
                ec2.delete_vpc(VpcId=actual["VpcId"])

        retry(aws.clock, remove, _in_use, _DRAINING_PATIENCE)


def zones(look_or_aws: Aws) -> list[str]:
    """Return the zones of the region that can be used, by name."""
    found = look_or_aws.client("ec2").describe_availability_zones()["AvailabilityZones"]
    return sorted(zone["ZoneName"] for zone in found if zone.get("State") == "available")


@dataclass(frozen=True, eq=False, kw_only=True)
class Subnet(Resource):
    """One of the public subnets; each stands in a zone of its own."""

    kind = "subnet"
    immutable = frozenset({"CidrBlock", "VpcId"})
    # Chosen at creation from what the region has then; a zone that AWS adds later must not move a subnet.
    create_only = frozenset({"AvailabilityZone"})
    vpc: Vpc
    number: int

    @property
    def cidr(self) -> str:
        """The subnet's share of the network: one of sixteen equal parts."""
        return str(list(ipaddress.IPv4Network(self.vpc.cidr).subnets(prefixlen_diff=4))[self.number])

    def desired(self, known: Known) -> Attrs:
        return {"CidrBlock": self.cidr, "VpcId": known[self.vpc]["VpcId"], "AvailabilityZone": None}

    def find(self, look: Look) -> Attrs | None:
        return _mine(self, look, "subnets", "Subnets")

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        zone = zones(aws)[self.number]
        asked = {**desired, "AvailabilityZone": zone}
        ec2 = aws.client("ec2")
        return dict(
            ec2.create_subnet(**asked, TagSpecifications=_specification(self, aws, "subnet"))["Subnet"]
        )

    def delete(self, aws: Aws, actual: Attrs) -> None:
        def remove() -> None:
            with absent("InvalidSubnetID.NotFound"):
                aws.client("ec2").delete_subnet(SubnetId=actual["SubnetId"])

        retry(aws.clock, remove, _in_use, _DRAINING_PATIENCE)


@dataclass(frozen=True, eq=False, kw_only=True)
class InternetGateway(Resource):
    """The way out of the network."""

    kind = "internet-gateway"
    vpc: Vpc

    def desired(self, known: Known) -> Attrs:
        return {"VpcId": known[self.vpc]["VpcId"]}

    def find(self, look: Look) -> Attrs | None:
        found = _mine(self, look, "internet_gateways", "InternetGateways")
        return found and {
            **found,
            "VpcId": next((each["VpcId"] for each in found.get("Attachments", [])), None),
        }

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        ec2 = aws.client("ec2")
        specification = _specification(self, aws, "internet-gateway")
        made = ec2.create_internet_gateway(TagSpecifications=specification)["InternetGateway"]
        return {**made, **self.update(aws, made, desired)}

    def update(self, aws: Aws, actual: Attrs, changed: Attrs) -> Attrs:
        aws.client("ec2").attach_internet_gateway(InternetGatewayId=actual["InternetGatewayId"], **changed)
        return changed

    def delete(self, aws: Aws, actual: Attrs) -> None:
        ec2, ident = aws.client("ec2"), actual["InternetGatewayId"]

        def remove() -> None:
            with absent("Gateway.NotAttached", "InvalidInternetGatewayID.NotFound"):
                ec2.detach_internet_gateway(InternetGatewayId=ident, VpcId=actual.get("VpcId") or "")
            with absent("InvalidInternetGatewayID.NotFound"):
                ec2.delete_internet_gateway(InternetGatewayId=ident)

        retry(aws.clock, remove, _in_use, _DRAINING_PATIENCE)


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
        found = _mine(self, look, "route_tables", "RouteTables")
        if found is None:
            return None
        routes = [each for each in found.get("Routes", []) if each.get("DestinationCidrBlock") == ANYWHERE]
        subnets = {each["SubnetId"] for each in found.get("Associations", []) if "SubnetId" in each}
        return {**found, "DefaultRoute": routes[0].get("GatewayId") if routes else None, "Subnets": subnets}

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        ec2 = aws.client("ec2")
        specification = _specification(self, aws, "route-table")
        made = ec2.create_route_table(VpcId=desired["VpcId"], TagSpecifications=specification)["RouteTable"]
        made = {**made, "DefaultRoute": None, "Subnets": set()}
        rest = {key: desired[key] for key in ("DefaultRoute", "Subnets")}
        return {**made, **self.update(aws, made, rest)}

    def update(self, aws: Aws, actual: Attrs, changed: Attrs) -> Attrs:
        ec2, ident = aws.client("ec2"), actual["RouteTableId"]
        if "DefaultRoute" in changed:
            route = {"DestinationCidrBlock": ANYWHERE, "GatewayId": changed["DefaultRoute"]}
            call = ec2.replace_route if actual["DefaultRoute"] else ec2.create_route
            call(RouteTableId=ident, **route)
        for subnet in sorted(changed.get("Subnets", set()) - actual["Subnets"]):
            ec2.associate_route_table(RouteTableId=ident, SubnetId=subnet)
        for each in actual.get("Associations", []):
            if "Subnets" in changed and each.get("SubnetId") in actual["Subnets"] - changed["Subnets"]:
                ec2.disassociate_route_table(AssociationId=each["RouteTableAssociationId"])
        return changed

    def delete(self, aws: Aws, actual: Attrs) -> None:
        ec2 = aws.client("ec2")
        for each in actual.get("Associations", []):
            with absent("InvalidAssociationID.NotFound"):
                ec2.disassociate_route_table(AssociationId=each["RouteTableAssociationId"])
        with absent("InvalidRouteTableID.NotFound"):
            ec2.delete_route_table(RouteTableId=actual["RouteTableId"])


@dataclass(frozen=True)
class Rule:
    """One thing a security group lets through: TCP to a port, or everything (port None)."""

    port: int | None
    cidr: str = ""
    group: Resource | None = None  # instead of a CIDR: whoever is in this security group

    def key(self, known: Known) -> str:
        """Return how plans write the rule, which is also how two rules are compared."""
        other = known[self.group]["GroupId"] if self.group is not None else self.cidr
        return f"{'all' if self.port is None else f'tcp {self.port}'} {other}"


def _permission(key: str) -> Attrs:
    what, _, other = key.rpartition(" ")
    ports: Attrs = {"IpProtocol": "-1"}
    if what != "all":
        port = int(what.split()[1])
        ports = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port}
    if other.startswith("sg-"):
        return {**ports, "UserIdGroupPairs": [{"GroupId": other}]}
    return {**ports, "IpRanges": [{"CidrIp": other}]}


def _keys(permissions: Sequence[Attrs]) -> set[str]:
    """Return the rules of a security group, written as `Rule.key` writes them; any other kind in AWS's own words."""
    found = set()
    for each in permissions:
        protocol, first, last = each["IpProtocol"], each.get("FromPort"), each.get("ToPort")
        what = (
            "all"
            if protocol == "-1"
            else f"{protocol} {first}"
            if first == last
            else f"{protocol} {first}-{last}"
        )
        others = [pair["CidrIp"] for pair in each.get("IpRanges", [])]
        others += [pair["GroupId"] for pair in each.get("UserIdGroupPairs", [])]
        found |= {f"{what} {other}" for other in others}
    return found


@dataclass(frozen=True, eq=False, kw_only=True)
class SecurityGroup(Resource):
    """Who may reach something, and what it may reach."""

    kind = "security-group"
    immutable = frozenset({"VpcId", "GroupName"})
    vpc: Vpc
    ingress: tuple[Rule, ...]
    egress: tuple[Rule, ...]

    @property
    def depends_on(self) -> tuple[Resource, ...]:
        others = (rule.group for rule in (*self.ingress, *self.egress) if rule.group is not None)
        return tuple(dict.fromkeys((*super().depends_on, *others)))

    def desired(self, known: Known) -> Attrs:
        return {
            "GroupName": self.name,
            "VpcId": known[self.vpc]["VpcId"],
            "Ingress": {rule.key(known) for rule in self.ingress},
            "Egress": {rule.key(known) for rule in self.egress},
        }

    def find(self, look: Look) -> Attrs | None:
        found = _mine(self, look, "security_groups", "SecurityGroups")
        return found and {
            **found,
            "Ingress": _keys(found["IpPermissions"]),
            "Egress": _keys(found["IpPermissionsEgress"]),
        }

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        made = aws.client("ec2").create_security_group(
            GroupName=desired["GroupName"],
            VpcId=desired["VpcId"],
            Description=f"{self.address} of {aws.stack}",
            TagSpecifications=_specification(self, aws, "security-group"),
        )
        # AWS gives every new group a rule that lets everything out.
        actual = {"GroupId": made["GroupId"], "Ingress": set(), "Egress": {f"all {ANYWHERE}"}}
        wanted = {key: desired[key] for key in ("Ingress", "Egress") if desired[key] != actual[key]}
        return {**actual, **self.update(aws, actual, wanted)}

    def update(self, aws: Aws, actual: Attrs, changed: Attrs) -> Attrs:
        ec2, ident = aws.client("ec2"), actual["GroupId"]
        for way, wanted in changed.items():
            add, remove = wanted - actual[way], actual[way] - wanted
            if add:
                call = getattr(ec2, f"authorize_security_group_{way.lower()}")
                call(GroupId=ident, IpPermissions=[_permission(key) for key in sorted(add)])
            if remove:
                call = getattr(ec2, f"revoke_security_group_{way.lower()}")
                call(GroupId=ident, IpPermissions=[_permission(key) for key in sorted(remove)])
        return changed

    def delete(self, aws: Aws, actual: Attrs) -> None:
        def remove() -> None:
            with absent("InvalidGroup.NotFound"):
                aws.client("ec2").delete_security_group(GroupId=actual["GroupId"])

        retry(aws.clock, remove, _in_use, _DRAINING_PATIENCE)
