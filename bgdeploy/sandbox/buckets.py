"""S3's buckets as they are born today: private, encrypted, with the tags they are created with. moto does the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bgdeploy.sandbox.inprocess import forwarded, refusals
from bgdeploy.sandbox.world import Call, Handler, RefusedError

if TYPE_CHECKING:
    from bgdeploy.sandbox.world import World

_HOME = "us-east-1"  # the one region that CreateBucket must not name, and where a second one changes nothing
_BLOCKED = dict.fromkeys(
    ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
)
_ENCRYPTED = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}


class Buckets:
    """What moto leaves out when a bucket is made."""

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def operations(self) -> Mapping[tuple[str, str], Handler]:
        return {
            ("s3", "CreateBucket"): self._create,
            ("s3", "DeleteBucketEncryption"): self._delete_encryption,
        }

    def tick(self) -> None:
        """Nothing becomes due: buckets only lie there."""

    def close(self) -> None:
        """Nothing to end."""

    def _create(self, call: Call) -> dict[str, Any]:
        name = call.params["Bucket"]
        home = self._home(name)
        if home is not None and (home, call.region) != (_HOME, _HOME):
            message = "Your previous request to create the named bucket succeeded and you already own it."
            raise RefusedError("BucketAlreadyOwnedByYou", message, 409)
        if home is None:
            self._make(call)
        return {"Location": f"/{name}" if call.region == _HOME else f"http://{name}.s3.amazonaws.com/"}

    def _home(self, name: str) -> str | None:
        """Return the region of a bucket, None when there is none such. All buckets here are the caller's own."""
        s3 = self._world.beneath("s3")
        try:
            return str(s3.get_bucket_location(Bucket=name)["LocationConstraint"] or _HOME)
        except s3.exceptions.NoSuchBucket:
            return None

    def _make(self, call: Call) -> None:
        """Make a bucket with everything it is born with, or none."""
        name, asked = call.params["Bucket"], dict(call.params.get("CreateBucketConfiguration", {}))
        tags = asked.pop("Tags", [])
        rest = {key: each for key, each in call.params.items() if key != "CreateBucketConfiguration"}
        params = {**rest, "CreateBucketConfiguration": asked} if asked else rest
        forwarded(self._world, Call(call.service, call.operation, params, call.region))
        s3 = self._world.beneath("s3", region=call.region)
        try:
            with refusals():
                if tags:
                    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags})
        except RefusedError:
            s3.delete_bucket(Bucket=name)
            raise
        # Since April 2023 every new bucket of AWS's is closed to the public and encrypted.
        s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=_BLOCKED)
        s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration=_ENCRYPTED)

    def _delete_encryption(self, call: Call) -> dict[str, Any]:
        """Go back to what a new bucket has: none is without encryption any more."""
        s3 = self._world.beneath("s3", region=call.region)
        name = call.params["Bucket"]
        with refusals():
            s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration=_ENCRYPTED)
        return {}
