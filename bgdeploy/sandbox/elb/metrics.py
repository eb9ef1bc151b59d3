"""The metrics of AWS/ApplicationELB, from what the balancer says it served. Functions of values, mostly."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from bgdeploy.sandbox.alarms.metrics import Key, Samples, key
from bgdeploy.sandbox.elb.topology import Topology

_NAMESPACE = "AWS/ApplicationELB"
Point = tuple[Key, Samples, str]  # the metric, what was measured, its unit


def of_group(told: Mapping[str, Any], region: str, topology: Topology) -> Iterator[Point]:
    """Yield the metrics of a target group, for its load balancer and for both together."""
    group, codes = told["group"], told["codes"]
    answered = sum(count for code, count in codes.items() if code != "error")
    for balancer in topology.behind.get(group, ()):
        both = {"LoadBalancer": _last(balancer), "TargetGroup": _last(group)}
        for dimensions in ({"LoadBalancer": both["LoadBalancer"]}, both):
            yield _count(region, "RequestCount", answered, dimensions)
            for code, count in codes.items():
                name = "TargetConnectionErrorCount" if code == "error" else f"HTTPCode_Target_{code}XX_Count"
                yield _count(region, name, count, dimensions)
            for seconds in told["seconds"]:
                yield _key(region, "TargetResponseTime", dimensions), Samples.of(seconds), "Seconds"


def of_listener(told: Mapping[str, Any], region: str, topology: Topology) -> Iterator[Point]:
    """Yield the metrics of what a load balancer answered itself."""
    listener = topology.listeners.get(told["listener"])
    if listener is None:
        return
    dimensions = {"LoadBalancer": _last(listener["LoadBalancerArn"])}
    for code, count in told["refused"].items():
        yield _count(region, f"HTTPCode_ELB_{code[0]}XX_Count", count, dimensions)
        if code[0] == "5":
            yield _count(region, f"HTTPCode_ELB_{code}_Count", count, dimensions)


def of_targets(group: str, states: Collection[str], region: str, topology: Topology) -> Iterator[Point]:
    """Yield how many targets of a group are well; of one without targets there is nothing to say."""
    for balancer in topology.behind.get(group, ()) if states else ():
        both = {"LoadBalancer": _last(balancer), "TargetGroup": _last(group)}
        for name, state in (("HealthyHostCount", "healthy"), ("UnHealthyHostCount", "unhealthy")):
            value = float(sum(each == state for each in states))
            yield _key(region, name, both), Samples.of(value), "Count"


def _count(region: str, name: str, count: int, dimensions: Mapping[str, str]) -> Point:
    return _key(region, name, dimensions), Samples.of(1.0, float(count)), "Count"


def _key(region: str, name: str, dimensions: Mapping[str, str]) -> Key:
    return key(
        region, _NAMESPACE, name, [{"Name": name, "Value": value} for name, value in dimensions.items()]
    )


def _last(arn: str) -> str:
    """Return what a dimension calls a load balancer or target group: app/name/id, targetgroup/name/id."""
    return arn.partition(":loadbalancer/")[2] or arn.rpartition(":")[2]
