"""Looks at the roles of a stack, and at those that services make for themselves."""

from __future__ import annotations

from typing import Any

from bgdeploy.aws import Aws, absent, translated
from bgdeploy.doctor.access import assumable, lacking
from bgdeploy.doctor.condition import LinkedRole, RoleSeen
from bgdeploy.names import Names
from bgdeploy.resources.identity import Role

_ANSWER = "codedeploy:PutLifecycleEventHookExecutionStatus"

# What makes each of them needed (aws-facts 8.4, 6.1; Application Auto Scaling user guide, "service-linked roles").
_LINKED = {
    "ecs.amazonaws.com": "ECS gives tasks their addresses with",
    "elasticloadbalancing.amazonaws.com": "the load balancer reaches its targets with",
}
_SCALING = {"ecs.application-autoscaling.amazonaws.com": "auto scaling changes the number of tasks with"}


def seen(aws: Aws, role: Role) -> RoleSeen:
    """Return how a role is: whether its service may assume it, and what its policies lack."""
    with absent("NoSuchEntity"):
        trust = aws.client("iam").get_role(RoleName=role.name)["Role"]["AssumeRolePolicyDocument"]
        wanted = [grant.statement() for grant in role.grants]
        lacks = tuple(f"{action} on {on}" for action, on in lacking(_documents(aws, role.name), wanted))
        return RoleSeen(role.name, role.service, True, assumable(trust, role.service, aws.account), lacks)
    return RoleSeen(role.name, role.service)


def _documents(aws: Aws, name: str) -> list[dict[str, Any]]:
    """Return all policies of a role, inline and attached."""
    iam = aws.client("iam")
    found = [
        iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
    ]
    for attached in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        arn = attached["PolicyArn"]
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        policy = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]
        found.append(policy["Document"])
    return found


def denied_answers(aws: Aws, role: Role, names: Names) -> tuple[tuple[str, ...], bool]:
    """Return what the hook's role may not do of what an answer takes, and whether IAM itself says so.

    IAM knows more than the role's policies tell: boundaries, and what an organization forbids. It is asked where it
    may be, else the policies are read.
    """
    from botocore.exceptions import ClientError

    group = aws.arn("codedeploy", f"deploymentgroup:{names.plain}/{names.plain}")
    try:
        told = aws.client("iam").simulate_principal_policy(
            PolicySourceArn=aws.arn("iam", f"role/{role.name}"), ActionNames=[_ANSWER], ResourceArns=[group]
        )
    except ClientError as error:
        if translated(error) is None:
            raise
        with absent("NoSuchEntity"):
            wanted = [{"Action": _ANSWER, "Resource": group}]
            return tuple(action for action, _ in lacking(_documents(aws, role.name), wanted)), False
        return (_ANSWER,), False
    results = told["EvaluationResults"]
    return tuple(each["EvalActionName"] for each in results if each["EvalDecision"] != "allowed"), True


def linked(aws: Aws, *, scaling: bool) -> tuple[LinkedRole, ...]:
    """Return the service-linked roles that a release needs; `scaling`: the service scales by itself."""
    iam = aws.client("iam")
    needed = {**_LINKED, **(_SCALING if scaling else {})}
    return tuple(
        LinkedRole(service, bool(iam.list_roles(PathPrefix=f"/aws-service-role/{service}/")["Roles"]), why)
        for service, why in needed.items()
    )
