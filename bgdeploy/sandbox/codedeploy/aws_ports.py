"""The two ports that read other services through their API: what the service role may do, and revisions in S3."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bgdeploy.sandbox.codedeploy import policy
from bgdeploy.sandbox.codedeploy.ends import failed, permission_missing

Client = Callable[..., Any]
_SERVICE = "codedeploy.amazonaws.com"


class RoleReader:
    """Reads a role's policies from IAM each time it is asked: they may change during a deployment."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def trusts(self, role_arn: str) -> bool:
        """Tell whether the role exists and CodeDeploy may assume it (aws-facts 8.1)."""
        role = self._role(role_arn)
        return role is not None and policy.trusts(role["AssumeRolePolicyDocument"], _SERVICE)

    def allows(
        self, role_arn: str, action: str, resource: str = "*", context: Mapping[str, str] | None = None
    ) -> bool:
        """Tell whether the role's inline and attached policies allow `action` on `resource`."""
        if self._role(role_arn) is None:
            return False
        return policy.allows(
            self._documents(_name(role_arn)), policy.Request(action, resource, context or {})
        )

    def _role(self, role_arn: str) -> Mapping[str, Any] | None:
        iam = self._client("iam")
        try:
            role: Mapping[str, Any] = iam.get_role(RoleName=_name(role_arn))["Role"]
        except iam.exceptions.NoSuchEntityException:
            return None
        return role if role["Arn"] == role_arn else None

    def _documents(self, name: str) -> list[Mapping[str, Any]]:
        iam = self._client("iam")
        inline = [
            iam.get_role_policy(RoleName=name, PolicyName=one)["PolicyDocument"]
            for one in iam.list_role_policies(RoleName=name)["PolicyNames"]
        ]
        return inline + [
            self._managed(one["PolicyArn"])
            for one in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        ]

    def _managed(self, arn: str) -> Mapping[str, Any]:
        iam = self._client("iam")
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        document: Mapping[str, Any] = iam.get_policy_version(PolicyArn=arn, VersionId=version)[
            "PolicyVersion"
        ]["Document"]
        return document


class BucketReader:
    """Reads AppSpecs from S3 in the service role's name."""

    def __init__(self, client: Client, roles: RoleReader) -> None:
        self._client = client
        self._roles = roles

    def read(self, location: Mapping[str, Any], role_arn: str, region: str) -> str:
        """Return the text of the revision at `location`. Raises EndedError when it is not there or not allowed.

        AWSCodeDeployRoleForECSLimited only reads objects tagged UseWithCodeDeploy=true, so tags count (aws-facts 1.2).
        """
        place = location["s3Location"]
        which = {"Bucket": place["bucket"], "Key": place["key"]}
        if place.get("version"):
            which["VersionId"] = place["version"]
        s3 = self._client("s3", region=region)
        try:
            tags = s3.get_object_tagging(**which)["TagSet"]
            body: bytes = s3.get_object(**which)["Body"].read()
        except s3.exceptions.ClientError as error:
            raise failed(
                "REVISION_MISSING",
                f"The revision s3://{place['bucket']}/{place['key']} could not be read: {error}",
            ) from error
        context = {f"s3:ExistingObjectTag/{tag['Key']}": tag["Value"] for tag in tags}
        arn = f"arn:aws:s3:::{place['bucket']}/{place['key']}"
        if not self._roles.allows(role_arn, "s3:GetObject", arn, context):
            raise permission_missing(role_arn, "AmazonS3")
        return body.decode("utf-8", errors="replace")


def _name(role_arn: str) -> str:
    return role_arn.rsplit("/", 1)[-1]
