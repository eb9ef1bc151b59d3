"""DescribeNetworkInterfaces: what stands in the subnets, by whom it was put there."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from bgdeploy.sandbox.inprocess import forwarded
from bgdeploy.sandbox.network import filters
from bgdeploy.sandbox.network.model import Interface
from bgdeploy.sandbox.world import ACCOUNT, Call, Handler, RefusedError, World

_RESERVED = 4  # addresses at the beginning of every subnet, AWS's own
_FILTERS: filters.Getters = {
    "addresses.private-ip-address": lambda one: one["PrivateIpAddress"],
    "description": lambda one: one.get("Description"),
    "group-id": lambda one: [group["GroupId"] for group in one.get("Groups", [])],
    "interface-type": lambda one: one.get("InterfaceType"),
    "network-interface-id": lambda one: one["NetworkInterfaceId"],
    "private-ip-address": lambda one: one["PrivateIpAddress"],
    "requester-id": lambda one: one.get("RequesterId"),
    "requester-managed": lambda one: one.get("RequesterManaged"),
    "status": lambda one: one.get("Status"),
    "subnet-id": lambda one: one["SubnetId"],
    "vpc-id": lambda one: one["VpcId"],
}


class Descriptions:
    """Tells of the services' interfaces together with those that people have made."""

    def __init__(self, world: World, managed: Callable[[str], list[Interface]]) -> None:
        self._world = world
        self._managed = managed

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "DescribeNetworkInterfaces": self._describe,
            "DescribeSubnets": self._describe_subnets,
        }

    def made(self, region: str) -> list[dict[str, Any]]:
        """Return the interfaces that people have made, as moto describes them."""
        ours = {each.id for each in self._managed(region)}
        known = self._world.beneath("ec2", region=region).describe_network_interfaces()["NetworkInterfaces"]
        return [each for each in known if each["NetworkInterfaceId"] not in ours]

    def _describe_subnets(self, call: Call) -> dict[str, Any]:
        """Count the addresses that the services' interfaces take, of which moto does not know."""
        answer = forwarded(self._world, call)
        taken = Counter(each.subnet for each in self._managed(call.region))
        for subnet in answer["Subnets"]:
            subnet["AvailableIpAddressCount"] -= taken[subnet["SubnetId"]]
        return answer

    def _describe(self, call: Call) -> dict[str, Any]:
        found = self._world.beneath("ec2", region=call.region).describe_subnets()["Subnets"]
        subnets = {each["SubnetId"]: each for each in found}
        told = [_told(each, subnets[each.subnet]) for each in self._managed(call.region)]
        known = {each["NetworkInterfaceId"]: each for each in (*told, *self.made(call.region))}
        asked = call.params.get("NetworkInterfaceIds", list(known))
        for ident in asked:
            if ident not in known:
                message = f"The networkInterface ID '{ident}' does not exist"
                raise RefusedError("InvalidNetworkInterfaceID.NotFound", message)
        wanted = call.params.get("Filters", [])
        chosen = filters.chosen([known[ident] for ident in asked], wanted, _FILTERS, "TagSet")
        return {"NetworkInterfaces": chosen}


def _told(interface: Interface, subnet: Mapping[str, Any]) -> dict[str, Any]:
    network = ipaddress.IPv4Network(subnet["CidrBlock"])
    usable = network.num_addresses - _RESERVED - 1
    address = interface.address or str(network[_RESERVED + int(interface.id[4:], 16) % usable])
    return {
        "NetworkInterfaceId": interface.id,
        "SubnetId": interface.subnet,
        "VpcId": subnet["VpcId"],
        "AvailabilityZone": subnet["AvailabilityZone"],
        "Description": interface.description,
        "Groups": [{"GroupId": group} for group in interface.security_groups],
        "InterfaceType": interface.kind,
        "OwnerId": ACCOUNT,
        "PrivateIpAddress": address,
        "RequesterId": interface.requester,
        "RequesterManaged": True,
        "Status": "in-use",
        "TagSet": [],
    }
