"""What a task needs besides its image: roles that ECS may assume, what they allow, and a way out of its network.

AWS finds all of this out when the task starts, and says so in these words; most of it is in aws-facts 8.2 and 8.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bgdeploy.sandbox import internet
from bgdeploy.sandbox.ecs.model import Container, EcsService, Task
from bgdeploy.sandbox.images import repository
from bgdeploy.sandbox.world import ACCOUNT, World

_PRINCIPAL = "ecs-tasks.amazonaws.com"
_REGISTRY = (
    "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: "
    "unable to retrieve ecr registry auth: service call has been retried"
)
_SECRETS = "ResourceInitializationError: unable to pull secrets or registry auth"
SECRET = f"{_SECRETS}: execution resource retrieval failed: unable to retrieve secret"
LOGGER = (
    "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: "
    "failed to create Cloudwatch log stream"
)
_LOGS_UNREACHABLE = (
    "ResourceInitializationError: failed to validate logger args: The task cannot find the Amazon CloudWatch log group "
    "defined in the task definition. There is a connection issue between the task and Amazon CloudWatch. Check your "
    "network configuration. : signal: killed"
)
_REGISTRY_SERVICES = ("ecr.api", "ecr.dkr", "s3")  # the layers themselves are in S3
_PULL = ("ecr:BatchGetImage", "ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer")


class LaunchError(Exception):
    """A container cannot be started; the text is what ECS gives as the reason that the task stopped."""


class Access:
    """Asks IAM and the network in a task's name."""

    def __init__(self, world: World) -> None:
        self._world = world

    def unknown_role(self, definition: Mapping[str, Any]) -> str | None:
        """Return the role of a task definition that ECS cannot assume, None when it can assume all of them."""
        roles = (definition.get(name) for name in ("executionRoleArn", "taskRoleArn"))
        return next((role for role in roles if role and not self._world.roles.trusts(role, _PRINCIPAL)), None)

    def check_registry(self, service: EcsService, task: Task, image: str) -> None:
        """See whether a task gets at its image. Raises LaunchError."""
        arn, place, region = repository(image), _place(task, service.region), service.region
        if arn is None:
            if not internet.reaches_internet(self._world, place):
                raise LaunchError(_unreachable(image))
            return
        if not all(internet.reaches(self._world, place, each) for each in _REGISTRY_SERVICES):
            raise LaunchError(
                f"{_REGISTRY} 3 time(s): RequestError: send request failed caused by: Post "
                f'"https://api.ecr.{region}.amazonaws.com/": dial tcp: i/o timeout. Please check your task '
                "network configuration."
            )
        if not self._allowed(task, "ecr:GetAuthorizationToken", "*"):
            raise LaunchError(f"{_REGISTRY} 1 time(s): {_denied(task, 'ecr:GetAuthorizationToken', '*')}")
        if not all(self._allowed(task, action, arn) for action in _PULL):
            raise LaunchError(
                f"CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref "
                f"{image}: pulling from host {image.partition('/')[0]} failed with status code [manifests]: 403 "
                "Forbidden"
            )

    def check_secret(self, task: Task, source: str, region: str) -> None:
        """See whether a task may read a secret. Raises LaunchError."""
        manager = ":secretsmanager:" in source
        action = "secretsmanager:GetSecretValue" if manager else "ssm:GetParameters"
        arn = ":".join(source.split(":")[:7])
        if not source.startswith("arn:"):
            arn = f"arn:aws:ssm:{region}:{ACCOUNT}:parameter/{source.lstrip('/')}"
        store = "secretsmanager" if manager else "ssm"
        if not internet.reaches(self._world, _place(task, region), store):
            name = "AWS Secrets Manager" if manager else "AWS Systems Manager Parameter Store"
            raise LaunchError(
                f"{_SECRETS}: unable to retrieve secrets from {store}: The task cannot pull secrets from {name}. There "
                f"is a connection issue between the task and {name}. Check your task network configuration. "
                "RequestCanceled: request context canceled caused by: context deadline exceeded"
            )
        if not self._allowed(task, action, arn):
            raise LaunchError(f"{SECRET} {source}: {_denied(task, action, arn)}")

    def check_log(self, service: EcsService, task: Task, container: Container) -> None:
        """See whether a container may have its log stream, and may write to it. Raises LaunchError."""
        options = (container.definition.get("logConfiguration") or {}).get("options", {})
        group = options.get("awslogs-group")
        if group is None:
            return
        arn = f"arn:aws:logs:{options.get('awslogs-region', service.region)}:{ACCOUNT}:log-group:{group}:log-stream:x"
        if not internet.reaches(self._world, _place(task, service.region), "logs"):
            raise LaunchError(_LOGS_UNREACHABLE)
        if not self._allowed(task, "logs:CreateLogStream", arn):
            raise LaunchError(f"{LOGGER}: {_denied(task, 'logs:CreateLogStream', arn)}")
        container.silent = not self._allowed(task, "logs:PutLogEvents", arn)

    def _allowed(self, task: Task, action: str, resource: str) -> bool:
        role = task.definition.get("executionRoleArn", "")
        return bool(role) and self._world.roles.allows(role, action, resource)


def _place(task: Task, region: str) -> internet.Place:
    return internet.Place(region, task.subnet, task.ip, task.security_groups, task.public)


def _unreachable(image: str) -> str:
    return (
        f"CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref {image}: "
        f"failed to do request: dial tcp: i/o timeout"
    )


def _denied(task: Task, action: str, resource: str) -> str:
    role = str(task.definition.get("executionRoleArn", "")).rpartition("/")[2]
    return (
        f"AccessDeniedException: User: arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{task.id} is not authorized to "
        f"perform: {action} on resource: {resource} because no identity-based policy allows the {action} action"
    )
