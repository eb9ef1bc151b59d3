"""What ECS refuses of a task definition for Fargate; its words, where they are known. Functions of values."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from bgdeploy.sandbox.images import repository
from bgdeploy.sandbox.world import RefusedError

# What Fargate offers, from the developer guide's table: CPU units → MiB of memory.
_SIZES: Mapping[int, Collection[int]] = {
    256: (512, 1024, 2048),
    512: range(1024, 4096 + 1, 1024),
    1024: range(2048, 8192 + 1, 1024),
    2048: range(4096, 16384 + 1, 1024),
    4096: range(8192, 30720 + 1, 1024),
    8192: range(16384, 61440 + 1, 4096),
    16384: range(32768, 122880 + 1, 8192),
}
_THOUSAND = 1024  # units in a vCPU, MiB in a GB
_STORAGE = range(21, 200 + 1)  # GiB that may be asked for; 20 is what a task has anyway
# The bounds of a container's health check, by the documentation of HealthCheck; retries are a number, the rest seconds.
_HEALTH_CHECK = {
    "interval": range(5, 300 + 1),
    "timeout": range(2, 120 + 1),
    "retries": range(1, 10 + 1),
    "startPeriod": range(300 + 1),
}


def check_definition(params: Mapping[str, Any]) -> None:
    """Refuse a task definition for Fargate that Fargate could not run."""
    if "FARGATE" not in params.get("requiresCompatibilities", ()):
        return
    if params.get("networkMode") != "awsvpc":
        raise _client("Fargate only supports network mode \u2018awsvpc\u2019.")
    for name in ("cpu", "memory"):
        if not params.get(name):
            raise _client(f"Fargate requires that '{name}' be defined at the task level.")
    cpu, memory = _units(params["cpu"]), _units(params["memory"])
    if memory not in _SIZES.get(cpu, ()):
        raise _client(f"No Fargate configuration exists for given values: {cpu} CPU, {memory} memory")
    if not params.get("executionRoleArn"):
        _check_no_role_needed(params["containerDefinitions"])
    _check_storage(params.get("ephemeralStorage"))
    _check_containers(params["containerDefinitions"])


def _check_no_role_needed(containers: Sequence[Mapping[str, Any]]) -> None:
    needs = "Fargate requires task definition to have execution role ARN to support"
    for container in containers:
        if (container.get("logConfiguration") or {}).get("logDriver") == "awslogs":
            raise _client(f"{needs} log driver awslogs.")
        if repository(container.get("image", "")):
            raise _client(f"{needs} ECR images.")
        if container.get("secrets"):
            raise _client(
                "When you are specifying container secrets, you must also specify a value for 'executionRoleArn'."
            )


def _units(text: str) -> int:
    """Return CPU units or MiB of what may also be written as vCPU or GB; 0 for what is neither."""
    whole = text.strip().lower()
    number = whole.removesuffix("vcpu").removesuffix("gb")
    try:
        return round(float(number) * (1 if number == whole else _THOUSAND))
    except ValueError:
        return 0


def _check_storage(asked: Mapping[str, Any] | None) -> None:
    if asked is not None and asked["sizeInGiB"] not in _STORAGE:
        raise _client(f"EphemeralStorage size should be between {_STORAGE[0]} and {_STORAGE[-1]} GiB.")


def _check_containers(containers: Sequence[Mapping[str, Any]]) -> None:
    names = [container["name"] for container in containers]
    for container in containers:
        if names.count(container["name"]) > 1:
            raise _client(f"Container name '{container['name']}' is used more than once.")
        _check_container(container, names)
    if not any(container.get("essential", True) for container in containers):
        raise _client("A task definition must have at least one essential container.")


def _check_container(container: Mapping[str, Any], names: Collection[str]) -> None:
    for mapping in container.get("portMappings", []):
        if mapping.get("hostPort", mapping.get("containerPort")) != mapping.get("containerPort"):
            raise _client(
                "When networkMode=awsvpc, the host ports and container ports in port mappings must match."
            )
    for other in container.get("dependsOn", []):
        if other["containerName"] not in names or other["containerName"] == container["name"]:
            raise _client(
                f"Container '{container['name']}' depends on '{other['containerName']}', which it cannot."
            )
    variables = [each["name"] for each in container.get("environment", [])]
    for secret in container.get("secrets", []):
        if secret["name"] in variables:
            raise _client(
                "The secret name must be unique and not shared with any new or existing environment variables set "
                f"on the container, such as '{secret['name']}'."
            )
    check = container.get("healthCheck", {})
    for name, bounds in _HEALTH_CHECK.items():
        if name in check and check[name] not in bounds:
            raise _client(f"HealthCheck {name} must be between {bounds[0]} and {bounds[-1]}.")


def _client(message: str) -> RefusedError:
    return RefusedError("ClientException", message)
