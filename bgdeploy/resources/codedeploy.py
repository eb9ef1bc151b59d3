"""CodeDeploy: the application, the group that says how its deployments proceed, and how they move traffic."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from bgdeploy.aws import Attrs, Aws, absent, error_code, retry, tag_list, tag_map, wait_until
from bgdeploy.provision.resource import TAGS, Known, Look, Remains, Resource, UnusableError
from bgdeploy.resources.alarms import Alarm, ExistingAlarm, forgotten_alarms
from bgdeploy.resources.ecs import Service
from bgdeploy.resources.identity import Role
from bgdeploy.resources.listeners import Listener
from bgdeploy.resources.load_balancer import TargetGroup
from bgdeploy.resources.tagging import tags_of
from bgdeploy.strategy import made_for

_EVENTS = {
    "failure": "DEPLOYMENT_FAILURE",
    "alarm": "DEPLOYMENT_STOP_ON_ALARM",
    "stop": "DEPLOYMENT_STOP_ON_REQUEST",
}
_OVER = {"Succeeded", "Failed", "Stopped"}


def _tags(look: Look, resource: Resource, arn: str) -> dict[str, str]:
    codedeploy = look.aws.client("codedeploy")
    return tags_of(
        look,
        arn,
        resource.tags(look.aws),
        lambda: tag_map(codedeploy.list_tags_for_resource(ResourceArn=arn)["Tags"]),
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class Application(Resource):
    """A CodeDeploy application for ECS; the platform is Server where it is not said (aws-facts 5.1)."""

    kind = "application"
    taken = frozenset({"ApplicationAlreadyExistsException"})
    immutable = frozenset({"computePlatform"})

    def desired(self, known: Known) -> Attrs:
        return {"computePlatform": "ECS"}

    def find(self, look: Look) -> Attrs | None:
        codedeploy = look.aws.client("codedeploy")
        with absent("ApplicationDoesNotExistException"):
            found = dict(codedeploy.get_application(applicationName=self.name)["application"])
            return {**found, TAGS: _tags(look, self, self.arn(look.aws))}
        return None

    def arn(self, aws: Aws) -> str:
        return aws.arn("codedeploy", f"application:{self.name}")

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        codedeploy = aws.client("codedeploy")
        codedeploy.create_application(applicationName=self.name, tags=tag_list(self.tags(aws)), **desired)
        return desired

    def retag(self, aws: Aws, actual: Attrs, tags: Mapping[str, str]) -> None:
        aws.client("codedeploy").tag_resource(ResourceArn=self.arn(aws), Tags=tag_list(tags))

    def delete(self, aws: Aws, actual: Attrs) -> None:
        """Remove it, and before it the configs that releases made for strategies of their own.

        No tag says whose they are, so they must not outlive what does.
        """
        codedeploy = aws.client("codedeploy")
        for page in codedeploy.get_paginator("list_deployment_configs").paginate():
            for config in page["deploymentConfigsList"]:
                if made_for(self.name, config):
                    _delete_config(aws, config)
        with absent("ApplicationDoesNotExistException"):
            codedeploy.delete_application(applicationName=self.name)


@dataclass(frozen=True, eq=False, kw_only=True)
class DeploymentConfig(Resource):
    """How production moves, where CodeDeploy predefines no such way.

    It carries no tags. Its name is the stack's own, and what it does is in its name.
    """

    kind = "deployment-config"
    part_of_another = True
    taken = frozenset({"DeploymentConfigAlreadyExistsException"})
    immutable = frozenset({"computePlatform", "trafficRoutingConfig"})  # nothing updates one (aws-facts 5.4)
    application: Application  # whose it is, it is
    routing: Mapping[str, Any]

    def desired(self, known: Known) -> Attrs:
        return {"computePlatform": "ECS", "trafficRoutingConfig": dict(self.routing)}

    def find(self, look: Look) -> Attrs | None:
        return _config(look.aws, self.name)

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        aws.client("codedeploy").create_deployment_config(deploymentConfigName=self.name, **desired)
        return desired

    def delete(self, aws: Aws, actual: Attrs) -> None:
        _delete_config(aws, self.name)


@dataclass(frozen=True, eq=False, kw_only=True)
class ExistingDeploymentConfig(Resource):
    """A way to move production that somebody else made: it must be there, and is only used."""

    kind = "existing-deployment-config"
    external = True

    def desired(self, known: Known) -> Attrs:
        return {}

    def find(self, look: Look) -> Attrs | None:
        found = None if look.for_removal else _config(look.aws, self.name)
        if found and found.get("computePlatform") != "ECS":
            raise UnusableError(
                f"the deployment config {self.name} is for {found.get('computePlatform', 'Server')}, not for ECS",
                "deployment.strategy takes one that is for ECS, or canary P% D, or linear P% D",
            )
        return found

    def missing(self) -> str:
        return (
            f"there is no deployment config {self.name!r}: correct deployment.strategy, or say it as canary P% D or "
            "linear P% D, which need none"
        )


def _config(aws: Aws, name: str) -> Attrs | None:
    with absent("DeploymentConfigDoesNotExistException"):
        found = aws.client("codedeploy").get_deployment_config(deploymentConfigName=name)
        return dict(found["deploymentConfigInfo"])
    return None


def _delete_config(aws: Aws, name: str) -> None:
    """Remove a config; one that a deployment group of somebody else's has come to use stays."""
    with absent("DeploymentConfigInUseException"):
        aws.client("codedeploy").delete_deployment_config(deploymentConfigName=name)


@dataclass(frozen=True, eq=False, kw_only=True)
class DeploymentGroup(Resource):
    """How deployments proceed: strategy, waits, rollback, the two listeners and the two target groups."""

    kind = "deployment-group"
    taken = frozenset({"DeploymentGroupAlreadyExistsException"})
    # A group for ECS can have no other (aws-facts 5.1).
    create_only = frozenset({"deploymentStyle"})
    application: Application
    role: Role
    service: Service
    production: Listener
    test: Listener
    blue: TargetGroup
    green: TargetGroup
    alarms: tuple[Alarm | ExistingAlarm, ...]
    config: str
    keep_blue_minutes: int
    approval_minutes: int | None
    rollback_on: tuple[str, ...]

    def desired(self, known: Known) -> Attrs:
        wait = self.approval_minutes
        ready = {
            "actionOnTimeout": "CONTINUE_DEPLOYMENT" if wait is None else "STOP_DEPLOYMENT",
            "waitTimeInMinutes": wait or 0,
        }
        return {
            "serviceRoleArn": known[self.role]["Arn"],
            "deploymentConfigName": self.config,
            "deploymentStyle": {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
            "blueGreenDeploymentConfiguration": {
                "deploymentReadyOption": ready,
                "terminateBlueInstancesOnDeploymentSuccess": {
                    "action": "TERMINATE",
                    "terminationWaitTimeInMinutes": self.keep_blue_minutes,
                },
            },
            "loadBalancerInfo": {
                "targetGroupPairInfoList": [
                    {
                        "targetGroups": [{"name": self.blue.name}, {"name": self.green.name}],
                        "prodTrafficRoute": {"listenerArns": [known[self.production]["ListenerArn"]]},
                        "testTrafficRoute": {"listenerArns": [known[self.test]["ListenerArn"]]},
                    }
                ]
            },
            "ecsServices": [{"clusterName": self.service.cluster.name, "serviceName": self.service.name}],
            # CodeDeploy gives the events back in alphabetical order (aws-facts 4.1).
            "autoRollbackConfiguration": {
                "enabled": bool(self.rollback_on),
                "events": sorted(_EVENTS[each] for each in self.rollback_on),
            },
            "alarmConfiguration": {
                "enabled": bool(self.alarms),
                "alarms": [{"name": alarm.name} for alarm in self.alarms],
            },
        }

    def find(self, look: Look) -> Attrs | None:
        codedeploy, name = look.aws.client("codedeploy"), self.application.name
        with absent("ApplicationDoesNotExistException", "DeploymentGroupDoesNotExistException"):
            found = dict(
                codedeploy.get_deployment_group(applicationName=name, deploymentGroupName=self.name)[
                    "deploymentGroupInfo"
                ]
            )
            rollback = dict(found.get("autoRollbackConfiguration") or {})
            found["autoRollbackConfiguration"] = {**rollback, "events": sorted(rollback.get("events", []))}
            return {**found, TAGS: _tags(look, self, self.arn(look.aws))}
        return None

    def forgotten(self, look: Look, declared: Collection[Resource]) -> list[Remains]:
        """The alarms that it used to watch."""
        return forgotten_alarms(look, f"{self.name}-", declared)

    def arn(self, aws: Aws) -> str:
        return aws.arn("codedeploy", f"deploymentgroup:{self.application.name}/{self.name}")

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        def make() -> None:
            aws.client("codedeploy").create_deployment_group(
                applicationName=self.application.name,
                deploymentGroupName=self.name,
                tags=tag_list(self.tags(aws)),
                **desired,
            )

        retry(aws, make, _role_too_new)
        return desired

    def update(self, aws: Aws, actual: Attrs, changed: Attrs) -> Attrs:
        def change() -> None:
            aws.client("codedeploy").update_deployment_group(
                applicationName=self.application.name, currentDeploymentGroupName=self.name, **changed
            )

        retry(aws, change, _role_too_new)
        return changed

    def retag(self, aws: Aws, actual: Attrs, tags: Mapping[str, str]) -> None:
        aws.client("codedeploy").tag_resource(ResourceArn=self.arn(aws), Tags=tag_list(tags))

    def delete(self, aws: Aws, actual: Attrs) -> None:
        """Stop what is still being deployed, then remove the group."""
        codedeploy, name = aws.client("codedeploy"), self.application.name
        with absent("ApplicationDoesNotExistException", "DeploymentGroupDoesNotExistException"):
            running = codedeploy.list_deployments(
                applicationName=name,
                deploymentGroupName=self.name,
                includeOnlyStatuses=["Created", "Queued", "InProgress", "Ready", "Baking"],
            )["deployments"]
            for ident in running:
                self._stop(aws, ident)
            codedeploy.delete_deployment_group(applicationName=name, deploymentGroupName=self.name)

    def _stop(self, aws: Aws, ident: str) -> None:
        codedeploy = aws.client("codedeploy")
        with absent("DeploymentAlreadyCompletedException"):
            # No rollback: everything goes anyway.
            codedeploy.stop_deployment(deploymentId=ident, autoRollbackEnabled=False)

        def over() -> bool:
            return codedeploy.get_deployment(deploymentId=ident)["deploymentInfo"]["status"] in _OVER

        wait_until(aws, over, 300)


def _role_too_new(error: Exception) -> bool:
    """Tell whether CodeDeploy cannot use the role just now, because IAM has not told it yet (aws-facts 8.3)."""
    if error_code(error) == "InvalidRoleException":
        return True
    return "Could not load ECS service information" in str(error) and "not authorized" in str(error)
