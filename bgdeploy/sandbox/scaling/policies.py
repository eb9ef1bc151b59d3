"""Policies of target tracking, and the two alarms that each of them has in CloudWatch."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from bgdeploy.sandbox.scaling.model import (
    METRICS,
    NAMESPACE,
    Policy,
    Target,
    check_configuration,
    check_kind,
    missing,
    not_implemented,
    told_alarms,
    told_policy,
)
from bgdeploy.sandbox.scaling.targets import Targets
from bgdeploy.sandbox.world import ACCOUNT, Call, Handler, World

_OUT_AFTER, _IN_AFTER = 3, 15  # minutes beyond the target, until a service is scaled out or in
_PERIOD = 60  # seconds
_SLACK = 0.9  # AWS scales in a tenth below the target


class Policies:
    """What keeps a service near a metric's target. Nothing acts on the alarms: tasks here have no load to speak of."""

    def __init__(self, world: World, targets: Targets) -> None:
        self._world = world
        self._targets = targets

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "DeregisterScalableTarget": self._deregister,
            "PutScalingPolicy": self._put,
            "DescribeScalingPolicies": self._describe,
            "DeleteScalingPolicy": self._delete,
        }

    def _deregister(self, call: Call) -> dict[str, Any]:
        """A target's policies and their alarms go with it."""
        target = self._targets.require(call)
        for policy in target.policies.values():
            self._delete_alarms(target, policy)
        self._targets.remove(target)
        return {}

    def _put(self, call: Call) -> dict[str, Any]:
        """Make a policy, or write all of it anew when there is one of the name."""
        params = call.params
        check_kind(params)
        target, name = self._targets.require(call), params["PolicyName"]
        configuration = params.get("TargetTrackingScalingPolicyConfiguration")
        if params.get("PolicyType") != "TargetTrackingScaling" or configuration is None:
            raise not_implemented("a policy other than of target tracking")
        check_configuration(configuration)
        arn = (
            f"arn:aws:autoscaling:{target.region}:{ACCOUNT}:scalingPolicy:{uuid.uuid4()}:resource/ecs/"
            f"{target.resource}:policyName/{name}"
        )
        policy = target.policies.setdefault(name, Policy(name, arn, {}, self._world.clock.now()))
        self._delete_alarms(target, policy)
        policy.configuration = configuration
        self._put_alarms(target, policy)
        return {"PolicyARN": policy.arn, "Alarms": told_alarms(target, policy)}

    def _describe(self, call: Call) -> dict[str, Any]:
        names, resource = call.params.get("PolicyNames"), call.params.get("ResourceId")
        found = [
            told_policy(target, policy)
            for target in self._targets.of(call.region)
            for policy in target.policies.values()
            if resource in (None, target.resource)
            and (not names or policy.name in names or policy.arn in names)
        ]
        return {"ScalingPolicies": found if call.params["ServiceNamespace"] == NAMESPACE else []}

    def _delete(self, call: Call) -> dict[str, Any]:
        name, target = call.params["PolicyName"], self._targets.find(call)
        if target is None or name not in target.policies:
            raise missing("scaling policy", call.params["ResourceId"], f", policy name: {name}")
        self._delete_alarms(target, target.policies.pop(name))
        return {}

    # Alarms

    def _put_alarms(self, target: Target, policy: Policy) -> None:
        sides = ("High",) if policy.configuration.get("DisableScaleIn") else ("High", "Low")
        for side in sides:
            name = f"TargetTracking-{target.resource}-Alarm{side}-{uuid.uuid4()}"
            self._put_alarm(target, policy, name, high=side == "High")
            policy.alarms.append(name)

    def _put_alarm(self, target: Target, policy: Policy, name: str, *, high: bool) -> None:
        self._world.client("cloudwatch", region=target.region).put_metric_alarm(
            AlarmName=name,
            AlarmDescription=f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy.arn}.",
            AlarmActions=[policy.arn],
            **_measured(target.resource, policy.configuration),
            EvaluationPeriods=_OUT_AFTER if high else _IN_AFTER,
            Threshold=policy.configuration["TargetValue"] * (1 if high else _SLACK),
            ComparisonOperator="GreaterThanThreshold" if high else "LessThanThreshold",
        )

    def _delete_alarms(self, target: Target, policy: Policy) -> None:
        if policy.alarms:
            self._world.client("cloudwatch", region=target.region).delete_alarms(AlarmNames=policy.alarms)
        policy.alarms.clear()


def _measured(resource: str, configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the alarms of a policy look at, as PutMetricAlarm wants it."""
    custom = configuration.get("CustomizedMetricSpecification")
    if custom is not None:
        return {"Metrics": [_query(each) for each in custom["Metrics"]]}
    wanted = configuration["PredefinedMetricSpecification"]
    namespace, metric, statistic = METRICS[wanted["PredefinedMetricType"]]
    return {
        "Namespace": namespace,
        "MetricName": metric,
        "Statistic": statistic,
        "Dimensions": _dimensions(resource, wanted.get("ResourceLabel")),
        "Period": _PERIOD,
    }


def _query(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return a metric of a policy as one of an alarm, which also says how long its periods are."""
    if "MetricStat" not in asked:
        return dict(asked)
    return {**asked, "MetricStat": {**asked["MetricStat"], "Period": _PERIOD}}


def _dimensions(resource: str, label: str | None) -> list[dict[str, str]]:
    if label is not None:
        balancer, _, group = label.partition("/targetgroup/")
        named = {"LoadBalancer": balancer, "TargetGroup": f"targetgroup/{group}"}
    else:
        _, cluster, service = resource.split("/")
        named = {"ClusterName": cluster, "ServiceName": service}
    return [{"Name": name, "Value": value} for name, value in named.items()]
