"""The port that reads revisions from S3."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bgdeploy.sandbox.codedeploy.ends import failed, permission_missing
from bgdeploy.sandbox.codedeploy.ports import Identity

Client = Callable[..., Any]


class BucketReader:
    """Reads AppSpecs from S3 in the service role's name."""

    def __init__(self, client: Client, roles: Identity) -> None:
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
