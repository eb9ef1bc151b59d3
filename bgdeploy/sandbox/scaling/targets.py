"""Scalable targets: services whose number of tasks stays within bounds."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from bgdeploy.sandbox.scaling.model import (
    NAMESPACE,
    Activity,
    Target,
    check_kind,
    invalid,
    missing,
    told_activity,
    told_target,
)
from bgdeploy.sandbox.world import ACCOUNT, Call, Handler, RefusedError, World

_RESOURCE = re.compile(r"service/(?P<cluster>[^/]+)/(?P<service>[^/]+)")


class Targets:
    """Every scalable target of every region."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._targets: dict[tuple[str, str], Target] = {}  # region, resource id
        self._activities: list[Activity] = []

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "RegisterScalableTarget": self._register,
            "DescribeScalableTargets": self._describe,
            "DescribeScalingActivities": self._describe_activities,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": self._list_tags,
        }

    def of(self, region: str) -> list[Target]:
        return [target for (where, _), target in self._targets.items() if where == region]

    def find(self, call: Call) -> Target | None:
        """Return the target that a request is about, None when there is none such."""
        return self._targets.get((call.region, call.params["ResourceId"]))

    def require(self, call: Call) -> Target:
        """Return the target that a request is about. Raises RefusedError when there is none such."""
        target = self.find(call)
        if target is None:
            raise missing("scalable target", call.params["ResourceId"])
        return target

    def remove(self, target: Target) -> None:
        del self._targets[target.region, target.resource]

    # The API

    def _register(self, call: Call) -> dict[str, Any]:
        """Make a target, or change of the one that there is what the request names."""
        params, known = call.params, self.find(call)
        check_kind(params)
        self._check_service(call)
        if known is None and not {"MinCapacity", "MaxCapacity"} <= params.keys():
            raise invalid("You must specify a minimum and a maximum capacity for a new scalable target")
        least = params.get("MinCapacity", known.least if known else 0)
        most = params.get("MaxCapacity", known.most if known else 0)
        if least > most:
            raise invalid("Maximum capacity cannot be less than minimum capacity")
        self._world.roles.link("ecs.application-autoscaling.amazonaws.com")
        target = known or self._new(call)
        target.least, target.most = least, most
        target.suspended |= params.get("SuspendedState", {})
        target.tags |= params.get("Tags", {})
        self._bound(target)
        return {"ScalableTargetARN": target.arn}

    def _new(self, call: Call) -> Target:
        resource, ident = call.params["ResourceId"], uuid.uuid4().hex[:24]
        arn = f"arn:aws:application-autoscaling:{call.region}:{ACCOUNT}:scalable-target/{ident}"
        target = Target(call.region, resource, 0, 0, self._world.clock.now(), arn)
        self._targets[call.region, resource] = target
        return target

    def _bound(self, target: Target) -> None:
        """Move the service's number of tasks within the bounds at once, as AWS does when they are set."""
        service = self._world.ecs.service(*_names(target.resource), target.region)
        if service is None:
            return
        before, after = service.desired_count, target.bounded(service.desired_count)
        if before == after:
            return
        side = "minimum" if after > before else "maximum"
        service.desired_count = after
        self._activities.insert(
            0,
            Activity(
                str(uuid.uuid4()),
                target.region,
                target.resource,
                f"Setting desired count to {after}.",
                f"{side} capacity was set to {after}",
                self._world.clock.now(),
            ),
        )

    def _describe(self, call: Call) -> dict[str, Any]:
        asked = call.params.get("ResourceIds")
        found = [told_target(each) for each in self.of(call.region) if not asked or each.resource in asked]
        return {"ScalableTargets": found if call.params["ServiceNamespace"] == NAMESPACE else []}

    def _describe_activities(self, call: Call) -> dict[str, Any]:
        resource = call.params.get("ResourceId")
        found = [
            told_activity(each)
            for each in self._activities
            if each.region == call.region and resource in (None, each.resource)
        ]
        return {"ScalingActivities": found if call.params["ServiceNamespace"] == NAMESPACE else []}

    def _tag(self, call: Call) -> dict[str, Any]:
        self._by_arn(call).tags.update(call.params["Tags"])
        return {}

    def _untag(self, call: Call) -> dict[str, Any]:
        tags = self._by_arn(call).tags
        for key in call.params["TagKeys"]:
            tags.pop(key, None)
        return {}

    def _list_tags(self, call: Call) -> dict[str, Any]:
        return {"Tags": dict(self._by_arn(call).tags)}

    def _by_arn(self, call: Call) -> Target:
        arn = call.params["ResourceARN"]
        found: Iterator[Target] = (each for each in self._targets.values() if each.arn == arn)
        target = next(found, None)
        if target is None:
            raise RefusedError("ResourceNotFoundException", f"The resource {arn} was not found")
        return target

    def _check_service(self, call: Call) -> None:
        resource = call.params["ResourceId"]
        if not _RESOURCE.fullmatch(resource):
            raise invalid(f"Unsupported service namespace, resource type or scalable dimension: {resource}")
        service = self._world.ecs.service(*_names(resource), call.region)
        if service is None or service.status != "ACTIVE":
            raise invalid(f"ECS service doesn't exist: {resource}")


def _names(resource: str) -> tuple[str, str]:
    _, cluster, service = resource.split("/")
    return cluster, service
