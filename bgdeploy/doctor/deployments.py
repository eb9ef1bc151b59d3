"""Looks at the deployment that runs, and at what those before it left behind."""

from __future__ import annotations

from bgdeploy.aws import Aws
from bgdeploy.doctor.condition import InFlight
from bgdeploy.names import Names
from bgdeploy.release.attending.hook import BEAT, Claims, read_results
from bgdeploy.release.attending.opening import remnants
from bgdeploy.release.phase import HELD, Phase, duration, phase
from bgdeploy.release.reader import Reader
from bgdeploy.release.snapshot import Snapshot

_BEATS = 5  # a claim that is not renewed for so long is held by nobody
_MOST_CLAIMS = 20  # that are read, the newest: they go by themselves after a month
_CLAIM = ".claim.json"


def in_flight(reader: Reader) -> InFlight:
    """Return the deployment that holds the group. Takes some seconds when its hook holds it."""
    active = reader.active()
    if active is None:
        return InFlight()
    snapshot = reader.read(active)
    if phase(snapshot) is not Phase.CHECKING:
        return InFlight(snapshot)
    held = snapshot.event(HELD)
    return InFlight(
        snapshot,
        held_for=duration(held, snapshot.at) if held else None,
        attended=_attended(reader, snapshot),
    )


def _attended(reader: Reader, snapshot: Snapshot) -> bool:
    """Tell whether somebody runs the checks: who does renews the claim with every beat."""
    if read_results(reader.aws, reader.target.bucket, snapshot.deployment.id):  # the hook itself does
        return True
    claims = Claims(reader.aws, reader.target.bucket, snapshot.deployment.id)
    first = claims.read()
    if first and first.answer:
        return True
    for _ in range(_BEATS):
        reader.aws.clock.sleep(BEAT)
        now = claims.read()
        if now and (first is None or now.etag != first.etag):
            return True
    return False


def let_in(aws: Aws, names: Names) -> tuple[str, ...]:
    """Return whom the test port is still open for, though the checks that it was opened for have ended."""
    return tuple(sorted(str(each.get("CidrIpv4", "")) for each in remnants(aws, names)))


def leftovers(reader: Reader) -> tuple[str, ...]:
    """Return the keys of claims that nobody answered nor gave up, of deployments that are over."""
    s3, bucket, active = reader.aws.client("s3"), reader.target.bucket, reader.active()
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="hooks/")
    found = [each for page in pages for each in page.get("Contents", ()) if each["Key"].endswith(_CLAIM)]
    newest = sorted(found, key=lambda each: each["LastModified"], reverse=True)[:_MOST_CLAIMS]
    keys = []
    for key in (str(each["Key"]) for each in newest):
        deployment = key.removeprefix("hooks/").removesuffix(_CLAIM)
        claim = Claims(reader.aws, bucket, deployment).read() if deployment != active else None
        if claim and not claim.answer and not claim.abandoned:
            keys.append(key)
    return tuple(keys)
