"""Stories in the stack's bucket, `releases/<deployment>.story.json`: several write one, and none loses another's."""

from __future__ import annotations

from dataclasses import dataclass

from bgdeploy import objects
from bgdeploy.aws import Aws, absent
from bgdeploy.release.records import story
from bgdeploy.release.records.joining import joined
from bgdeploy.release.records.story import Story

_TRIES = 10  # against others who write at the same time


@dataclass(frozen=True)
class Kept:
    """A story as the bucket has it."""

    story: Story
    etag: str


def load(aws: Aws, bucket: str, deployment: str) -> Kept | None:
    """Return the story of a deployment, None when there is none. Raises ValueError for one that cannot be read."""
    with absent("NoSuchKey"):
        found = aws.client("s3").get_object(Bucket=bucket, Key=_object(deployment))
        return Kept(story.decode(found["Body"].read()), found["ETag"])
    return None


def save(aws: Aws, bucket: str, told: Story, seen: Kept | None) -> Kept | None:
    """Join a story with what the bucket has, which was `seen` last, and return what it has now.

    None when others were faster again and again. Raises ValueError when what is there cannot be read: it stays.
    """
    for _ in range(_TRIES):
        whole = joined(told, seen.story) if seen else told
        if seen and whole == seen.story:
            return seen
        key, body = _object(told.deployment), story.encode(whole)
        etag = objects.put(
            aws, bucket, key, body, seen.etag if seen else None, ContentType="application/json"
        )
        if etag:
            return Kept(whole, etag)
        seen = load(aws, bucket, told.deployment)
    return None


def _object(deployment: str) -> str:
    return f"releases/{deployment}.story.json"
