"""The bucket in which the hook, and those who watch a release, leave word for each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bgdeploy.aws import Attrs, Aws, absent, tag_list, tag_map
from bgdeploy.provision.resource import TAGS, Known, Look, Resource

_BLOCKED = dict.fromkeys(
    ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
)
_HOOKS_KEPT_DAYS = 30  # what a hook leaves is of no use when its deployment is long over


@dataclass(frozen=True, eq=False, kw_only=True)
class Bucket(Resource):
    """A private, encrypted bucket."""

    kind = "bucket"
    taken = frozenset({"BucketAlreadyOwnedByYou"})

    def desired(self, known: Known) -> Attrs:
        return {
            "PublicAccessBlock": _BLOCKED,
            "Encryption": "AES256",
            "HooksExpireAfterDays": _HOOKS_KEPT_DAYS,
        }

    def find(self, look: Look) -> Attrs | None:
        s3 = look.aws.client("s3")
        with absent("404", "NoSuchBucket", "403"):
            s3.head_bucket(Bucket=self.name)
            tags: dict[str, str] = {}
            with absent("NoSuchTagSet"):
                tags = tag_map(s3.get_bucket_tagging(Bucket=self.name)["TagSet"])
            return {**self._settings(look.aws), TAGS: tags}
        return None

    def _settings(self, aws: Aws) -> Attrs:
        s3 = aws.client("s3")
        found: Attrs = {"PublicAccessBlock": None, "Encryption": None, "HooksExpireAfterDays": None}
        with absent("NoSuchPublicAccessBlockConfiguration"):
            blocked = s3.get_public_access_block(Bucket=self.name)["PublicAccessBlockConfiguration"]
            found["PublicAccessBlock"] = blocked
        with absent("ServerSideEncryptionConfigurationNotFoundError"):
            rules = s3.get_bucket_encryption(Bucket=self.name)["ServerSideEncryptionConfiguration"]["Rules"]
            found["Encryption"] = rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"]
        with absent("NoSuchLifecycleConfiguration"):
            rules = s3.get_bucket_lifecycle_configuration(Bucket=self.name)["Rules"]
            found["HooksExpireAfterDays"] = next(
                (rule["Expiration"]["Days"] for rule in rules if rule["ID"] == "hooks"), None
            )
        return found

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        s3 = aws.client("s3")
        # us-east-1 is the one region that must not be named.
        where = {} if aws.region == "us-east-1" else {"LocationConstraint": aws.region}
        # Tagged from its first moment on: a bucket without tags would be nobody's to the next run.
        s3.create_bucket(
            Bucket=self.name, CreateBucketConfiguration={**where, "Tags": tag_list(self.tags(aws))}
        )
        return self.update(aws, {}, desired)

    def update(self, aws: Aws, actual: Attrs, changed: Attrs) -> Attrs:
        s3 = aws.client("s3")
        if "PublicAccessBlock" in changed:
            s3.put_public_access_block(
                Bucket=self.name, PublicAccessBlockConfiguration=changed["PublicAccessBlock"]
            )
        if "Encryption" in changed:
            default = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": changed["Encryption"]}}
            s3.put_bucket_encryption(Bucket=self.name, ServerSideEncryptionConfiguration={"Rules": [default]})
        if "HooksExpireAfterDays" in changed:
            rule = {
                "ID": "hooks",
                "Status": "Enabled",
                "Filter": {"Prefix": "hooks/"},
                "Expiration": {"Days": changed["HooksExpireAfterDays"]},
            }
            s3.put_bucket_lifecycle_configuration(Bucket=self.name, LifecycleConfiguration={"Rules": [rule]})
        return changed

    def retag(self, aws: Aws, actual: Attrs, tags: Mapping[str, str]) -> None:
        kept = {**actual.get(TAGS, {}), **tags}  # PutBucketTagging replaces them all
        aws.client("s3").put_bucket_tagging(Bucket=self.name, Tagging={"TagSet": tag_list(kept)})

    def delete(self, aws: Aws, actual: Attrs) -> None:
        """Empty it, versions included, and remove it."""
        s3 = aws.client("s3")
        with absent("NoSuchBucket"):
            for page in s3.get_paginator("list_object_versions").paginate(Bucket=self.name):
                found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
                objects = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
                if objects:
                    s3.delete_objects(Bucket=self.name, Delete={"Objects": objects, "Quiet": True})
            s3.delete_bucket(Bucket=self.name)
