"""The service of a stack: cluster, the task definition it starts on, and the service itself."""

from __future__ import annotations

from dataclasses import dataclass

from bgdeploy.config import Config
from bgdeploy.names import Names
from bgdeploy.provision.resource import Resource
from bgdeploy.resources.ecs import Cluster, Service, TaskDefinition
from bgdeploy.stack.balancing import Balancing
from bgdeploy.stack.identity import Identities
from bgdeploy.stack.network import Network
from bgdeploy.stack.observing import Observing


@dataclass(frozen=True)
class Served:
    """The service that deployments replace the tasks of."""

    service: Service
    resources: tuple[Resource, ...]


def service(
    config: Config, names: Names, net: Network, balanced: Balancing, watched: Observing, roles: Identities
) -> Served:
    """Return a Fargate service under the CODE_DEPLOY controller, started on a placeholder."""
    cluster = Cluster(name=names.plain)
    first = TaskDefinition(
        name=names.plain,
        container=config.container.name,
        port=config.container.port,
        execution_role=roles.execution,
        task_role=roles.task,
        log_group=watched.logs,
    )
    made = Service(
        name=names.plain,
        cluster=cluster,
        task_definition=first,
        target_group=balanced.blue,
        subnets=net.subnets,
        security_group=net.back,
        tasks=config.service.tasks,
        listeners=(balanced.production, balanced.test),
        after=net.ready,
    )
    return Served(made, (cluster, first, made))
