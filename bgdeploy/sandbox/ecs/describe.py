"""Services, task sets and tasks as the ECS API describes them. Functions of values."""

from __future__ import annotations

from typing import Any

from bgdeploy.sandbox.ecs.model import Container, EcsService, Task, TaskSet
from bgdeploy.sandbox.network.model import Interface
from bgdeploy.sandbox.world import ACCOUNT

_STORAGE = 20  # GiB that a Fargate task has when its definition does not say


def tag_pairs(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def service(each: EcsService, *, with_tags: bool) -> dict[str, Any]:
    """Return a service. `deployments` is absent under the CODE_DEPLOY controller (aws-facts 6.2)."""
    told = {
        "serviceArn": each.arn,
        "serviceName": each.name,
        "clusterArn": each.cluster_arn,
        "status": each.status,
        "desiredCount": each.desired_count,
        "runningCount": sum(task_set.running for task_set in each.task_sets),
        "pendingCount": sum(task_set.pending for task_set in each.task_sets),
        "launchType": "FARGATE",
        "platformVersion": each.params.get("platformVersion", "LATEST"),
        "platformFamily": "Linux",
        "taskDefinition": each.task_definition,
        "loadBalancers": each.load_balancers,
        "networkConfiguration": each.network,
        "serviceRegistries": [],
        "placementConstraints": [],
        "placementStrategy": [],
        "taskSets": [task_set(one) for one in each.task_sets],
        "events": [{"id": ident, "createdAt": at, "message": message} for ident, at, message in each.events],
        "createdAt": each.created_at,
        "createdBy": f"arn:aws:iam::{ACCOUNT}:root",
        "schedulingStrategy": "REPLICA",
        "deploymentController": {"type": each.controller},
        "deploymentConfiguration": each.params.get(
            "deploymentConfiguration", {"maximumPercent": 200, "minimumHealthyPercent": 100}
        ),
        "healthCheckGracePeriodSeconds": each.params.get("healthCheckGracePeriodSeconds", 0),
        "enableECSManagedTags": each.params.get("enableECSManagedTags", False),
        "propagateTags": each.params.get("propagateTags", "NONE"),
        "enableExecuteCommand": each.params.get("enableExecuteCommand", False),
    }
    if "roleArn" in each.params:
        told["roleArn"] = each.params["roleArn"]
    return told | ({"tags": tag_pairs(each.tags)} if with_tags else {})


def task_set(each: TaskSet) -> dict[str, Any]:
    """Return a task set with the members of aws-facts 6.2."""
    told: dict[str, Any] = {
        "id": each.id,
        "taskSetArn": each.arn,
        "serviceArn": each.service.arn,
        "clusterArn": each.service.cluster_arn,
        "startedBy": each.started_by,
        "externalId": each.external_id,
        "status": each.status,
        "taskDefinition": each.task_definition,
        "computedDesiredCount": each.computed_desired,
        "pendingCount": each.pending,
        "runningCount": each.running,
        "createdAt": each.created_at,
        "updatedAt": each.steady_at or each.created_at,
        "launchType": "FARGATE",
        "platformVersion": each.platform_version,
        "platformFamily": "Linux",
        "networkConfiguration": each.network,
        "loadBalancers": [
            {
                "targetGroupArn": each.target_group_arn,
                "containerName": each.container_name,
                "containerPort": each.container_port,
            }
        ],
        "serviceRegistries": [],
        "scale": {"value": each.scale, "unit": "PERCENT"},
        "stabilityStatus": "STEADY_STATE" if each.steady else "STABILIZING",
        "stabilityStatusAt": each.steady_at or each.created_at,
        "tags": [],
    }
    return {name: value for name, value in told.items() if value is not None}


def task_arn(each: Task, owner: EcsService) -> str:
    return f"arn:aws:ecs:{owner.region}:{ACCOUNT}:task/{owner.cluster_name}/{each.id}"


def task(each: Task, owner: TaskSet, *, with_tags: bool) -> dict[str, Any]:
    """Return a task."""
    service_ = owner.service
    arn = task_arn(each, service_)
    told: dict[str, Any] = {
        "taskArn": arn,
        "clusterArn": service_.cluster_arn,
        "taskDefinitionArn": owner.task_definition,
        "group": f"service:{service_.name}",
        "startedBy": owner.id,
        "launchType": "FARGATE",
        "platformVersion": "1.4.0",
        "platformFamily": "Linux",
        "cpu": each.definition.get("cpu"),
        "memory": each.definition.get("memory"),
        "lastStatus": each.status,
        "desiredStatus": each.desired,
        "connectivity": "CONNECTED",
        "createdAt": each.created,
        "startedAt": each.started,
        "stoppingAt": each.stopping,
        "stoppedAt": each.stopped,
        "stopCode": each.stop_code or None,
        "stoppedReason": each.stopped_reason or None,
        "healthStatus": "UNKNOWN",
        "containers": [_container(one, each, arn) for one in each.containers],
        "attachments": [_attachment(each)],
        "attributes": [{"name": "ecs.cpu-architecture", "value": _architecture(each)}],
        "ephemeralStorage": each.definition.get("ephemeralStorage", {"sizeInGiB": _STORAGE}),
        "tags": tag_pairs(_task_tags(each, service_)) if with_tags else [],
    }
    return {name: value for name, value in told.items() if value is not None}


def _architecture(each: Task) -> str:
    platform = each.definition.get("runtimePlatform", {})
    return str(platform.get("cpuArchitecture", "X86_64")).lower()


def _task_tags(each: Task, owner: EcsService) -> dict[str, str]:
    """Return the tags that a task gets: AWS's own, and those of its service or of its task definition."""
    own = {"aws:ecs:clusterName": owner.cluster_name, "aws:ecs:serviceName": owner.name}
    managed = own if owner.params.get("enableECSManagedTags") else {}
    sources = {"SERVICE": owner.tags, "TASK_DEFINITION": each.tags}
    return {**managed, **sources.get(owner.params.get("propagateTags", "NONE"), {})}


def _container(each: Container, owner: Task, arn: str) -> dict[str, Any]:
    told: dict[str, Any] = {
        "containerArn": f"{arn.replace(':task/', ':container/')}/{each.name}",
        "taskArn": arn,
        "name": each.name,
        "image": each.definition.get("image"),
        "lastStatus": _status(each, owner),
        "exitCode": each.exit_code,
        "reason": each.reason or None,
        "healthStatus": "UNKNOWN",
        "networkInterfaces": [{"attachmentId": owner.eni, "privateIpv4Address": owner.ip}],
    }
    return {name: value for name, value in told.items() if value is not None}


def _status(each: Container, owner: Task) -> str:
    if owner.over or each.exit_code is not None or (each.reason and each.process is None):
        return "STOPPED"
    return "RUNNING" if each.process is not None else "PENDING"


def _attachment(each: Task) -> dict[str, Any]:
    details = {"subnetId": each.subnet, "networkInterfaceId": each.eni, "privateIPv4Address": each.ip}
    return {
        "id": each.eni,
        "type": "ElasticNetworkInterface",
        "status": "DELETED" if each.over else ("ATTACHED" if each.started else "ATTACHING"),
        "details": [{"name": name, "value": value} for name, value in details.items()],
    }


def interface(each: Task, owner: TaskSet) -> Interface:
    """Return a task's network interface as EC2 has it."""
    return Interface(
        each.eni,
        each.subnet,
        f"arn:aws:ecs:{owner.service.region}:{ACCOUNT}:attachment/{each.eni}",
        "amazon-ecs",
        each.security_groups,
        public=each.public,
        address=each.ip,
    )
