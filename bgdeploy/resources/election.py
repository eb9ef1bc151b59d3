"""Which of several counts: for what has no name that AWS keeps unique, such as a VPC.

Whoever makes one writes its id into the stack's bucket, and S3's conditional writes see to it that the first stays.
Who comes second removes what it made and goes on from the other's.
"""

from __future__ import annotations

from collections.abc import Callable

from bgdeploy import objects
from bgdeploy.aws import Aws, absent


def elected(aws: Aws, bucket: str, address: str) -> str | None:
    """Return the id that counts for `address`, None while none was written."""
    found = _read(aws, bucket, address)
    return found[0] if found else None


def elect(aws: Aws, bucket: str, address: str, mine: str, lives: Callable[[str], bool]) -> str:
    """Return the id that counts for `address`: the one written first while it `lives`, else `mine`, written now."""
    seen = None
    while not objects.put(aws, bucket, _key(address), mine.encode(), seen):
        found = _read(aws, bucket, address)
        if found and lives(found[0]):
            return found[0]
        seen = found[1] if found else None
    return mine


def _key(address: str) -> str:
    return f"elected/{address}"


def _read(aws: Aws, bucket: str, address: str) -> tuple[str, str] | None:
    with absent("NoSuchKey", "NoSuchBucket"):
        found = aws.client("s3").get_object(Bucket=bucket, Key=_key(address))
        return found["Body"].read().decode(), found["ETag"]
    return None
