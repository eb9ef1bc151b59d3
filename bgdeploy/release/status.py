"""Reads what is live right now, for `bgdeploy status`: the same numbers that AWS's own commands print."""

from __future__ import annotations

from bgdeploy.aws import Attrs, Aws
from bgdeploy.release import parse, scaling
from bgdeploy.release.phase import new_version, old_version, phase, wait
from bgdeploy.release.reader import Reader
from bgdeploy.release.snapshot import Listener, Snapshot
from bgdeploy.release.standing import DeploymentStatus, ListenerStatus, Status, TargetStatus, TaskSetStatus


def read(reader: Reader) -> Status:
    """Return what is live at the reader's target, and what is in flight. It only reads."""
    service = reader.sides.service()
    task_sets = tuple(_task_set(reader, raw) for raw in service.get("taskSets") or ())
    production, test = reader.listeners()
    active = reader.active()
    newest = active or reader.latest()
    deployment = _deployment(_story(reader, newest)) if newest else None
    return Status(
        stack=reader.target.group,
        region=reader.aws.region,
        service=service.get("status", "MISSING"),
        desired=service.get("desiredCount", 0),
        running=service.get("runningCount", 0),
        pending=service.get("pendingCount", 0),
        task_sets=task_sets,
        production=_listener(production, task_sets),
        test=_listener(test, task_sets),
        alarms=reader.alarms(),
        active=deployment if active else None,
        last=None if active else deployment,
        scaling=scaling.standing(reader.aws, reader.target),
    )


def _story(reader: Reader, deployment_id: str) -> Snapshot:
    """Return the snapshot of a deployment; of a rollback, that of the release which it rolls back."""
    snapshot = reader.read(deployment_id)
    undone = snapshot.deployment.rolls_back
    return reader.read(undone) if undone else snapshot


def _task_set(reader: Reader, raw: Attrs) -> TaskSetStatus:
    plain = parse.task_set(raw, "blue", reader.sides.version(raw["taskDefinition"]))
    return TaskSetStatus(
        id=plain.id,
        status=plain.status,
        version=plain.version,
        task_definition=plain.task_definition,
        target_group=plain.target_group,
        deployment=plain.deployment,
        desired=plain.desired,
        running=plain.running,
        pending=plain.pending,
        stability=raw.get("stabilityStatus", ""),
        targets=_targets(reader.aws, reader.target.target_groups.get(plain.target_group)),
    )


def _targets(aws: Aws, target_group: str | None) -> tuple[TargetStatus, ...]:
    if target_group is None:
        return ()
    described = aws.client("elbv2").describe_target_health(TargetGroupArn=target_group)
    return tuple(
        TargetStatus(
            found["Target"]["Id"],
            found["Target"]["Port"],
            found["TargetHealth"]["State"],
            found["TargetHealth"].get("Description", ""),
        )
        for found in described["TargetHealthDescriptions"]
    )


def _listener(listener: Listener | None, task_sets: tuple[TaskSetStatus, ...]) -> ListenerStatus | None:
    if listener is None:
        return None
    total = sum(listener.weights.values())
    versions: dict[str, int] = {}
    for group, weight in listener.weights.items():
        behind = [s.version for s in task_sets if s.target_group == group and s.status != "DRAINING"]
        if weight:
            name = " and ".join(dict.fromkeys(behind)) or "nobody"  # several: one was left over
            versions[name] = versions.get(name, 0) + round(100 * weight / total)
    return ListenerStatus(listener.url, dict(listener.weights), versions)


def _deployment(snapshot: Snapshot) -> DeploymentStatus:
    deployment = snapshot.deployment
    waiting = wait(snapshot)
    error = f"{deployment.error_code}: {deployment.error_message}" if deployment.error_code else ""
    return DeploymentStatus(
        id=deployment.id,
        status=deployment.status,
        phase=phase(snapshot).value,
        version=new_version(snapshot),
        previous=old_version(snapshot),
        created=deployment.created,
        completed=deployment.completed,
        error=error,
        rollback=deployment.rollback_id or "",
        wait=waiting.what if waiting else "",
        until=waiting.until if waiting else None,
    )
