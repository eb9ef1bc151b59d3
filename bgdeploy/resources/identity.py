"""Roles: who acts for the stack, and what each of them may do and no more."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from bgdeploy.aws import REGION_TAG, Attrs, Aws, absent, tag_list, tag_map
from bgdeploy.provision.resource import TAGS, Known, Look, Resource
from bgdeploy.resources.policy import canonical, document

_POLICY = "bgdeploy"  # the one inline policy of each role


@dataclass(frozen=True)
class Grant:
    """What a role may do: these actions on these resources, only if."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: tuple[tuple[str, str, str], ...] = ()  # operator, key, value

    def statement(self) -> Attrs:
        told: Attrs = {"Effect": "Allow", "Action": list(self.actions), "Resource": list(self.resources)}
        if self.condition:
            told["Condition"] = {operator: {key: value} for operator, key, value in self.condition}
        return told


@dataclass(frozen=True, eq=False, kw_only=True)
class Role(Resource):
    """A role that an AWS service takes on for the stack."""

    kind = "role"
    taken = frozenset({"EntityAlreadyExists"})
    service: str  # who may take it on: codedeploy.amazonaws.com
    account: str  # for whose sake alone
    grants: tuple[Grant, ...]
    managed: tuple[str, ...] | None = None  # the ARNs of the policies attached to it; None: nobody says

    def tags(self, aws: Aws) -> Mapping[str, str]:
        """A role is the account's: a stack of the same name in another region would take it for its own."""
        return {**super().tags(aws), REGION_TAG: aws.region}

    def desired(self, known: Known) -> Attrs:
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": self.service},
            "Action": "sts:AssumeRole",
            # Without it a stranger's deployment, task or function could make the service act as this role.
            "Condition": {"StringEquals": {"aws:SourceAccount": self.account}},
        }
        declared: Attrs = {
            "AssumeRolePolicyDocument": document([trust]),
            # A role that may do nothing has no policy: IAM refuses an empty one.
            "Policy": document([grant.statement() for grant in self.grants]) if self.grants else None,
        }
        return declared if self.managed is None else {**declared, "ManagedPolicies": set(self.managed)}

    def find(self, look: Look) -> Attrs | None:
        iam = look.aws.client("iam")
        with absent("NoSuchEntity"):
            found = dict(iam.get_role(RoleName=self.name)["Role"])
            policy = None
            with absent("NoSuchEntity"):
                policy = canonical(
                    iam.get_role_policy(RoleName=self.name, PolicyName=_POLICY)["PolicyDocument"]
                )
            trust = canonical(found["AssumeRolePolicyDocument"])
            tags = tag_map(found.get("Tags"))
            managed = set() if self.managed is None else set(self._attached(look.aws))
            return {
                **found,
                "AssumeRolePolicyDocument": trust,
                "Policy": policy,
                "ManagedPolicies": managed,
                TAGS: tags,
            }
        return None

    def _attached(self, aws: Aws) -> list[str]:
        attached = aws.client("iam").list_attached_role_policies(RoleName=self.name)["AttachedPolicies"]
        return [each["PolicyArn"] for each in attached]

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        iam = aws.client("iam")
        made = iam.create_role(
            RoleName=self.name,
            Tags=tag_list(self.tags(aws)),
            Description=f"{self.address} of {aws.stack}",
            AssumeRolePolicyDocument=json.dumps(desired["AssumeRolePolicyDocument"]),
        )["Role"]
        more = {field: desired[field] for field in ("Policy", "ManagedPolicies") if desired.get(field)}
        return {**made, **self.update(aws, {**made, "ManagedPolicies": set()}, more)}

    def update(self, aws: Aws, actual: Attrs, changed: Attrs) -> Attrs:
        iam = aws.client("iam")
        if "AssumeRolePolicyDocument" in changed:
            trust = json.dumps(changed["AssumeRolePolicyDocument"])
            iam.update_assume_role_policy(RoleName=self.name, PolicyDocument=trust)
        if "Policy" in changed and changed["Policy"] is None:
            iam.delete_role_policy(RoleName=self.name, PolicyName=_POLICY)
        elif "Policy" in changed:
            policy = json.dumps(changed["Policy"])
            iam.put_role_policy(RoleName=self.name, PolicyName=_POLICY, PolicyDocument=policy)
        if "ManagedPolicies" in changed:
            wanted, attached = changed["ManagedPolicies"], actual["ManagedPolicies"]
            for arn in sorted(wanted - attached):
                iam.attach_role_policy(RoleName=self.name, PolicyArn=arn)
            for arn in sorted(attached - wanted):
                with absent("NoSuchEntity"):
                    iam.detach_role_policy(RoleName=self.name, PolicyArn=arn)
        return changed

    def retag(self, aws: Aws, actual: Attrs, tags: Mapping[str, str]) -> None:
        aws.client("iam").tag_role(RoleName=self.name, Tags=tag_list(tags))

    def delete(self, aws: Aws, actual: Attrs) -> None:
        iam = aws.client("iam")
        with absent("NoSuchEntity"):
            for name in iam.list_role_policies(RoleName=self.name)["PolicyNames"]:
                iam.delete_role_policy(RoleName=self.name, PolicyName=name)
            for arn in self._attached(aws):
                iam.detach_role_policy(RoleName=self.name, PolicyArn=arn)
            iam.delete_role(RoleName=self.name)
