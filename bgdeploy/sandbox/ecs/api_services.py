"""ECS's operations on services, task sets, clusters and tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bgdeploy.sandbox.ecs import describe, validate
from bgdeploy.sandbox.ecs.book import Book, invalid, page, short
from bgdeploy.sandbox.ecs.definitions import check_definition
from bgdeploy.sandbox.ecs.model import EcsService
from bgdeploy.sandbox.inprocess import refusals
from bgdeploy.sandbox.world import ACCOUNT, PASS, Call, Handler, RefusedError, World, _Pass

if TYPE_CHECKING:
    from bgdeploy.sandbox.ecs.part import Ecs

_KEPT = (
    "deploymentConfiguration",
    "healthCheckGracePeriodSeconds",
    "enableECSManagedTags",
    "propagateTags",
    "enableExecuteCommand",
)
_MOST_DESCRIBED = 10  # services in one DescribeServices
_MOST_LISTED = 100  # clusters on one page


class ServiceOperations:
    """Services as their owners see them."""

    def __init__(self, world: World, book: Book, task_sets: Ecs) -> None:
        self._world = world
        self._book = book
        self._task_sets = task_sets

    def handlers(self) -> Mapping[str, Handler]:
        ours: dict[str, Handler] = {
            "CreateService": self._create_service,
            "UpdateService": self._update_service,
            "DeleteService": self._delete_service,
            "DescribeServices": self._describe_services,
            "ListServices": self._list_services,
            "DescribeTaskSets": self._describe_task_sets,
            "DeleteTaskSet": self._delete_task_set,
            "ListClusters": self._list_clusters,
            "CreateCluster": self._create_cluster,
            "DescribeClusters": self._describe_clusters,
            "UpdateClusterSettings": self._update_cluster_settings,
            "DeleteCluster": self._delete_cluster,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": self._list_tags,
            "ListServiceDeployments": self._list_service_deployments,
            "RegisterTaskDefinition": self._register,
        }
        # A person's calls: documented for the EXTERNAL controller only; AWS's text is not known (aws-facts 14.10).
        for name in ("CreateTaskSet", "UpdateTaskSet", "UpdateServicePrimaryTaskSet"):
            ours[name] = self._refuse_task_set
        return ours

    # Services

    def _create_service(self, call: Call) -> dict[str, Any]:
        params, cluster = call.params, self._book.cluster(call)
        known = self._book.find(cluster, params["serviceName"], call.region)
        if known is not None and known.status == "ACTIVE" and known.made_by(params.get("clientToken")):
            return {"service": describe.service(known, with_tags=bool(known.tags))}
        validate.check_name(known)
        validate.check_new(params)
        balancer = params["loadBalancers"][0]
        group = balancer.get("targetGroupArn", "")
        validate.check_group(group, self._world.elb.target_group(group, call.region) if group else None)
        service = EcsService(
            name=params["serviceName"],
            cluster_name=cluster,
            region=call.region,
            params=params,
            created_at=self._world.clock.now(),
            desired_count=params.get("desiredCount", 1),
            tags={pair["key"]: pair.get("value", "") for pair in params.get("tags", [])},
        )
        first = self._task_sets.create_task_set(
            service,
            external_id=None,
            task_definition=params["taskDefinition"],
            target_group_arn=group,
            container_name=balancer.get("containerName", ""),
            container_port=balancer.get("containerPort", 0),
            network=params["networkConfiguration"],
            platform_version=params.get("platformVersion"),
        )
        self._task_sets.set_primary(first)
        self._book.add(service)
        return {"service": describe.service(service, with_tags=bool(service.tags))}

    def _update_service(self, call: Call) -> dict[str, Any]:
        service = self._book.require(call)
        validate.check_update(call.params)
        service.desired_count = call.params.get("desiredCount", service.desired_count)
        changed = {name: call.params[name] for name in _KEPT if name in call.params}
        service.params = {**service.params, **changed}
        return {"service": describe.service(service, with_tags=False)}

    def _delete_service(self, call: Call) -> dict[str, Any]:
        service = self._book.require(call)
        if not call.params.get("force") and service.desired_count > 0:
            raise invalid("The service cannot be stopped while it is scaled above 0.")
        service.status, service.desired_count = "DRAINING", 0
        for task_set in service.task_sets:
            self._task_sets.remove_task_set(task_set)
        return {"service": describe.service(service, with_tags=False)}

    def _describe_services(self, call: Call) -> dict[str, Any]:
        cluster, asked = self._book.cluster(call), call.params["services"]
        if len(asked) > _MOST_DESCRIBED:
            raise invalid("Services cannot have more than 10 elements.")
        with_tags = "TAGS" in call.params.get("include", [])
        known = {name: self._book.find(cluster, name, call.region) for name in asked}
        arn = f"arn:aws:ecs:{call.region}:{ACCOUNT}:service/{cluster}"
        return {
            "services": [describe.service(each, with_tags=with_tags) for each in known.values() if each],
            "failures": [
                {"arn": f"{arn}/{short(name)}", "reason": "MISSING"}
                for name, each in known.items()
                if not each
            ],
        }

    def _list_services(self, call: Call) -> dict[str, Any]:
        services = self._book.of(call.region, self._book.cluster(call))
        arns = [service.arn for service in services if service.status != "INACTIVE"]
        found, rest = page(arns, call.params, 10)
        return {"serviceArns": found, **rest}

    # Task sets

    def _describe_task_sets(self, call: Call) -> dict[str, Any]:
        service = self._book.require(call)
        asked = call.params.get("taskSets", [])
        found = [each for each in service.task_sets if not asked or each.id in asked or each.arn in asked]
        named = {name for each in found for name in (each.id, each.arn)}
        return {
            "taskSets": [describe.task_set(each) for each in found],
            "failures": [{"arn": name, "reason": "MISSING"} for name in asked if name not in named],
        }

    def _delete_task_set(self, call: Call) -> dict[str, Any]:
        """Drain a task set as DeleteTaskSet's reference has it: by force, or scaled down to zero."""
        if not self._task_sets.people_remove_task_sets:
            return self._refuse_task_set(call)
        service, asked = self._book.require(call), call.params["taskSet"]
        found = next((each for each in service.task_sets if asked in (each.id, each.arn)), None)
        if found is None:
            raise RefusedError("TaskSetNotFoundException", "The specified task set wasn't found.")
        if found.status == "PRIMARY":
            raise invalid("The PRIMARY task set of a service cannot be deleted.")
        if found.scale and not call.params.get("force"):
            raise invalid("The task set cannot be deleted while it is scaled above 0.")
        self._task_sets.remove_task_set(found)
        return {"taskSet": describe.task_set(found)}

    def _refuse_task_set(self, call: Call) -> dict[str, Any]:
        self._book.require(call)
        raise invalid(
            f"{call.operation} is not supported on services with a CODE_DEPLOY deployment controller."
        )

    def _list_service_deployments(self, call: Call) -> dict[str, Any]:
        """Nothing: service deployments are those of the ECS controller (aws-facts 12)."""
        self._book.require(call)
        return {"serviceDeployments": []}

    def _register(self, call: Call) -> _Pass:
        check_definition(call.params)
        return PASS

    # Clusters and tags, where moto knows only its half

    def _list_clusters(self, call: Call) -> dict[str, Any]:
        """List what has not been deleted; moto keeps the others among them for ever."""
        moto = self._world.beneath("ecs", region=call.region)
        known = moto.list_clusters()["clusterArns"]
        told = moto.describe_clusters(clusters=known)["clusters"] if known else []
        arns = [each["clusterArn"] for each in told if each["status"] == "ACTIVE"]
        found, rest = page(arns, call.params, _MOST_LISTED)
        return {"clusterArns": found, **rest}

    def _create_cluster(self, call: Call) -> dict[str, Any] | _Pass:
        """Make a cluster; one that there is stays as it is, where moto would forget its settings and tags."""
        self._world.roles.link("ecs.amazonaws.com")
        name, moto = call.params.get("clusterName", "default"), self._world.beneath("ecs", region=call.region)
        include = ["TAGS", "SETTINGS", "CONFIGURATIONS"]
        known = moto.describe_clusters(clusters=[name], include=include)["clusters"]
        active = [each for each in known if each["status"] == "ACTIVE"]
        return {"cluster": active[0]} if active else PASS

    def _update_cluster_settings(self, call: Call) -> dict[str, Any]:
        """moto knows it only as a part of UpdateCluster."""
        with refusals():
            answer = self._world.beneath("ecs", region=call.region).update_cluster(**call.params)
        return {"cluster": answer["cluster"]}

    def _describe_clusters(self, call: Call) -> dict[str, Any]:
        answer = self._world.beneath("ecs", region=call.region).describe_clusters(**call.params)
        answer.pop("ResponseMetadata")
        for cluster in answer["clusters"]:
            services = self._book.of(call.region, cluster["clusterName"])
            sets = [task_set for service in services for task_set in service.task_sets]
            cluster["activeServicesCount"] = sum(service.status != "INACTIVE" for service in services)
            cluster["runningTasksCount"] = sum(task_set.running for task_set in sets)
            cluster["pendingTasksCount"] = sum(task_set.pending for task_set in sets)
        return dict(answer)

    def _delete_cluster(self, call: Call) -> _Pass:
        name = short(call.params["cluster"])
        if any(service.status != "INACTIVE" for service in self._book.of(call.region, name)):
            message = "The Cluster cannot be deleted while Services are active."
            raise RefusedError("ClusterContainsServicesException", message)
        return PASS

    def _tag(self, call: Call) -> dict[str, Any] | _Pass:
        service = self._book.by_arn(call.params["resourceArn"])
        if service is None:
            return PASS
        service.tags |= {pair["key"]: pair.get("value", "") for pair in call.params["tags"]}
        return {}

    def _untag(self, call: Call) -> dict[str, Any] | _Pass:
        service = self._book.by_arn(call.params["resourceArn"])
        if service is None:
            return PASS
        for key in call.params["tagKeys"]:
            service.tags.pop(key, None)
        return {}

    def _list_tags(self, call: Call) -> dict[str, Any] | _Pass:
        service = self._book.by_arn(call.params["resourceArn"])
        return PASS if service is None else {"tags": describe.tag_pairs(service.tags)}
