"""The bucket in which the hook, and those who watch a release, leave word for each other."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bgdeploy.aws import Attrs, Aws, absent, error_code, retry, tag_list, tag_map
from bgdeploy.provision.resource import TAGS, Known, Look, Resource
from bgdeploy.resources.policy import canonical, document
from bgdeploy.resources.tagging import tags_of

_BLOCKED = dict.fromkeys(
    ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
)
# By the rules' ids, which are ours; rules of other ids are somebody else's and stay.
_EXPIRY = {
    # What a hook leaves is of no use when its deployment is long over.
    "hooks": {"Status": "Enabled", "Filter": {"Prefix": "hooks/"}, "Expiration": {"Days": 30}},
    "old-versions": {
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    },
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Bucket(Resource):
    """A private, encrypted, versioned bucket, whose contents expire and travel over TLS only."""

    kind = "bucket"
    taken = frozenset({"BucketAlreadyOwnedByYou"})

    def desired(self, known: Known) -> Attrs:
        declared: Attrs = {
            "PublicAccessBlock": _BLOCKED,
            "Encryption": "AES256",
            "Versioning": "Enabled",
            "Expiry": _EXPIRY,
        }
        if known.aws.secure("s3"):
            declared["Policy"] = document([self._tls_only()])
        return declared

    def _tls_only(self) -> Attrs:
        arn = f"arn:aws:s3:::{self.name}"
        return {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, f"{arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }

    def find(self, look: Look) -> Attrs | None:
        with absent("NoSuchBucket"):
            found = {field: self._read(look.aws, field) for field in self.desired(Known(look.aws))}
            arn = f"arn:aws:s3:::{self.name}"
            tags = tags_of(look, arn, self.tags(look.aws), lambda: self._tags(look.aws))
            return {**found, TAGS: tags}
        return None

    def _tags(self, aws: Aws) -> dict[str, str]:
        with absent("NoSuchTagSet"):
            return tag_map(aws.client("s3").get_bucket_tagging(Bucket=self.name)["TagSet"])
        return {}

    def _read(self, aws: Aws, field: str) -> Any:
        s3 = aws.client("s3")
        readers: dict[str, tuple[str, Callable[[], Any]]] = {
            "PublicAccessBlock": (
                "NoSuchPublicAccessBlockConfiguration",
                lambda: s3.get_public_access_block(Bucket=self.name)["PublicAccessBlockConfiguration"],
            ),
            "Encryption": (
                "ServerSideEncryptionConfigurationNotFoundError",
                lambda: _algorithm(s3.get_bucket_encryption(Bucket=self.name)),
            ),
            "Versioning": ("", lambda: s3.get_bucket_versioning(Bucket=self.name).get("Status")),
            "Expiry": (
                "NoSuchLifecycleConfiguration",
                lambda: _by_id(s3.get_bucket_lifecycle_configuration(Bucket=self.name)["Rules"]),
            ),
            "Policy": (
                "NoSuchBucketPolicy",
                lambda: canonical(json.loads(s3.get_bucket_policy(Bucket=self.name)["Policy"])),
            ),
        }
        unset, read = readers[field]
        with absent(unset):
            return read()
        return None

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        # us-east-1 is the one region that must not be named.
        where = {} if aws.region == "us-east-1" else {"LocationConstraint": aws.region}

        def make() -> None:
            # Tagged from its first moment on: a bucket without tags would be nobody's to the next run.
            aws.client("s3").create_bucket(
                Bucket=self.name, CreateBucketConfiguration={**where, "Tags": tag_list(self.tags(aws))}
            )

        # Two who make it at the same moment are in each other's way.
        retry(aws, make, lambda error: error_code(error) == "OperationAborted")
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
        if "Versioning" in changed:
            s3.put_bucket_versioning(
                Bucket=self.name, VersioningConfiguration={"Status": changed["Versioning"]}
            )
        if "Expiry" in changed:
            kept = {**(actual.get("Expiry") or {}), **changed["Expiry"]}  # the call replaces them all
            rules = [{"ID": ident, **rule} for ident, rule in kept.items()]
            s3.put_bucket_lifecycle_configuration(Bucket=self.name, LifecycleConfiguration={"Rules": rules})
        if "Policy" in changed:
            s3.put_bucket_policy(Bucket=self.name, Policy=json.dumps(changed["Policy"]))
        return changed

    def retag(self, aws: Aws, actual: Attrs, tags: Mapping[str, str]) -> None:
        kept = {**actual.get(TAGS, {}), **tags}  # PutBucketTagging replaces them all
        aws.client("s3").put_bucket_tagging(Bucket=self.name, Tagging={"TagSet": tag_list(kept)})

    def delete(self, aws: Aws, actual: Attrs) -> None:
        """Empty it, versions included, and remove it; somebody may still be writing into it meanwhile."""

        def remove() -> None:
            with absent("NoSuchBucket"):
                self._empty(aws)
                aws.client("s3").delete_bucket(Bucket=self.name)

        retry(aws, remove, lambda error: error_code(error) == "BucketNotEmpty")

    def _empty(self, aws: Aws) -> None:
        s3 = aws.client("s3")
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=self.name):
            found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            objects = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
            if objects:
                s3.delete_objects(Bucket=self.name, Delete={"Objects": objects, "Quiet": True})


def _algorithm(answer: Attrs) -> str:
    rule = answer["ServerSideEncryptionConfiguration"]["Rules"][0]
    return str(rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"])


def _by_id(rules: list[Attrs]) -> dict[str, Attrs]:
    return {rule["ID"]: {key: value for key, value in rule.items() if key != "ID"} for rule in rules}
