"""The registry's strictness: what moto's ECR words differently or does not compute.

An image is known by the sha256 of its manifest, and a tag of a repository that is IMMUTABLE never moves: a release that
is pinned by digest rests on both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from bgdeploy.sandbox.world import Call, RefusedError

if TYPE_CHECKING:
    from bgdeploy.sandbox.world import Handler, World


class Registry:
    """The operations of ECR that are answered more strictly than moto would."""

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def operations(self) -> Mapping[tuple[str, str], Handler]:
        return {("ecr", "PutImage"): self._put_image}

    def _put_image(self, call: Call) -> dict[str, Any]:
        params = call.params
        digest = "sha256:" + hashlib.sha256(params["imageManifest"].encode()).hexdigest()
        ecr = self._world.beneath("ecr", region=call.region)
        try:
            repository = ecr.describe_repositories(repositoryNames=[params["repositoryName"]])[
                "repositories"
            ][0]
        except ClientError as error:  # there is no such repository; PutImage itself fails inside moto then
            raise _same(error) from error
        if params.get("imageDigest", digest) != digest:
            raise RefusedError(
                "ImageDigestDoesNotMatchException",
                f"Image digest '{params['imageDigest']}' does not match calculated digest '{digest}'",
            )
        held = _held(ecr, params)
        if held is not None:
            _refuse_held(params, repository, held, digest)
        try:
            put = ecr.put_image(**params | {"imageDigest": digest})
        except ClientError as error:
            raise _same(error) from error
        return {"image": put["image"]}


def _same(error: ClientError) -> RefusedError:
    """Return the refusal that says what moto said."""
    said = error.response["Error"]
    return RefusedError(said["Code"], said["Message"])


def _held(ecr: Any, params: Mapping[str, Any]) -> str | None:
    """Return the digest of the image that has the tag now, None when none has."""
    if "imageTag" not in params:
        return None
    found = ecr.batch_get_image(
        repositoryName=params["repositoryName"], imageIds=[{"imageTag": params["imageTag"]}]
    )["images"]
    return str(found[0]["imageId"]["imageDigest"]) if found else None


def _refuse_held(params: Mapping[str, Any], repository: Mapping[str, Any], held: str, digest: str) -> None:
    tag, name = params["imageTag"], params["repositoryName"]
    if held == digest:
        raise RefusedError(
            "ImageAlreadyExistsException",
            f"Image with digest '{digest}' and tag '{tag}' already exists in the repository with name '{name}' "
            f"in registry with id '{repository['registryId']}'",
        )
    if repository["imageTagMutability"] == "IMMUTABLE":
        raise RefusedError(
            "ImageTagAlreadyExistsException",
            f"The image tag '{tag}' already exists in the '{name}' repository and cannot be overwritten because "
            "the repository is immutable.",
        )
