"""The cluster, the task definition that a service starts on, and the service."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from bgdeploy.aws import Attrs, Aws, absent, error_code, retry, tag_list, tag_map, wait_until
from bgdeploy.definition import parts
from bgdeploy.names import PLACEHOLDER
from bgdeploy.provision.diff import Difference, Whole, differences
from bgdeploy.provision.resource import TAGS, Known, Look, Remains, Resource
from bgdeploy.resources.existing import ExistingSubnets
from bgdeploy.resources.identity import Role
from bgdeploy.resources.listeners import Listener
from bgdeploy.resources.load_balancer import TargetGroup
from bgdeploy.resources.network import Subnet
from bgdeploy.resources.observe import LogGroup
from bgdeploy.resources.scaling import forgotten_target
from bgdeploy.resources.security import SecurityGroup

VERSION_TAG = "bgdeploy:version"  # on a task definition
PLACEHOLDER_IMAGE = "public.ecr.aws/docker/library/httpd:2.4-alpine"
_UNKNOWN = "Unable to describe task definition"  # ECS gives it the code of every wrong request


def _pairs(tags: Any) -> list[dict[str, str]]:
    return tag_list(tags, key="key", value="value")


def _retag(aws: Aws, arn: str, tags: Mapping[str, str]) -> None:
    aws.client("ecs").tag_resource(resourceArn=arn, tags=_pairs(tags))


def _service(look: Look, cluster: str, name: str) -> Attrs | None:
    """Return a service, also one that drains: one call for all who want to know."""

    def ask() -> Attrs | None:
        with absent("ClusterNotFoundException"):
            ecs = look.aws.client("ecs")
            found = ecs.describe_services(cluster=cluster, services=[name], include=["TAGS"])["services"]
            there = [each for each in found if each["status"] in {"ACTIVE", "DRAINING"}]
            return dict(there[0]) if there else None
        return None

    return look.once(("service", cluster, name), ask)


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
        # A fresh account lacks the role that ECS acts with; where it is there already, this is refused: how, no
        # document says for certain (aws-facts 8.4).
        with absent("InvalidInput", "EntityAlreadyExists"):
            aws.client("iam").create_service_linked_role(AWSServiceName="ecs.amazonaws.com")
        return dict(
            aws.client("ecs").create_cluster(clusterName=self.name, tags=_pairs(self.tags(aws)))["cluster"]
        )

    def retag(self, aws: Aws, actual: Attrs, tags: Mapping[str, str]) -> None:
        _retag(aws, actual["clusterArn"], tags)

    def delete(self, aws: Aws, actual: Attrs) -> None:
        def remove() -> None:
            with absent("ClusterNotFoundException"):
                aws.client("ecs").delete_cluster(cluster=self.name)

        busy = {
            "ClusterContainsServicesException",
            "ClusterContainsTasksException",
            "UpdateInProgressException",
        }
        retry(aws, remove, lambda error: error_code(error) in busy, 600)


@dataclass(frozen=True, eq=False, kw_only=True)
class TaskDefinition(Resource):
    """The family of task definitions; its first revision runs a public placeholder until something is released."""

    kind = "task-definition"
    found_by = "its family"
    # Releases register revisions of their own: what the newest one says is theirs to decide.
    create_only = frozenset({"containerDefinitions", "cpu", "memory", "executionRoleArn", "taskRoleArn"})
    container: str
    port: int
    execution_role: Role
    task_role: Role
    log_group: LogGroup
    cluster: str  # the names of cluster and service that run it
    service: str
    declared: Mapping[str, Any]  # the parts of what the next release registers

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
            "image": PLACEHOLDER_IMAGE,
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
        """What the service runs, or else the newest revision of ours.

        `aws ecs deploy` and the console register some that carry no tags.
        """
        newest: Attrs | None = None
        for arn in chain(self._running(look), self._revisions(look.aws, look.for_removal)):
            told = _revision(look.aws, arn)
            newest = newest or told
            if told and look.aws.owns(told[TAGS]):
                return told
        return newest

    def awaits_release(self, known: Known, actual: Attrs) -> tuple[Difference, ...]:
        """What the config says otherwise than the revision that runs; of the placeholder nobody expects anything."""
        if actual.get(TAGS, {}).get(VERSION_TAG, PLACEHOLDER) == PLACEHOLDER:
            return ()
        return tuple(differences(_to_the_last_key(self.declared), parts(actual)))

    def _running(self, look: Look) -> Iterator[str]:
        """Yield the ARN of the revision that the service runs, if it does."""
        service = None if look.for_removal else _service(look, self.cluster, self.service)
        if service and service["status"] == "ACTIVE":
            yield service["taskDefinition"]

    def _revisions(self, aws: Aws, deregistered_too: bool) -> Iterator[str]:
        """Yield the ARNs of the family's revisions, the newest first; at last those that are not deleted yet."""
        pages = aws.client("ecs").get_paginator("list_task_definitions")
        for status in ("ACTIVE", "INACTIVE") if deregistered_too else ("ACTIVE",):
            for page in pages.paginate(familyPrefix=self.name, status=status, sort="DESC"):
                yield from (arn for arn in page["taskDefinitionArns"] if _family(arn) == self.name)

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        made = aws.client("ecs").register_task_definition(
            family=self.name,
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            **desired,
            tags=_pairs({**self.tags(aws), VERSION_TAG: PLACEHOLDER}),
        )
        return dict(made["taskDefinition"])

    def retag(self, aws: Aws, actual: Attrs, tags: Mapping[str, str]) -> None:
        _retag(aws, actual["taskDefinitionArn"], tags)

    def delete(self, aws: Aws, actual: Attrs) -> None:
        """Deregister and delete every revision of ours."""
        ecs, ours = aws.client("ecs"), []
        for arn in list(self._revisions(aws, deregistered_too=True)):
            found = _revision(aws, arn)
            if found and aws.owns(found[TAGS]):
                ours.append(arn)
                if found["status"] == "ACTIVE":
                    with absent(_UNKNOWN):
                        ecs.deregister_task_definition(taskDefinition=arn)
        for n in range(0, len(ours), 10):  # DeleteTaskDefinitions takes ten
            ecs.delete_task_definitions(taskDefinitions=ours[n : n + 10])


def _to_the_last_key(declared: Mapping[str, Any]) -> Attrs:
    """Return the parts such that what a container has beside its declared environment or secrets differs too."""
    return {
        name: {key: Whole(each) if isinstance(each, dict) else each for key, each in value.items()}
        if isinstance(value, dict)
        else value
        for name, value in declared.items()
    }


def _revision(aws: Aws, arn: str) -> Attrs | None:
    """Return a revision with its tags, None when somebody has deleted it meanwhile."""
    with absent(_UNKNOWN):
        found = aws.client("ecs").describe_task_definition(taskDefinition=arn, include=["TAGS"])
        return {**found["taskDefinition"], TAGS: tag_map(found.get("tags"))}
    return None


def _family(arn: str) -> str:
    return arn.rpartition("/")[2].partition(":")[0]


@dataclass(frozen=True, eq=False, kw_only=True)
class Service(Resource):
    """The service, under the CODE_DEPLOY controller."""

    kind = "service"
    taken = frozenset({"Creation of service was not idempotent"})  # aws-facts 6.1
    # CodeDeploy moves them with every deployment (aws-facts 6.2), and ECS refuses to change them any other way (6.3).
    # What the config says otherwise of the network goes out with the next release.
    create_only = frozenset({"taskDefinition", "loadBalancers", "networkConfiguration"})
    immutable = frozenset({"deploymentController"})
    cluster: Cluster
    task_definition: TaskDefinition
    target_group: TargetGroup
    subnets: tuple[Subnet | ExistingSubnets, ...]
    security_group: SecurityGroup
    tasks: int
    listeners: tuple[
        Listener, ...
    ]  # a target group must hang on one before a service may use it (aws-facts 6.1)
    scaled: bool = False  # auto scaling decides how many tasks there are
    execute_command: bool = False
    grace: int = 60  # seconds
    platform_version: str = "LATEST"

    def desired(self, known: Known) -> Attrs:
        count = {} if self.scaled else {"desiredCount": self.tasks}
        return {
            "deploymentController": {"type": "CODE_DEPLOY"},
            **count,
            "healthCheckGracePeriodSeconds": self.grace,
            "enableExecuteCommand": self.execute_command,
            "taskDefinition": known[self.task_definition]["taskDefinitionArn"],
            "loadBalancers": [
                {
                    "targetGroupArn": known[self.target_group]["TargetGroupArn"],
                    "containerName": self.task_definition.container,
                    "containerPort": self.task_definition.port,
                }
            ],
            "networkConfiguration": self.network(known),
        }

    def network(self, known: Known) -> Attrs:
        """Return where its tasks are to stand."""
        public = any(subnet.wants_addresses(known) for subnet in self.subnets)
        return {
            "awsvpcConfiguration": {
                "subnets": sorted(each for subnet in self.subnets for each in subnet.ids(known)),
                "securityGroups": [known[self.security_group]["GroupId"]],
                "assignPublicIp": "ENABLED" if public else "DISABLED",
            }
        }

    def awaits_release(self, known: Known, actual: Attrs) -> tuple[Difference, ...]:
        """Where the tasks stand and what they run on: only an AppSpec can say it (aws-facts 1.3)."""
        network = {
            key: set(value) if isinstance(value, list) else value
            for key, value in self.network(known)["awsvpcConfiguration"].items()
        }
        wanted: Attrs = {"networkConfiguration": {"awsvpcConfiguration": network}}
        if self.platform_version != "LATEST":
            wanted["platformVersion"] = self.platform_version
        return tuple(differences(wanted, actual))

    def find(self, look: Look) -> Attrs | None:
        found = _service(look, self.cluster.name, self.name)
        # One that drains is still in the way of who removes; who makes a new one waits for it (aws-facts 6.1).
        if found is None or (found["status"] != "ACTIVE" and not look.for_removal):
            return None
        primary: Attrs = next((each for each in found.get("taskSets", ()) if each["status"] == "PRIMARY"), {})
        platform = primary.get("platformVersion", found.get("platformVersion"))
        return {**found, "platformVersion": platform, TAGS: tag_map(found.get("tags"))}

    def forgotten(self, look: Look, declared: Collection[Resource]) -> list[Remains]:
        """The scaling that it used to have."""
        return forgotten_target(look, self.cluster.name, self.name, declared)

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        def make() -> Attrs:
            made = aws.client("ecs").create_service(
                cluster=self.cluster.name,
                serviceName=self.name,
                launchType="FARGATE",
                platformVersion=self.platform_version,
                schedulingStrategy="REPLICA",
                tags=_pairs(self.tags(aws)),
                **{"desiredCount": self.tasks, **desired},
            )
            return dict(made["service"])

        return retry(aws, make, _not_yet, 300)

    def update(self, aws: Aws, actual: Attrs, changed: Attrs) -> Attrs:
        aws.client("ecs").update_service(cluster=self.cluster.name, service=self.name, **changed)
        return changed

    def retag(self, aws: Aws, actual: Attrs, tags: Mapping[str, str]) -> None:
        _retag(aws, actual["serviceArn"], tags)

    def delete(self, aws: Aws, actual: Attrs) -> None:
        """Remove it with its tasks, and wait until they are gone: network and cluster are in use until then."""
        ecs = aws.client("ecs")
        with absent("ServiceNotFoundException", "ServiceNotActiveException", "ClusterNotFoundException"):
            ecs.delete_service(cluster=self.cluster.name, service=self.name, force=True)

        def gone() -> bool:
            with absent("ClusterNotFoundException"):
                found = ecs.describe_services(cluster=self.cluster.name, services=[self.name])["services"]
                return not any(service["status"] == "DRAINING" for service in found)
            return True

        wait_until(aws, gone, 900)


def _not_yet(error: Exception) -> bool:
    """Tell whether creating will work later: a role is too new (aws-facts 8.3), or a namesake still drains (6.1)."""
    if error_code(error) != "InvalidParameterException":
        return False
    return any(text in str(error) for text in ("assume", "still Draining"))
