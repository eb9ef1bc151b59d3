"""The words that the tables of calls are written in. Pure.

A call is one operation of AWS's, as boto3 knows it. What IAM checks for it is an action on resources, most often of
the same name; what else IAM checks on its account stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# Services that IAM calls otherwise than boto3 does.
_PREFIXES = {"elbv2": "elasticloadbalancing", "resourcegroupstaggingapi": "tag"}
# Operations that IAM calls otherwise than boto3 does (Service Authorization Reference, "Actions for Amazon S3").
_ACTIONS = {
    "s3:GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "s3:PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3:PutBucketEncryption": "s3:PutEncryptionConfiguration",
    "s3:GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "s3:PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
    "s3:ListObjectVersions": "s3:ListBucketVersions",
    "s3:DeleteObjects": "s3:DeleteObject",
}


@dataclass(frozen=True)
class Scope:
    """What actions are allowed on, and only if. ARNs and values hold the names of `Place.words` in braces."""

    sid: str
    arns: tuple[str, ...]
    condition: tuple[tuple[str, str, str], ...] = ()  # operator, key, value


@dataclass(frozen=True)
class Need:
    """Something that IAM checks besides, on account of a call."""

    action: str
    on: Scope


@dataclass(frozen=True)
class Call:
    """An operation that bgdeploy calls."""

    operation: str  # elbv2:CreateListener
    on: tuple[Scope, ...]
    besides: tuple[Need, ...] = ()
    tls: bool = False  # called over TLS only, which the sandbox does not speak

    @property
    def action(self) -> str:
        """What IAM calls it."""
        service, _, name = self.operation.partition(":")
        return _ACTIONS.get(self.operation, f"{_PREFIXES.get(service, service)}:{name}")

    @property
    def needs(self) -> Iterator[Need]:
        """Yield all that IAM checks for it."""
        yield from (Need(self.action, scope) for scope in self.on)
        yield from self.besides


Calls = tuple[Call, ...]


def calls(service: str, operations: str, *on: Scope, besides: tuple[Need, ...] = (), **more: Any) -> Calls:
    """Return the calls of several operations of one service that are alike."""
    return tuple(Call(f"{service}:{name}", on, besides, **more) for name in operations.split())


def besides(actions: str, on: Scope) -> tuple[Need, ...]:
    """Return what IAM checks besides."""
    return tuple(Need(action, on) for action in actions.split())
