"""How a cluster, its service and what scales it are changed behind our back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bgdeploy import config as c
from bgdeploy.aws import tag_list
from bgdeploy.resources.ecs import Cluster, Service, TaskDefinition
from bgdeploy.resources.load_balancer import TargetGroup
from bgdeploy.resources.scaling import ScalableTarget, ScalingPolicy
from bgdeploy.sandbox.world import World
from tests.resources.life import Deed, Life, Tags
from tests.resources.near import Scene


def _arns(scene: Scene) -> list[str]:
    """Return what carries the tags: of a task definition, every revision."""
    if isinstance(scene.resource, TaskDefinition):
        found = scene("ecs").list_task_definitions(familyPrefix=scene.resource.name)
        return list(found["taskDefinitionArns"])
    return [str(scene.born["serviceArn" if isinstance(scene.resource, Service) else "clusterArn"])]


def _put_tags(scene: Scene, tags: Mapping[str, str]) -> None:
    for arn in _arns(scene):
        scene("ecs").tag_resource(resourceArn=arn, tags=tag_list(tags, key="key", value="value"))


def _remove_tag(scene: Scene, key: str) -> None:
    for arn in _arns(scene):
        scene("ecs").untag_resource(resourceArn=arn, tagKeys=[key])


def _registered(scene: Scene) -> str:
    """Register a revision as a release does, with everything in it different, and return its ARN."""
    definition = scene.declared(TaskDefinition)
    container = {
        "name": definition.container,
        "image": "public.ecr.aws/docker/library/httpd:2.4",
        "portMappings": [{"containerPort": definition.port}],
    }
    made = scene("ecs").register_task_definition(
        family=definition.name,
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu="512",
        memory="1024",
        containerDefinitions=[container],
        tags=tag_list(definition.tags(scene.aws), key="key", value="value"),
    )
    return str(made["taskDefinition"]["taskDefinitionArn"])


def _service(**settings: Any) -> Deed:
    return lambda scene: scene("ecs").update_service(
        cluster=scene.resource.name, service=scene.resource.name, **settings
    )


def _deployed(scene: Scene) -> None:
    """Make another task set the primary one, as CodeDeploy does: nobody else can."""
    ecs, name = scene.aws.world.ecs, scene.resource.name
    service = ecs.service(name, name, scene.aws.region)
    assert service is not None
    network = scene.actual["networkConfiguration"]["awsvpcConfiguration"]
    made = ecs.create_task_set(
        service,
        external_id="d-ABCDEFGHI",
        task_definition=_registered(scene),
        target_group_arn=scene.needed(TargetGroup, "green")["TargetGroupArn"],
        container_name=scene.declared(TaskDefinition).container,
        container_port=scene.declared(TaskDefinition).port,
        network={"awsvpcConfiguration": {**network, "subnets": network["subnets"][:1]}},
    )
    ecs.set_primary(made)


# Auto scaling

_COUNT = {"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount"}


def _ident(scene: Scene) -> str:
    return f"service/{scene.aws.stack}/{scene.aws.stack}"


def _target(**settings: Any) -> Deed:
    return lambda scene: scene("application-autoscaling").register_scalable_target(
        ResourceId=_ident(scene), **_COUNT, **settings
    )


def _policy(**changed: Any) -> Deed:
    def put(scene: Scene) -> None:
        configuration = scene.actual["TargetTrackingScalingPolicyConfiguration"]
        scene("application-autoscaling").put_scaling_policy(
            PolicyName=scene.resource.name,
            ResourceId=_ident(scene),
            **_COUNT,
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={**configuration, **changed},
        )

    return put


def _scaled(world: World) -> Mapping[str, Any]:
    return {"service": c.Service(scale=c.Scale(min=2, max=4, cpu=60))}


_TAGS = Tags(_put_tags, _remove_tag)
_SERVICE = (
    ("healthCheckGracePeriodSeconds", _service(healthCheckGracePeriodSeconds=5)),
    ("enableExecuteCommand", _service(enableExecuteCommand=True)),
)
_MOVES = tuple((field, _deployed) for field in ("taskDefinition", "loadBalancers", "networkConfiguration"))
_TRACKING = "TargetTrackingScalingPolicyConfiguration"

LIVES = (
    Life(Cluster, _TAGS),
    Life(
        TaskDefinition,
        _TAGS,
        moves=tuple(
            (field, _registered)
            for field in ("containerDefinitions", "cpu", "memory", "executionRoleArn", "taskRoleArn")
        ),
    ),
    Life(Service, _TAGS, (*_SERVICE, ("desiredCount", _service(desiredCount=3))), _MOVES),
    Life(Service, _TAGS, _SERVICE, _MOVES, config=_scaled, what="that scales"),
    Life(
        ScalableTarget,
        Tags(
            lambda scene, tags: scene("application-autoscaling").tag_resource(
                ResourceARN=scene.born["ScalableTargetARN"], Tags=dict(tags)
            ),
            lambda scene, key: scene("application-autoscaling").untag_resource(
                ResourceARN=scene.born["ScalableTargetARN"], TagKeys=[key]
            ),
        ),
        (("MinCapacity", _target(MinCapacity=1)), ("MaxCapacity", _target(MaxCapacity=400))),
        config=_scaled,
    ),
    Life(
        ScalingPolicy,
        None,
        (
            (_TRACKING, _policy(TargetValue=95.0)),
            (_TRACKING, _policy(ScaleInCooldown=1)),
            (_TRACKING, _policy(ScaleOutCooldown=999)),
            (
                _TRACKING,
                _policy(
                    PredefinedMetricSpecification={
                        "PredefinedMetricType": "ECSServiceAverageMemoryUtilization"
                    }
                ),
            ),
        ),
        config=_scaled,
    ),
)
