"""VPC endpoints: how private subnets reach AWS's services when nothing leads to the internet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bgdeploy.aws import Attrs, Aws, wait_until
from bgdeploy.provision.resource import Known, Look, Resource
from bgdeploy.resources import ec2
from bgdeploy.resources.network import Subnet, Vpc
from bgdeploy.resources.routing import RouteTable
from bgdeploy.resources.security import SecurityGroup

_PATIENCE = 600.0  # seconds; an endpoint comes within a few minutes
# Field → how ModifyVpcEndpoint names what is added to it and taken from it.
_SETS = {"SubnetIds": "SubnetIds", "RouteTableIds": "RouteTableIds", "Groups": "SecurityGroupIds"}


@dataclass(frozen=True, eq=False, kw_only=True)
class Endpoint(Resource):
    """A way to one AWS service: network interfaces in the subnets, or a route, as S3 has it.

    Its policy lets through what the roles allow: the application's own calls to the service take this way too.
    """

    kind = "endpoint"
    found_by = "its tags"
    immutable = frozenset({"VpcId", "ServiceName", "VpcEndpointType"})
    # Another endpoint has the service's name in the VPC; another has its route.
    taken = frozenset({"conflicting DNS domain", "RouteAlreadyExists"})
    vpc: Vpc
    service: str  # ecr.api, logs, s3, …
    subnets: tuple[Subnet, ...] = ()
    security_group: SecurityGroup | None = None
    routes: RouteTable | None = None  # instead of subnets

    def desired(self, known: Known) -> Attrs:
        common = {
            "VpcId": known[self.vpc]["VpcId"],
            "ServiceName": f"com.amazonaws.{known.aws.region}.{self.service}",
            "State": "available",
        }
        if self.routes is not None:
            return {
                **common,
                "VpcEndpointType": "Gateway",
                "RouteTableIds": {known[self.routes]["RouteTableId"]},
            }
        assert self.security_group is not None
        return {
            **common,
            "VpcEndpointType": "Interface",
            "PrivateDnsEnabled": True,
            "SubnetIds": {each for subnet in self.subnets for each in subnet.ids(known)},
            "Groups": {known[self.security_group]["GroupId"]},
        }

    def find(self, look: Look) -> Attrs | None:
        found = ec2.mine(self, look, ec2.ENDPOINT)
        return found and _described(found)

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        asked = {_SETS.get(key, key): value for key, value in desired.items() if key != "State"}
        made = aws.client("ec2").create_vpc_endpoint(
            **{key: sorted(value) if isinstance(value, set) else value for key, value in asked.items()},
            TagSpecifications=ec2.specification(self, aws, ec2.ENDPOINT),
        )["VpcEndpoint"]
        return {**_described(made), **self.update(aws, _described(made), {"State": "available"})}

    def update(self, aws: Aws, actual: Attrs, changed: Attrs) -> Attrs:
        """Change what it stands in, and wait until it is available: nothing answers by it before."""
        client, ident = aws.client("ec2"), actual["VpcEndpointId"]
        asked: Attrs = {key: value for key, value in changed.items() if key == "PrivateDnsEnabled"}
        for key in _SETS.keys() & changed.keys():
            for way, ids in (("Add", changed[key] - actual[key]), ("Remove", actual[key] - changed[key])):
                asked |= {f"{way}{_SETS[key]}": sorted(ids)} if ids else {}
        if asked:
            client.modify_vpc_endpoint(VpcEndpointId=ident, **asked)

        def available() -> bool:
            found = client.describe_vpc_endpoints(VpcEndpointIds=[ident])["VpcEndpoints"]
            return all(each["State"].lower() == "available" for each in found)

        if "State" in changed and actual["State"] != "available":
            wait_until(aws, available, _PATIENCE)
        return changed

    def retag(self, aws: Aws, actual: Attrs, tags: Mapping[str, str]) -> None:
        ec2.retag(aws, actual["VpcEndpointId"], tags)

    def delete(self, aws: Aws, actual: Attrs) -> None:
        ec2.ENDPOINT.delete(aws, actual["VpcEndpointId"])


def _described(found: Attrs) -> Attrs:
    return {
        **found,
        "State": found["State"].lower(),
        "Groups": {group["GroupId"] for group in found.get("Groups", ())},
        "SubnetIds": set(found.get("SubnetIds", ())),
        "RouteTableIds": set(found.get("RouteTableIds", ())),
    }
