"""The attributes of load balancers and target groups: which there are, their defaults, and what they may be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bgdeploy.sandbox.elb import access_logs
from bgdeploy.sandbox.elb.topology import Topologies
from bgdeploy.sandbox.world import Call, Handler, RefusedError, World

Rule = Sequence[str] | range | None  # the values there are, a range of numbers, or anything
_SWITCH = ("true", "false")

# Name → default and rule, by the documentation of LoadBalancerAttribute (those of application load balancers).
_OF_BALANCERS: Mapping[str, tuple[str, Rule]] = {
    "access_logs.s3.enabled": ("false", _SWITCH),
    "access_logs.s3.bucket": ("", None),
    "access_logs.s3.prefix": ("", None),
    "client_keep_alive.seconds": ("3600", range(60, 604_801)),
    "connection_logs.s3.enabled": ("false", _SWITCH),
    "connection_logs.s3.bucket": ("", None),
    "connection_logs.s3.prefix": ("", None),
    "deletion_protection.enabled": ("false", _SWITCH),
    "idle_timeout.timeout_seconds": ("60", range(1, 4001)),
    "load_balancing.cross_zone.enabled": ("true", ("true",)),
    "routing.http.desync_mitigation_mode": ("defensive", ("monitor", "defensive", "strictest")),
    "routing.http.drop_invalid_header_fields.enabled": ("false", _SWITCH),
    "routing.http.preserve_host_header.enabled": ("false", _SWITCH),
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": ("false", _SWITCH),
    "routing.http.xff_client_port.enabled": ("false", _SWITCH),
    "routing.http.xff_header_processing.mode": ("append", ("append", "preserve", "remove")),
    "routing.http2.enabled": ("true", _SWITCH),
    "waf.fail_open.enabled": ("false", _SWITCH),
    "zonal_shift.config.enabled": ("false", _SWITCH),
}
# The same, by the documentation of TargetGroupAttribute (those of groups of instances and addresses).
_OF_GROUPS: Mapping[str, tuple[str, Rule]] = {
    "deregistration_delay.timeout_seconds": ("300", range(3601)),
    "load_balancing.algorithm.anomaly_mitigation": ("off", ("on", "off")),
    "load_balancing.algorithm.type": (
        "round_robin",
        ("round_robin", "least_outstanding_requests", "weighted_random"),
    ),
    "load_balancing.cross_zone.enabled": (
        "use_load_balancer_configuration",
        (*_SWITCH, "use_load_balancer_configuration"),
    ),
    "slow_start.duration_seconds": ("0", ("0", *map(str, range(30, 901)))),
    "stickiness.app_cookie.cookie_name": ("", None),
    "stickiness.app_cookie.duration_seconds": ("86400", range(1, 604_801)),
    "stickiness.enabled": ("false", _SWITCH),
    "stickiness.lb_cookie.duration_seconds": ("86400", range(1, 604_801)),
    "stickiness.type": ("lb_cookie", ("lb_cookie", "app_cookie")),
    "target_group_health.dns_failover.minimum_healthy_targets.count": ("1", None),
    "target_group_health.dns_failover.minimum_healthy_targets.percentage": ("off", None),
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": ("1", None),
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": ("off", None),
}


class Attributes:
    """What is set of every load balancer and target group; moto knows only some of the attributes, and no rules."""

    def __init__(self, world: World, topologies: Topologies) -> None:
        self._world = world
        self._topologies = topologies
        self._set: dict[str, dict[str, str]] = {}  # ARN → what somebody has set

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "DescribeLoadBalancerAttributes": self._describe_balancer,
            "ModifyLoadBalancerAttributes": self._modify_balancer,
            "DescribeTargetGroupAttributes": self._describe_group,
            "ModifyTargetGroupAttributes": self._modify_group,
        }

    def of_balancer(self, arn: str) -> dict[str, str]:
        """Return all attributes of a load balancer."""
        return _all(_OF_BALANCERS, self._set.get(arn, {}))

    def of_group(self, arn: str) -> dict[str, str]:
        """Return all attributes of a target group."""
        return _all(_OF_GROUPS, self._set.get(arn, {}))

    def forget(self, arn: str) -> None:
        """Something has been deleted."""
        self._set.pop(arn, None)

    def _describe_balancer(self, call: Call) -> dict[str, Any]:
        arn = call.params["LoadBalancerArn"]
        self._topologies.of(call.region).require_balancer(arn)
        return _told(self.of_balancer(arn))

    def _describe_group(self, call: Call) -> dict[str, Any]:
        arn = call.params["TargetGroupArn"]
        self._topologies.of(call.region).require_group(arn)
        return _told(self.of_group(arn))

    def _modify_balancer(self, call: Call) -> dict[str, Any]:
        arn = call.params["LoadBalancerArn"]
        self._topologies.of(call.region).require_balancer(arn)
        asked = _asked(call, _OF_BALANCERS, "Load balancer")
        wanted = self.of_balancer(arn) | asked
        if any(name.startswith("access_logs.s3.") for name in asked):
            access_logs.check(self._world, arn, call.region, wanted)
        return self._keep(call, arn, asked, self.of_balancer)

    def _modify_group(self, call: Call) -> dict[str, Any]:
        arn = call.params["TargetGroupArn"]
        self._topologies.of(call.region).require_group(arn)
        return self._keep(call, arn, _asked(call, _OF_GROUPS, "Target group"), self.of_group)

    def _keep(
        self, call: Call, arn: str, asked: Mapping[str, str], all_of: Callable[[str], dict[str, str]]
    ) -> dict[str, Any]:
        self._set.setdefault(arn, {}).update(asked)
        self._topologies.touch(call.region)
        return _told(all_of(arn))


def _all(known: Mapping[str, tuple[str, Rule]], changed: Mapping[str, str]) -> dict[str, str]:
    return {name: changed.get(name, default) for name, (default, _) in known.items()}


def _told(attributes: Mapping[str, str]) -> dict[str, Any]:
    return {"Attributes": [{"Key": name, "Value": value} for name, value in attributes.items()]}


def _asked(call: Call, known: Mapping[str, tuple[str, Rule]], what: str) -> dict[str, str]:
    """Return what a request sets. Raises RefusedError for what there is not, and for what it may not be."""
    asked = {each["Key"]: each.get("Value", "") for each in call.params["Attributes"]}
    for name, value in asked.items():
        if name not in known:
            raise RefusedError("ValidationError", f"{what} attribute key '{name}' is not recognized")
        _check(name, value, known[name][1])
    return asked


def _check(name: str, value: str, rule: Rule) -> None:
    if isinstance(rule, range) and not (value.isdigit() and int(value) in rule):
        message = f"'{name}' value '{value}' must be between '{rule[0]}-{rule[-1]}' inclusive"
        raise RefusedError("ValidationError", message)
    if isinstance(rule, tuple) and value not in rule:
        shown = f"one of [{', '.join(rule[:4])}{', …' if len(rule) > 4 else ''}]"
        raise RefusedError("ValidationError", f"'{name}' value '{value}' must be {shown}")
