"""Routes: where they may lead, and when they lead nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bgdeploy.sandbox.inprocess import forwarded, refusals
from bgdeploy.sandbox.network.nat import NatGateways
from bgdeploy.sandbox.world import PASS, Call, Handler, RefusedError, World, _Pass

_GONE = {"", "failed", "deleting", "deleted"}


class Routes:
    """What moto takes and tells of routes without looking at where they lead."""

    def __init__(self, world: World, nats: NatGateways) -> None:
        self._world = world
        self._nats = nats

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "CreateRoute": self._lead,
            "ReplaceRoute": self._lead,
            "AssociateRouteTable": self._associate,
            "DescribeRouteTables": self._describe,
        }

    def tables(self, region: str) -> list[dict[str, Any]]:
        """Return the route tables of a region as they are described."""
        return list(self._described(Call("ec2", "DescribeRouteTables", {}, region))["RouteTables"])

    def _lead(self, call: Call) -> _Pass:
        nat, gateway = call.params.get("NatGatewayId"), call.params.get("GatewayId", "")
        if nat is not None and self._nats.state(nat) in _GONE:
            message = f"The natGateway ID '{nat}' does not exist"
            raise RefusedError("InvalidNatGatewayID.NotFound", message)
        if gateway.startswith("igw-"):
            self._check_network(call, gateway)
        return PASS

    def _check_network(self, call: Call, gateway: str) -> None:
        ec2, table = self._world.beneath("ec2", region=call.region), call.params["RouteTableId"]
        with refusals():
            vpc = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["VpcId"]
            found = ec2.describe_internet_gateways(InternetGatewayIds=[gateway])["InternetGateways"][0]
        if vpc not in [each["VpcId"] for each in found["Attachments"]]:
            message = f"route table {table} and network gateway {gateway} belong to different networks"
            raise RefusedError("InvalidParameterValue", message)

    def _associate(self, call: Call) -> _Pass:
        """moto answers with the other association when the subnet has one already."""
        table, subnet = call.params["RouteTableId"], call.params.get("SubnetId")
        wanted = [{"Name": "association.subnet-id", "Values": [subnet]}]
        ec2 = self._world.beneath("ec2", region=call.region)
        found = ec2.describe_route_tables(Filters=wanted)["RouteTables"] if subnet else []
        if any(each["RouteTableId"] != table for each in found):
            message = (
                f"the specified association for route table {table} conflicts with an existing association"
            )
            raise RefusedError("Resource.AlreadyAssociated", message)
        return PASS

    def _describe(self, call: Call) -> dict[str, Any]:
        return self._described(call)

    def _described(self, call: Call) -> dict[str, Any]:
        answer = forwarded(self._world, call)
        ec2 = self._world.beneath("ec2", region=call.region)
        gateways = ec2.describe_internet_gateways()["InternetGateways"]
        attached = {
            gateway["InternetGatewayId"]: [each["VpcId"] for each in gateway["Attachments"]]
            for gateway in gateways
        }
        for table in answer["RouteTables"]:
            for route in table["Routes"]:
                if self._leads_nowhere(route, table["VpcId"], attached):
                    route["State"] = "blackhole"
        return answer

    def _leads_nowhere(self, route: Mapping[str, Any], vpc: str, attached: Mapping[str, list[str]]) -> bool:
        nat, gateway = route.get("NatGatewayId"), route.get("GatewayId", "")
        if nat:
            return self._nats.state(nat) in _GONE
        return bool(gateway.startswith("igw-") and vpc not in attached.get(gateway, []))
