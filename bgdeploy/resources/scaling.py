"""Auto scaling: between which numbers of tasks a service may move, and what moves it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bgdeploy.aws import Attrs, Aws, absent, retry
from bgdeploy.provision.resource import TAGS, Known, Look, Remains, Resource
from bgdeploy.resources.existing import ExistingLoadBalancer
from bgdeploy.resources.load_balancer import LoadBalancer, TargetGroup

if TYPE_CHECKING:
    from bgdeploy.resources.ecs import Service

_COUNT = {"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount"}
_GONE = ("ObjectNotFoundException",)


def _id(cluster: str, service: str) -> str:
    return f"service/{cluster}/{service}"


def _target(look: Look, ident: str) -> Attrs | None:
    """Return the scalable target of a service with its tags: one look for all who want to know."""

    def ask() -> Attrs | None:
        scaling = look.aws.client("application-autoscaling")
        found = scaling.describe_scalable_targets(ResourceIds=[ident], **_COUNT)["ScalableTargets"]
        if not found:
            return None
        tags = scaling.list_tags_for_resource(ResourceARN=found[0]["ScalableTargetARN"])["Tags"]
        return {**found[0], TAGS: dict(tags)}

    return look.once(("scalable target", ident), ask)


def _policies(look: Look, ident: str) -> list[Attrs]:
    def ask() -> list[Attrs]:
        pages = look.aws.client("application-autoscaling").get_paginator("describe_scaling_policies")
        return [
            each for page in pages.paginate(ResourceId=ident, **_COUNT) for each in page["ScalingPolicies"]
        ]

    return look.once(("scaling policies", ident), ask)


@dataclass(frozen=True, eq=False, kw_only=True)
class ScalableTarget(Resource):
    """The range in which the number of a service's tasks may move.

    Whether its scaling is suspended is state: a release suspends it for its length, and people may at any time.
    """

    kind = "scalable-target"
    found_by = "the service that it scales"
    service: Service
    lowest: int
    highest: int

    @property
    def ident(self) -> str:
        """What it scales, as the API names it."""
        return _id(self.service.cluster.name, self.service.name)

    def desired(self, known: Known) -> Attrs:
        return {"MinCapacity": self.lowest, "MaxCapacity": self.highest}

    def find(self, look: Look) -> Attrs | None:
        return _target(look, self.ident)

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        def make() -> str:
            made = aws.client("application-autoscaling").register_scalable_target(
                ResourceId=self.ident, **_COUNT, Tags=dict(self.tags(aws)), **desired
            )
            return str(made["ScalableTargetARN"])

        return {**desired, "ScalableTargetARN": retry(aws, make, _too_early)}

    def update(self, aws: Aws, actual: Attrs, changed: Attrs) -> Attrs:
        aws.client("application-autoscaling").register_scalable_target(
            ResourceId=self.ident, **_COUNT, **changed
        )
        return changed

    def retag(self, aws: Aws, actual: Attrs, tags: Mapping[str, str]) -> None:
        arn = actual["ScalableTargetARN"]
        aws.client("application-autoscaling").tag_resource(ResourceARN=arn, Tags=dict(tags))

    def delete(self, aws: Aws, actual: Attrs) -> None:
        _delete_target(aws, actual)

    def forgotten(self, look: Look, declared: Collection[Resource]) -> list[Remains]:
        """The policies of ours on it that nobody declares."""
        prefix = f"{self.service.name}-"
        names = {each.name for each in declared if isinstance(each, ScalingPolicy)}
        return [
            Remains(
                name=each["PolicyName"],
                was=f"{ScalingPolicy.kind}/{each['PolicyName'].removeprefix(prefix)}",
                actual=each,
                remove=_delete_policy,
            )
            for each in _policies(look, self.ident)
            if each["PolicyName"].startswith(prefix) and each["PolicyName"] not in names
        ]


def forgotten_target(look: Look, cluster: str, service: str, declared: Collection[Resource]) -> list[Remains]:
    """Return the scalable target of ours that a service has and nobody declares; its policies go with it."""
    if any(isinstance(each, ScalableTarget) for each in declared):
        return []
    found = _target(look, _id(cluster, service))
    if found is None or not look.aws.owns(found[TAGS]):
        return []
    return [Remains(name=service, was=ScalableTarget.kind, actual=found, remove=_delete_target)]


def _delete_target(aws: Aws, actual: Attrs) -> None:
    with absent(*_GONE):
        aws.client("application-autoscaling").deregister_scalable_target(
            ResourceId=actual["ResourceId"], **_COUNT
        )


@dataclass(frozen=True)
class Measure:
    """What a policy keeps at its target: a measure that AWS has of a service, or the requests to its target groups."""

    predefined: str = ""
    balancer: LoadBalancer | ExistingLoadBalancer | None = None
    groups: tuple[TargetGroup, ...] = ()

    def specification(self, known: Known) -> Attrs:
        if self.balancer is None:
            return {"PredefinedMetricSpecification": {"PredefinedMetricType": self.predefined}}
        balancer = known[self.balancer]["LoadBalancerArn"].partition(":loadbalancer/")[2]
        metrics = [_requests(group.label, known[group]["TargetGroupArn"], balancer) for group in self.groups]
        total = {
            "Id": "requests",
            "Expression": " + ".join(group.label for group in self.groups),
            "ReturnData": True,
        }
        return {"CustomizedMetricSpecification": {"Metrics": [*metrics, total]}}


def _requests(label: str, group: str, balancer: str) -> Attrs:
    dimensions = [
        {"Name": "TargetGroup", "Value": group.rpartition(":")[2]},
        {"Name": "LoadBalancer", "Value": balancer},
    ]
    metric = {
        "Namespace": "AWS/ApplicationELB",
        "MetricName": "RequestCountPerTarget",
        "Dimensions": dimensions,
    }
    return {"Id": label, "MetricStat": {"Metric": metric, "Stat": "Sum"}, "ReturnData": False}


@dataclass(frozen=True, eq=False, kw_only=True)
class ScalingPolicy(Resource):
    """Keeps one measure at its target by moving the number of tasks.

    Requests are those of both target groups together: AWS's own measure of them names one group, and would look at
    the drained one after the next release. Only one group has production traffic, so the sum is what its tasks get.
    """

    kind = "scaling-policy"
    part_of_another = True  # of its target: policies carry no tags
    target: ScalableTarget
    measure: Measure
    value: int
    scale_in_cooldown: int  # seconds
    scale_out_cooldown: int

    @property
    def depends_on(self) -> tuple[Resource, ...]:
        balancer = (self.measure.balancer,) if self.measure.balancer else ()
        return (*super().depends_on, *balancer, *self.measure.groups)

    def desired(self, known: Known) -> Attrs:
        configuration = {
            "TargetValue": float(self.value),
            **self.measure.specification(known),
            "ScaleInCooldown": self.scale_in_cooldown,
            "ScaleOutCooldown": self.scale_out_cooldown,
        }
        return {"TargetTrackingScalingPolicyConfiguration": configuration}

    def find(self, look: Look) -> Attrs | None:
        found = _policies(look, self.target.ident)
        return next((each for each in found if each["PolicyName"] == self.name), None)

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        def put() -> None:
            aws.client("application-autoscaling").put_scaling_policy(
                PolicyName=self.name,
                PolicyType="TargetTrackingScaling",
                ResourceId=self.target.ident,
                **_COUNT,
                **desired,
            )

        retry(aws, put, _too_early)
        return {"PolicyName": self.name, "ResourceId": self.target.ident, **desired}

    def update(self, aws: Aws, actual: Attrs, changed: Attrs) -> Attrs:
        return self.create(aws, changed)

    def delete(self, aws: Aws, actual: Attrs) -> None:
        _delete_policy(aws, actual)


def _delete_policy(aws: Aws, actual: Attrs) -> None:
    with absent(*_GONE):
        aws.client("application-autoscaling").delete_scaling_policy(
            PolicyName=actual["PolicyName"], ResourceId=actual["ResourceId"], **_COUNT
        )


def _too_early(error: Exception) -> bool:
    """Tell whether it will work later: what a call needs was made a moment ago, and not everybody knows of it yet.

    A first target has AWS make a role for scaling, and a target is there before its policies see it.
    """
    passing = ("ECS service doesn't exist", "Unable to assume IAM role", "No scalable target")
    return any(text in str(error) for text in passing)
