"""The task definition that a config declares, in ECS's own words, and what people call its parts. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bgdeploy.config import Config, Container, ContainerHealth, Process, Settings, Sidecar

Content = dict[str, Any]

_ARCHITECTURES = {"x86_64": "X86_64", "arm64": "ARM64"}
_ECR = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/(?P<repository>[^:@]+)"
)


@dataclass(frozen=True)
class Place:
    """What an account adds to a task definition."""

    region: str
    execution_role: str  # ARNs
    task_role: str


def processes(config: Config) -> Iterator[tuple[tuple[str | int, ...], str, Container | Sidecar]]:
    """Yield every container of a task: its key path in the config, its name, and what is said of it."""
    yield ("container",), config.container.name, config.container
    for index, sidecar in enumerate(config.sidecars):
        yield ("sidecars", index), sidecar.name, sidecar


def build(settings: Settings, place: Place, image: str, version: str) -> Content:
    """Return the task definition of `version` as RegisterTaskDefinition wants it, without tags."""
    config = settings.config
    container = config.container
    options = {
        "awslogs-group": settings.names.log_group,
        "awslogs-region": place.region,
        "awslogs-stream-prefix": version,
    }
    definitions = [
        {
            "name": name,
            "image": each.image if isinstance(each, Sidecar) else image,
            "essential": each.essential if isinstance(each, Sidecar) else True,
            "portMappings": [
                {"containerPort": port, "protocol": "tcp"}
                for port in (each.ports if isinstance(each, Sidecar) else (each.port,))
            ],
            "environment": [
                {"name": key, "value": each.environment[key]} for key in sorted(each.environment)
            ],
            "logConfiguration": {"logDriver": "awslogs", "options": options},
            **_process(each),
            # What `execute-command` starts leaves children behind, which only an init process buries.
            **({"linuxParameters": {"initProcessEnabled": True}} if config.service.exec else {}),
        }
        for _, name, each in processes(config)
    ]
    return {
        "family": settings.names.plain,
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": str(container.cpu),
        "memory": str(container.memory),
        "executionRoleArn": place.execution_role,
        "taskRoleArn": place.task_role,
        "containerDefinitions": definitions,
        **_platform(container),
    }


def _platform(container: Container) -> Content:
    """What differs from what Fargate gives unasked: X86_64, and 20 GiB."""
    told: Content = {}
    if container.architecture != "x86_64":
        cpu = _ARCHITECTURES[container.architecture]
        told["runtimePlatform"] = {"cpuArchitecture": cpu, "operatingSystemFamily": "LINUX"}
    if container.ephemeral_storage is not None:
        told["ephemeralStorage"] = {"sizeInGiB": container.ephemeral_storage}
    return told


def _process(each: Process) -> Content:
    """What is said of a container only when its config says it."""
    told: Content = {
        "secrets": [
            {"name": key, "valueFrom": value_from(each.secrets[key])} for key in sorted(each.secrets)
        ],
        "command": list(each.command),
        "entryPoint": list(each.entrypoint),
        "user": each.user,
        "healthCheck": each.health_check and _health(each.health_check),
        "stopTimeout": each.stop_timeout and int(each.stop_timeout),
        "readonlyRootFilesystem": each.read_only,
        "dependsOn": [
            {"containerName": name, "condition": each.depends_on[name].upper()}
            for name in sorted(each.depends_on)
        ],
    }
    return {key: value for key, value in told.items() if value}


def _health(health: ContainerHealth) -> Content:
    shell = isinstance(health.command, str)
    return {
        "command": ["CMD-SHELL", health.command] if shell else ["CMD", *health.command],
        "interval": int(health.interval),
        "timeout": int(health.timeout),
        "retries": health.retries,
        "startPeriod": int(health.start_period),
    }


# What the execution role needs for it


def value_from(source: str) -> str:
    """Return a secret's reference as ECS wants it: with a key of its JSON, stage and version are there, if empty."""
    if ":secretsmanager:" not in source or source.count(":") == 6:
        return source
    return source + ":" * (9 - source.count(":"))


def secret_arns(config: Config, region: str, account: str) -> tuple[list[str], list[str]]:
    """Return the ARNs of the parameters, and of the secrets in Secrets Manager, that the containers refer to."""
    sources = {source for _, _, each in processes(config) for source in each.secrets.values()}
    manager = {":".join(source.split(":")[:7]) for source in sources if ":secretsmanager:" in source}
    parameters = {
        source if source.startswith("arn:") else f"arn:aws:ssm:{region}:{account}:parameter{source}"
        for source in sources
        if ":secretsmanager:" not in source
    }
    return sorted(parameters), sorted(manager)


def repository_arns(config: Config) -> list[str]:
    """Return the ARNs of the ECR repositories that the sidecars' images are in."""
    found = (_ECR.match(sidecar.image) for sidecar in config.sidecars)
    return sorted(
        {
            f"arn:aws:ecr:{each['region']}:{each['account']}:repository/{each['repository']}"
            for each in found
            if each
        }
    )


# What people call its parts


def parts(content: Mapping[str, Any]) -> Content:
    """Return what a task definition says by names, as plans show it, without what every release sets anew.

    Every part is there, with nothing in it where the task definition says nothing: so what is taken away shows too.
    """
    platform = content.get("runtimePlatform") or {}
    return {
        "cpu": content.get("cpu"),
        "memory": content.get("memory"),
        "architecture": platform.get("cpuArchitecture", "X86_64"),
        "ephemeralStorage": (content.get("ephemeralStorage") or {}).get("sizeInGiB", 20),
        "containers": [each["name"] for each in content["containerDefinitions"]],
        **{f"container {each['name']}": _parts(each) for each in content["containerDefinitions"]},
    }


_LISTS = {
    "environment": ("name", "value"),
    "secrets": ("name", "valueFrom"),
    "dependsOn": ("containerName", "condition"),
}
_PLAIN = ("command", "entryPoint", "user", "stopTimeout", "healthCheck", "readonlyRootFilesystem")


def _parts(container: Mapping[str, Any]) -> Content:
    named = {
        name: {pair[key]: pair[value] for pair in container.get(name) or ()}
        for name, (key, value) in _LISTS.items()
    }
    ports = [each["containerPort"] for each in container.get("portMappings") or ()]
    init = (container.get("linuxParameters") or {}).get("initProcessEnabled", False)
    plain = {name: container.get(name) or None for name in _PLAIN}
    return {
        **named,
        **plain,
        "ports": ports,
        "initProcess": init,
        "essential": container.get("essential", True),
    }
