"""The network: a VPC and its subnets."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from bgdeploy.aws import Attrs, Aws
from bgdeploy.errors import BgdeployError
from bgdeploy.provision.resource import Known, Look, Resource
from bgdeploy.resources import ec2
from bgdeploy.resources.storage import Bucket

ANYWHERE = "0.0.0.0/0"
_HOST_NAMES = "EnableDnsHostnames"


@dataclass(frozen=True, eq=False, kw_only=True)
class Vpc(Resource):
    """The network that everything else stands in."""

    kind = "vpc"
    found_by = "its tags"
    immutable = frozenset({"CidrBlock"})
    cidr: str
    bucket: Bucket  # where it is written which VPC counts
    # Endpoints answer by the names of the services themselves, which AWS wants this for; it is off in a new VPC.
    private_names: bool = False

    def sources(self, known: Known) -> tuple[str, ...]:
        """Return the CIDRs of whoever is inside."""
        return (self.cidr,)

    def desired(self, known: Known) -> Attrs:
        return {"CidrBlock": self.cidr, **({_HOST_NAMES: True} if self.private_names else {})}

    def find(self, look: Look) -> Attrs | None:
        found = ec2.mine(self, look, ec2.VPC, self.bucket.name)
        if found is None or not self.private_names:
            return found
        asked = {"VpcId": found["VpcId"], "Attribute": "enableDnsHostnames"}
        told = look.aws.client("ec2").describe_vpc_attribute(**asked)
        return {**found, _HOST_NAMES: told[_HOST_NAMES]["Value"]}

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        made = aws.client("ec2").create_vpc(
            CidrBlock=desired["CidrBlock"], TagSpecifications=ec2.specification(self, aws, ec2.VPC)
        )["Vpc"]
        counts = ec2.settle(self, aws, ec2.VPC, self.bucket.name, dict(made))
        return {
            **counts,
            **self.update(aws, counts, {key: desired[key] for key in desired if key == _HOST_NAMES}),
        }

    def update(self, aws: Aws, actual: Attrs, changed: Attrs) -> Attrs:
        for name, value in changed.items():
            aws.client("ec2").modify_vpc_attribute(VpcId=actual["VpcId"], **{name: {"Value": value}})
        return changed

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
    """A part of the network that stands in one zone."""

    kind = "subnet"
    found_by = "its tags"
    immutable = frozenset({"CidrBlock", "VpcId"})
    # Chosen at creation from what the region has then; a zone that AWS adds later must not move a subnet.
    create_only = frozenset({"AvailabilityZone"})
    taken = frozenset({"InvalidSubnet.Conflict"})
    vpc: Vpc
    number: int  # of its share of the network, one of sixteen equal parts
    zone: int  # the number of its zone among those of the region
    public: bool = True  # the internet gateway is the way out

    def ids(self, known: Known) -> tuple[str, ...]:
        """Return its id."""
        return (known[self]["SubnetId"],)

    def wants_addresses(self, known: Known) -> bool:
        """Tell whether nothing in it reaches the world without a public address of its own."""
        return self.public

    @property
    def cidr(self) -> str:
        return str(list(ipaddress.IPv4Network(self.vpc.cidr).subnets(prefixlen_diff=4))[self.number])

    def desired(self, known: Known) -> Attrs:
        return {"CidrBlock": self.cidr, "VpcId": known[self.vpc]["VpcId"], "AvailabilityZone": None}

    def find(self, look: Look) -> Attrs | None:
        return ec2.mine(self, look, ec2.SUBNET)

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        asked = {**desired, "AvailabilityZone": self._zone(aws)}
        made = aws.client("ec2").create_subnet(
            **asked, TagSpecifications=ec2.specification(self, aws, ec2.SUBNET)
        )
        return dict(made["Subnet"])

    def _zone(self, aws: Aws) -> str:
        found = zones(aws)
        if self.zone >= len(found):
            raise BgdeployError(
                f"{aws.region} has {len(found)} zones that can be used: {', '.join(found)}",
                "write network.create.zones: 2, or choose another region",
            )
        return found[self.zone]

    def retag(self, aws: Aws, actual: Attrs, tags: Mapping[str, str]) -> None:
        ec2.retag(aws, actual["SubnetId"], tags)

    def delete(self, aws: Aws, actual: Attrs) -> None:
        ec2.SUBNET.delete(aws, actual["SubnetId"])
