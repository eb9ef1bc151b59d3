"""Objects in the stack's bucket that several may write: S3's conditional writes see to it that only one does."""

from __future__ import annotations

from typing import Any

from bgdeploy.aws import Aws, error_code

# What S3 says when somebody else was faster: the condition does not hold, two writes met, or the object is gone
# (S3 user guide, "conditional requests").
_LOST = {"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "412", "409"}


def put(aws: Aws, bucket: str, key: str, body: bytes, seen: str | None, **more: Any) -> str:
    """Write an object that has the ETag `seen` still, or is not there yet when that is None; return its new ETag.

    Returns "" when somebody else was faster, and raises what else AWS refuses. A write that botocore sends again,
    because its answer was lost, meets itself and counts as somebody else's: who cares reads what is there.
    """
    from botocore.exceptions import ClientError

    condition = {"IfNoneMatch": "*"} if seen is None else {"IfMatch": seen}
    try:
        made = aws.client("s3").put_object(Bucket=bucket, Key=key, Body=body, **condition, **more)
    except ClientError as error:
        if error_code(error) not in _LOST:
            raise
        return ""
    return str(made["ETag"])
