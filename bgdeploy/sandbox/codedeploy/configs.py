"""Deployment configs: the five that ECS has, the rules for new ones, and the steps a config shifts traffic in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from bgdeploy.sandbox.codedeploy.model import Increment
from bgdeploy.sandbox.world import RefusedError

PREFIX = "CodeDeployDefault."
ALL_AT_ONCE = "CodeDeployDefault.ECSAllAtOnce"
_LONGEST = 2880  # minutes: two days (aws-facts 5.4)
_CUSTOM_LIMIT = 200


def _canary(percent: int, minutes: int) -> dict[str, Any]:
    block = {"canaryPercentage": percent, "canaryInterval": minutes}
    return {"type": "TimeBasedCanary", "timeBasedCanary": block}


def _linear(percent: int, minutes: int) -> dict[str, Any]:
    block = {"linearPercentage": percent, "linearInterval": minutes}
    return {"type": "TimeBasedLinear", "timeBasedLinear": block}


# Exactly these five; "1Minutes" is AWS's own plural (aws-facts 5.3).
PREDEFINED: Mapping[str, Mapping[str, Any]] = {
    ALL_AT_ONCE: {"type": "AllAtOnce"},
    "CodeDeployDefault.ECSCanary10Percent5Minutes": _canary(10, 5),
    "CodeDeployDefault.ECSCanary10Percent15Minutes": _canary(10, 15),
    "CodeDeployDefault.ECSLinear10PercentEvery1Minutes": _linear(10, 1),
    "CodeDeployDefault.ECSLinear10PercentEvery3Minutes": _linear(10, 3),
}


def increments(routing: Mapping[str, Any]) -> tuple[Increment, ...]:
    """Return the steps in which `routing` shifts traffic.

    The first is taken at once and nothing is waited for after the last: ten steps have nine waits (aws-facts 2.1).
    """
    if canary := routing.get("timeBasedCanary"):
        wait = timedelta(minutes=canary["canaryInterval"])
        return (Increment(canary["canaryPercentage"], wait), Increment(100))
    if linear := routing.get("timeBasedLinear"):
        wait = timedelta(minutes=linear["linearInterval"])
        steps = range(linear["linearPercentage"], 100, linear["linearPercentage"])
        return (*(Increment(percent, wait) for percent in steps), Increment(100))
    return (Increment(100),)


def check(params: Mapping[str, Any], existing: int) -> None:
    """Refuse what AWS refuses in CreateDeploymentConfig (aws-facts 5.4). `existing` counts the custom configs."""
    name = params["deploymentConfigName"]
    if name.startswith(PREFIX):
        raise RefusedError(
            "InvalidDeploymentConfigNameException",
            f"Deployment configuration names that begin with {PREFIX} are reserved: {name}",
        )
    if existing >= _CUSTOM_LIMIT:
        raise RefusedError(
            "DeploymentConfigLimitExceededException",
            f"The limit of {_CUSTOM_LIMIT} deployment configurations is reached",
        )
    if params.get("computePlatform", "Server") != "Server":
        _check_platform_members(params)
        _check_routing(params["trafficRoutingConfig"])
    elif params.get("trafficRoutingConfig"):
        raise _routing("Traffic routing configuration should be null for Server deployment configurations")


def _check_platform_members(params: Mapping[str, Any]) -> None:
    platform = params["computePlatform"]
    if params.get("minimumHealthyHosts"):
        raise RefusedError(
            "InvalidMinimumHealthyHostValueException",
            f"minimum healthy hosts should be null for {platform} deployment configuration",
        )
    if params.get("zonalConfig"):
        raise RefusedError(
            "InvalidZonalDeploymentConfigurationException",
            "Zonal deployments are only supported with EC2 deployments.",
        )
    if not (params.get("trafficRoutingConfig") or {}).get("type"):
        raise _routing(
            "Traffic routing configuration cannot be null nor empty for deployment configurations on this platform."
        )


def _check_routing(routing: Mapping[str, Any]) -> None:
    kind = routing["type"]
    for member, owner in (("timeBasedCanary", "TimeBasedCanary"), ("timeBasedLinear", "TimeBasedLinear")):
        if routing.get(member) and kind != owner:
            raise _routing(f"{owner}Configuration should be null for {kind} type")
        if kind == owner and not routing.get(member):
            raise _routing(f"{owner}Configuration cannot be null for {kind} type")
    if kind == "TimeBasedCanary":
        _check_canary(routing["timeBasedCanary"])
    elif kind == "TimeBasedLinear":
        _check_linear(routing["timeBasedLinear"])


def _check_canary(canary: Mapping[str, Any]) -> None:
    _check_percentage(canary.get("canaryPercentage", 0))
    if not 1 <= canary.get("canaryInterval", 0) <= _LONGEST:
        raise _routing("Canary interval must be between 1 and 2880 minutes (2 days)")


def _check_linear(linear: Mapping[str, Any]) -> None:
    percent, minutes = linear.get("linearPercentage", 0), linear.get("linearInterval", 0)
    _check_percentage(percent)
    if minutes < 1 or minutes * math.floor(100 / percent) > _LONGEST:
        raise _routing(
            "Total Traffic shifting intervals must be positive integers up to 2880 minutes (2 days)"
        )


def _check_percentage(percent: int) -> None:
    if not 1 <= percent <= 99:
        raise _routing("Valid traffic routing percentage is from 1 to 99")


def _routing(message: str) -> RefusedError:
    return RefusedError("InvalidTrafficRoutingConfigurationException", message)
