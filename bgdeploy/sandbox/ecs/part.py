"""The part of the sandbox that is ECS's services, task sets and tasks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from bgdeploy.sandbox.ecs import describe
from bgdeploy.sandbox.ecs.model import EcsService, Task, TaskSet
from bgdeploy.sandbox.ecs.scheduler import Scheduler
from bgdeploy.sandbox.world import PASS, Call, Handler, RefusedError, World, _Pass

_SUFFIX = (
    " on services with a CODE_DEPLOY deployment controller. Use AWS CodeDeploy to trigger a new deployment."
)
# What UpdateService refuses under the CODE_DEPLOY controller, in AWS's words (aws-facts 6.3).
_REFUSALS = {
    "taskDefinition": "Unable to update task definition" + _SUFFIX,
    "networkConfiguration": "Unable to update network parameters" + _SUFFIX,
    "platformVersion": "Unable to update platform version" + _SUFFIX,
    "loadBalancers": "Unable to update load balancers" + _SUFFIX,
    "serviceRegistries": "Unable to update service registries" + _SUFFIX,
    "capacityProviderStrategy": "Unable to update capacity providers" + _SUFFIX,
}
_KEPT = (
    "deploymentConfiguration",
    "healthCheckGracePeriodSeconds",
    "enableECSManagedTags",
    "propagateTags",
    "enableExecuteCommand",
)
_REMEMBERED = timedelta(hours=1)  # an INACTIVE service can be described for a while


def _invalid(message: str) -> RefusedError:
    return RefusedError("InvalidParameterException", message)


class Ecs:
    """Services whose tasks are processes of this machine."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._services: dict[tuple[str, str, str], EcsService] = {}  # region, cluster, name
        self._scheduler = Scheduler(world)

    @property
    def operations(self) -> Mapping[tuple[str, str], Handler]:
        ours: dict[str, Handler] = {
            "CreateService": self._create_service,
            "UpdateService": self._update_service,
            "DeleteService": self._delete_service,
            "DescribeServices": self._describe_services,
            "ListServices": self._list_services,
            "ListTasks": self._list_tasks,
            "DescribeTasks": self._describe_tasks,
            "StopTask": self._stop_task,
            "DescribeTaskSets": self._describe_task_sets,
            "DescribeClusters": self._describe_clusters,
            "DeleteCluster": self._delete_cluster,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": self._list_tags,
            "ListServiceDeployments": lambda _call: {"serviceDeployments": []},
        }
        # A person's calls: documented for the EXTERNAL controller only; AWS's text is not known (aws-facts 14.10).
        for name in ("CreateTaskSet", "UpdateTaskSet", "DeleteTaskSet", "UpdateServicePrimaryTaskSet"):
            ours[name] = self._refuse_task_set
        return {("ecs", name): handler for name, handler in ours.items()}

    def tick(self) -> None:
        now = self._world.clock.now()
        for key, service in list(self._services.items()):
            self._scheduler.tick(service)
            if service.status == "DRAINING" and not service.task_sets:
                service.status, service.ended_at = "INACTIVE", now
            if service.ended_at is not None and now > service.ended_at + _REMEMBERED:
                del self._services[key]

    def close(self) -> None:
        for service in self._services.values():
            self._scheduler.stop_all(service)

    # For the other parts

    def service(self, cluster: str, name: str, region: str) -> EcsService | None:
        """Return the service, by names or ARNs; None when there is none such."""
        return self._services.get((region, _short(cluster), _short(name)))

    def create_task_set(  # noqa: PLR0913 - CreateTaskSet's own members
        self,
        service: EcsService,
        *,
        external_id: str | None,
        task_definition: str,
        target_group_arn: str,
        container_name: str,
        container_port: int,
        network: Mapping[str, Any] | None = None,
        platform_version: str | None = None,
    ) -> TaskSet:
        """Start a second task set at once at full scale (aws-facts 6.2). Raises RefusedError with ECS's text."""
        definition = self._definition(task_definition, service.region)
        _check_container(definition, container_name, container_port)
        made = TaskSet(
            service=service,
            task_definition=definition["taskDefinitionArn"],
            target_group_arn=target_group_arn,
            container_name=container_name,
            container_port=container_port,
            network=network or service.network,
            created_at=self._world.clock.now(),
            external_id=external_id,
            started_by="CODE_DEPLOY" if external_id else None,
            platform_version=platform_version or "LATEST",
        )
        service.task_sets.append(made)
        return made

    def set_primary(self, task_set: TaskSet) -> None:
        """Make a task set the PRIMARY one: its parameters become the service's."""
        for other in task_set.service.task_sets:
            if other.status == "PRIMARY":
                other.status = "ACTIVE"
        task_set.status = "PRIMARY"
        task_set.service.last = task_set

    def remove_task_set(self, task_set: TaskSet) -> None:
        """Drain a task set: scale 0, its tasks leave the target group and stop, then it is gone."""
        task_set.status, task_set.scale = "DRAINING", 0.0

    # Services

    def _create_service(self, call: Call) -> dict[str, Any]:
        params = call.params
        cluster, name = _short(params.get("cluster", "default")), params["serviceName"]
        self._require_cluster(cluster, call.region)
        existing = self.service(cluster, name, call.region)
        if existing is not None and existing.status == "ACTIVE":
            raise _invalid("Creation of service was not idempotent.")
        if existing is not None and existing.status == "DRAINING":
            raise _invalid("Unable to Start a service that is still Draining.")
        self._check_new(params, call.region)
        service = EcsService(
            name=name,
            cluster_name=cluster,
            region=call.region,
            params=params,
            created_at=self._world.clock.now(),
            desired_count=params.get("desiredCount", 1),
            tags={pair["key"]: pair.get("value", "") for pair in params.get("tags", [])},
        )
        balancer = params["loadBalancers"][0]
        first = self.create_task_set(
            service,
            external_id=None,
            task_definition=params["taskDefinition"],
            target_group_arn=balancer["targetGroupArn"],
            container_name=balancer["containerName"],
            container_port=balancer["containerPort"],
            network=params["networkConfiguration"],
            platform_version=params.get("platformVersion"),
        )
        self.set_primary(first)
        self._services[call.region, cluster, name] = service
        return {"service": describe.service(service, with_tags=bool(service.tags))}

    def _check_new(self, params: Mapping[str, Any], region: str) -> None:
        """Refuse what AWS refuses of a CODE_DEPLOY service (aws-facts 6.1)."""
        if params.get("deploymentController", {}).get("type") != "CODE_DEPLOY":
            raise RefusedError(
                "NotImplemented", "the sandbox runs services with the CODE_DEPLOY controller only", 501
            )
        if params.get("schedulingStrategy", "REPLICA") != "REPLICA":
            raise _invalid(
                "The CODE_DEPLOY deployment controller only supports the REPLICA scheduling strategy."
            )
        if not params.get("taskDefinition"):
            raise _invalid("TaskDefinition can not be blank.")
        if params.get("launchType") and params.get("capacityProviderStrategy"):
            raise _invalid("Specifying both a launch type and capacity provider strategy is not supported.")
        if not params.get("networkConfiguration", {}).get("awsvpcConfiguration"):
            raise _invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
        balancers = params.get("loadBalancers", [])
        if len(balancers) != 1:
            raise _invalid(
                "For a service with a CODE_DEPLOY deployment controller, the service requires an Application "
                "Load Balancer or Network Load Balancer"
            )
        arn = balancers[0]["targetGroupArn"]
        group = self._world.elb.target_group(arn, region)
        if group is None:
            raise _invalid(f"The target group with targetGroupArn {arn} does not exist.")
        if not group.load_balancers:
            raise _invalid(
                f"The target group with targetGroupArn {arn} does not have an associated load balancer."
            )

    def _update_service(self, call: Call) -> dict[str, Any]:
        service = self._require(call)
        for name, message in _REFUSALS.items():
            if name in call.params:
                raise _invalid(message)
        if call.params.get("forceNewDeployment"):
            raise _invalid("Cannot force a new deployment" + _SUFFIX)
        service.desired_count = call.params.get("desiredCount", service.desired_count)
        service.params = {
            **service.params,
            **{name: call.params[name] for name in _KEPT if name in call.params},
        }
        return {"service": describe.service(service, with_tags=False)}

    def _delete_service(self, call: Call) -> dict[str, Any]:
        service = self._require(call)
        if not call.params.get("force") and service.desired_count > 0:
            raise _invalid("The service cannot be stopped while it is scaled above 0.")
        service.status, service.desired_count = "DRAINING", 0
        for task_set in service.task_sets:
            self.remove_task_set(task_set)
        return {"service": describe.service(service, with_tags=False)}

    def _describe_services(self, call: Call) -> dict[str, Any]:
        cluster = _short(call.params.get("cluster", "default"))
        self._require_cluster(cluster, call.region)
        with_tags = "TAGS" in call.params.get("include", [])
        found, failures = [], []
        for name in call.params["services"]:
            service = self.service(cluster, name, call.region)
            if service is not None:
                found.append(describe.service(service, with_tags=with_tags))
            else:
                arn = f"arn:aws:ecs:{call.region}:123456789012:service/{cluster}/{_short(name)}"
                failures.append({"arn": arn, "reason": "MISSING"})
        return {"services": found, "failures": failures}

    def _list_services(self, call: Call) -> dict[str, Any]:
        cluster = _short(call.params.get("cluster", "default"))
        self._require_cluster(cluster, call.region)
        return {
            "serviceArns": [one.arn for one in self._of(call.region, cluster) if one.status != "INACTIVE"]
        }

    def _describe_task_sets(self, call: Call) -> dict[str, Any]:
        service = self._require(call)
        asked = call.params.get("taskSets")
        return {
            "taskSets": [
                describe.task_set(each)
                for each in service.task_sets
                if not asked or each.id in asked or each.arn in asked
            ],
            "failures": [],
        }

    def _refuse_task_set(self, call: Call) -> dict[str, Any]:
        self._require(call)
        raise _invalid(
            f"{call.operation} is not supported on services with a CODE_DEPLOY deployment controller."
        )

    # Tasks

    def _list_tasks(self, call: Call) -> dict[str, Any]:
        cluster = _short(call.params.get("cluster", "default"))
        self._require_cluster(cluster, call.region)
        wanted = call.params.get("desiredStatus", "RUNNING")
        named = call.params.get("serviceName")
        if named and self.service(cluster, named, call.region) is None:
            raise RefusedError("ServiceNotFoundException", "Service not found.")
        arns = []
        for task_set, task in self._tasks(call.region, cluster):
            family = task_set.task_definition.rpartition("/")[2].partition(":")[0]
            if (
                task.desired == wanted
                and (not named or task_set.service.name == _short(named))
                and call.params.get("startedBy", task_set.id) == task_set.id
                and call.params.get("family", family) == family
            ):
                arns.append(describe.task_arn(task, task_set.service))
        return {"taskArns": arns[: call.params.get("maxResults", 100)]}

    def _describe_tasks(self, call: Call) -> dict[str, Any]:
        cluster = _short(call.params.get("cluster", "default"))
        known = {task.id: (task_set, task) for task_set, task in self._tasks(call.region, cluster)}
        found = [known[_short(arn)] for arn in call.params["tasks"] if _short(arn) in known]
        failures = [
            {"arn": arn, "reason": "MISSING"} for arn in call.params["tasks"] if _short(arn) not in known
        ]
        return {"tasks": [describe.task(task, task_set) for task_set, task in found], "failures": failures}

    def _stop_task(self, call: Call) -> dict[str, Any]:
        cluster = _short(call.params.get("cluster", "default"))
        for task_set, task in self._tasks(call.region, cluster):
            if task.id == _short(call.params["task"]):
                self._scheduler.stop(
                    task_set, task, "UserInitiated", call.params.get("reason", "Task stopped by user")
                )
                return {"task": describe.task(task, task_set)}
        raise _invalid("The referenced task was not found.")

    # Clusters and tags, where moto knows only its half

    def _describe_clusters(self, call: Call) -> dict[str, Any]:
        answer = self._world.beneath("ecs", region=call.region).describe_clusters(**call.params)
        answer.pop("ResponseMetadata")
        for cluster in answer["clusters"]:
            services = self._of(call.region, cluster["clusterName"])
            sets = [task_set for service in services for task_set in service.task_sets]
            cluster["activeServicesCount"] = sum(service.status != "INACTIVE" for service in services)
            cluster["runningTasksCount"] = sum(task_set.running for task_set in sets)
            cluster["pendingTasksCount"] = sum(task_set.pending for task_set in sets)
        return dict(answer)

    def _delete_cluster(self, call: Call) -> _Pass:
        name = _short(call.params["cluster"])
        if any(service.status != "INACTIVE" for service in self._of(call.region, name)):
            message = "The Cluster cannot be deleted while Services are active."
            raise RefusedError("ClusterContainsServicesException", message)
        if any(not task.over for _, task in self._tasks(call.region, name)):
            raise RefusedError(
                "ClusterContainsTasksException", "The Cluster cannot be deleted while Tasks are active."
            )
        return PASS

    def _tag(self, call: Call) -> dict[str, Any] | _Pass:
        service = self._by_arn(call.params["resourceArn"])
        if service is None:
            return PASS
        service.tags |= {pair["key"]: pair.get("value", "") for pair in call.params["tags"]}
        return {}

    def _untag(self, call: Call) -> dict[str, Any] | _Pass:
        service = self._by_arn(call.params["resourceArn"])
        if service is None:
            return PASS
        for key in call.params["tagKeys"]:
            service.tags.pop(key, None)
        return {}

    def _list_tags(self, call: Call) -> dict[str, Any] | _Pass:
        service = self._by_arn(call.params["resourceArn"])
        return PASS if service is None else {"tags": describe.tag_pairs(service.tags)}

    # Looking things up

    def _of(self, region: str, cluster: str) -> list[EcsService]:
        return [one for (where, name, _), one in self._services.items() if (where, name) == (region, cluster)]

    def _tasks(self, region: str, cluster: str) -> list[tuple[TaskSet, Task]]:
        return [
            (task_set, task)
            for service in self._of(region, cluster)
            for task_set in service.task_sets
            for task in task_set.tasks
        ]

    def _by_arn(self, arn: str) -> EcsService | None:
        return next((service for service in self._services.values() if service.arn == arn), None)

    def _require(self, call: Call) -> EcsService:
        cluster = _short(call.params.get("cluster", "default"))
        self._require_cluster(cluster, call.region)
        service = self.service(cluster, call.params["service"], call.region)
        if service is None:
            raise RefusedError("ServiceNotFoundException", "Service not found.")
        if service.status != "ACTIVE":
            raise RefusedError("ServiceNotActiveException", "Service was not ACTIVE.")
        return service

    def _require_cluster(self, name: str, region: str) -> None:
        found = self._world.beneath("ecs", region=region).describe_clusters(clusters=[name])["clusters"]
        if not found or found[0]["status"] != "ACTIVE":
            raise RefusedError("ClusterNotFoundException", "Cluster not found.")

    def _definition(self, reference: str, region: str) -> dict[str, Any]:
        from botocore.exceptions import ClientError

        revision = reference.rpartition(":")[2]
        if "/" in reference and not revision.isdigit():
            raise _invalid(f"Invalid revision number. Number: {revision}")
        try:
            found: dict[str, Any] = self._world.beneath("ecs", region=region).describe_task_definition(
                taskDefinition=reference
            )["taskDefinition"]
        except ClientError:
            raise RefusedError("ClientException", "Unable to describe task definition.") from None
        if found.get("status") == "INACTIVE":
            raise _invalid("TaskDefinition is inactive")
        return found


def _check_container(definition: Mapping[str, Any], name: str, port: int) -> None:
    container = next((one for one in definition["containerDefinitions"] if one["name"] == name), None)
    if container is None:
        raise _invalid("The container does not exist in the task definition.")
    if port not in {mapping.get("containerPort") for mapping in container.get("portMappings", [])}:
        raise _invalid(f"The container {name} did not have a container port {port} defined.")


def _short(name_or_arn: str) -> str:
    return name_or_arn.rpartition("/")[2]
