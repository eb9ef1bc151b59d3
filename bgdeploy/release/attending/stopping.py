"""Stops a deployment, and leaves beside it who did so and why: CodeDeploy does not keep that.

It is in `hooks/<deployment>.stop.json` of the stack's bucket, written before the stop, so that whoever follows the
deployment, from wherever, can say it.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict

from bgdeploy import objects
from bgdeploy.aws import Aws
from bgdeploy.release import operations
from bgdeploy.release.attending.claimant import who
from bgdeploy.release.evidence import Stop


def stop(aws: Aws, bucket: str, deployment_id: str, by: Stop, *, rollback: bool = True) -> str:
    """Stop a deployment, rolling it back unless told not to, and return what CodeDeploy says about it.

    Raises BgdeployError when it is over already or does not exist.
    """
    note(aws, bucket, deployment_id, by)
    return operations.stop(aws, deployment_id, rollback=rollback)


def note(aws: Aws, bucket: str, deployment_id: str, by: Stop) -> None:
    """Write down who stops a deployment. That nobody can is no reason not to stop."""
    from botocore.exceptions import BotoCoreError, ClientError

    # The first to stop it is who stopped it: whoever comes second changes nothing.
    with suppress(BotoCoreError, ClientError):
        body = json.dumps({"schema": 1, **asdict(by)}).encode()
        objects.put(aws, bucket, _key(deployment_id), body, None, ContentType="application/json")


def by_me(how: str, why: str = "", *, early: bool = False) -> Stop:
    """Return a stop by whoever runs this program."""
    return Stop(who(), how, why, early)


def stopped_by(aws: Aws, bucket: str, deployment_id: str) -> Stop | None:
    """Return who stopped a deployment, None when nobody has said so or it cannot be read."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        body = aws.client("s3").get_object(Bucket=bucket, Key=_key(deployment_id))["Body"].read()
        told = json.loads(body)
        return Stop(told["by"], told["how"], told.get("why", ""), bool(told.get("early")))
    except (BotoCoreError, ClientError, ValueError, KeyError, TypeError):
        return None


def _key(deployment_id: str) -> str:
    return f"hooks/{deployment_id}.stop.json"
