"""What EC2 refuses of VPC endpoints and moto does not, in AWS's words. Functions of values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bgdeploy.sandbox.world import RefusedError

Facts = Mapping[str, Any]


def check_kind(kind: str, service: Sequence[Facts]) -> None:
    """Refuse a type of endpoint that the service does not have."""
    types = [each["ServiceType"] for details in service for each in details["ServiceType"]]
    if kind not in types:
        message = f"Endpoint type ({kind}) does not match available service types ([{', '.join(types)}])."
        raise RefusedError("InvalidParameter", message)


def check_routes(service: str, tables: Sequence[str], others: Iterable[Facts]) -> None:
    """Refuse a second gateway for a service in a route table."""
    for other in others:
        for table in tables:
            if other["ServiceName"] == service and table in other["RouteTableIds"]:
                message = (
                    f"route table {table} already has a route with destination-prefix-list-id of {service}"
                )
                raise RefusedError("RouteAlreadyExists", message)


def check_zones(subnets: Iterable[Facts]) -> None:
    """Refuse two subnets in one zone."""
    zones: set[str] = set()
    for subnet in subnets:
        if subnet["AvailabilityZone"] in zones:
            message = f"Found another VPC endpoint subnet in the availability zone of {subnet['SubnetId']}"
            raise RefusedError("DuplicateSubnetsInSameZone", message)
        zones.add(subnet["AvailabilityZone"])


def check_domain(vpc: str, service: Sequence[Facts], others: Iterable[Facts]) -> None:
    """Refuse a second endpoint of a service whose private name would lead to it."""
    names = {details["ServiceName"]: details.get("PrivateDnsName") for details in service}
    for other in others:
        if other["VpcId"] == vpc and other["PrivateDnsEnabled"] and other["ServiceName"] in names:
            message = (
                "private-dns-enabled cannot be set because there is already a conflicting DNS domain for "
                f"{names[other['ServiceName']]} in the VPC {vpc}"
            )
            raise RefusedError("InvalidParameter", message)
