"""The task definition of a version: what the config declares, registered only when no revision says just that."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bgdeploy import definition
from bgdeploy.aws import Attrs, Aws, tag_list, tag_map
from bgdeploy.config import Settings
from bgdeploy.definition import Place
from bgdeploy.release.image import Image
from bgdeploy.release.sides import VERSION_TAG

CONTENT_TAG, CONTEXT_TAG = "bgdeploy:content", "bgdeploy:context"
_ADDRESS = "task-definition"
_LOOK_BACK = 10  # revisions of the family that are compared; older ones are registered anew


def place(aws: Aws, settings: Settings) -> Place:
    """Return where the stack's tasks run."""
    execution, task = (aws.arn("iam", f"role/{settings.names.role(use)}") for use in ("execution", "task"))
    return Place(aws.region, execution, task)


def build(settings: Settings, place: Place, image: Image, version: str) -> Attrs:
    """Return the task definition of `version` as RegisterTaskDefinition wants it, without tags."""
    return definition.build(settings, place, image.reference, version)


def content_hash(content: Attrs, version: str) -> str:
    """Return the hash by which a revision is found again. The version counts: people know a revision by it."""
    return hashlib.sha256(json.dumps([content, version], sort_keys=True).encode()).hexdigest()


def says(declared: Any, actual: Any) -> bool:
    """Tell whether `actual` has all that is `declared`; what AWS adds to it does not count."""
    if isinstance(declared, Mapping):
        return isinstance(actual, Mapping) and all(
            key in actual and says(value, actual[key]) for key, value in declared.items()
        )
    if isinstance(declared, list):
        return isinstance(actual, list) and len(declared) == len(actual) and all(map(says, declared, actual))
    return bool(declared == actual)


def is_of(actual: Attrs, tags: Mapping[str, str], content: Attrs, version: str) -> bool:
    """Tell whether a revision is the one that a release of `version` would register, with `content` and no other.

    Whoever makes a new revision in the console copies the tags of an old one: the content has to agree too.
    """
    named = tags.get(CONTENT_TAG) == content_hash(content, version) and tags.get(VERSION_TAG) == version
    return named and says(content, actual)


@dataclass(frozen=True)
class Revision:
    """A revision of the family."""

    arn: str
    fresh: bool  # registered just now

    @property
    def name(self) -> str:
        """`family:revision`."""
        return self.arn.rpartition("/")[2]


def register(aws: Aws, content: Attrs, version: str, context: str) -> Revision:
    """Return the revision that says `content`, registering one when none of the latest does."""
    for actual, tags in _latest(aws, content["family"]):
        if is_of(actual, tags, content, version):
            return Revision(actual["taskDefinitionArn"], fresh=False)
    digest = content_hash(content, version)
    tags = {**aws.tags(_ADDRESS), "Name": content["family"], VERSION_TAG: version, CONTENT_TAG: digest}
    if context:
        tags[CONTEXT_TAG] = context
    made = aws.client("ecs").register_task_definition(
        **content, tags=tag_list(tags, key="key", value="value")
    )
    return Revision(made["taskDefinition"]["taskDefinitionArn"], fresh=True)


def latest(aws: Aws, family: str) -> str | None:
    """Return the ARN of the family's newest revision, None when it has none."""
    return next(iter(_arns(aws, family)), None)


def tagged(aws: Aws, family: str, version: str) -> Iterator[Attrs]:
    """Yield our revisions of a version, the newest first: one call for each revision that is newer."""
    pages = aws.client("ecs").get_paginator("list_task_definitions")
    for page in pages.paginate(familyPrefix=family, status="ACTIVE", sort="DESC"):
        for arn in page["taskDefinitionArns"]:
            found = described(aws, arn) if _family(arn) == family else None
            if found and found[1].get(VERSION_TAG) == version and aws.owns(found[1]):
                yield found[0]


def described(aws: Aws, arn: str) -> tuple[Attrs, dict[str, str]]:
    """Return a revision and its tags."""
    found = aws.client("ecs").describe_task_definition(taskDefinition=arn, include=["TAGS"])
    return found["taskDefinition"], tag_map(found.get("tags"))


def _arns(aws: Aws, family: str) -> list[str]:
    """Return the family's newest revisions, the newest first. AWS takes a prefix, and others may have it too."""
    found: list[str] = aws.client("ecs").list_task_definitions(
        familyPrefix=family, status="ACTIVE", sort="DESC", maxResults=_LOOK_BACK
    )["taskDefinitionArns"]
    ours = (arn for arn in found if _family(arn) == family)
    return sorted(ours, key=lambda arn: int(arn.rpartition(":")[2]), reverse=True)[:_LOOK_BACK]


def _latest(aws: Aws, family: str) -> Iterator[tuple[Attrs, dict[str, str]]]:
    """Yield the family's newest revisions and their tags, the newest first."""
    for arn in _arns(aws, family):
        yield described(aws, arn)


def _family(arn: str) -> str:
    return arn.rpartition("/")[2].partition(":")[0]
