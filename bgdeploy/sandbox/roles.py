"""IAM as the other services see it: whether they may assume a role, and what it allows them. moto keeps the roles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bgdeploy.sandbox import policy
from bgdeploy.sandbox.world import ACCOUNT, PASS, Call, Handler, RefusedError, _Pass

if TYPE_CHECKING:
    from bgdeploy.sandbox.world import World

_LONGEST_NAME = 64

# The roles that services make for themselves.
_LINKED = {
    "ecs.amazonaws.com": "AWSServiceRoleForECS",
    "elasticloadbalancing.amazonaws.com": "AWSServiceRoleForElasticLoadBalancing",
    "ecs.application-autoscaling.amazonaws.com": "AWSServiceRoleForApplicationAutoScaling_ECSService",
}


class Roles:
    """Every role there is. A new one is known to the other services only after a while (aws-facts 8.3)."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._settled: dict[str, datetime] = {}  # role → when the other services know it

    @property
    def operations(self) -> Mapping[tuple[str, str], Handler]:
        return {
            ("iam", "CreateRole"): self._create_role,
            ("iam", "CreateServiceLinkedRole"): self._create_linked_role,
            ("iam", "SimulatePrincipalPolicy"): self._simulate,
        }

    def tick(self) -> None:
        """Nothing becomes due: whoever asks is told how it is by then."""

    def close(self) -> None:
        """Nothing to end."""

    def trusts(self, role_arn: str, service: str) -> bool:
        """Tell whether the role exists, has got around, and lets `service` (ecs-tasks.amazonaws.com) assume it."""
        role, now = self._role(role_arn), self._world.clock.now()
        if role is None or now < self._settled.get(_name(role_arn), now):
            return False
        return policy.trusts(role["AssumeRolePolicyDocument"], service, ACCOUNT)

    def allows(
        self, role_arn: str, action: str, resource: str = "*", context: Mapping[str, str] | None = None
    ) -> bool:
        """Tell whether the role's inline and attached policies allow `action` on `resource`."""
        if self._role(role_arn) is None:
            return False
        return policy.allows(
            self._documents(_name(role_arn)), policy.Request(action, resource, context or {})
        )

    def link(self, service: str) -> None:
        """Make a service-linked role of the account, as the service that needs it does when there is none."""
        if self._role_named(_LINKED[service]) is None:
            self._make_linked(service)

    def _create_linked_role(self, call: Call) -> dict[str, Any] | _Pass:
        service = call.params["AWSServiceName"]
        if service not in _LINKED or call.params.get("CustomSuffix"):
            return PASS
        if self._role_named(_LINKED[service]) is not None:
            taken = f"Service role name {_LINKED[service]} has been taken in this account"
            raise RefusedError("InvalidInput", f"{taken}, please try a different suffix.")
        made = self._make_linked(service, call.params.get("Description", ""))
        written = quote(json.dumps(made["AssumeRolePolicyDocument"]))  # as IAM writes documents
        return {"Role": {**made, "AssumeRolePolicyDocument": written}}

    def _make_linked(self, service: str, description: str = "") -> dict[str, Any]:
        """Make a role under AWS's name for it, which moto does not know."""
        trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        made: dict[str, Any] = self._world.beneath("iam").create_role(
            RoleName=_LINKED[service],
            Path=f"/aws-service-role/{service}/",
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
            Description=description,
        )["Role"]
        return made

    def _simulate(self, call: Call) -> dict[str, Any]:
        """Say of every action and resource whether a role's policies allow it."""
        arn, params = call.params["PolicySourceArn"], call.params
        if self._role(arn) is None:
            raise RefusedError("NoSuchEntity", f"The principal {arn} cannot be found.", 404)
        context = {
            each["ContextKeyName"]: each["ContextKeyValues"][0] for each in params.get("ContextEntries", [])
        }
        results = [
            {
                "EvalActionName": action,
                "EvalResourceName": resource,
                "EvalDecision": "allowed" if self.allows(arn, action, resource, context) else "implicitDeny",
            }
            for action in params["ActionNames"]
            for resource in params.get("ResourceArns", ["*"])
        ]
        return {"EvaluationResults": results, "IsTruncated": False}

    def _create_role(self, call: Call) -> _Pass:
        name = call.params["RoleName"]
        if len(name) > _LONGEST_NAME:
            message = (
                f"1 validation error detected: Value '{name}' at 'roleName' failed to satisfy constraint: Member must "
                f"have length less than or equal to {_LONGEST_NAME}"
            )
            raise RefusedError("ValidationError", message)
        try:
            json.loads(call.params["AssumeRolePolicyDocument"])
        except ValueError:
            raise RefusedError("MalformedPolicyDocument", "This policy contains invalid Json") from None
        delay = timedelta(seconds=self._world.settings.role_delay)
        if self._role_named(name) is None:  # moto is about to refuse a second one
            self._settled[name] = self._world.clock.now() + delay
        return PASS

    def _role(self, role_arn: str) -> Mapping[str, Any] | None:
        role = self._role_named(_name(role_arn))
        return role if role is not None and role["Arn"] == role_arn else None

    def _role_named(self, name: str) -> Mapping[str, Any] | None:
        iam = self._world.beneath("iam")
        try:
            role: Mapping[str, Any] = iam.get_role(RoleName=name)["Role"]
        except iam.exceptions.NoSuchEntityException:
            return None
        return role

    def _documents(self, name: str) -> list[Mapping[str, Any]]:
        iam = self._world.beneath("iam")
        inline = [
            iam.get_role_policy(RoleName=name, PolicyName=one)["PolicyDocument"]
            for one in iam.list_role_policies(RoleName=name)["PolicyNames"]
        ]
        return inline + [
            self._managed(one["PolicyArn"])
            for one in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        ]

    def _managed(self, arn: str) -> Mapping[str, Any]:
        iam = self._world.beneath("iam")
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        document: Mapping[str, Any] = iam.get_policy_version(PolicyArn=arn, VersionId=version)[
            "PolicyVersion"
        ]["Document"]
        return document


def _name(role_arn: str) -> str:
    return role_arn.rsplit("/", 1)[-1]
