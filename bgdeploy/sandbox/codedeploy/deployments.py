"""Renders a deployment as GetDeployment tells it: pure, of the deployment and the time."""

from __future__ import annotations

from datetime import datetime

from bgdeploy.sandbox.codedeploy.model import Deployment, Members

# What of a deployment's one target is counted where, once it is over (aws-facts 2.1).
_COUNTED = ("Pending", "InProgress", "Succeeded", "Failed", "Skipped", "Ready")


def render(deployment: Deployment, now: datetime) -> Members:
    """Return DeploymentInfo. It never carries lifecycle events, nor the text of the AppSpec (aws-facts 1.2, 3)."""
    info: Members = {
        "applicationName": deployment.application,
        "deploymentGroupName": deployment.group,
        "deploymentId": deployment.id,
        "status": deployment.status,
        "createTime": deployment.created,
        "creator": deployment.creator,
        "computePlatform": "ECS",
        "instanceTerminationWaitTimeStarted": deployment.termination_wait_started,
        "deploymentStatusMessages": [],
        **deployment.echo,
    }
    if deployment.started is not None:
        info["startTime"] = deployment.started
    if deployment.completed is not None:
        info["completeTime"] = deployment.completed
        info["deploymentOverview"] = _overview(deployment)
    if deployment.error is not None:
        info["errorInformation"] = {"code": deployment.error.code, "message": deployment.error.message}
    rollback = _rollback(deployment, now)
    if rollback:
        info["rollbackInfo"] = rollback
    return info


def _overview(deployment: Deployment) -> Members:
    """It counts targets, of which there is one, and is absent until the end (aws-facts 2.1)."""
    where = "Succeeded" if deployment.status == "Succeeded" else "Failed"
    return {name: int(name == where) for name in _COUNTED}


def _rollback(deployment: Deployment, now: datetime) -> Members:
    """Return how two deployments belong together, in AWS's words (aws-facts 4.2)."""
    if deployment.rolls_back is not None:
        return {
            "rollbackTriggeringDeploymentId": deployment.rolls_back,
            "rollbackMessage": f"Deployment {deployment.id} is triggered to roll back deployment "
            f"{deployment.rolls_back}.",
        }
    if deployment.rollback is None or now < deployment.rollback.since:
        return {}
    return {
        "rollbackDeploymentId": deployment.rollback.id,
        "rollbackMessage": f"Deployment {deployment.id} terminated. Automatic rollback is triggered with a "
        f"DeploymentId {deployment.rollback.id}.",
    }
