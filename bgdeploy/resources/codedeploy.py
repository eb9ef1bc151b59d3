"""CodeDeploy: the application, and the group that says how its deployments proceed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from bgdeploy.aws import Attrs, Aws, absent, error_code, retry, tag_list, tag_map, wait_until
from bgdeploy.provision.resource import TAGS, Known, Look, Remains, Resource
from bgdeploy.resources.alarms import Alarm, ExistingAlarm, forgotten_alarms
from bgdeploy.resources.ecs import Service
from bgdeploy.resources.identity import Role
from bgdeploy.resources.listeners import Listener
from bgdeploy.resources.load_balancer import TargetGroup

_EVENTS = {
    "failure": "DEPLOYMENT_FAILURE",
    "alarm": "DEPLOYMENT_STOP_ON_ALARM",
    "stop": "DEPLOYMENT_STOP_ON_REQUEST",
}
_OVER = {"Succeeded", "Failed", "Stopped"}


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
            tags = codedeploy.list_tags_for_resource(ResourceArn=self.arn(look.aws))["Tags"]
            return {**found, TAGS: tag_map(tags)}
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
        with absent("ApplicationDoesNotExistException"):
            aws.client("codedeploy").delete_application(applicationName=self.name)


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
            tags = codedeploy.list_tags_for_resource(ResourceArn=self.arn(look.aws))["Tags"]
            return {**found, TAGS: tag_map(tags)}
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
