"""Fills the project's AppSpec template, and sees to it that CodeDeploy can read what comes out.

CodeDeploy reports most mistakes in an AppSpec late, when the deployment has already failed (aws-facts 1.3); what can be
seen in the text is said here, with the file's name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bgdeploy.config import Settings
from bgdeploy.errors import UsageError

TEMPLATE = Path("appspec/appspec.yaml")
HOOKABLE = (
    "BeforeInstall",
    "AfterInstall",
    "AfterAllowTestTraffic",
    "BeforeAllowTraffic",
    "AfterAllowTraffic",
)
# Stands for the revision that a release registers, where only the text around it matters.
ANY_REVISION = "arn:aws:ecs:us-east-1:000000000000:task-definition/any:1"
_SERVICE = "AWS::ECS::Service"
_PLACEHOLDER = re.compile(r"<([A-Z][A-Z0-9_]*)>")
_REVISION = re.compile(r"arn:[\w-]+:ecs:[\w-]+:\d{12}:task-definition/[\w-]+:\d+")


@dataclass(frozen=True)
class Filling:
    """What the placeholders stand for: `<TASK_DEFINITION>`, `<CONTAINER_NAME>`, `<CONTAINER_PORT>`, `<HOOK>`."""

    task_definition: str  # the ARN of a revision
    container_name: str
    container_port: int
    hook: str  # the function's name
    # What goes out with it although no placeholder asks for it, in ECS's spelling; a template that says it wins.
    network: Mapping[str, Any] | None = None
    platform_version: str = ""

    @classmethod
    def of(
        cls, settings: Settings, task_definition: str, network: Mapping[str, Any] | None = None
    ) -> Filling:
        """Return what an AppSpec for a release of `task_definition` is filled with, its tasks standing in `network`.

        CodeDeploy takes LATEST where the AppSpec names no platform version, whatever the service has.
        """
        container, wanted = settings.config.container, settings.config.service.platform_version
        version = "" if wanted == "LATEST" else wanted
        hook = settings.names.hook
        return cls(task_definition, container.name, container.port, hook, network, version)

    def values(self) -> dict[str, str]:
        return {
            "TASK_DEFINITION": self.task_definition,
            "CONTAINER_NAME": self.container_name,
            "CONTAINER_PORT": str(self.container_port),
            "HOOK": self.hook,
        }


def read(project: Path) -> str:
    """Return the project's template. Raises UsageError when there is none."""
    try:
        return (project / TEMPLATE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{TEMPLATE} cannot be read: {error}",
            "`bgdeploy init` writes the one that a project begins with",
        ) from error


def render(template: str, filling: Filling, name: str = str(TEMPLATE)) -> str:
    """Return the template filled: the very text that is sent, and that `sha256` is of.

    Raises UsageError, with the file's `name`, for an unknown placeholder and for what CodeDeploy could not deploy.
    """
    values = filling.values()
    used = _outside_comments(template)
    for found in _PLACEHOLDER.findall(used):
        if found not in values:
            raise UsageError(
                f"{name}: <{found}> is no placeholder",
                f"there are: {', '.join(f'<{known}>' for known in values)}",
            )
    content = _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), template)
    content = _with_additions(content, filling)
    problems = list(_problems(content, filling))
    if problems:
        raise UsageError(
            f"{name}: {'; '.join(problems)}",
            "`bgdeploy --project FOLDER init` writes a whole one into an empty folder",
        )
    return content


def moved(wanted: Mapping[str, Any] | None, running: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the network that is `wanted` when it is not the service's own, None when nothing has to be said.

    The AppSpec is the only channel for it, and what it leaves out stays as the service has it (aws-facts 1.3).
    """
    return None if wanted is None or _unordered(wanted) == _unordered(running) else wanted


def _unordered(network: Mapping[str, Any]) -> dict[str, Any]:
    vpc = network.get("awsvpcConfiguration") or {}
    return {key: sorted(value) if isinstance(value, list) else value for key, value in vpc.items() if value}


def _with_additions(content: str, filling: Filling) -> str:
    """Return the text with network and platform version in it, the very same text when there are none to add."""
    additions: dict[str, Any] = {}
    if filling.network:
        vpc = filling.network["awsvpcConfiguration"]
        spelled = {key[0].upper() + key[1:]: value for key, value in vpc.items()}
        additions["NetworkConfiguration"] = {"AwsvpcConfiguration": spelled}
    if filling.platform_version:
        additions["PlatformVersion"] = filling.platform_version
    try:
        document = yaml.safe_load(content) if additions else None
    except yaml.YAMLError:
        return content  # which is told with all that is wrong with it
    properties = _get(_only_resource(document), "Properties")
    missing = {key: value for key, value in additions.items() if _get(properties, key) is None}
    if not missing or not isinstance(properties, dict):
        return content
    properties.update(missing)
    text: str = yaml.safe_dump(document, sort_keys=False)
    return text


def _only_resource(document: Any) -> Any:
    resources = _get(document, "Resources")
    single = isinstance(resources, list) and len(resources) == 1 and _single(resources[0])
    return next(iter(resources[0].values())) if single else None


def task_definition(content: str) -> str:
    """Return the task definition that an AppSpec deploys, "" when it says none."""
    properties = _get(_only_resource(yaml.safe_load(content)), "Properties")
    return str(_get(properties, "TaskDefinition") or "")


def sha256(content: str) -> str:
    """Return the hash by which CodeDeploy checks the text: of exactly these characters (aws-facts 1.2)."""
    return hashlib.sha256(content.encode()).hexdigest()


def revision(content: str) -> dict[str, Any]:
    """Return the text as CreateDeployment wants it."""
    return {
        "revisionType": "AppSpecContent",
        "appSpecContent": {"content": content, "sha256": sha256(content)},
    }


def _outside_comments(template: str) -> str:
    return re.sub(r"(^|\s)#.*", r"\1", template)


def _problems(content: str, filling: Filling) -> list[str]:
    try:
        document = yaml.safe_load(content)
    except yaml.YAMLError as error:
        return [f"no YAML: {' '.join(str(error).split())}"]
    if not isinstance(document, Mapping):
        return ["it must be a mapping with version, Resources and Hooks"]
    resource = _only_resource(document)
    if resource is None:
        return ["Resources must list exactly one service (ECS deploys one at a time)"]
    return [
        *_version_problems(_get(document, "version")),
        *_resource_problems(resource, filling),
        *_hook_problems(_get(document, "Hooks"), filling.hook),
    ]


def _single(value: Any) -> bool:
    return isinstance(value, Mapping) and len(value) == 1


def _get(mapping: Any, key: str) -> Any:
    """Return the value of `key` however it is cased: AWS's own samples use both (aws-facts 1.3)."""
    if not isinstance(mapping, Mapping):
        return None
    return next((value for name, value in mapping.items() if str(name).lower() == key.lower()), None)


def _version_problems(version: Any) -> list[str]:
    return [] if str(version) in {"0.0", "0"} else [f"version must be 0.0, not {version!r}"]


def _resource_problems(resource: Any, filling: Filling) -> list[str]:
    problems = []
    if _get(resource, "Type") != _SERVICE:
        problems.append(f"the resource's Type must be {_SERVICE}")
    properties = _get(resource, "Properties")
    definition = str(_get(properties, "TaskDefinition") or "")
    if not _REVISION.fullmatch(definition):
        # A name without a revision fails only once the deployment runs (aws-facts 1.3).
        problems.append(
            f"TaskDefinition must be <TASK_DEFINITION>, the ARN of a revision, not {definition!r}"
        )
    balancer = _get(properties, "LoadBalancerInfo")
    wanted = {"ContainerName": filling.container_name, "ContainerPort": filling.container_port}
    for key, value in wanted.items():
        got = _get(balancer, key)
        if str(got) != str(value):
            problems.append(f"LoadBalancerInfo.{key} must be {value!r} as in the config, not {got!r}")
    network = _get(_get(properties, "NetworkConfiguration"), "AwsvpcConfiguration")
    if network is not None:
        parts = ("Subnets", "SecurityGroups", "AssignPublicIp")
        missing = [part for part in parts if not _get(network, part)]
        if missing:
            problems.append(f"AwsvpcConfiguration lacks {', '.join(missing)}: it takes all three or none")
    return problems


def _hook_problems(hooks: Any, hook: str) -> list[str]:
    if not isinstance(hooks, list) or not all(map(_single, hooks)):
        return [f"Hooks must be a list that has `- AfterAllowTestTraffic: {hook}`"]
    named = {str(name).lower(): function for entry in hooks for name, function in entry.items()}
    known = {event.lower() for event in HOOKABLE}
    problems = [f"{name} is no event with a hook: {', '.join(HOOKABLE)} are" for name in named.keys() - known]
    if len(named) != len(hooks):
        problems.append("Hooks names an event twice")
    if hook not in str(named.get("afterallowtesttraffic", "")):
        # Without it nobody holds the deployment, and users would see a version that no check has seen.
        problems.append(f"Hooks must have AfterAllowTestTraffic: <HOOK>, which is {hook}")
    for name, function in named.items():
        if name != "afterallowtesttraffic" and str(function).rpartition(":")[2] == hook:
            problems.append(f"{name} must not call {hook}, which answers for AfterAllowTestTraffic alone")
    return sorted(problems)
