"""What stands in the way of whoever deletes or takes apart a network, in AWS's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bgdeploy.sandbox.inprocess import refusals
from bgdeploy.sandbox.network.model import Interface
from bgdeploy.sandbox.world import PASS, Call, Handler, RefusedError, World, _Pass

_VIOLATION = "DependencyViolation"


class Guards:
    """Refuses what AWS would, and leaves the rest to moto."""

    def __init__(
        self,
        world: World,
        interfaces: Callable[[str], list[Interface]],
        endpoints: Callable[[str], list[dict[str, Any]]],
        is_nat: Callable[[str], bool],
    ) -> None:
        self._world = world
        self._interfaces = interfaces
        self._endpoints = endpoints
        self._is_nat = is_nat

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "DeleteSubnet": self._delete_subnet,
            "DeleteSecurityGroup": self._delete_security_group,
            "DeleteVpc": self._delete_vpc,
            "AttachInternetGateway": self._attach_gateway,
            "DetachInternetGateway": self._detach_gateway,
            "ReleaseAddress": self._release_address,
            "DisassociateAddress": self._disassociate_address,
        }

    def _ec2(self, call: Call) -> Any:
        return self._world.beneath("ec2", region=call.region)

    def _changed(self, call: Call) -> _Pass:
        if hasattr(self._world, "elb"):
            self._world.elb.touch(call.region)
        return PASS

    def _delete_subnet(self, call: Call) -> _Pass:
        subnet = call.params["SubnetId"]
        if any(each.subnet == subnet for each in self._interfaces(call.region)):
            message = f"The subnet '{subnet}' has dependencies and cannot be deleted."
            raise RefusedError(_VIOLATION, message)
        return self._changed(call)

    def _delete_security_group(self, call: Call) -> _Pass:
        """Refuse while an interface is in it, or another group names it (aws-facts 7.4)."""
        group = call.params.get("GroupId", "")
        used = any(group in each.security_groups for each in self._interfaces(call.region))
        if used or self._named_elsewhere(call, group):
            raise RefusedError(_VIOLATION, f"resource {group} has a dependent object")
        return self._changed(call)

    def _named_elsewhere(self, call: Call, group: str) -> bool:
        for other in self._ec2(call).describe_security_groups()["SecurityGroups"]:
            rules = (*other.get("IpPermissions", ()), *other.get("IpPermissionsEgress", ()))
            named = {pair.get("GroupId") for rule in rules for pair in rule.get("UserIdGroupPairs", ())}
            if other["GroupId"] != group and group in named:
                return True
        return False

    def _delete_vpc(self, call: Call) -> _Pass:
        vpc, ec2 = call.params["VpcId"], self._ec2(call)
        mine = [{"Name": "vpc-id", "Values": [vpc]}]
        attached = [{"Name": "attachment.vpc-id", "Values": [vpc]}]
        groups = ec2.describe_security_groups(Filters=mine)["SecurityGroups"]
        if (
            ec2.describe_internet_gateways(Filters=attached)["InternetGateways"]
            or any(group["GroupName"] != "default" for group in groups)
            or any(endpoint["VpcId"] == vpc for endpoint in self._endpoints(call.region))
        ):
            raise RefusedError(_VIOLATION, f"The vpc '{vpc}' has dependencies and cannot be deleted.")
        return self._changed(call)

    def _attach_gateway(self, call: Call) -> _Pass:
        vpc, gateway = call.params["VpcId"], call.params["InternetGatewayId"]
        attached = [{"Name": "attachment.vpc-id", "Values": [vpc]}]
        found = self._ec2(call).describe_internet_gateways(Filters=attached)["InternetGateways"]
        if any(each["InternetGatewayId"] != gateway for each in found):
            message = f"Network {vpc} already has an internet gateway attached"
            raise RefusedError("InvalidParameterValue", message)
        return PASS

    def _detach_gateway(self, call: Call) -> _Pass:
        vpc = call.params["VpcId"]
        mine = [{"Name": "vpc-id", "Values": [vpc]}]
        subnets = {each["SubnetId"] for each in self._ec2(call).describe_subnets(Filters=mine)["Subnets"]}
        if any(each.public and each.subnet in subnets for each in self._interfaces(call.region)):
            message = (
                f"Network {vpc} has some mapped public address(es). "
                "Please unmap those public address(es) before detaching the gateway."
            )
            raise RefusedError(_VIOLATION, message)
        return PASS

    def _release_address(self, call: Call) -> _Pass:
        ident = call.params.get("AllocationId")
        if ident is None:
            return PASS
        with refusals():
            address = self._ec2(call).describe_addresses(AllocationIds=[ident])["Addresses"][0]
        if address.get("AssociationId"):
            self._check_mine(address)
            raise RefusedError("InvalidIPAddress.InUse", f"Address {address['PublicIp']} is in use.")
        return PASS

    def _disassociate_address(self, call: Call) -> _Pass:
        wanted = call.params.get("AssociationId")
        for address in self._ec2(call).describe_addresses()["Addresses"]:
            if address.get("AssociationId") == wanted:
                self._check_mine(address)
        return PASS

    def _check_mine(self, address: Mapping[str, Any]) -> None:
        """Refuse to touch the address of a NAT gateway until that is gone: it is EC2's own meanwhile."""
        if self._is_nat(address.get("NetworkInterfaceId", "")):
            message = "You do not have permission to access the specified resource."
            raise RefusedError("AuthFailure", message)
