"""What a release leaves behind for whoever watches it, from whatever machine: an object in the stack's bucket.

The deployment's description names it, because that is all that CodeDeploy keeps for us.
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass, field
from typing import Any

import msgspec

from bgdeploy.aws import Aws, absent
from bgdeploy.checktypes import Check
from bgdeploy.quantities import QUANTITIES
from bgdeploy.release.checks import Mode

_DESCRIBED = re.compile(r"^bgdeploy release (?P<version>\S+) \[(?P<key>[0-9a-z]+)\](?: by (?P<by>.*))?")
_LONGEST_DESCRIPTION = 256  # the user guide's limit; others say more (aws-facts 1.1)


@dataclass(frozen=True)
class Door:
    """Where the test listener is to be found from inside the VPC: its name leads to public addresses."""

    url: str
    port: int
    addresses: tuple[str, ...]  # private ones of the load balancer, one in each of its subnets
    host: str = ""  # whom its certificate is for, "" when nobody knows


@dataclass(frozen=True)
class Record:
    """One release, as it was started."""

    version: str
    env: str
    image: str
    task_definition: str
    checks: tuple[Check, ...]  # filled: `{version}` is replaced
    mode: Mode
    by: str  # user@host
    started: str  # ISO 8601, UTC
    context: str = ""  # the hash of what the image was built from, "" when nobody knows
    undoes: str = ""  # the deployment that this one goes back from, "" when it does not go back
    strategy: str = ""  # as it was asked for
    commit: str = ""  # of the project's folder, "" when nobody knows
    dirty: bool = False  # the folder held something else than its commit
    door: Door | None = None  # where the hook finds the test listener; None: it does not run the checks
    key: str = field(default_factory=lambda: secrets.token_hex(4))

    @property
    def description(self) -> str:
        """How the deployment is described; from it, `key_of` finds the record again."""
        return f"bgdeploy release {self.version} [{self.key}] by {self.by}"[:_LONGEST_DESCRIPTION]

    @property
    def guarded(self) -> bool:
        """Tell whether checks that count go on after the shift."""
        return self.mode == "all" and any(
            check.moment != "before" and check.mode == "enforce" for check in self.checks
        )


@dataclass(frozen=True)
class Described:
    """What a deployment's description tells."""

    version: str
    key: str
    by: str


def described(description: str) -> Described | None:
    """Return what a deployment's description tells, None for a foreign deployment."""
    match = _DESCRIBED.match(description)
    return Described(match["version"], match["key"], match["by"] or "") if match else None


def key_of(description: str) -> str | None:
    """Return the key of the record that a deployment's description names, None for a foreign deployment."""
    told = described(description)
    return told.key if told else None


def save(aws: Aws, bucket: str, record: Record) -> None:
    """Write the record. It is never written again."""
    aws.client("s3").put_object(
        Bucket=bucket, Key=_object(record.key), Body=encode(record), ContentType="application/json"
    )


def load(aws: Aws, bucket: str, key: str) -> Record | None:
    """Return the record with this key, None when there is none."""
    with absent("NoSuchKey"):
        return decode(aws.client("s3").get_object(Bucket=bucket, Key=_object(key))["Body"].read())
    return None


def goes_back(aws: Aws, bucket: str, description: str) -> bool:
    """Tell whether the record that a deployment's description names is of a way back: nobody needs to approve that."""
    key = key_of(description)
    found = load(aws, bucket, key) if key else None
    return bool(found and found.undoes)


def _object(key: str) -> str:
    return f"releases/{key}.json"


def encode(record: Record) -> bytes:
    """Return the record as JSON."""
    plain = msgspec.to_builtins(record, enc_hook=_written, builtin_types=())
    return json.dumps({"schema": 1, **plain}, indent=2, ensure_ascii=False).encode()


def decode(body: bytes) -> Record:
    """Return the record that `encode` wrote, or one of a later bgdeploy that says more."""
    told = json.loads(body)
    known = {name: told[name] for name in Record.__dataclass_fields__ if name in told}
    return msgspec.convert(known, Record, dec_hook=_read)


def _written(value: Any) -> Any:
    if isinstance(value, QUANTITIES):
        return str(value)
    raise NotImplementedError(type(value))


def _read(kind: type, value: Any) -> Any:
    for written in QUANTITIES:
        if kind is written:
            return written.parse(value)
    raise NotImplementedError(kind)
