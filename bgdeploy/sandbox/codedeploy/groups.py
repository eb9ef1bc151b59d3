"""Deployment groups as values: a request's members completed, merged and rendered, and the plan they amount to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from bgdeploy.sandbox.codedeploy.model import Config, Deployment, Group, Members, Plan
from bgdeploy.sandbox.codedeploy.unverified import Unverified

# What of a request makes the group; UpdateDeploymentGroup keeps those it leaves out (aws-facts 5.5).
_MEMBERS = (
    "deploymentConfigName",
    "ec2TagFilters",
    "onPremisesInstanceTagFilters",
    "autoScalingGroups",
    "serviceRoleArn",
    "triggerConfigurations",
    "alarmConfiguration",
    "autoRollbackConfiguration",
    "outdatedInstancesStrategy",
    "deploymentStyle",
    "blueGreenDeploymentConfiguration",
    "loadBalancerInfo",
    "ec2TagSet",
    "ecsServices",
    "onPremisesTagSet",
    "ec2DeploymentOptions",
    "terminationHookEnabled",
)


def merged(existing: Mapping[str, Any], params: Mapping[str, Any], unverified: Unverified) -> Members:
    """Return `existing` settings with the members that a request gives; nested ones are replaced whole (5.5)."""
    settings = {**existing, **{member: params[member] for member in _MEMBERS if member in params}}
    settings.setdefault("deploymentConfigName", unverified.default_config)
    return settings


def completed(settings: Mapping[str, Any]) -> Members:
    """Return valid settings as AWS gives them back: both wait times as numbers, rollback events sorted.

    `aws ecs deploy` reads both waits without asking whether they are there; the events' order is AWS's (aws-facts 4.1).
    """
    return {
        "ec2TagFilters": [],
        "onPremisesInstanceTagFilters": [],
        "autoScalingGroups": [],
        "triggerConfigurations": [],
        "outdatedInstancesStrategy": "UPDATE",
        "terminationHookEnabled": False,
        **settings,
        "alarmConfiguration": alarm_configuration(settings.get("alarmConfiguration")),
        "autoRollbackConfiguration": rollback_configuration(settings.get("autoRollbackConfiguration")),
        "blueGreenDeploymentConfiguration": _blue_green(settings["blueGreenDeploymentConfiguration"]),
    }


def alarm_configuration(config: Mapping[str, Any] | None) -> Members:
    """Return an alarmConfiguration with every member."""
    return {"enabled": False, "ignorePollAlarmFailure": False, "alarms": [], **(config or {})}


def rollback_configuration(config: Mapping[str, Any] | None) -> Members:
    """Return an autoRollbackConfiguration with every member, its events sorted (aws-facts 4.1)."""
    config = config or {}
    return {"enabled": config.get("enabled", False), "events": sorted(config.get("events") or [])}


def _blue_green(config: Mapping[str, Any]) -> Members:
    ready = config["deploymentReadyOption"]
    terminate = config["terminateBlueInstancesOnDeploymentSuccess"]
    return {
        **config,
        "deploymentReadyOption": {
            "actionOnTimeout": ready.get("actionOnTimeout", "CONTINUE_DEPLOYMENT"),
            "waitTimeInMinutes": ready.get("waitTimeInMinutes", 0),
        },
        "terminateBlueInstancesOnDeploymentSuccess": {
            "action": terminate.get("action", "TERMINATE"),
            "terminationWaitTimeInMinutes": terminate.get("terminationWaitTimeInMinutes", 0),
        },
    }


def render(group: Group, deployments: list[Deployment]) -> Members:
    """Return DeploymentGroupInfo. `deployments` are the group's, the newest first."""
    info: Members = {
        "applicationName": group.application,
        "deploymentGroupId": group.id,
        "deploymentGroupName": group.name,
        "computePlatform": "ECS",
        **group.settings,
    }
    succeeded = next((one for one in deployments if one.status == "Succeeded"), None)
    if succeeded is not None:
        info["lastSuccessfulDeployment"] = _last(succeeded)
        if succeeded.revision is not None:
            info["targetRevision"] = succeeded.echo["revision"]
    if deployments:
        info["lastAttemptedDeployment"] = _last(deployments[0])
    return info


def _last(deployment: Deployment) -> Members:
    times = {"createTime": deployment.created, "endTime": deployment.completed}
    told = {name: time for name, time in times.items() if time is not None}
    return {"deploymentId": deployment.id, "status": deployment.status, **told}


def plan(group: Group, params: Mapping[str, Any], config: Config, region: str) -> Plan:
    """Return what a deployment of `group` is to do, with what the request `params` overrides (aws-facts 1.1)."""
    settings = group.settings
    pair = settings["loadBalancerInfo"]["targetGroupPairInfoList"][0]
    blue_green = settings["blueGreenDeploymentConfiguration"]
    ready = blue_green["deploymentReadyOption"]
    keep = blue_green["terminateBlueInstancesOnDeploymentSuccess"]["terminationWaitTimeInMinutes"]
    rollback = params.get("autoRollbackConfiguration") or settings["autoRollbackConfiguration"]
    alarms = alarm_configuration(params.get("overrideAlarmConfiguration") or settings["alarmConfiguration"])
    cluster, service = group.service
    first, second = (str(one["name"]) for one in pair["targetGroups"])
    waits = ready["actionOnTimeout"] == "STOP_DEPLOYMENT"
    return Plan(
        region=region,
        cluster=cluster,
        service=service,
        role=settings["serviceRoleArn"],
        production=pair["prodTrafficRoute"]["listenerArns"][0],
        test=next(iter((pair.get("testTrafficRoute") or {}).get("listenerArns") or ()), None),
        target_groups=(first, second),
        increments=config.increments,
        ready_wait=timedelta(minutes=ready["waitTimeInMinutes"]) if waits else None,
        keep_blue=timedelta(minutes=keep),
        rollback_on=frozenset(rollback.get("events") or ()) if rollback.get("enabled") else frozenset(),
        alarms=tuple(one["name"] for one in alarms["alarms"]) if alarms["enabled"] else (),
        ignore_alarm_failure=alarms["ignorePollAlarmFailure"],
    )
