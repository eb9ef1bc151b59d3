"""Stories in the stack's bucket, `releases/<deployment>.story.json`: several write one, and none loses another's."""

from __future__ import annotations

from dataclasses import dataclass

from bgdeploy.aws import Aws, absent, error_code
from bgdeploy.release.records import story
from bgdeploy.release.records.joining import joined
from bgdeploy.release.records.story import Story

# What S3 says when somebody else was faster: the condition does not hold, two writes met, or the object is gone.
_LOST = {"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "412", "409"}
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
        etag = _put(aws, bucket, whole, seen)
        if etag:
            return Kept(whole, etag)
        seen = load(aws, bucket, told.deployment)
    return None


def _put(aws: Aws, bucket: str, whole: Story, seen: Kept | None) -> str:
    """Return the new ETag, "" when the bucket holds something else by now than what was seen."""
    from botocore.exceptions import ClientError

    condition = {"IfMatch": seen.etag} if seen else {"IfNoneMatch": "*"}
    try:
        put = aws.client("s3").put_object(
            Bucket=bucket,
            Key=_object(whole.deployment),
            Body=story.encode(whole),
            ContentType="application/json",
            **condition,
        )
    except ClientError as error:
        if error_code(error) not in _LOST:
            raise
        return ""
    return str(put["ETag"])


def _object(deployment: str) -> str:
    return f"releases/{deployment}.story.json"
