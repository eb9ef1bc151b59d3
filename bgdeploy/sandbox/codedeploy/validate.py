"""The rules for deployment groups that can be told from the request alone, in AWS's own sentences (aws-facts 5.2).

Pure: a request is refused by an exception or it is not. What needs a look at the account is in `surroundings`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bgdeploy.sandbox.codedeploy.unverified import Unverified
from bgdeploy.sandbox.world import RefusedError

Settings = Mapping[str, Any]

_FOR_GROUP = "For ECS deployment group, "
_STYLE = {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"}
_ROLLBACK_EVENTS = {"DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"}
_NAME = re.compile(r"[A-Za-z0-9+=,.@_-]{1,100}")
# What belongs to instances, and the exception that goes with each: "own exception each" (aws-facts 5.2).
_FOR_INSTANCES = {
    "autoScalingGroups": "InvalidAutoScalingGroupException",
    "ec2TagFilters": "InvalidEC2TagException",
    "ec2TagSet": "InvalidEC2TagCombinationException",
    "onPremisesInstanceTagFilters": "InvalidTagException",
    "onPremisesTagSet": "InvalidOnPremisesTagCombinationException",
}


def check_name(name: str, what: str, code: str) -> None:
    """Refuse a name that is not 1 to 100 of the characters AWS allows (aws-facts 5.2)."""
    if not _NAME.fullmatch(name):
        raise RefusedError(code, f"{what} name is not valid: {name}")


def check_group(settings: Settings, platform: str, unverified: Unverified) -> None:
    """Refuse the settings of a deployment group that AWS refuses. Raises RefusedError with AWS's sentence."""
    if platform != "ECS":
        _refuse_platform(settings, platform)
    _check_style(settings)
    _check_instance_members(settings)
    check_load_balancer(settings.get("loadBalancerInfo"))
    check_blue_green(settings.get("blueGreenDeploymentConfiguration"), unverified)
    _check_services(settings.get("ecsServices"))
    check_rollback(settings.get("autoRollbackConfiguration"))
    check_alarms(settings.get("alarmConfiguration"))
    _check_triggers(settings.get("triggerConfigurations") or [])


def _refuse_platform(settings: Settings, platform: str) -> None:
    pairs = (settings.get("loadBalancerInfo") or {}).get("targetGroupPairInfoList")
    if platform == "Server" and (settings.get("ecsServices") or pairs):
        raise RefusedError(
            "InvalidInputException",
            "Server Deployment Groups should not define a value for ecsServices, eksClusters, or "
            "targetGroupPairInfoList",
        )
    raise RefusedError(
        "InvalidInputException",
        f"The sandbox deploys to Amazon ECS only; the application's compute platform is {platform}",
    )


def _check_style(settings: Settings) -> None:
    style = settings.get("deploymentStyle") or {}
    if {key: style.get(key) for key in _STYLE} != _STYLE:
        raise RefusedError(
            "InvalidDeploymentStyleException",
            "For ECS deployment, the deployment type must be BLUE_GREEN, and deployment option must be "
            "WITH_TRAFFIC_CONTROL.",
        )


def _check_instance_members(settings: Settings) -> None:
    for member, code in _FOR_INSTANCES.items():
        if settings.get(member):
            raise RefusedError(code, f"{_FOR_GROUP}{member} can not be specified")


def check_load_balancer(info: Settings | None) -> None:
    """Refuse a loadBalancerInfo that is not one pair of two target groups behind one listener (aws-facts 5.1)."""
    if not info:
        raise _balancer(f"{_FOR_GROUP}loadBalancerInfo must be specified")
    if info.get("elbInfoList"):
        raise _balancer(f"{_FOR_GROUP}loadBalancerInfo must not contain elbInfo list")
    if info.get("targetGroupInfoList"):
        raise _balancer(f"{_FOR_GROUP}loadBalancerInfo must not contain targetGroupInfo list")
    pairs = info.get("targetGroupPairInfoList") or []
    if len(pairs) != 1:
        raise _balancer(f"{_FOR_GROUP}loadBalancerInfo must contain exactly one target group pair")
    _check_pair(pairs[0])


def _check_pair(pair: Settings) -> None:
    names = [str(group.get("name", "")) for group in pair.get("targetGroups") or []]
    for name in names:
        if not name.startswith("arn:") and len(name) > 32:
            raise _balancer(
                f"The target group name {name} exceeds the maximum allowed length of 32 characters."
            )
    if len(names) != 2:
        raise _pair("Target group pair must have exactly two target groups.")
    if names[0] == names[1]:
        raise _pair("Target group pair must have distinct target groups.")
    production = (pair.get("prodTrafficRoute") or {}).get("listenerArns") or []
    test = (pair.get("testTrafficRoute") or {}).get("listenerArns") or []
    if len(production) != 1:
        raise _pair("Target group pair must have exactly one production listener.")
    if len(test) > 1:
        raise _pair("Target group pair must not have more than one test listener.")


def check_blue_green(config: Settings | None, unverified: Unverified) -> None:
    """Refuse waits that AWS refuses (aws-facts 2.2) and blocks that lack a member (5.2)."""
    if not config:
        raise _blue_green(f"{_FOR_GROUP}blueGreenDeploymentConfiguration must be specified")
    ready = config.get("deploymentReadyOption")
    if not ready:
        raise _blue_green("Deployment ready option cannot be null for blue green deployment")
    terminate = config.get("terminateBlueInstancesOnDeploymentSuccess")
    if not terminate:
        raise _blue_green(
            "Terminate blue instances on deployment success behaviour cannot be set to null for Blue Green deployments"
        )
    _check_ready(ready)
    if terminate.get("action") == "KEEP_ALIVE":
        raise _blue_green(unverified.keep_alive_message)
    if terminate.get("terminationWaitTimeInMinutes", 0) > 2880:
        raise _blue_green("Timeout for instance termination cannot be more than 2 days")


def _check_ready(ready: Settings) -> None:
    minutes = ready.get("waitTimeInMinutes", 0)
    if ready.get("actionOnTimeout") == "STOP_DEPLOYMENT":
        if minutes < 1:
            raise _blue_green(
                "Deployment ready action cannot be set to STOP_DEPLOYMENT when timeout is set to 0 minutes."
            )
    elif minutes:
        raise _blue_green(
            "Deployment ready action cannot be set to 'CONTINUE_DEPLOYMENT' when timeout is specified"
        )


def _check_services(services: list[Settings] | None) -> None:
    if not services or len(services) != 1:
        raise RefusedError(
            "InvalidECSServiceException", f"{_FOR_GROUP}exactly one ECS service must be specified"
        )
    if not services[0].get("clusterName") or not services[0].get("serviceName"):
        raise RefusedError(
            "InvalidECSServiceException", f"{_FOR_GROUP}the ECS service needs a clusterName and a serviceName"
        )


def check_rollback(config: Settings | None) -> None:
    """Refuse automatic rollback without an event, and events that there are not (aws-facts 4.1)."""
    config = config or {}
    events = config.get("events") or []
    if config.get("enabled") and not events:
        raise _rollback(
            "Deployment Groups need to have at least one event specified when auto rollback is enabled"
        )
    if unknown := set(events) - _ROLLBACK_EVENTS:
        raise _rollback(f"Unknown auto rollback event: {sorted(unknown)[0]}")


def check_alarms(config: Settings | None) -> None:
    """Refuse more than ten alarms, one twice, and monitoring without any (aws-facts 4.1)."""
    config = config or {}
    names = [str(alarm.get("name", "")) for alarm in config.get("alarms") or []]
    if config.get("enabled") and not names:
        raise _alarm("Deployment Groups need to have at least one alarms attached if they are monitored.")
    if len(names) > 10:
        raise RefusedError(
            "AlarmsLimitExceededException", "A deployment group cannot have more than 10 alarms attached"
        )
    if len(set(names)) != len(names):
        raise _alarm("Alarm names must be unique within a deployment group")
    if any(not 1 <= len(name) <= 255 for name in names):
        raise _alarm("Alarm names must have between 1 and 255 characters")


def _check_triggers(triggers: list[Settings]) -> None:
    if len(triggers) > 10:
        raise RefusedError(
            "TriggerTargetsLimitExceededException", "A deployment group cannot have more than 10 triggers"
        )
    for member in ("triggerName", "triggerTargetArn"):
        values = [trigger.get(member) for trigger in triggers]
        if len(set(values)) != len(values):
            raise RefusedError("InvalidTriggerConfigException", "Duplicate Trigger target name detected")


def _balancer(message: str) -> RefusedError:
    return RefusedError("InvalidLoadBalancerInfoException", message)


def _pair(message: str) -> RefusedError:
    return RefusedError("InvalidTargetGroupPairException", message)


def _blue_green(message: str) -> RefusedError:
    return RefusedError("InvalidBlueGreenDeploymentConfigurationException", message)


def _rollback(message: str) -> RefusedError:
    return RefusedError("InvalidAutoRollbackConfigException", message)


def _alarm(message: str) -> RefusedError:
    return RefusedError("InvalidAlarmConfigException", message)
