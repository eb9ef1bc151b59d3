"""The operations on deployments: start one, look at it, stop it, continue it, answer its hooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from bgdeploy.sandbox.codedeploy import ends, groups, hooks, revisions, targets, validate
from bgdeploy.sandbox.codedeploy.api_applications import limit_batch
from bgdeploy.sandbox.codedeploy.deployments import render
from bgdeploy.sandbox.codedeploy.model import (
    Deployment,
    Group,
    Members,
    Revision,
    new_deployment_id,
    revision_key,
)
from bgdeploy.sandbox.codedeploy.ports import Ports
from bgdeploy.sandbox.codedeploy.store import Store
from bgdeploy.sandbox.codedeploy.surroundings import platform_mismatch
from bgdeploy.sandbox.codedeploy.unverified import Unverified
from bgdeploy.sandbox.world import RefusedError

Params = Mapping[str, Any]

_LONGEST_DESCRIPTION = 256  # (aws-facts 1.1)


class DeploymentsApi:
    """Handlers; each gets the region's store, the request's members and the time, and returns the answer's.

    `start` sets a new deployment going; `step` lets one act on what a request has just changed.
    """

    def __init__(
        self,
        ports: Callable[[], Ports],
        unverified: Unverified,
        start: Callable[[Deployment], None],
        step: Callable[[Deployment], None],
    ) -> None:
        self._ports = ports
        self._unverified = unverified
        self._start = start
        self._step = step

    def create_deployment(self, store: Store, params: Params, now: datetime) -> Members:
        group = store.group(params.get("applicationName"), params.get("deploymentGroupName"))
        deployment = self._deployment(store, group, params, now)
        active = next((one for one in store.deployments_of(group) if not one.over), None)
        if active is not None:  # until the end of the termination wait (aws-facts 5.6)
            raise RefusedError(
                "DeploymentLimitExceededException",
                f"The Deployment Group '{group.name}' already has an active Deployment '{active.id}'",
            )
        _use_revision(store, deployment, now)
        store.deployments[deployment.id] = deployment
        self._start(deployment)
        return {"deploymentId": deployment.id}

    def get_deployment(self, store: Store, params: Params, now: datetime) -> Members:
        return {"deploymentInfo": render(store.deployment(params), now)}

    def batch_get_deployments(self, store: Store, params: Params, now: datetime) -> Members:
        limit_batch(params["deploymentIds"], 25, "deployments")
        found = [store.deployments.get(one) for one in params["deploymentIds"]]
        return {"deploymentsInfo": [render(one, now) for one in found if one is not None]}

    def list_deployments(self, store: Store, params: Params, now: datetime) -> Members:
        """The newest first. Application and group go together or not at all (aws-facts 3)."""
        application, name = params.get("applicationName"), params.get("deploymentGroupName")
        if application or name:
            deployments = store.deployments_of(store.group(application, name))
        else:
            deployments = list(reversed(store.deployments.values()))
        statuses = params.get("includeOnlyStatuses")
        created = params.get("createTimeRange") or {}
        start, end = created.get("start"), created.get("end")
        if start and end and start > end:
            raise RefusedError("InvalidTimeRangeException", "The start of the time range is after its end")
        return {
            "deployments": [
                one.id
                for one in deployments
                if (not statuses or one.status in statuses)
                and (start is None or one.created >= start)
                and (end is None or one.created <= end)
            ]
        }

    def stop_deployment(self, store: Store, params: Params, now: datetime) -> Members:
        """Stop a deployment: Pending while an event runs that has yet to be cut short (aws-facts 2.3)."""
        deployment = store.deployment(params)
        stopped = deployment.error is not None and deployment.error.code == "MANUAL_STOP"
        if stopped and self._unverified.stopped_deployment_answers_stop:
            return {"status": "Succeeded", "statusMessage": "The deployment is stopped."}
        _must_be_active(deployment)
        pending = deployment.running_event is not None
        deployment.interruption = ends.stopped_by_user(self._unverified, params.get("autoRollbackEnabled"))
        if pending:
            return {"status": "Pending", "statusMessage": "The deployment is being stopped."}
        self._step(deployment)
        return {"status": "Succeeded", "statusMessage": "The deployment is stopped."}

    def continue_deployment(self, store: Store, params: Params, now: datetime) -> Members:
        """End one of the two waits now (aws-facts 2.3)."""
        deployment = store.deployment(params)
        _must_be_active(deployment)
        kind = params.get("deploymentWaitType", "READY_WAIT")
        if kind == "READY_WAIT" and deployment.status != "Ready":
            raise RefusedError(
                "DeploymentIsNotInReadyStateException",
                f"The deployment {deployment.id} is not in a Ready state",
            )
        if kind == "TERMINATION_WAIT" and not deployment.termination_wait_started:
            raise RefusedError(
                "InvalidDeploymentStatusException",
                f"The deployment {deployment.id} is not waiting to terminate the original task set",
            )
        if kind not in {"READY_WAIT", "TERMINATION_WAIT"}:
            raise RefusedError("InvalidDeploymentWaitTypeException", f"There is no wait type {kind}")
        deployment.continued.add(kind)
        return {}

    def skip_wait_time_for_instance_termination(self, store: Store, params: Params, now: datetime) -> Members:
        """The deprecated name for ending the termination wait (aws-facts 2.3)."""
        deployment = store.deployment(params)
        _must_be_active(deployment)
        if not deployment.termination_wait_started:
            raise _not_started(deployment)
        deployment.continued.add("TERMINATION_WAIT")
        return {}

    def put_lifecycle_event_hook_execution_status(
        self, store: Store, params: Params, now: datetime
    ) -> Members:
        hooks.answer(store.deployment(params), params)
        return {"lifecycleEventHookExecutionId": params["lifecycleEventHookExecutionId"]}

    def list_deployment_targets(self, store: Store, params: Params, now: datetime) -> Members:
        deployment = _started(store, params)
        wanted = (params.get("targetFilters") or {}).get("TargetStatus")
        status = targets.target(deployment, self._ports())["ecsTarget"]["status"]
        return {"targetIds": [deployment.target_id] if not wanted or status in wanted else []}

    def get_deployment_target(self, store: Store, params: Params, now: datetime) -> Members:
        deployment = _started(store, params)
        return {"deploymentTarget": self._target(deployment, params.get("targetId"))}

    def batch_get_deployment_targets(self, store: Store, params: Params, now: datetime) -> Members:
        deployment = _started(store, params)
        identities = params.get("targetIds") or []
        if len(identities) > 1:
            raise RefusedError(
                "DeploymentTargetListSizeExceededException",
                "A deployment to Amazon ECS has one target; ask for exactly one",
            )
        return {
            "deploymentTargets": [self._target(deployment, identity) for identity in identities or [None]]
        }

    def _target(self, deployment: Deployment, identity: str | None) -> Members:
        if not identity:
            raise RefusedError("DeploymentTargetIdRequiredException", "A deployment target ID is missing")
        if identity != deployment.target_id:
            raise RefusedError(
                "DeploymentTargetDoesNotExistException",
                f"The deployment {deployment.id} has no target {identity}",
            )
        return targets.target(deployment, self._ports())

    def _deployment(self, store: Store, group: Group, params: Params, now: datetime) -> Deployment:
        """Return the deployment that a request asks for, when AWS would accept it (aws-facts 1.1)."""
        if not params.get("revision"):
            raise RefusedError("RevisionRequiredException", "The revision is missing")
        if len(params.get("description", "")) > _LONGEST_DESCRIPTION:
            raise RefusedError("DescriptionTooLongException", "The description is longer than 256 characters")
        validate.check_rollback(params.get("autoRollbackConfiguration"))
        validate.check_alarms(params.get("overrideAlarmConfiguration"))
        config = store.config(params.get("deploymentConfigName") or group.settings["deploymentConfigName"])
        if config.platform != "ECS":
            raise platform_mismatch(config, "InvalidComputePlatformException")
        revision = revisions.normalised(params["revision"])
        plan = groups.plan(group, params, config, store.region)
        return Deployment(
            id=new_deployment_id(),
            application=group.application,
            group=group.name,
            group_id=group.id,
            plan=plan,
            echo=_echo(group, params, config.name),
            created=now,
            spec=revisions.parsed(revision),
            revision=revision,
            events=plan.events,
        )


def _echo(group: Group, params: Params, config: str) -> Members:
    """Return what GetDeployment repeats: the settings as they were when the deployment was created."""
    echo: Members = {
        "deploymentConfigName": config,
        "deploymentStyle": group.settings["deploymentStyle"],
        "blueGreenDeploymentConfiguration": group.settings["blueGreenDeploymentConfiguration"],
        "loadBalancerInfo": group.settings["loadBalancerInfo"],
        "autoRollbackConfiguration": groups.rollback_configuration(
            params.get("autoRollbackConfiguration") or group.settings["autoRollbackConfiguration"]
        ),
        "ignoreApplicationStopFailures": params.get("ignoreApplicationStopFailures", False),
        "updateOutdatedInstancesOnly": params.get("updateOutdatedInstancesOnly", False),
        "fileExistsBehavior": params.get("fileExistsBehavior", "DISALLOW"),
    }
    if params.get("description"):
        echo["description"] = params["description"]
    if params.get("overrideAlarmConfiguration"):
        echo["overrideAlarmConfiguration"] = groups.alarm_configuration(params["overrideAlarmConfiguration"])
    return echo


def _use_revision(store: Store, deployment: Deployment, now: datetime) -> None:
    """CreateDeployment registers its revision (aws-facts 8.2), and remembers the last good one before it."""
    assert deployment.revision is not None
    deployment.echo["revision"] = revisions.hidden(deployment.revision)
    previous = last_good_revision(store, deployment.group_id)
    if previous is not None:
        deployment.echo["previousRevision"] = revisions.hidden(previous)
    known = store.application(deployment.application).revisions
    revision = known.setdefault(revision_key(deployment.revision), Revision(deployment.revision, now))
    revision.first_used = revision.first_used or now
    revision.last_used = now
    if deployment.group not in revision.groups:
        revision.groups.append(deployment.group)


def last_good_revision(store: Store, group_id: str) -> Members | None:
    """Return the revision of the group's last deployment that succeeded, None when there is none."""
    deployments = [one for one in store.deployments.values() if one.group_id == group_id]
    return next((one.revision for one in reversed(deployments) if one.status == "Succeeded"), None)


def _started(store: Store, params: Params) -> Deployment:
    deployment = store.deployment(params)
    if deployment.status == "Created":
        raise _not_started(deployment)
    return deployment


def _not_started(deployment: Deployment) -> RefusedError:
    return RefusedError(
        "DeploymentNotStartedException", f"The deployment {deployment.id} has not started yet"
    )


def _must_be_active(deployment: Deployment) -> None:
    if deployment.over:
        raise RefusedError(
            "DeploymentAlreadyCompletedException", f"The deployment {deployment.id} has already completed"
        )
