"""Service Quotas, as far as they bound what a service can become: how many vCPUs Fargate gives an account."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from bgdeploy.sandbox.alarms.metrics import Samples, key
from bgdeploy.sandbox.world import ACCOUNT, PASS, Call, Handler, _Pass

if TYPE_CHECKING:
    from bgdeploy.sandbox.world import World

_CODE = "L-3032A538"
_DEFAULT = 6.0  # vCPUs; AWS raises it for accounts that use more
_USAGE = {"Service": "Fargate", "Type": "Resource", "Resource": "vCPU", "Class": "Standard/OnDemand"}
_EVERY = timedelta(minutes=1)
_UNITS = 1024  # in a vCPU


class Quotas:
    """Tells the quota, and in CloudWatch what is used of it. Nothing is refused for being beyond it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._told: datetime | None = None

    @property
    def operations(self) -> Mapping[tuple[str, str], Handler]:
        return {
            ("service-quotas", "GetServiceQuota"): self._get,
            ("service-quotas", "ListServiceQuotas"): self._list,
        }

    def tick(self) -> None:
        """Measure what is used, once a minute."""
        now = self._world.clock.now()
        if not hasattr(self._world, "alarms") or (self._told is not None and now < self._told + _EVERY):
            return
        self._told = now
        dimensions = [{"Name": name, "Value": value} for name, value in _USAGE.items()]
        for region, units in self._world.ecs.units().items():
            metric = key(region, "AWS/Usage", "ResourceCount", dimensions)
            self._world.alarms.publish(metric, now, Samples.of(units / _UNITS))

    def close(self) -> None:
        """Nothing to end."""

    def _get(self, call: Call) -> dict[str, Any] | _Pass:
        asked = call.params["ServiceCode"], call.params["QuotaCode"]
        return {"Quota": _quota(call.region)} if asked == ("fargate", _CODE) else PASS

    def _list(self, call: Call) -> dict[str, Any] | _Pass:
        return {"Quotas": [_quota(call.region)]} if call.params["ServiceCode"] == "fargate" else PASS


def _quota(region: str) -> dict[str, Any]:
    return {
        "ServiceCode": "fargate",
        "ServiceName": "AWS Fargate",
        "QuotaArn": f"arn:aws:servicequotas:{region}:{ACCOUNT}:fargate/{_CODE}",
        "QuotaCode": _CODE,
        "QuotaName": "Fargate On-Demand vCPU resource count",
        "Value": _DEFAULT,
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
        "UsageMetric": {
            "MetricNamespace": "AWS/Usage",
            "MetricName": "ResourceCount",
            "MetricDimensions": _USAGE,
            "MetricStatisticRecommendation": "Maximum",
        },
    }
