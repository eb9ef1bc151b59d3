"""What ECS refuses of a service under the CODE_DEPLOY controller, in AWS's words. Functions of values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bgdeploy.sandbox.ecs.book import invalid
from bgdeploy.sandbox.ecs.model import EcsService
from bgdeploy.sandbox.elb.model import GroupView
from bgdeploy.sandbox.world import RefusedError

_SUFFIX = (
    " on services with a CODE_DEPLOY deployment controller. Use AWS CodeDeploy to trigger a new deployment."
)
# Members of UpdateService that it refuses (aws-facts 6.3). Whether unchanged values pass is not known: they do not.
_UPDATES = {
    "taskDefinition": "Unable to update task definition",
    "networkConfiguration": "Unable to update network parameters",
    "platformVersion": "Unable to update platform version",
    "loadBalancers": "Unable to update load balancers",
    "serviceRegistries": "Unable to update service registries",
    "capacityProviderStrategy": "Unable to update capacity providers",
}


def check_name(existing: EcsService | None) -> None:
    """Refuse a service whose namesake has not ended (aws-facts 6.1)."""
    if existing is not None and existing.status == "ACTIVE":
        raise invalid("Creation of service was not idempotent.")
    if existing is not None and existing.status == "DRAINING":
        raise invalid("Unable to Start a service that is still Draining.")


def check_new(params: Mapping[str, Any]) -> None:
    """Refuse a CreateService by its own parameters (aws-facts 6.1)."""
    if params.get("deploymentController", {}).get("type") != "CODE_DEPLOY":
        raise not_implemented("a service with another deployment controller than CODE_DEPLOY")
    if params.get("schedulingStrategy", "REPLICA") != "REPLICA":
        raise invalid("The CODE_DEPLOY deployment controller only supports the REPLICA scheduling strategy.")
    if not params.get("taskDefinition"):
        raise invalid("TaskDefinition can not be blank.")
    if params.get("launchType") and params.get("capacityProviderStrategy"):
        raise invalid("Specifying both a launch type and capacity provider strategy is not supported.")
    if not params.get("networkConfiguration", {}).get("awsvpcConfiguration", {}).get("subnets"):
        raise invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
    # One target group: with two of them AWS takes the service, and every deployment hangs (aws-facts 6.1).
    if len(params.get("loadBalancers", [])) != 1:
        raise invalid(
            "For a service with a CODE_DEPLOY deployment controller, the service requires an Application Load "
            "Balancer or Network Load Balancer"
        )


def check_group(arn: str, group: GroupView | None) -> None:
    """Refuse a target group that is not there, that no listener forwards to, or that is no group of addresses.

    The sentences of the first two are in aws-facts 6.1; awsvpc needs target type ip by the same section.
    """
    if group is None:
        raise invalid(f"The target group {arn} does not exist.")
    if not group.load_balancers:
        raise invalid(
            f"The target group with targetGroupArn {arn} does not have an associated load balancer."
        )
    if group.target_type != "ip":
        raise invalid(
            f"The provided target group {arn} has target type {group.target_type}, which is incompatible with the "
            "awsvpc network mode specified in the task definition."
        )


def check_container(definition: Mapping[str, Any], name: str, port: int) -> None:
    """Refuse a container or port that a task definition does not have (aws-facts 4.3)."""
    containers = definition["containerDefinitions"]
    container = next((one for one in containers if one["name"] == name), None)
    if container is None:
        raise invalid("The container does not exist in the task definition.")
    if port not in {mapping.get("containerPort") for mapping in container.get("portMappings", [])}:
        raise invalid(f"The container {name} did not have a container port {port} defined.")


def check_update(params: Mapping[str, Any]) -> None:
    """Refuse an UpdateService that only CodeDeploy may do (aws-facts 6.3)."""
    for member, message in _UPDATES.items():
        if member in params:
            raise invalid(message + _SUFFIX)
    if params.get("forceNewDeployment"):
        raise invalid("Cannot force a new deployment" + _SUFFIX)
    if params.get("deploymentController", {"type": "CODE_DEPLOY"})["type"] != "CODE_DEPLOY":
        raise not_implemented("the change to another deployment controller")


def not_implemented(what: str) -> RefusedError:
    """Return the refusal of something that AWS does and the sandbox does not."""
    return RefusedError("NotImplemented", f"{what} is not implemented in the sandbox", 501)
