"""Renders a deployment's one target, the ECS service, as GetDeploymentTarget tells it (aws-facts 3)."""

from __future__ import annotations

from typing import Any

from bgdeploy.sandbox.codedeploy.model import Deployment, Event, Members
from bgdeploy.sandbox.codedeploy.ports import Ports


def target(deployment: Deployment, ports: Ports) -> Members:
    """Return the DeploymentTarget: events, and the two task sets as they are now, or were at the end."""
    sets = deployment.task_sets if deployment.over else task_sets(deployment, ports)
    ecs: Members = {
        "deploymentId": deployment.id,
        "targetId": deployment.target_id,
        "lastUpdatedAt": deployment.updated or deployment.created,
        "lifecycleEvents": [_event(event) for event in deployment.events],
        "status": _status(deployment),
        "taskSetsInfo": sets or [],
    }
    if deployment.service_arn:
        ecs["targetArn"] = deployment.service_arn
    return {"deploymentTargetType": "ECSTarget", "ecsTarget": ecs}


def task_sets(deployment: Deployment, ports: Ports) -> list[Members]:
    """Return taskSetsInfo: the original task set is Blue, its replacement Green, whatever the groups are called."""
    plan = deployment.plan
    service = ports.ecs.service(plan.cluster, plan.service, plan.region)
    if service is None:
        return []
    labels = {deployment.blue: "Blue", deployment.green: "Green"}
    return [
        _task_set(one, labels[one.id], deployment, ports) for one in service.task_sets if one.id in labels
    ]


def _task_set(task_set: Any, label: str, deployment: Deployment, ports: Ports) -> Members:
    plan = deployment.plan
    group = ports.elb.target_group(task_set.target_group_arn, plan.region)
    info: Members = {
        "identifer": task_set.id,  # spelt like this in AWS's model
        "desiredCount": task_set.computed_desired,
        "pendingCount": task_set.pending,
        "runningCount": task_set.running,
        "status": task_set.status,
        "trafficWeight": _share(task_set.target_group_arn, plan.production, ports),
        "taskSetLabel": label,
    }
    if group is not None:
        info["targetGroup"] = {"name": group.name}
    return info


def _share(target_group: str, listener: str, ports: Ports) -> float:
    """Return the percentage of the production listener's traffic that goes to a target group."""
    if ports.elb.listener(listener) is None:
        return 0.0
    for forward in ports.elb.forwards(listener):
        total = sum(forward.values())
        if target_group in forward and total:
            return 100.0 * forward[target_group] / total
    return 0.0


def _event(event: Event) -> Members:
    """All events are listed from the start; those to come have no times (aws-facts 1.4)."""
    times = {"startTime": event.start, "endTime": event.end}
    told = {name: time for name, time in times.items() if time is not None}
    return {"lifecycleEventName": event.name, "status": event.status, **told}


def _status(deployment: Deployment) -> str:
    """A target has no Stopped and no Created: those are Failed and Pending."""
    return {"Stopped": "Failed", "Created": "Pending", "Queued": "Pending"}.get(
        deployment.status, deployment.status
    )
