"""CodeDeploy on small in-memory services and a clock that stands still: what its tests walk deployments with."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bgdeploy.sandbox.codedeploy import CodeDeploy, Unverified
from bgdeploy.sandbox.codedeploy.ports import Ports
from bgdeploy.sandbox.world import Call, Handler, RefusedError, Settings, World
from tests.clocks import HandClock

REGION = "us-east-1"
BLUE, GREEN = "tg-arn-blue", "tg-arn-green"
PRODUCTION, TEST = "arn:listener/app/lb/production", "arn:listener/app/lb/test"
ROLE = "arn:aws:iam::123456789012:role/codedeploy"


class MemoryPart:
    """What takes a part's place in a world: answers nothing, does nothing of its own."""

    operations: Mapping[tuple[str, str], Handler] = MappingProxyType({})

    def tick(self) -> None:
        """Memory changes only when it is told to."""

    def close(self) -> None:
        """There is nothing to end."""


@dataclass
class MemoryTaskSet:
    """A task set that is steady from a time on."""

    id: str
    target_group_arn: str
    clock: HandClock
    steady_at: float
    status: str = "ACTIVE"
    computed_desired: int = 1
    made_of: Mapping[str, Any] = field(default_factory=dict)

    @property
    def steady(self) -> bool:
        return self.clock.monotonic() >= self.steady_at

    @property
    def running(self) -> int:
        return self.computed_desired if self.steady else 0

    @property
    def pending(self) -> int:
        return self.computed_desired - self.running


@dataclass
class MemoryService:
    """A service of ECS."""

    task_sets: list[MemoryTaskSet]
    controller: str = "CODE_DEPLOY"
    status: str = "ACTIVE"
    arn: str = "arn:aws:ecs:us-east-1:123456789012:service/shop/web"

    @property
    def primary(self) -> MemoryTaskSet | None:
        return next((one for one in self.task_sets if one.status == "PRIMARY"), None)


class MemoryEcs(MemoryPart):
    """One service, shop/web, whose new task sets need `boot` seconds until they are steady."""

    def __init__(self, clock: HandClock) -> None:
        self.clock = clock
        self.boot = 60.0
        self._made = 1
        self.refuses: RefusedError | None = None
        blue = MemoryTaskSet("ecs-svc/1", BLUE, clock, 0, status="PRIMARY")
        self.services = {("shop", name): MemoryService([blue]) for name in ("web", "web-2")}

    @property
    def web(self) -> MemoryService:
        return self.services["shop", "web"]

    def service(self, cluster: str, name: str, region: str) -> MemoryService | None:
        return self.services.get((cluster, name))

    def create_task_set(self, service: MemoryService, **arguments: Any) -> MemoryTaskSet:
        if self.refuses is not None:
            raise self.refuses
        self._made += 1
        steady_at = self.clock.monotonic() + self.boot
        made = MemoryTaskSet(
            f"ecs-svc/{self._made}", arguments["target_group_arn"], self.clock, steady_at, made_of=arguments
        )
        service.task_sets.append(made)
        return made

    def set_primary(self, task_set: MemoryTaskSet) -> None:
        for one in self.web.task_sets:
            one.status = "PRIMARY" if one is task_set else "ACTIVE"

    def remove_task_set(self, task_set: MemoryTaskSet) -> None:
        task_set.status, task_set.computed_desired = "DRAINING", 0


@dataclass(frozen=True)
class Named:
    """A target group or a listener, as far as CodeDeploy looks at it."""

    arn: str
    name: str


class MemoryElb(MemoryPart):
    """Two listeners and a pair of target groups. Keeps every change of weights with its time."""

    def __init__(self, clock: HandClock) -> None:
        self.clock = clock
        self.listeners: dict[str, list[dict[str, int]]] = {PRODUCTION: [{BLUE: 1}], TEST: [{GREEN: 1}]}
        self.groups = [Named(BLUE, "blue"), Named(GREEN, "green")]
        self.changes: list[tuple[float, str, int]] = []  # time, listener, green's weight

    def target_group(self, name_or_arn: str, region: str) -> Named | None:
        return next((one for one in self.groups if name_or_arn in (one.name, one.arn)), None)

    def listener(self, arn: str) -> Named | None:
        return Named(arn, "") if arn in self.listeners else None

    def forwards(self, listener_arn: str) -> list[dict[str, int]]:
        return self.listeners[listener_arn]

    def set_weights(self, listener_arn: str, weights: dict[str, int]) -> None:
        assert sum(weights.values()) == 100
        assert set(weights) == {BLUE, GREEN}
        self.listeners[listener_arn] = [dict(weights) for _ in self.listeners[listener_arn]]
        self.changes.append((self.clock.monotonic(), listener_arn, weights[GREEN]))


@dataclass(frozen=True)
class MemoryOutcome:
    """How a function ended."""

    error: str | None


class MemoryFunctions(MemoryPart):
    """Keeps what was invoked; a function ends only when the test calls its `done`."""

    def __init__(self) -> None:
        self.invoked: list[tuple[str, dict[str, Any]]] = []
        self.done: list[Callable[[MemoryOutcome], None]] = []
        self.missing: set[str] = set()

    def invoke(
        self, name_or_arn: str, payload: dict[str, Any], done: Callable[[Any], None], region: str
    ) -> None:
        if name_or_arn in self.missing:
            raise RefusedError("ResourceNotFoundException", f"Function not found: {name_or_arn}")
        self.invoked.append((name_or_arn, payload))
        self.done.append(done)


class MemoryAlarms(MemoryPart):
    """Alarms by name."""

    def __init__(self) -> None:
        self.states: dict[str, str] = {"errors": "OK", "latency": "OK"}

    def state(self, name: str, region: str) -> str | None:
        return self.states.get(name)


class MemoryIdentity:
    """A role that may do everything but what the test denies."""

    def __init__(self) -> None:
        self.denied: set[str] = set()
        self.trusted = True

    def trusts(self, role_arn: str) -> bool:
        return self.trusted

    def allows(
        self, role_arn: str, action: str, resource: str = "*", context: Mapping[str, str] | None = None
    ) -> bool:
        return action not in self.denied


class MemoryRevisions:
    """AppSpecs by their S3 key."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def read(self, location: Mapping[str, Any], role_arn: str, region: str) -> str:
        return self.texts[location["s3Location"]["key"]]


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
