"""From a container's definition to what its process is started with: image, command, environment, secrets, log."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from bgdeploy.sandbox.ecs.access import LOGGER, SECRET, Access, LaunchError
from bgdeploy.sandbox.ecs.model import Container, EcsService, Task
from bgdeploy.sandbox.images import PullError
from bgdeploy.sandbox.tasks import Spec
from bgdeploy.sandbox.world import RefusedError, World


class Launcher:
    """Prepares containers to be started, and writes their logs."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._access = Access(world)

    def unknown_role(self, definition: Mapping[str, Any]) -> str | None:
        """Return the role of a task definition that ECS cannot assume, None when it can assume all of them."""
        return self._access.unknown_role(definition)

    def spec(self, service: EcsService, task: Task, container: Container) -> Spec:
        """Return what a container's process is started with. Raises LaunchError."""
        definition = container.definition
        self._access.check_registry(service, task, definition["image"])
        self._access.check_log(service, task, container)
        try:
            self.log(service, task, container, [])
        except RefusedError as error:
            raise LaunchError(f"{LOGGER}: {error.code}: {error.message}") from error
        environment = self._environment(service.region, task, definition)
        try:
            image = self._world.images.resolve(definition["image"], service.region)
        except PullError as error:
            raise LaunchError(str(error)) from error
        entrypoint = definition.get("entryPoint") or image.entrypoint
        command = definition.get("command") or ([] if definition.get("entryPoint") else image.command)
        folder = self._world.settings.home / "tasks" / task.id / container.name
        return Spec(image, folder, [*entrypoint, *command], environment)

    def log(self, service: EcsService, task: Task, container: Container, lines: list[str]) -> None:
        """Write to the container's log stream. Raises RefusedError when its log group does not exist."""
        config: dict[str, Any] = container.definition.get("logConfiguration") or {}
        options = config.get("options", {})
        if config.get("logDriver") != "awslogs" or "awslogs-group" not in options:
            return
        group, region = options["awslogs-group"], options.get("awslogs-region", service.region)
        if options.get("awslogs-create-group") == "true":
            logs = self._world.client("logs", region=region)
            with contextlib.suppress(logs.exceptions.ResourceAlreadyExistsException):
                logs.create_log_group(logGroupName=group)
        prefix = options.get("awslogs-stream-prefix")
        stream = f"{prefix}/{container.name}/{task.id}" if prefix else task.id
        self._world.logs.write(group, stream, lines, region)

    def ship(self, service: EcsService, task: Task) -> None:
        """Write what the containers have written to their logs; where the log group is gone, it is lost, as on AWS."""
        for container in task.containers:
            lines = container.process.output() if container.process is not None else []
            if lines and not container.silent:
                with contextlib.suppress(RefusedError):
                    self.log(service, task, container, lines)

    def _environment(self, region: str, task: Task, definition: Mapping[str, Any]) -> dict[str, str]:
        """Return a container's environment. With a task role, the sandbox's own AWS is within its reach."""
        found = {"AWS_REGION": region, "AWS_DEFAULT_REGION": region, "AWS_EC2_METADATA_DISABLED": "true"}
        role = task.definition.get("taskRoleArn")
        if role:
            found |= {
                "AWS_ENDPOINT_URL": self._world.endpoint,
                "AWS_ACCESS_KEY_ID": self._world.access_key,
                "AWS_SECRET_ACCESS_KEY": "task",
                "AWS_SESSION_TOKEN": role,  # tells the record of calls who calls
            }
        found |= {each["name"]: each["value"] for each in definition.get("environment", [])}
        return found | {
            each["name"]: self._secret(task, each["valueFrom"], region)
            for each in definition.get("secrets", [])
        }

    def _secret(self, task: Task, source: str, region: str) -> str:
        """Return what a secret holds: an ARN of Secrets Manager, or an ARN or a name of Systems Manager."""
        from botocore.exceptions import ClientError

        self._access.check_secret(task, source, region)
        home = source.split(":")[3] if source.startswith("arn:") else region
        try:
            if ":secretsmanager:" in source:
                return _from_secrets_manager(self._world.client("secretsmanager", region=home), source)
            ssm = self._world.client("ssm", region=home)
            name = _parameter(source)
            return str(ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])
        except (ClientError, KeyError, ValueError) as error:
            raise LaunchError(f"{SECRET} {source}: {error}") from error


def _from_secrets_manager(manager: Any, source: str) -> str:
    """Read an ARN of seven parts and, after it, a key of the JSON in it, a version's stage and a version's id."""
    parts = [*source.split(":"), "", "", ""]
    field, versions = parts[7], {"VersionStage": parts[8], "VersionId": parts[9]}
    asked = {name: value for name, value in versions.items() if value}
    told = manager.get_secret_value(SecretId=":".join(parts[:7]), **asked)
    return str(json.loads(told["SecretString"])[field]) if field else str(told["SecretString"])


def _parameter(source: str) -> str:
    """Return a parameter's name: in an ARN, that of a path has no slash of its own (parameter/a/b is /a/b)."""
    name = source.partition(":parameter/")[2] or source
    return f"/{name}" if source.startswith("arn:") and "/" in name else name
