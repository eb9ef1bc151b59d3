"""How buckets and repositories are changed behind our back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bgdeploy.aws import tag_list
from bgdeploy.resources.registry import Repository
from bgdeploy.resources.storage import Bucket
from tests.resources.life import Deed, Life, Tags
from tests.resources.near import Scene


def _bucket(call: str, **arguments: Any) -> Deed:
    return lambda scene: getattr(scene("s3"), call)(Bucket=scene.resource.name, **arguments)


def _tags(scene: Scene) -> dict[str, str]:
    pairs = scene("s3").get_bucket_tagging(Bucket=scene.resource.name)["TagSet"]
    return {pair["Key"]: pair["Value"] for pair in pairs}


def _put_tags(scene: Scene, tags: Mapping[str, str]) -> None:
    _bucket("put_bucket_tagging", Tagging={"TagSet": tag_list({**_tags(scene), **tags})})(scene)


def _remove_tag(scene: Scene, key: str) -> None:
    kept = {name: value for name, value in _tags(scene).items() if name != key}
    _bucket("put_bucket_tagging", Tagging={"TagSet": tag_list(kept)})(scene)


def _rule(ident: str, days: int) -> dict[str, Any]:
    return {"ID": ident, "Status": "Enabled", "Filter": {"Prefix": "hooks/"}, "Expiration": {"Days": days}}


def _open_policy(scene: Scene) -> None:
    arn = f"arn:aws:s3:::{scene.resource.name}/*"
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": arn}
    _bucket("put_bucket_policy", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))(
        scene
    )


_OPEN = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": False}
_KMS = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]}
_LONGER = {"Rules": [_rule("hooks", 3650), _rule("theirs", 7)]}
_DRIFT = (
    ("PublicAccessBlock", _bucket("delete_public_access_block")),
    ("PublicAccessBlock", _bucket("put_public_access_block", PublicAccessBlockConfiguration=_OPEN)),
    ("Encryption", _bucket("put_bucket_encryption", ServerSideEncryptionConfiguration=_KMS)),
    ("Versioning", _bucket("put_bucket_versioning", VersioningConfiguration={"Status": "Suspended"})),
    ("Expiry", _bucket("delete_bucket_lifecycle")),
    ("Expiry", _bucket("put_bucket_lifecycle_configuration", LifecycleConfiguration=_LONGER)),
)


def _repository(call: str, **arguments: Any) -> Deed:
    return lambda scene: getattr(scene("ecr"), call)(repositoryName=scene.resource.name, **arguments)


def _arn(scene: Scene) -> str:
    return str(scene.born["repositoryArn"])


LIVES = (
    Life(Bucket, Tags(_put_tags, _remove_tag), _DRIFT),
    Life(
        Bucket,
        Tags(_put_tags, _remove_tag),
        (*_DRIFT, ("Policy", _bucket("delete_bucket_policy")), ("Policy", _open_policy)),
        tls=True,
        what="behind TLS",
    ),
    Life(
        Repository,
        Tags(
            lambda scene, tags: scene("ecr").tag_resource(resourceArn=_arn(scene), tags=tag_list(tags)),
            lambda scene, key: scene("ecr").untag_resource(resourceArn=_arn(scene), tagKeys=[key]),
        ),
        (
            ("imageTagMutability", _repository("put_image_tag_mutability", imageTagMutability="MUTABLE")),
            (
                "imageScanningConfiguration",
                _repository(
                    "put_image_scanning_configuration", imageScanningConfiguration={"scanOnPush": False}
                ),
            ),
        ),
    ),
)
