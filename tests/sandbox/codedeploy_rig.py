"""CodeDeploy among services in memory, on a clock that stands still: how its tests walk deployments."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bgdeploy.sandbox.codedeploy import CodeDeploy, Unverified
from bgdeploy.sandbox.codedeploy.ports import Ports
from bgdeploy.sandbox.world import Call, RefusedError, Settings, World
from tests.clocks import HandClock
from tests.sandbox.codedeploy_memory import (
    PRODUCTION,
    TEST,
    MemoryAlarms,
    MemoryEcs,
    MemoryElb,
    MemoryFunctions,
    MemoryIdentity,
    MemoryRevisions,
)

REGION = "us-east-1"
LINEAR = "CodeDeployDefault.ECSLinear10PercentEvery1Minutes"
ROLE = "arn:aws:iam::123456789012:role/codedeploy"


def appspec(hooks: Mapping[str, str] | None = None, **properties: Any) -> str:
    """Return an AppSpec as JSON, with `hooks` by event."""
    resource = {
        "TaskDefinition": "arn:aws:ecs:us-east-1:123456789012:task-definition/web:2",
        "LoadBalancerInfo": {"ContainerName": "web", "ContainerPort": 80},
        **properties,
    }
    document: dict[str, Any] = {
        "version": 0.0,
        "Resources": [{"TargetService": {"Type": "AWS::ECS::Service", "Properties": resource}}],
    }
    if hooks:
        document["Hooks"] = [{event: function} for event, function in hooks.items()]
    return json.dumps(document)


def group(**changes: Any) -> dict[str, Any]:
    """Return a valid request for a deployment group, with `changes`; a member that is None is left out."""
    request = {
        "applicationName": "shop",
        "deploymentGroupName": "web",
        "serviceRoleArn": ROLE,
        "deploymentConfigName": "CodeDeployDefault.ECSAllAtOnce",
        "deploymentStyle": {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
        "blueGreenDeploymentConfiguration": blue_green(),
        "loadBalancerInfo": pair(),
        "ecsServices": [{"clusterName": "shop", "serviceName": "web"}],
        "autoRollbackConfiguration": {
            "enabled": True,
            "events": ["DEPLOYMENT_STOP_ON_REQUEST", "DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"],
        },
        "alarmConfiguration": {"enabled": True, "alarms": [{"name": "errors"}, {"name": "latency"}]},
        **changes,
    }
    return {member: value for member, value in request.items() if value is not None}


def blue_green(
    ready: int = 0, keep: int = 5, action: str | None = None, terminate: str = "TERMINATE"
) -> dict[str, Any]:
    """Return a blueGreenDeploymentConfiguration; `ready` minutes make it stop at Ready."""
    action = action or ("STOP_DEPLOYMENT" if ready else "CONTINUE_DEPLOYMENT")
    return {
        "deploymentReadyOption": {"actionOnTimeout": action, "waitTimeInMinutes": ready},
        "terminateBlueInstancesOnDeploymentSuccess": {
            "action": terminate,
            "terminationWaitTimeInMinutes": keep,
        },
    }


def pair(
    *groups: str, production: tuple[str, ...] = (PRODUCTION,), test: str | None = TEST
) -> dict[str, Any]:
    """Return a loadBalancerInfo of one pair, blue and green unless other `groups` are named."""
    routes: dict[str, Any] = {
        "targetGroups": [{"name": name} for name in groups or ("blue", "green")],
        "prodTrafficRoute": {"listenerArns": list(production)},
    }
    if test:
        routes["testTrafficRoute"] = {"listenerArns": [test]}
    return {"targetGroupPairInfoList": [routes]}


class Rig:
    """CodeDeploy among services in memory; time passes only when a test says so."""

    def __init__(self, unverified: Unverified | None = None) -> None:
        self.clock = HandClock()
        self.ecs = MemoryEcs(self.clock)
        self.elb = MemoryElb(self.clock)
        self.functions = MemoryFunctions()
        self.alarms = MemoryAlarms()
        self.identity = MemoryIdentity()
        self.revisions = MemoryRevisions()
        ports = Ports(
            self.clock, self.ecs, self.elb, self.functions, self.alarms, self.identity, self.revisions
        )
        world = World(Settings(home=Path("/nowhere")), self.clock, self.clock)
        self.service = CodeDeploy(world, unverified, ports)

    def call(self, operation: str, **params: Any) -> dict[str, Any]:
        """Return the answer of a CodeDeploy operation."""
        answer = self.service.operations["codedeploy", operation](
            Call("codedeploy", operation, params, REGION)
        )
        assert isinstance(answer, dict)
        return answer

    def set_up(self, **changes: Any) -> None:
        """Make the application and its deployment group."""
        self.call("CreateApplication", applicationName="shop", computePlatform="ECS")
        self.call("CreateDeploymentGroup", **group(**changes))

    def deploy(self, hooks: Mapping[str, str] | None = None, **members: Any) -> str:
        """Start a deployment and return its id."""
        revision = {"revisionType": "AppSpecContent", "appSpecContent": {"content": appspec(hooks)}}
        request = {
            "applicationName": "shop",
            "deploymentGroupName": "web",
            "revision": revision,
            **members,
        }
        return str(self.call("CreateDeployment", **request)["deploymentId"])

    def pass_time(self, seconds: float, tick: float = 1.0) -> None:
        """Let time pass in steps of `tick`, and CodeDeploy act after each."""
        for _ in range(round(seconds / tick)):
            self.clock.advance(tick)
            self.service.tick()

    def pass_until(self, condition: Callable[[], bool], limit: float = 10_000) -> None:
        """Let time pass until `condition` holds."""
        started = self.clock.monotonic()
        while not condition():
            assert self.clock.monotonic() - started < limit, "what was waited for did not come true"
            self.pass_time(1)

    def info(self, deployment: str) -> dict[str, Any]:
        """Return what GetDeployment says."""
        told: dict[str, Any] = self.call("GetDeployment", deploymentId=deployment)["deploymentInfo"]
        return told

    def target(self, deployment: str) -> dict[str, Any]:
        """Return the ECS target."""
        answer = self.call("GetDeploymentTarget", deploymentId=deployment, targetId="shop:web")
        told: dict[str, Any] = answer["deploymentTarget"]["ecsTarget"]
        return told

    def events(self, deployment: str) -> dict[str, str]:
        """Return the status of each lifecycle event."""
        listed = self.target(deployment)["lifecycleEvents"]
        return {event["lifecycleEventName"]: event["status"] for event in listed}

    def running(self, deployment: str, event: str) -> bool:
        """Tell whether a lifecycle event is in progress."""
        return self.info(deployment)["status"] != "Created" and self.events(deployment)[event] == "InProgress"

    def over(self, deployment: str) -> bool:
        return self.info(deployment)["status"] in {"Succeeded", "Failed", "Stopped"}

    def finish(self, deployment: str) -> None:
        """Let time pass until the deployment is over."""
        self.pass_until(lambda: self.over(deployment))

    def waits_to_terminate(self, deployment: str) -> bool:
        return bool(self.info(deployment)["instanceTerminationWaitTimeStarted"])

    def rollback_of(self, deployment: str) -> dict[str, Any]:
        """Wait for the end of `deployment` and of its rollback; return the rollback's DeploymentInfo."""
        self.finish(deployment)
        self.pass_until(lambda: "rollbackInfo" in self.info(deployment), limit=60)
        rollback = self.info(deployment)["rollbackInfo"]["rollbackDeploymentId"]
        self.pass_until(lambda: self.over(rollback), limit=60)
        return self.info(rollback)

    def answer(self, status: str, invocation: int = -1) -> None:
        """Answer a hook, the last one invoked unless told otherwise."""
        payload = self.functions.invoked[invocation][1]
        self.call(
            "PutLifecycleEventHookExecutionStatus",
            deploymentId=payload["DeploymentId"],
            lifecycleEventHookExecutionId=payload["LifecycleEventHookExecutionId"],
            status=status,
        )


def make(unverified: Unverified | None = None, **changes: Any) -> Rig:
    """Return a rig whose application and deployment group exist: it rolls back on everything, keeps blue 5 min."""
    rig = Rig(unverified)
    rig.set_up(**changes)
    return rig


def refusal(rig: Rig, operation: str, **params: Any) -> tuple[str, str]:
    """Return the code and the text with which an operation is refused."""
    with pytest.raises(RefusedError) as refused:
        rig.call(operation, **params)
    return refused.value.code, refused.value.message


def empty() -> Rig:
    """Return a rig with an ECS application and no deployment group yet."""
    rig = Rig()
    rig.call("CreateApplication", applicationName="shop", computePlatform="ECS")
    return rig
