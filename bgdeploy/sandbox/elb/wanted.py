"""What the balancer shall be: from what moto knows and who is registered to one document. Functions of values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bgdeploy.sandbox.elb import reach, validate
from bgdeploy.sandbox.elb.model import Target
from bgdeploy.sandbox.elb.topology import Facts, Topology
from bgdeploy.sandbox.world import Settings

Endpoint = Callable[[str, int], tuple[str, int]]  # load balancer, port → where it really listens
AttributesOf = Callable[[str], Mapping[str, str]]  # ARN → the attributes of a load balancer or target group
_INSIDE = "#inside"
# Conditions of rules: the field's name → where its settings are, and the value that several of them share.
_CONFIGS = {
    "path-pattern": "PathPatternConfig",
    "host-header": "HostHeaderConfig",
    "http-header": "HttpHeaderConfig",
    "http-request-method": "HttpRequestMethodConfig",
    "query-string": "QueryStringConfig",
    "source-ip": "SourceIpConfig",
}


def listeners(
    topology: Topology, settings: Settings, endpoint: Endpoint, attributes: AttributesOf
) -> list[dict[str, Any]]:
    """Return the listeners of a region, each with its routes in order, the default last."""
    found = []
    for arn, listener in topology.listeners.items():
        balancer = topology.balancers[listener["LoadBalancerArn"]]
        host, real = endpoint(listener["LoadBalancerArn"], listener["Port"])
        found.append(
            {
                "arn": arn,
                "host": host,
                "bind": real,
                "port": listener["Port"],
                "protocol": listener["Protocol"],
                "idle": float(attributes(listener["LoadBalancerArn"])["idle_timeout.timeout_seconds"]),
                "reachable": reach.caller_reaches(balancer, listener["Port"], settings.caller, topology),
                "routes": routes(listener),
            }
        )
    return found


def inside(listeners: Iterable[Mapping[str, Any]], ports: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return the doors for those inside the VPC: of some listeners, on ports of this machine."""
    return [
        {
            **each,
            "arn": each["arn"] + _INSIDE,
            "host": "127.0.0.1",
            "bind": ports[each["arn"]],
            "reachable": True,
        }
        for each in listeners
        if each["arn"] in ports
    ]


def outside(arn: str) -> str:
    """Return the listener that a door belongs to."""
    return arn.removesuffix(_INSIDE)


def groups(
    topology: Topology,
    settings: Settings,
    targets: Callable[[str], list[Target]],
    attributes: AttributesOf,
) -> dict[str, dict[str, Any]]:
    """Return the target groups that a listener forwards to: no other is checked (aws-facts 7.2)."""
    return {
        arn: {
            "health": _health(topology.groups[arn], settings.speed),
            "sticky": _sticky(attributes(arn), settings.speed),
            "targets": [_target(each, topology.balancers[balancers[0]], topology) for each in targets(arn)],
        }
        for arn, balancers in topology.behind.items()
        if arn in topology.groups
    }


def routes(listener: Facts) -> list[dict[str, Any]]:
    """Return a listener's rules by priority, and its default action after them."""
    found = [
        {"conditions": [_condition(each) for each in rule["Conditions"]], "action": action(rule["Actions"])}
        for rule in listener["Rules"]
    ]
    return [*found, {"conditions": [], "action": action(listener["DefaultActions"])}]


def action(actions: list[Facts]) -> dict[str, Any]:
    """Return the action that decides: forward, fixed-response or redirect. Sign-in actions let everybody pass."""
    last = max(actions, key=lambda each: int(each.get("Order", 0))) if actions else {}
    if last.get("Type") == "fixed-response":
        told = last["FixedResponseConfig"]
        fixed = {"status": int(told["StatusCode"]), "body": told.get("MessageBody", "")}
        return {"fixed": {**fixed, "type": told.get("ContentType", "text/plain")}}
    if last.get("Type") == "redirect":
        told = last["RedirectConfig"]
        names = ("Protocol", "Host", "Port", "Path", "Query")
        where = {name.lower(): told[name] for name in names if told.get(name)}
        return {"redirect": {**where, "status": int(told["StatusCode"].removeprefix("HTTP_"))}}
    return {"forward": validate.weights(actions)}


def _condition(condition: Facts) -> dict[str, Any]:
    field = condition["Field"]
    config: Mapping[str, Any] = condition.get(_CONFIGS[field]) or {}
    values = config.get("Values") or condition.get("Values") or []
    if field == "query-string":
        values = [{name.lower(): value for name, value in each.items()} for each in values]
    return {"field": field, "values": values, "header": config.get("HttpHeaderName", "")}


def _health(group: Facts, speed: float) -> dict[str, Any]:
    """Return a group's health check, its times in real seconds. Absent settings have AWS's defaults (aws-facts 7.4)."""
    return {
        "path": group.get("HealthCheckPath", "/"),
        "matcher": group.get("Matcher", {}).get("HttpCode", "200"),
        "interval": group.get("HealthCheckIntervalSeconds", 30) / speed,
        "timeout": group.get("HealthCheckTimeoutSeconds", 6) / speed,
        "healthy": group.get("HealthyThresholdCount", 5),
        "unhealthy": group.get("UnhealthyThresholdCount", 2),
    }


def _sticky(attributes: Mapping[str, str], speed: float) -> float:
    """Return for how many real seconds the load balancer's own cookie binds a visitor to a target; 0: not at all."""
    if attributes["stickiness.enabled"] != "true" or attributes["stickiness.type"] != "lb_cookie":
        return 0.0
    return int(attributes["stickiness.lb_cookie.duration_seconds"]) / speed


def _target(target: Target, balancer: Facts, topology: Topology) -> dict[str, Any]:
    host, port = target.endpoint or ("", 0)
    return {
        "id": target.registration,
        "host": host,
        "port": port,
        "draining": target.leaves is not None,
        "reachable": target.endpoint is not None
        and reach.balancer_reaches(balancer, target.ip, target.port, target.security_groups, topology),
    }
