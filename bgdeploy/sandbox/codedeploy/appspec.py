"""Reads an AppSpec for ECS: what a revision says is to be deployed, and the hooks around it (aws-facts 1.3).

Pure. Only what no deployment could be made of is refused here; a container that the task definition lacks is ECS's
to refuse, later, when the task set is made (aws-facts 13.2, rule 4). A capacity provider strategy is accepted and
changes nothing: the sandbox has one kind of capacity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import yaml

HOOKABLE = (
    "BeforeInstall",
    "AfterInstall",
    "AfterAllowTestTraffic",
    "BeforeAllowTraffic",
    "AfterAllowTraffic",
)
_SERVICE = "AWS::ECS::Service"


class AppSpecError(Exception):
    """The text is no AppSpec that ECS could be deployed by; the message says why."""


@dataclass(frozen=True)
class AppSpec:
    """What an AppSpec says. `hooks` maps the name of a lifecycle event to a Lambda function's name or ARN."""

    task_definition: str
    container: str
    port: int
    platform_version: str | None = None
    network: Mapping[str, Any] | None = None  # in ECS's spelling
    hooks: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def parse(text: str) -> AppSpec:
    """Return what the YAML or JSON `text` says. Raises AppSpecError."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise AppSpecError(f"The AppSpec file cannot be parsed: {' '.join(str(error).split())}") from error
    if not isinstance(document, Mapping):
        raise AppSpecError("The AppSpec file is empty or is not a mapping")
    _check_version(_get(document, "version"))
    properties = _properties(_get(document, "Resources"))
    balancer = _mapping(_get(properties, "LoadBalancerInfo"), "LoadBalancerInfo")
    return AppSpec(
        task_definition=_text(_get(properties, "TaskDefinition"), "TaskDefinition"),
        container=_text(_get(balancer, "ContainerName"), "ContainerName"),
        port=_port(_get(balancer, "ContainerPort")),
        platform_version=_get(properties, "PlatformVersion"),
        network=_network(_get(properties, "NetworkConfiguration")),
        hooks=_hooks(_get(document, "Hooks")),
    )


def _get(mapping: Mapping[str, Any], key: str) -> Any:
    """Return the value of `key` however it is cased: AWS's own samples use both (aws-facts 1.3)."""
    return next((value for name, value in mapping.items() if str(name).lower() == key.lower()), None)


def _check_version(version: Any) -> None:
    """0.0 is the only version; it comes as a string, as 0.0 and, from JavaScript, as 0 (aws-facts 1.3)."""
    try:
        known = version is not None and not isinstance(version, bool) and float(version) == 0.0
    except (TypeError, ValueError):
        known = False
    if not known:
        raise AppSpecError(f"The AppSpec file has the version {version!r}; the only version there is is 0.0")


def _properties(resources: Any) -> Mapping[str, Any]:
    if not isinstance(resources, list) or len(resources) != 1 or not isinstance(resources[0], Mapping):
        raise AppSpecError("The AppSpec file must list exactly one resource under Resources")
    entries = list(resources[0].values())
    if len(entries) != 1:
        raise AppSpecError("The AppSpec file must list exactly one resource under Resources")
    resource = _mapping(entries[0], "Resources entry")
    if _get(resource, "Type") != _SERVICE:
        raise AppSpecError(f"The resource's Type is {_get(resource, 'Type')!r}; it must be {_SERVICE}")
    return _mapping(_get(resource, "Properties"), "Properties")


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise AppSpecError(f"The AppSpec file has no {name}")
    return value


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise AppSpecError(f"The AppSpec file has no {name}")
    return value


def _port(value: Any) -> int:
    if isinstance(value, bool):
        raise AppSpecError("The AppSpec file's ContainerPort is not a number")
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        raise AppSpecError("The AppSpec file's ContainerPort is not a number") from error


def _network(value: Any) -> Mapping[str, Any] | None:
    """Return the network in ECS's spelling; its three members come together or not at all (aws-facts 1.3)."""
    if value is None:
        return None
    vpc = _mapping(
        _get(_mapping(value, "NetworkConfiguration"), "AwsvpcConfiguration"), "AwsvpcConfiguration"
    )
    names = ("Subnets", "SecurityGroups", "AssignPublicIp")
    found = {name: _get(vpc, name) for name in names}
    if not all(found.values()):
        missing = ", ".join(name for name in names if not found[name])
        raise AppSpecError(
            f"The AppSpec file's AwsvpcConfiguration must have all of {names}; missing: {missing}"
        )
    return {"awsvpcConfiguration": {name[0].lower() + name[1:]: value for name, value in found.items()}}


def _hooks(value: Any) -> Mapping[str, str]:
    """Return the functions by event. Names are matched however they are cased."""
    if value is None:
        return {}
    if not isinstance(value, list) or not all(isinstance(entry, Mapping) for entry in value):
        raise AppSpecError("The AppSpec file's Hooks must be a list of one-key mappings")
    known = {name.lower(): name for name in HOOKABLE}
    hooks: dict[str, str] = {}
    for name, function in (pair for entry in value for pair in entry.items()):
        if str(name).lower() not in known:
            raise AppSpecError(f"{name} is not a lifecycle event that can have a hook on Amazon ECS")
        if known[str(name).lower()] in hooks:
            raise AppSpecError(f"The AppSpec file names {name} twice")
        hooks[known[str(name).lower()]] = _text(function, f"function for {name}")
    return hooks
