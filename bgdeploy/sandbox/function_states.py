"""What a Lambda function goes through before it can be used: its role is assumed, it is Pending, updates take a while.

moto's functions are there at once and take any role; on AWS a second update that comes too early is refused
(aws-facts 8.3, 8.5).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from bgdeploy.sandbox.inprocess import forwarded
from bgdeploy.sandbox.world import ACCOUNT, Call, Handler, RefusedError, World

_PRINCIPAL = "lambda.amazonaws.com"
_INTERFACE = "ec2:CreateNetworkInterface"  # by which Lambda puts a function into its subnets
_TAKES = timedelta(seconds=2)  # a creation or an update; AWS says "seconds", and how many it depends on
_CREATING = {
    "State": "Pending",
    "StateReason": "The function is being created.",
    "StateReasonCode": "Creating",
}
_UPDATING = {"LastUpdateStatus": "InProgress"}


class FunctionStates:
    """Makes functions wait for themselves."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._busy: dict[str, tuple[datetime, Mapping[str, str]]] = {}  # ARN → until when, and how it is told

    @property
    def operations(self) -> Mapping[tuple[str, str], Handler]:
        ours: dict[str, Handler] = {
            "CreateFunction": self._create,
            "GetFunction": self._get,
            "GetFunctionConfiguration": self._get,
            "UpdateFunctionCode": self._update,
            "UpdateFunctionConfiguration": self._update,
        }
        return {("lambda", name): handler for name, handler in ours.items()}

    def require_active(self, name: str, region: str) -> None:
        """Refuse what a function cannot do yet. Raises RefusedError."""
        if self._told(name, region).get("State"):
            message = (
                "The operation cannot be performed at this time. The function is currently in the following "
                "state: Pending"
            )
            raise RefusedError("ResourceConflictException", message, 409)

    def _create(self, call: Call) -> dict[str, Any]:
        self._check_role(call)
        return self._begin(call, _CREATING)

    def _update(self, call: Call) -> dict[str, Any]:
        name = call.params["FunctionName"]
        self.require_active(name, call.region)
        if self._told(name, call.region):
            message = (
                "The operation cannot be performed at this time. An update is in progress for resource: "
                f"{_arn(name, call.region)}"
            )
            raise RefusedError("ResourceConflictException", message, 409)
        self._check_role(call)
        return self._begin(call, _UPDATING)

    def _get(self, call: Call) -> dict[str, Any]:
        found = forwarded(self._world, call)
        told = self._told(call.params["FunctionName"], call.region)
        if "Configuration" in found:
            return {**found, "Configuration": {**found["Configuration"], **told}}
        return {**found, **told}

    def _begin(self, call: Call, told: Mapping[str, str]) -> dict[str, Any]:
        answer = forwarded(self._world, call)
        self._busy[answer["FunctionArn"]] = (self._world.clock.now() + _TAKES, told)
        return {**answer, **told}

    def _told(self, name: str, region: str) -> Mapping[str, str]:
        until, told = self._busy.get(_arn(name, region), (None, {}))
        return told if until is not None and self._world.clock.now() < until else {}

    def _check_role(self, call: Call) -> None:
        role = call.params.get("Role")
        if role and not self._world.roles.trusts(role, _PRINCIPAL):
            message = "The role defined for the function cannot be assumed by Lambda."
            raise RefusedError("InvalidParameterValueException", message)
        place = call.params.get("VpcConfig") or {}
        if role and place.get("SubnetIds") and not self._world.roles.allows(role, _INTERFACE, "*"):
            message = (
                "The provided execution role does not have permissions to call CreateNetworkInterface on EC2"
            )
            raise RefusedError("InvalidParameterValueException", message)


def _arn(name: str, region: str) -> str:
    """Return the ARN of a function that is given by name or by ARN, without a version."""
    short = name.partition(":function:")[2] or name
    return f"arn:aws:lambda:{region}:{ACCOUNT}:function:{short.partition(':')[0]}"
