"""NAT gateways, which take their time to come and to go, and hold an elastic address meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bgdeploy.sandbox.inprocess import forwarded, refusals
from bgdeploy.sandbox.network import filters
from bgdeploy.sandbox.network.model import Interface
from bgdeploy.sandbox.world import Call, Handler, RefusedError, World

# A NAT gateway takes "a minute or two" to come and about one to go; how long exactly is not known.
_PENDING = timedelta(seconds=100)
_FAILING = timedelta(seconds=20)
_DELETING = timedelta(seconds=60)
_REMEMBERED = timedelta(hours=1)  # a deleted or failed one can be described for about that long
_FILTERS: filters.Getters = {
    "nat-gateway-id": lambda nat: nat["NatGatewayId"],
    "state": lambda nat: nat["State"],
    "subnet-id": lambda nat: nat["SubnetId"],
    "vpc-id": lambda nat: nat["VpcId"],
}


@dataclass
class _Nat:
    id: str
    region: str
    subnet: str
    interface: str
    allocation: str  # of its elastic address; "" for a private one
    created: datetime
    failure: tuple[str, str] | None  # AWS's code and words, when it will never be available
    deleted: datetime | None = None
    settled: bool = False  # its elastic address and its interface have been given back

    def state(self, now: datetime) -> str:
        if self.deleted is not None:
            return "deleted" if now >= self.deleted + _DELETING else "deleting"
        if self.failure is not None and now >= self.created + _FAILING:
            return "failed"
        return "available" if now >= self.created + _PENDING and self.failure is None else "pending"

    def gone(self, now: datetime) -> bool:
        return self.state(now) in {"deleted", "failed"}

    def forgotten(self, now: datetime) -> bool:
        return self.gone(now) and now >= (self.deleted or self.created) + _REMEMBERED


class NatGateways:
    """All NAT gateways. moto has them too, for their tags and for the routes that lead to them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._nats: dict[str, _Nat] = {}

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "CreateNatGateway": self._create,
            "DescribeNatGateways": self._describe,
            "DeleteNatGateway": self._delete,
        }

    def tick(self) -> None:
        """Give back what gateways held that are gone now."""
        now = self._world.clock.now()
        for nat in list(self._nats.values()):
            if nat.gone(now) and not nat.settled:
                self._settle(nat)
            if nat.forgotten(now):
                del self._nats[nat.id]

    def interfaces(self, region: str) -> list[Interface]:
        """Return the interfaces of the gateways that are not gone."""
        now = self._world.clock.now()
        return [
            Interface(
                nat.interface,
                nat.subnet,
                f"Interface for NAT Gateway {nat.id}",
                "amazon-nat",
                public=bool(nat.allocation),
                kind="nat_gateway",
            )
            for nat in self._nats.values()
            if nat.region == region and not nat.gone(now)
        ]

    def state(self, ident: str) -> str:
        """Return the state of a gateway, "" when there is none such."""
        nat = self._nats.get(ident)
        return nat.state(self._world.clock.now()) if nat is not None else ""

    def subnet(self, ident: str) -> str:
        """Return the subnet that a gateway stands in."""
        return self._nats[ident].subnet

    def holds(self, interface: str) -> bool:
        """Tell whether an interface is that of a gateway."""
        return any(nat.interface == interface for nat in self._nats.values())

    # The API

    def _create(self, call: Call) -> dict[str, Any]:
        asked, ec2 = dict(call.params), self._world.beneath("ec2", region=call.region)
        public, allocation = asked.get("ConnectivityType") != "private", asked.get("AllocationId", "")
        if public and not allocation:
            message = "The request must include the AllocationId parameter."
            raise RefusedError("MissingParameter", message)
        with refusals():
            subnet = ec2.describe_subnets(SubnetIds=[asked["SubnetId"]])["Subnets"][0]
            failure = _failure(ec2, subnet["VpcId"], allocation) if public else None
        if failure is not None:  # moto would refuse what AWS lets fail later
            asked.pop("AllocationId")
            asked["ConnectivityType"] = "private"
        made = forwarded(self._world, Call(call.service, call.operation, asked, call.region))["NatGateway"]
        nat = _Nat(
            made["NatGatewayId"],
            call.region,
            made["SubnetId"],
            made["NatGatewayAddresses"][0]["NetworkInterfaceId"],
            allocation if public else "",
            self._world.clock.now(),
            failure,
        )
        self._nats[nat.id] = nat
        return {"NatGateway": self._told(nat, made)}

    def _describe(self, call: Call) -> dict[str, Any]:
        known = self._world.beneath("ec2", region=call.region).describe_nat_gateways()["NatGateways"]
        facts = {each["NatGatewayId"]: each for each in known}
        told = {nat.id: self._told(nat, facts[nat.id]) for nat in self._nats.values() if nat.id in facts}
        asked = call.params.get("NatGatewayIds", list(told))
        for ident in asked:
            if ident not in told:
                raise _missing(ident)
        wanted = call.params.get("Filters", call.params.get("Filter", []))
        return {"NatGateways": filters.chosen([told[ident] for ident in asked], wanted, _FILTERS)}

    def _delete(self, call: Call) -> dict[str, Any]:
        ident, now = call.params["NatGatewayId"], self._world.clock.now()
        nat = self._nats.get(ident)
        if nat is None or nat.region != call.region:
            raise _missing(ident)
        if nat.deleted is None:
            nat.deleted = now
        return {"NatGatewayId": ident}

    def _told(self, nat: _Nat, facts: Mapping[str, Any]) -> dict[str, Any]:
        state = nat.state(self._world.clock.now())
        told = {**facts, "State": state, "CreateTime": nat.created}
        if nat.allocation:
            told["ConnectivityType"] = "public"
            told["NatGatewayAddresses"] = [
                {**each, "AllocationId": nat.allocation, "IsPrimary": True}
                for each in facts["NatGatewayAddresses"]
            ]
        if state == "failed" and nat.failure is not None:
            told["FailureCode"], told["FailureMessage"] = nat.failure
        if state == "deleted" and nat.deleted is not None:
            told["DeleteTime"] = nat.deleted + _DELETING
        return told

    def _settle(self, nat: _Nat) -> None:
        ec2 = self._world.beneath("ec2", region=nat.region)
        held = {"Name": "network-interface-id", "Values": [nat.interface]}
        for address in ec2.describe_addresses(Filters=[held])["Addresses"]:
            ec2.disassociate_address(AssociationId=address["AssociationId"])
        ec2.delete_network_interface(NetworkInterfaceId=nat.interface)
        nat.settled = True


def _failure(ec2: Any, vpc: str, allocation: str) -> tuple[str, str] | None:
    """Return why a gateway will fail, in the words of FailureCode's and FailureMessage's documentation."""
    address = ec2.describe_addresses(AllocationIds=[allocation])["Addresses"][0]
    if address.get("AssociationId"):
        return "Resource.AlreadyAssociated", f"Elastic IP address [{allocation}] is already associated"
    attached = {"Name": "attachment.vpc-id", "Values": [vpc]}
    if not ec2.describe_internet_gateways(Filters=[attached])["InternetGateways"]:
        return "Gateway.NotAttached", f"Network {vpc} has no Internet gateway attached"
    return None


def _missing(ident: str) -> RefusedError:
    return RefusedError("NatGatewayNotFound", f"The Nat Gateway {ident} was not found")
