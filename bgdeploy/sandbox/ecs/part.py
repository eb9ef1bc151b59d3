"""The part of the sandbox that is ECS's services, task sets and tasks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from bgdeploy.sandbox.ecs import describe, validate
from bgdeploy.sandbox.ecs.api_services import ServiceOperations
from bgdeploy.sandbox.ecs.api_tasks import TaskOperations
from bgdeploy.sandbox.ecs.book import Book
from bgdeploy.sandbox.ecs.lifecycle import Lifecycle
from bgdeploy.sandbox.ecs.model import EcsService, TaskSet
from bgdeploy.sandbox.ecs.scheduler import Scheduler
from bgdeploy.sandbox.network.model import Interface
from bgdeploy.sandbox.world import Handler, World

_REMEMBERED = timedelta(hours=1)  # an INACTIVE service can be described for a while (aws-facts 6.4)


class Ecs:
    """Services whose tasks are processes of this machine."""

    def __init__(self, world: World, *, people_remove_task_sets: bool = True) -> None:
        self._world = world
        # Does ECS let a person remove a task set of CodeDeploy's? The reference speaks of the EXTERNAL controller only;
        # CodeDeploy makes the very same call by its role (aws-facts 6.3, 8.1).
        self.people_remove_task_sets = people_remove_task_sets
        self._book = Book(world)
        self._lifecycle = Lifecycle(world)
        self._scheduler = Scheduler(world, self._lifecycle)
        self._services = ServiceOperations(world, self._book, self)
        self._tasks = TaskOperations(self._book, self._lifecycle.stop)

    @property
    def operations(self) -> Mapping[tuple[str, str], Handler]:
        ours = {**self._services.handlers(), **self._tasks.handlers()}
        return {("ecs", name): handler for name, handler in ours.items()}

    def tick(self) -> None:
        """Let time pass for every service. One whose tick raises does not hold up the others."""
        problem: Exception | None = None
        for service in list(self._book.services.values()):
            try:
                self._scheduler.tick(service)
            except Exception as error:
                problem = error
            self._end(service)
        if problem is not None:
            raise problem

    def close(self) -> None:
        self._lifecycle.end_all([task for each in self._book.services.values() for _, task in each.tasks])

    # For the other parts

    def service(self, cluster: str, name: str, region: str) -> EcsService | None:
        """Return the service, by names or ARNs; None when there is none such."""
        return self._book.find(cluster, name, region)

    def roles(self, task_definition: str, region: str) -> tuple[str, ...]:
        """Return the roles that a task definition passes to ECS. Raises RefusedError when there is none such."""
        definition = self._book.definition(task_definition, region)
        return tuple(definition[name] for name in ("executionRoleArn", "taskRoleArn") if definition.get(name))

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
        definition = self._book.definition(task_definition, service.region)
        validate.check_container(definition, container_name, container_port)
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

    def interfaces(self, region: str) -> list[Interface]:
        """Return the network interfaces of the tasks that have not stopped."""
        return [
            describe.interface(task, task_set)
            for service in self._book.services.values()
            if service.region == region
            for task_set, task in service.tasks
            if not task.over
        ]

    def units(self) -> dict[str, int]:
        """Return the CPU units of the tasks that have not stopped, by region."""
        used: dict[str, int] = {}
        for service in self._book.services.values():
            tasks = [task for _, task in service.tasks if not task.over]
            own = sum(int(task.definition.get("cpu", 0)) for task in tasks)
            used[service.region] = used.get(service.region, 0) + own
        return used

    def tags(self, region: str) -> dict[str, dict[str, str]]:
        """Return the tags of every service of a region that there is, by ARN."""
        there = (each for each in self._book.services.values() if each.status != "INACTIVE")
        return {each.arn: dict(each.tags) for each in there if each.region == region}

    def _end(self, service: EcsService) -> None:
        now = self._world.clock.now()
        if service.status == "DRAINING" and not service.task_sets:
            service.status, service.ended_at = "INACTIVE", now
        if service.ended_at is not None and now > service.ended_at + _REMEMBERED:
            del self._book.services[service.region, service.cluster_name, service.name]
