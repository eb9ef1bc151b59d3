"""Scalable targets and their policies, and how the API tells them. Values and functions of values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bgdeploy.sandbox.world import ACCOUNT, RefusedError

NAMESPACE, DIMENSION = "ecs", "ecs:service:DesiredCount"
INWARD, OUTWARD, SCHEDULED = (
    "DynamicScalingInSuspended",
    "DynamicScalingOutSuspended",
    "ScheduledScalingSuspended",
)
_ROLE = (
    f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/ecs.application-autoscaling.amazonaws.com/"
    "AWSServiceRoleForApplicationAutoScaling_ECSService"
)
_LABEL = re.compile(r"app/[^/]+/[0-9a-f]+/targetgroup/[^/]+/[0-9a-f]+")
# The metrics that services can be held to, and where CloudWatch has them.
METRICS = {
    "ECSServiceAverageCPUUtilization": ("AWS/ECS", "CPUUtilization", "Average"),
    "ECSServiceAverageMemoryUtilization": ("AWS/ECS", "MemoryUtilization", "Average"),
    "ALBRequestCountPerTarget": ("AWS/ApplicationELB", "RequestCountPerTarget", "Sum"),
}


@dataclass
class Policy:
    """A policy of target tracking."""

    name: str
    arn: str
    configuration: Mapping[str, Any]
    created: datetime
    alarms: list[str] = field(default_factory=list)


@dataclass
class Target:
    """A service whose number of tasks is to stay within bounds."""

    region: str
    resource: str  # service/<cluster>/<service>
    least: int
    most: int
    created: datetime
    arn: str
    suspended: dict[str, bool] = field(
        default_factory=lambda: dict.fromkeys((INWARD, OUTWARD, SCHEDULED), False)
    )
    policies: dict[str, Policy] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def bounded(self, count: int) -> int:
        """Return what a number of tasks becomes, as far as scaling is not suspended."""
        if count < self.least and not self.suspended[OUTWARD]:
            return self.least
        if count > self.most and not self.suspended[INWARD]:
            return self.most
        return count


@dataclass(frozen=True)
class Activity:
    """Something that was scaled."""

    id: str
    region: str
    resource: str
    description: str
    cause: str
    at: datetime


def invalid(message: str) -> RefusedError:
    return RefusedError("ValidationException", message)


def missing(what: str, resource: str, more: str = "") -> RefusedError:
    message = (
        f"No {what} found for service namespace: {NAMESPACE}, resource ID: {resource}, scalable dimension: "
        f"{DIMENSION}{more}"
    )
    return RefusedError("ObjectNotFoundException", message)


def not_implemented(what: str) -> RefusedError:
    return RefusedError("NotImplemented", f"{what} is not implemented in the sandbox", 501)


def check_kind(params: Mapping[str, Any]) -> None:
    """Refuse what is no ECS service's number of tasks."""
    if (params["ServiceNamespace"], params["ScalableDimension"]) != (NAMESPACE, DIMENSION):
        raise not_implemented(f"scaling of {params['ScalableDimension']}")


def check_configuration(configuration: Mapping[str, Any]) -> None:
    """Refuse a configuration of target tracking by a metric that is not known, or whose label does not fit it."""
    wanted, custom = (
        configuration.get(f"{kind}MetricSpecification") for kind in ("Predefined", "Customized")
    )
    if (wanted is None) == (custom is None):
        raise invalid(
            "You must specify either a PredefinedMetricSpecification or a CustomizedMetricSpecification"
        )
    if wanted is None:
        if not custom or not custom.get("Metrics"):
            raise not_implemented("a policy on a single customized metric")
        return
    if wanted["PredefinedMetricType"] not in METRICS:
        raise not_implemented("a policy on another than the predefined metrics of services")
    counted, label = wanted["PredefinedMetricType"] == "ALBRequestCountPerTarget", wanted.get("ResourceLabel")
    if counted != bool(label):
        need = "is required" if counted else "must not be specified"
        raise invalid(f"ResourceLabel {need} for {wanted['PredefinedMetricType']}")
    if label and not _LABEL.fullmatch(label):
        raise invalid(f"Invalid resource label: {label}")


def told_target(target: Target) -> dict[str, Any]:
    return {
        "ServiceNamespace": NAMESPACE,
        "ResourceId": target.resource,
        "ScalableDimension": DIMENSION,
        "MinCapacity": target.least,
        "MaxCapacity": target.most,
        "RoleARN": _ROLE,
        "CreationTime": target.created,
        "SuspendedState": dict(target.suspended),
        "ScalableTargetARN": target.arn,
    }


def told_policy(target: Target, policy: Policy) -> dict[str, Any]:
    return {
        "PolicyARN": policy.arn,
        "PolicyName": policy.name,
        "ServiceNamespace": NAMESPACE,
        "ResourceId": target.resource,
        "ScalableDimension": DIMENSION,
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": policy.configuration,
        "Alarms": told_alarms(target, policy),
        "CreationTime": policy.created,
    }


def told_alarms(target: Target, policy: Policy) -> list[dict[str, str]]:
    arn = f"arn:aws:cloudwatch:{target.region}:{ACCOUNT}:alarm:"
    return [{"AlarmName": name, "AlarmARN": arn + name} for name in policy.alarms]


def told_activity(activity: Activity) -> dict[str, Any]:
    return {
        "ActivityId": activity.id,
        "ServiceNamespace": NAMESPACE,
        "ResourceId": activity.resource,
        "ScalableDimension": DIMENSION,
        "Description": activity.description,
        "Cause": activity.cause,
        "StartTime": activity.at,
        "EndTime": activity.at,
        "StatusCode": "Successful",
        "StatusMessage": f"{activity.description}: done",
    }
