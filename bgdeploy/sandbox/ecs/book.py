"""Where the services are written down, and what moto knows of clusters and task definitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from bgdeploy.sandbox.ecs.model import EcsService, Task, TaskSet
from bgdeploy.sandbox.world import Call, RefusedError, World

T = TypeVar("T")


def short(name_or_arn: str) -> str:
    """Return the name at the end of an ARN, or the name itself."""
    return name_or_arn.rpartition("/")[2]


def invalid(message: str) -> RefusedError:
    return RefusedError("InvalidParameterException", message)


class Book:
    """Every service of every region and cluster."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.services: dict[tuple[str, str, str], EcsService] = {}  # region, cluster, name

    def add(self, service: EcsService) -> None:
        self.services[service.region, service.cluster_name, service.name] = service

    def find(self, cluster: str, name: str, region: str) -> EcsService | None:
        return self.services.get((region, short(cluster), short(name)))

    def by_arn(self, arn: str) -> EcsService | None:
        return next((service for service in self.services.values() if service.arn == arn), None)

    def of(self, region: str, cluster: str) -> list[EcsService]:
        return [
            each for (where, name, _), each in self.services.items() if (where, name) == (region, cluster)
        ]

    def tasks(self, region: str, cluster: str) -> list[tuple[TaskSet, Task]]:
        return [each for service in self.of(region, cluster) for each in service.tasks]

    def cluster(self, call: Call) -> str:
        """Return the name of the cluster that a request is about. Raises RefusedError when there is none such."""
        name = short(call.params.get("cluster", "default"))
        moto = self._world.beneath("ecs", region=call.region)
        found = moto.describe_clusters(clusters=[name])["clusters"]
        if not found or found[0]["status"] != "ACTIVE":
            raise RefusedError("ClusterNotFoundException", "Cluster not found.")
        return name

    def require(self, call: Call) -> EcsService:
        """Return the ACTIVE service that a request is about. Raises RefusedError when there is none such."""
        service = self.find(self.cluster(call), call.params["service"], call.region)
        if service is None:
            raise RefusedError("ServiceNotFoundException", "Service not found.")
        if service.status != "ACTIVE":
            raise RefusedError("ServiceNotActiveException", "Service was not ACTIVE.")
        return service

    def definition(self, reference: str, region: str) -> dict[str, Any]:
        """Return a task definition. Raises RefusedError with ECS's words when there is none such (aws-facts 4.3)."""
        from botocore.exceptions import ClientError

        _, colon, revision = short(reference).partition(":")
        if colon and not revision.isdigit():
            raise invalid(f"Invalid revision number. Number: {revision}")
        try:
            told = self._world.beneath("ecs", region=region).describe_task_definition(
                taskDefinition=reference
            )
        except ClientError:
            raise RefusedError("ClientException", "Unable to describe task definition.") from None
        found: dict[str, Any] = told["taskDefinition"]
        if found.get("status") == "INACTIVE":
            raise invalid("TaskDefinition is inactive")
        return found


def page(items: Sequence[T], params: Mapping[str, Any], most: int) -> tuple[Sequence[T], dict[str, str]]:
    """Return a page of a list, and the members that lead to the next one."""
    token = params.get("nextToken", "0")
    if not token.isdigit():
        raise invalid("Invalid token.")
    first, size = int(token), params.get("maxResults", most)
    rest = {"nextToken": str(first + size)} if first + size < len(items) else {}
    return items[first : first + size], rest
