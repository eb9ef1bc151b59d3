"""VPC endpoints: gateways, which are routes, and interfaces, which take their time and stand in subnets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bgdeploy.sandbox.inprocess import forwarded, refusals
from bgdeploy.sandbox.network import filters
from bgdeploy.sandbox.network.checks import check_domain, check_kind, check_routes, check_zones
from bgdeploy.sandbox.network.model import Interface, interface_id
from bgdeploy.sandbox.world import Call, Handler, RefusedError, World

# An interface endpoint takes a minute or two to come, and about as long to go; how long exactly is not known.
_PENDING = timedelta(seconds=60)
_DELETING = timedelta(seconds=60)
_FILTERS: filters.Getters = {
    "service-name": lambda endpoint: endpoint["ServiceName"],
    "vpc-endpoint-id": lambda endpoint: endpoint["VpcEndpointId"],
    "vpc-endpoint-state": lambda endpoint: endpoint["State"],
    "vpc-endpoint-type": lambda endpoint: endpoint["VpcEndpointType"],
    "vpc-id": lambda endpoint: endpoint["VpcId"],
}


@dataclass
class _Endpoint:
    id: str
    region: str
    kind: str  # Gateway or Interface
    created: datetime
    private_dns: bool
    deleted: datetime | None = None

    def state(self, now: datetime) -> str:
        """Return pending, available or deleting, "" when it is gone."""
        slow = self.kind == "Interface"
        if self.deleted is not None:
            return "deleting" if slow and now < self.deleted + _DELETING else ""
        return "pending" if slow and now < self.created + _PENDING else "available"


class Endpoints:
    """All VPC endpoints. moto has them too, for their tags, subnets, groups and routes."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._endpoints: dict[str, _Endpoint] = {}

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "CreateVpcEndpoint": self._create,
            "DescribeVpcEndpoints": self._describe,
            "ModifyVpcEndpoint": self._modify,
            "DeleteVpcEndpoints": self._delete,
        }

    def tick(self) -> None:
        """Let go of what has gone."""
        now = self._world.clock.now()
        for endpoint in list(self._endpoints.values()):
            if not endpoint.state(now):
                ec2 = self._world.beneath("ec2", region=endpoint.region)
                ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint.id])
                del self._endpoints[endpoint.id]

    def all(self, region: str) -> list[dict[str, Any]]:
        """Return the endpoints of a region as they are described."""
        now = self._world.clock.now()
        there = {ident for ident, each in self._endpoints.items() if each.state(now)}
        known = self._world.beneath("ec2", region=region).describe_vpc_endpoints()["VpcEndpoints"]
        return [self._told(each) for each in known if each["VpcEndpointId"] in there]

    def interfaces(self, region: str) -> list[Interface]:
        """Return the interfaces of the endpoints: one in each of their subnets."""
        return [
            Interface(
                interface_id(each["VpcEndpointId"], subnet),
                subnet,
                f"VPC Endpoint Interface {each['VpcEndpointId']}",
                "amazon-vpce",
                tuple(group["GroupId"] for group in each["Groups"]),
                kind="vpc_endpoint",
            )
            for each in self.all(region)
            if each["VpcEndpointType"] == "Interface"
            for subnet in each["SubnetIds"]
        ]

    # The API

    def _create(self, call: Call) -> dict[str, Any]:
        kind = call.params.get("VpcEndpointType", "Gateway")
        asked = {**call.params, "VpcEndpointType": kind}
        self._check(call, asked)
        if kind == "Interface" and not asked.get("SecurityGroupIds"):
            asked["SecurityGroupIds"] = [self._default_group(call)]
        made = forwarded(self._world, Call(call.service, call.operation, asked, call.region))["VpcEndpoint"]
        ec2 = self._world.beneath("ec2", region=call.region)
        for interface in made["NetworkInterfaceIds"]:  # ours have an address of their subnet
            ec2.delete_network_interface(NetworkInterfaceId=interface)
        private = kind == "Interface" and asked.get("PrivateDnsEnabled", True)
        ident, now = made["VpcEndpointId"], self._world.clock.now()
        self._endpoints[ident] = _Endpoint(ident, call.region, kind, now, private)
        return {"VpcEndpoint": self._told(made)}

    def _describe(self, call: Call) -> dict[str, Any]:
        told = {each["VpcEndpointId"]: each for each in self.all(call.region)}
        asked = call.params.get("VpcEndpointIds", list(told))
        for ident in asked:
            self._require(ident, told)
        chosen = filters.chosen([told[ident] for ident in asked], call.params.get("Filters", []), _FILTERS)
        return {"VpcEndpoints": chosen}

    def _modify(self, call: Call) -> dict[str, Any]:
        params, ident = call.params, call.params["VpcEndpointId"]
        known = {each["VpcEndpointId"]: each for each in self.all(call.region)}
        self._require(ident, known)
        service = self._service(call.region, known[ident]["ServiceName"])
        private = params.get("PrivateDnsEnabled", self._endpoints[ident].private_dns)
        others = [each for each in known.values() if each["VpcEndpointId"] != ident]
        if private and not self._endpoints[ident].private_dns:
            check_domain(known[ident]["VpcId"], service, others)
        check_routes(known[ident]["ServiceName"], params.get("AddRouteTableIds", []), others)
        rest = {key: each for key, each in params.items() if key not in {"PrivateDnsEnabled", "ResetPolicy"}}
        forwarded(self._world, Call(call.service, call.operation, rest, call.region))
        self._endpoints[ident].private_dns = private
        self._reroute(call, known[ident])
        return {"Return": True}

    def _delete(self, call: Call) -> dict[str, Any]:
        now, unknown = self._world.clock.now(), []
        for ident in call.params["VpcEndpointIds"]:
            endpoint = self._endpoints.get(ident)
            if endpoint is None or endpoint.region != call.region:
                unknown.append(ident)
            elif endpoint.deleted is None:
                endpoint.deleted = now
        self.tick()
        return {"Unsuccessful": [_unsuccessful(ident) for ident in unknown]}

    # What stands behind it

    def _told(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        endpoint = self._endpoints[facts["VpcEndpointId"]]
        found = [interface_id(endpoint.id, subnet) for subnet in facts["SubnetIds"]]
        return {
            **facts,
            "State": endpoint.state(self._world.clock.now()),
            "CreationTimestamp": endpoint.created,
            "PrivateDnsEnabled": endpoint.private_dns,
            "NetworkInterfaceIds": found if endpoint.kind == "Interface" else [],
        }

    def _require(self, ident: str, known: Mapping[str, Any]) -> None:
        if ident not in known:
            message = f"The Vpc Endpoint Id '{ident}' does not exist"
            raise RefusedError("InvalidVpcEndpointId.NotFound", message)

    def _service(self, region: str, name: str) -> Sequence[Mapping[str, Any]]:
        """Return what is known of an endpoint service: one entry for each type of endpoint that it has."""
        ec2 = self._world.beneath("ec2", region=region)
        with refusals():
            return list(ec2.describe_vpc_endpoint_services(ServiceNames=[name])["ServiceDetails"])

    def _check(self, call: Call, asked: Mapping[str, Any]) -> None:
        ec2 = self._world.beneath("ec2", region=call.region)
        service = self._service(call.region, asked["ServiceName"])
        check_kind(asked["VpcEndpointType"], service)
        vpc, others = asked["VpcId"], self.all(call.region)
        check_routes(asked["ServiceName"], asked.get("RouteTableIds", []), others)
        with refusals():
            subnets = ec2.describe_subnets(SubnetIds=asked["SubnetIds"]) if asked.get("SubnetIds") else {}
            ec2.describe_vpcs(VpcIds=[vpc])
        check_zones(subnets.get("Subnets", []))
        if asked["VpcEndpointType"] == "Interface" and asked.get("PrivateDnsEnabled", True):
            for attribute in ("enableDnsSupport", "enableDnsHostnames"):
                told = ec2.describe_vpc_attribute(VpcId=vpc, Attribute=attribute)
                if not told[attribute[0].upper() + attribute[1:]]["Value"]:
                    message = (
                        "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes "
                        f"set to true for {vpc}"
                    )
                    raise RefusedError("InvalidParameter", message)
            check_domain(vpc, service, others)

    def _default_group(self, call: Call) -> str:
        wanted = {"vpc-id": call.params["VpcId"], "group-name": "default"}
        found = self._world.beneath("ec2", region=call.region).describe_security_groups(
            Filters=[{"Name": name, "Values": [value]} for name, value in wanted.items()]
        )
        return str(found["SecurityGroups"][0]["GroupId"])

    def _reroute(self, call: Call, before: Mapping[str, Any]) -> None:
        """Give a gateway's route to route tables that it was added to, and take it from others."""
        ec2, name = self._world.beneath("ec2", region=call.region), before["ServiceName"]
        lists = ec2.describe_prefix_lists(Filters=[{"Name": "prefix-list-name", "Values": [name]}])
        route = (
            {"DestinationPrefixListId": lists["PrefixLists"][0]["PrefixListId"]}
            if lists["PrefixLists"]
            else {}
        )
        had = set(before["RouteTableIds"])
        for table in call.params.get("AddRouteTableIds", []):
            if table not in had:
                ec2.create_route(RouteTableId=table, GatewayId=before["VpcEndpointId"], **route)
        for table in call.params.get("RemoveRouteTableIds", []):
            if table in had:
                ec2.delete_route(RouteTableId=table, **route)


def _unsuccessful(ident: str) -> dict[str, Any]:
    message = f"The VpcEndpoint Id '{ident}' does not exist"
    return {"ResourceId": ident, "Error": {"Code": "InvalidVpcEndpoint.NotFound", "Message": message}}
