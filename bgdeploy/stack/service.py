"""The service of a stack: cluster, the task definition it starts on, the service itself, and who scales it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bgdeploy.aws import Attrs, Aws
from bgdeploy.config import Scale, Settings
from bgdeploy.definition import Place, build, parts
from bgdeploy.provision.resource import Known, Look, Resource
from bgdeploy.resources.ecs import Cluster, Service, TaskDefinition
from bgdeploy.resources.scaling import Measure, ScalableTarget, ScalingPolicy
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
    settings: Settings, net: Network, balanced: Balancing, watched: Observing, roles: Identities
) -> Served:
    """Return a Fargate service under the CODE_DEPLOY controller, started on a placeholder."""
    config, names, scale = settings.config, settings.names, settings.config.service.scale
    # Image and version are a release's own, and whose roles it runs in does not change.
    next_release = build(settings, Place("", "", ""), "", "")
    cluster = Cluster(name=names.plain)
    first = TaskDefinition(
        name=names.plain,
        container=config.container.name,
        port=config.container.port,
        execution_role=roles.execution,
        task_role=roles.task,
        log_group=watched.logs,
        cluster=names.plain,
        service=names.plain,
        declared=parts(next_release),
    )
    made = Service(
        name=names.plain,
        cluster=cluster,
        task_definition=first,
        target_group=balanced.blue,
        subnets=net.task_subnets,
        security_group=net.back,
        tasks=max(config.service.tasks, scale.min) if scale else config.service.tasks,
        scaled=scale is not None,
        listeners=(balanced.production, balanced.test),
        execute_command=config.service.exec,
        grace=int(config.service.health_check_grace),
        platform_version=config.service.platform_version,
        after=net.ready,
    )
    return Served(made, (cluster, first, made, *(_scaling(scale, made, balanced) if scale else ())))


def _scaling(scale: Scale, service: Service, balanced: Balancing) -> Iterator[Resource]:
    """Yield the range in which the service scales, and a policy for each measure that it scales by."""
    target = ScalableTarget(name=service.name, service=service, lowest=scale.min, highest=scale.max)
    yield target
    requests = Measure(balancer=balanced.production.balancer, groups=(balanced.blue, balanced.green))
    measures = {
        "cpu": (scale.cpu, Measure("ECSServiceAverageCPUUtilization")),
        "memory": (scale.memory, Measure("ECSServiceAverageMemoryUtilization")),
        "requests": (scale.requests_per_target, requests),
    }
    for label, (value, measure) in measures.items():
        if value is not None:
            yield ScalingPolicy(
                name=f"{service.name}-{label}",
                label=label,
                target=target,
                measure=measure,
                value=value,
                scale_in_cooldown=int(scale.scale_in_cooldown),
                scale_out_cooldown=int(scale.scale_out_cooldown),
            )


def wanted_network(aws: Aws, resources: Sequence[Resource]) -> Attrs | None:
    """Return where the service among `resources` is to have its tasks; None while not all of that is there."""
    service = next(each for each in resources if isinstance(each, Service))
    look, known = Look(aws), Known(aws)
    for needed in (*service.subnets, service.security_group):
        actual = needed.find(look)
        if actual is None:
            return None
        known[needed] = actual
    return service.network(known)
