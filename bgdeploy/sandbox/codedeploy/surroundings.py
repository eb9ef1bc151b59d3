"""The rules for deployment groups that need a look at the account: role, service, target groups, listeners.

CreateDeploymentGroup really asks ECS with the service role, so all of these must be there first (aws-facts 5.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bgdeploy.sandbox.codedeploy.model import Config, service_names
from bgdeploy.sandbox.codedeploy.ports import PRINCIPAL, Ports
from bgdeploy.sandbox.codedeploy.unverified import Unverified
from bgdeploy.sandbox.world import ACCOUNT, RefusedError


def check(
    settings: Mapping[str, Any], config: Config, region: str, ports: Ports, unverified: Unverified
) -> None:
    """Refuse settings of a deployment group that do not fit the account. Raises RefusedError."""
    role = settings["serviceRoleArn"]
    if not ports.identity.trusts(role, PRINCIPAL):
        raise RefusedError(
            "InvalidRoleException",
            f"AWS CodeDeploy does not have the permissions required to assume the role {role}.",
        )
    if config.platform != "ECS":
        raise platform_mismatch(config, "InvalidInputException")
    _check_service(settings, region, ports)
    if unverified.group_creation_checks_load_balancer:
        _check_load_balancer(settings, region, ports)
        _check_gradual_routing(settings, config, ports)


def platform_mismatch(config: Config, code: str) -> RefusedError:
    """Return the refusal of a config made for another compute platform."""
    return RefusedError(
        code,
        f"Compute platform of deployment config {config.name} does not match expected compute platform, correct "
        "compute platform should be ECS.",
    )


def rewrite_production_listener(settings: Mapping[str, Any], region: str, ports: Ports) -> None:
    """Bring the production listener into the form that deployments leave it in: both groups, the idle one at 0.

    Seen once, right after a stack with a deployment group was made (aws-facts 7.2). A listener that already weighs
    both groups, or does not forward to the service's group, is left alone.
    """
    pair = settings["loadBalancerInfo"]["targetGroupPairInfoList"][0]
    listener = pair["prodTrafficRoute"]["listenerArns"][0]
    groups = [ports.elb.target_group(group["name"], region) for group in pair["targetGroups"]]
    service = ports.ecs.service(*service_names(settings), region)
    if service is None or service.primary is None or None in groups:
        return
    blue = service.primary.target_group_arn
    if any(set(forward) == {blue} for forward in ports.elb.forwards(listener)):
        ports.elb.set_weights(listener, {group.arn: 100 if group.arn == blue else 0 for group in groups})


def _check_service(settings: Mapping[str, Any], region: str, ports: Ports) -> None:
    role = settings["serviceRoleArn"]
    cluster, name = service_names(settings)
    arn = f"arn:aws:ecs:{region}:{ACCOUNT}:service/{cluster}/{name}"
    if not ports.identity.allows(role, "ecs:DescribeServices", arn):
        user = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role.rsplit('/', 1)[-1]}/codedeploy"
        raise _not_loaded(cluster, name, f"User: {user} is not authorized to perform: ecs:DescribeServices")
    service = ports.ecs.service(cluster, name, region)
    if service is None or service.status != "ACTIVE":
        raise _not_loaded(cluster, name, "Service not found or not active.")
    if service.controller != "CODE_DEPLOY":
        raise _service(
            "Deployment group's ECS service must be configured for a CODE_DEPLOY deployment controller."
        )


def _check_load_balancer(settings: Mapping[str, Any], region: str, ports: Ports) -> None:
    pair = settings["loadBalancerInfo"]["targetGroupPairInfoList"][0]
    for group in pair["targetGroups"]:
        if ports.elb.target_group(group["name"], region) is None:
            raise _balancer(f"The target group {group['name']} could not be found")
    for route in (pair["prodTrafficRoute"], pair.get("testTrafficRoute") or {}):
        for listener in route.get("listenerArns") or []:
            if ports.elb.listener(listener) is None:
                raise _balancer(f"The listener {listener} could not be found")


def _check_gradual_routing(settings: Mapping[str, Any], config: Config, ports: Ports) -> None:
    """Canary and linear need an application load balancer, whose listeners' ARNs say app (aws-facts 5.2)."""
    pair = settings["loadBalancerInfo"]["targetGroupPairInfoList"][0]
    if len(config.increments) > 1 and ":listener/net/" in pair["prodTrafficRoute"]["listenerArns"][0]:
        raise RefusedError(
            "InvalidTrafficRoutingConfigurationException",
            "Only ALB supports gradual traffic routing, use AllAtOnce Traffic routing instead when you create/update "
            "Deployment group.",
        )


def _not_loaded(cluster: str, name: str, cause: str) -> RefusedError:
    return _service(
        f"Could not load ECS service information for cluster: {cluster}, service: {name}. Cause: {cause}"
    )


def _service(message: str) -> RefusedError:
    return RefusedError("InvalidECSServiceException", message)


def _balancer(message: str) -> RefusedError:
    return RefusedError("InvalidLoadBalancerInfoException", message)
