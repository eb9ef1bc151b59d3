"""The cluster, the task definition that a service starts on, and the service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bgdeploy.aws import Attrs, Aws, absent, error_code, retry, tag_list, tag_map
from bgdeploy.provision.resource import TAGS, Known, Look, Resource
from bgdeploy.resources.identity import Role
from bgdeploy.resources.load_balancer import Listener, TargetGroup
from bgdeploy.resources.network import SecurityGroup, Subnet
from bgdeploy.resources.observe import LogGroup

PLACEHOLDER = "public.ecr.aws/docker/library/httpd:2.4-alpine"


def _pairs(tags: Any) -> list[dict[str, str]]:
    return tag_list(tags, key="key", value="value")


@dataclass(frozen=True, eq=False, kw_only=True)
class Cluster(Resource):
    """Where the tasks run."""

    kind = "cluster"

    def desired(self, known: Known) -> Attrs:
        return {}

    def find(self, look: Look) -> Attrs | None:
        found = look.aws.client("ecs").describe_clusters(clusters=[self.name], include=["TAGS"])["clusters"]
        active = [cluster for cluster in found if cluster["status"] == "ACTIVE"]
        return {**active[0], TAGS: tag_map(active[0].get("tags"))} if active else None

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        # A fresh account lacks the role that ECS acts with; where it is there already, this is refused (aws-facts 8.4).
        with absent("InvalidInput"):
            aws.client("iam").create_service_linked_role(AWSServiceName="ecs.amazonaws.com")
        return dict(
            aws.client("ecs").create_cluster(clusterName=self.name, tags=_pairs(self.tags(aws)))["cluster"]
        )

    def delete(self, aws: Aws, actual: Attrs) -> None:
        def remove() -> None:
            with absent("ClusterNotFoundException"):
                aws.client("ecs").delete_cluster(cluster=self.name)

        busy = {
            "ClusterContainsServicesException",
            "ClusterContainsTasksException",
            "UpdateInProgressException",
        }
        retry(aws.clock, remove, lambda error: error_code(error) in busy, 600)


@dataclass(frozen=True, eq=False, kw_only=True)
class TaskDefinition(Resource):
    """The family of task definitions; its first revision runs a public placeholder until something is released."""

    kind = "task-definition"
    # Releases register revisions of their own: what the newest one says is theirs to decide.
    create_only = frozenset({"containerDefinitions", "cpu", "memory", "executionRoleArn", "taskRoleArn"})
    container: str
    port: int
    execution_role: Role
    task_role: Role
    log_group: LogGroup

    def desired(self, known: Known) -> Attrs:
        logs = {
            "awslogs-group": self.log_group.name,
            "awslogs-region": known.aws.region,
            "awslogs-stream-prefix": "placeholder",
        }
        # Whatever port and health check path the application will have, the placeholder answers there.
        listen = ["-c", f"Listen {self.port}"] if self.port != 80 else []
        web = {
            "name": self.container,
            "image": PLACEHOLDER,
            "essential": True,
            "command": ["httpd-foreground", *listen, "-c", "FallbackResource /index.html"],
            "portMappings": [{"containerPort": self.port, "protocol": "tcp"}],
            "logConfiguration": {"logDriver": "awslogs", "options": logs},
        }
        return {
            "containerDefinitions": [web],
            "cpu": "256",
            "memory": "512",
            "executionRoleArn": known[self.execution_role]["Arn"],
            "taskRoleArn": known[self.task_role]["Arn"],
        }

    def find(self, look: Look) -> Attrs | None:
        with absent("ClientException"):
            found = look.aws.client("ecs").describe_task_definition(
                taskDefinition=self.name, include=["TAGS"]
            )
            return {**found["taskDefinition"], TAGS: tag_map(found.get("tags"))}
        return None

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        made = aws.client("ecs").register_task_definition(
            family=self.name,
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            **desired,
            tags=_pairs({**self.tags(aws), "bgdeploy:version": "bootstrap"}),
        )
        return dict(made["taskDefinition"])

    def delete(self, aws: Aws, actual: Attrs) -> None:
        """Deregister and delete every revision of the family."""
        ecs = aws.client("ecs")
        for page in ecs.get_paginator("list_task_definitions").paginate(
            familyPrefix=self.name, status="ACTIVE"
        ):
            for arn in page["taskDefinitionArns"]:
                if _family(arn) == self.name:
                    ecs.deregister_task_definition(taskDefinition=arn)
        pages = ecs.get_paginator("list_task_definitions").paginate(familyPrefix=self.name, status="INACTIVE")
        arns = [arn for page in pages for arn in page["taskDefinitionArns"] if _family(arn) == self.name]
        for n in range(0, len(arns), 10):  # DeleteTaskDefinitions takes ten
            ecs.delete_task_definitions(taskDefinitions=arns[n : n + 10])


def _family(arn: str) -> str:
    return arn.rpartition("/")[2].partition(":")[0]


@dataclass(frozen=True, eq=False, kw_only=True)
class Service(Resource):
    """The service, under the CODE_DEPLOY controller."""

    kind = "service"
    # CodeDeploy moves them with every deployment (aws-facts 6.2), and ECS refuses to change them any other way (6.3).
    create_only = frozenset({"taskDefinition", "loadBalancers", "networkConfiguration"})
    immutable = frozenset({"deploymentController"})
    cluster: Cluster
    task_definition: TaskDefinition
    target_group: TargetGroup
    subnets: tuple[Subnet, ...]
    security_group: SecurityGroup
    tasks: int
    listeners: tuple[
        Listener, ...
    ]  # a target group must hang on one before a service may use it (aws-facts 6.1)

    def desired(self, known: Known) -> Attrs:
        return {
            "deploymentController": {"type": "CODE_DEPLOY"},
            "desiredCount": self.tasks,
            "healthCheckGracePeriodSeconds": 60,
            "taskDefinition": known[self.task_definition]["taskDefinitionArn"],
            "loadBalancers": [
                {
                    "targetGroupArn": known[self.target_group]["TargetGroupArn"],
                    "containerName": self.task_definition.container,
                    "containerPort": self.task_definition.port,
                }
            ],
            "networkConfiguration": {
                "awsvpcConfiguration": {
                    "subnets": sorted(known[subnet]["SubnetId"] for subnet in self.subnets),
                    "securityGroups": [known[self.security_group]["GroupId"]],
                    "assignPublicIp": "ENABLED",  # the subnets' one way out, to pull images
                }
            },
        }

    def find(self, look: Look) -> Attrs | None:
        with absent("ClusterNotFoundException"):
            ecs = look.aws.client("ecs")
            found = ecs.describe_services(cluster=self.cluster.name, services=[self.name], include=["TAGS"])[
                "services"
            ]
            active = [service for service in found if service["status"] != "INACTIVE"]
            return {**active[0], TAGS: tag_map(active[0].get("tags"))} if active else None
        return None

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        def make() -> Attrs:
            made = aws.client("ecs").create_service(
                cluster=self.cluster.name,
                serviceName=self.name,
                launchType="FARGATE",
                platformVersion="LATEST",
                schedulingStrategy="REPLICA",
                tags=_pairs(self.tags(aws)),
                **desired,
            )
            return dict(made["service"])

        return retry(aws.clock, make, _not_yet, 300)

    def update(self, aws: Aws, actual: Attrs, changed: Attrs) -> Attrs:
        aws.client("ecs").update_service(cluster=self.cluster.name, service=self.name, **changed)
        return changed

    def delete(self, aws: Aws, actual: Attrs) -> None:
        """Remove it with its tasks, and wait until they are gone: network and cluster are in use until then."""
        ecs = aws.client("ecs")
        with absent("ServiceNotFoundException", "ServiceNotActiveException", "ClusterNotFoundException"):
            ecs.delete_service(cluster=self.cluster.name, service=self.name, force=True)

        def gone() -> None:
            with absent("ClusterNotFoundException"):
                found = ecs.describe_services(cluster=self.cluster.name, services=[self.name])["services"]
                if any(service["status"] == "DRAINING" for service in found):
                    raise _DrainingError

        retry(aws.clock, gone, lambda error: isinstance(error, _DrainingError), 900)


class _DrainingError(Exception):
    """The service's last tasks are still stopping."""


def _not_yet(error: Exception) -> bool:
    """Tell whether creating will work later: a role is too new (aws-facts 8.3), or a namesake still drains (6.1)."""
    if error_code(error) != "InvalidParameterException":
        return False
    return any(text in str(error) for text in ("assume", "still Draining"))
