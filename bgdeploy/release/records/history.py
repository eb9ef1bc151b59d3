"""What was released, newest first: CodeDeploy's deployments and the records that releases left, told together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from bgdeploy.aws import Attrs, error_code
from bgdeploy.release import appspec, parse
from bgdeploy.release.attending.hook import Claims
from bgdeploy.release.cause import activated
from bgdeploy.release.reader import Reader
from bgdeploy.release.records import past, record, stories
from bgdeploy.release.records.record import Record
from bgdeploy.release.records.story import Story, spans
from bgdeploy.release.records.told import (
    IN_FLIGHT,
    ROLLBACK_FAILED,
    ROLLED_BACK,
    ROLLING_BACK,
    WENT_LIVE,
    Release,
)
from bgdeploy.release.snapshot import Deployment

_SIDE_BY_SIDE = 8  # records that are read at once


def read(reader: Reader, limit: int) -> tuple[Release, ...]:
    """Return the newest releases, at most `limit`. Rollbacks are told with the release that they undid.

    Three calls for 25 deployments, and up to three to the bucket for each.
    """
    infos, undoing = _newest(reader, limit)
    sets = reader.sides.service().get("taskSets") or ()
    live = next((one.get("externalId") or "" for one in sets if one["status"] == "PRIMARY"), "")
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        left = list(pool.map(lambda info: _left(reader, info), infos))
    return tuple(
        _told(reader, release(info, undoing.get(info["deploymentId"]), live), info, each)
        for info, each in zip(infos, left, strict=True)
    )


def _newest(reader: Reader, limit: int) -> tuple[list[Attrs], dict[str, Attrs]]:
    """Return the newest deployments that are no rollbacks, and the rollbacks by what they undid."""
    infos: list[Attrs] = []
    undoing: dict[str, Attrs] = {}
    for info in past.deployments(reader.aws, reader.target):
        undone = (info.get("rollbackInfo") or {}).get("rollbackTriggeringDeploymentId")
        if undone:
            undoing[undone] = info
            continue
        infos.append(info)
        if len(infos) == limit:
            break
    return infos, undoing


def release(info: Mapping[str, Any], undoing: Mapping[str, Any] | None, live: str) -> Release:
    """Return what a deployment and its rollback tell, `live` being the deployment that is live. Pure."""
    deployment = parse.deployment(info)
    rollback = parse.deployment(undoing) if undoing else None
    told = record.described(deployment.description)
    return Release(
        deployment=deployment.id,
        version=told.version if told else "",
        result=_result(deployment, rollback),
        why=_why(deployment),
        live=deployment.id == live,
        created=deployment.created,
        completed=(rollback.completed if rollback else None) or deployment.completed,
        by=told.by if told else "",
        config=deployment.config,
        rollback=deployment.rollback_id or "",
        error_code=deployment.error_code,
        error_message=deployment.error_message,
    )


def _result(deployment: Deployment, rollback: Deployment | None) -> str:
    if deployment.status == "Succeeded":
        return WENT_LIVE
    if not deployment.over:
        return IN_FLIGHT
    if rollback is None:
        return ROLLED_BACK if deployment.rollback_id else deployment.status.lower()
    if not rollback.over:
        return ROLLING_BACK
    return ROLLED_BACK if rollback.status == "Succeeded" else ROLLBACK_FAILED


# What CodeDeploy's messages come to; where two would fit, the first counts.
_WORDS = {
    "waiting for a notification to continue": "nobody approved it in time",
    "waiting for a status callback": "the hook did not answer",
    "replacement task set to become healthy": "its tasks never became healthy",
    "MANUAL_STOP": "stopped by hand",
    "HOOK_EXECUTION_FAILURE": "a check or the hook failed",
}


def _why(deployment: Deployment) -> str:
    if not deployment.over:
        return "production is on it, blue is kept" if deployment.termination_wait_started else ""
    if deployment.error_code == "ALARM_ACTIVE":
        names = activated(deployment.error_message)
        return f"{', '.join(names)} went off" if names else "an alarm went off"
    said = f"{deployment.error_code}: {deployment.error_message}" if deployment.error_code else ""
    return next((words for part, words in _WORDS.items() if part in said), said)


# What the deployment does not tell


_MOST_REASONS = 2  # that a list of releases has room for

# Where whoever ran the checks has left what failed: before the shift, or after it.
_AFTER = {"HOOK_EXECUTION_FAILURE": False, "MANUAL_STOP": True}


@dataclass(frozen=True)
class Left:
    """What a release has left in the bucket."""

    record: Record | None = None
    failed: tuple[str, ...] = ()  # which of its checks
    story: Story | None = None


def _left(reader: Reader, info: Attrs) -> Left:
    aws, bucket, deployment = reader.aws, reader.target.bucket, info["deploymentId"]
    story = None
    with suppress(ValueError):  # one that cannot be read tells nothing
        kept = stories.load(aws, bucket, deployment)
        story = kept.story if kept else None
    key = record.key_of(info.get("description") or "")
    if key is None:
        return Left(story=story)
    told = record.load(aws, bucket, key)
    code = (info.get("errorInformation") or {}).get("code", "")
    if code not in _AFTER:
        return Left(told, story=story)
    claim = Claims(aws, bucket, deployment, after=_AFTER[code]).read()
    if claim is None and story and story.ending:  # claims are thrown away after a month
        return Left(told, story.ending.why, story)
    return Left(told, claim.why if claim else (), story)


def _told(reader: Reader, found: Release, info: Attrs, left: Left) -> Release:
    """Return a release with what it has left; a foreign one with what its AppSpec tells."""
    told = left.record
    if left.story:
        found = replace(
            found,
            checks={each.name: each.verdict for each in left.story.checks if not each.observed},
            phases={each.phase: each.seconds for each in spans(left.story) if each.seconds is not None},
        )
    if told:
        return replace(
            found,
            why=briefly(left.failed, found.deployment) or found.why,
            by=told.by,
            undoes=told.undoes,
            image=told.image,
            task_definition=told.task_definition,
            strategy=told.strategy,
            commit=told.commit,
            dirty=told.dirty,
        )
    if found.version:
        return found
    version, definition = deployed(reader, info)
    return replace(found, version=version, task_definition=definition)


def briefly(why: Sequence[str], deployment: str) -> str:
    """Return why it failed in a line or two: the report has all of it."""
    told, more = why[:_MOST_REASONS], len(why) - _MOST_REASONS
    return "; ".join((*told, *([f"{more} more in `bgdeploy report {deployment}`"] if more > 0 else ())))


def deployed(reader: Reader, info: Attrs) -> tuple[str, str]:
    """Return the version and the task definition that a deployment's AppSpec tells, "" for what nobody knows."""
    definition = _deployed(reader, info)
    return (_version(reader, definition), definition) if definition else ("", "")


def _deployed(reader: Reader, info: Attrs) -> str:
    from botocore.exceptions import ClientError

    try:
        return appspec.task_definition(past.own_appspec(reader.aws, info) or "")
    except ClientError as error:
        # Who may only look need not be allowed to read what was deployed.
        if error_code(error) not in {"RevisionDoesNotExistException", "AccessDeniedException"}:
            raise
        return ""


def _version(reader: Reader, definition: str) -> str:
    """Return the version that a task definition is tagged with, its own name where ECS has forgotten it."""
    from botocore.exceptions import ClientError

    try:
        return reader.sides.version(definition)
    except ClientError as error:
        if error_code(error) != "ClientException":
            raise
        return parse.family_revision(definition)
