"""What the types cannot say of tasks: the sizes that Fargate has, and what a task's containers must keep to. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from bgdeploy.config import Config, ContainerHealth, Process, Scale
from bgdeploy.definition import processes

Broken = tuple[tuple["str | int", ...], str]
Where = tuple["str | int", ...]

# The MiB of memory that Fargate gives with each CPU size (ECS guide, "Task CPU and memory").
_MEMORY: Mapping[int, Sequence[int]] = {
    256: (512, 1024, 2048),
    512: range(1024, 4096 + 1, 1024),
    1024: range(2048, 8192 + 1, 1024),
    2048: range(4096, 16384 + 1, 1024),
    4096: range(8192, 30720 + 1, 1024),
    8192: range(16384, 61440 + 1, 4096),
    16384: range(32768, 122880 + 1, 8192),
}
_LONGEST_STOP = 120  # seconds that Fargate leaves between SIGTERM and SIGKILL
_PARAMETER = re.compile(r"/[\w./-]+|arn:aws[\w-]*:ssm:[\w-]+:\d{12}:parameter/[\w./-]+")
# The six characters at its end are Secrets Manager's own; without them no policy would match.
_SECRET = re.compile(
    r"arn:aws[\w-]*:secretsmanager:[\w-]+:\d{12}:secret:[\w/+=.@-]+-[A-Za-z0-9]{6}(:[^:\s]*){0,3}"
)
_POLICY = re.compile(r"arn:aws[\w-]*:iam::(\d{12}|aws):policy/[\w+=,.@/-]+")
_KEY = re.compile(r"arn:aws[\w-]*:kms:[\w-]+:\d{12}:key/[\w-]+")


def broken_task_rules(config: Config) -> Iterator[Broken]:
    """Yield the key path of every value that no task could run with, and a sentence that says why and what would."""
    yield from _size(config)
    for where, _, process in processes(config):
        yield from _names(where, process)
        yield from _times(where, process)
        yield from _depends_on(where, process, config)
        if config.service.exec and process.read_only:
            yield (*where, "read_only"), "cannot go with service.exec: what carries the commands writes there"
    yield from _between(config)
    yield from _roles(config)
    if config.service.scale:
        yield from _scale(config.service.scale, config.service.tasks)


def _size(config: Config) -> Iterator[Broken]:
    cpu, memory = config.container.cpu, config.container.memory
    offered = _MEMORY[cpu]
    if memory not in offered:
        choice = (
            f"{offered[0]} to {offered[-1]} in steps of {offered.step}"
            if isinstance(offered, range)
            else " or ".join(map(str, offered))
        )
        yield (
            ("container", "memory"),
            f"Fargate gives {cpu} CPU units {choice} MiB, not {memory}",
        )


# Each container


def _names(where: Where, process: Process) -> Iterator[Broken]:
    for name, source in process.secrets.items():
        here = (*where, "secrets", name)
        if name in process.environment:
            yield here, "is in the environment too; ECS takes each name once"
        if not _PARAMETER.fullmatch(source) and not _SECRET.fullmatch(source):
            # What was written may be the secret itself, so it is not shown.
            yield (
                here,
                "must say where the secret is kept: a parameter's name that begins with /, its ARN, or the whole ARN "
                "of a secret in Secrets Manager, perhaps with :a-key of its JSON",
            )


def _times(where: Where, process: Process) -> Iterator[Broken]:
    if process.stop_timeout is not None and not 1 <= process.stop_timeout <= _LONGEST_STOP:
        yield (*where, "stop_timeout"), f"must be between 1s and {_LONGEST_STOP}s"
    if process.health_check:
        yield from _health((*where, "health_check"), process.health_check)


def _health(where: Where, health: ContainerHealth) -> Iterator[Broken]:
    """The limits of RegisterTaskDefinition's HealthCheck."""
    if not health.command:
        yield (*where, "command"), "must not be empty"
    if not 5 <= health.interval <= 300:
        yield (*where, "interval"), "must be between 5s and 5m"
    if not 2 <= health.timeout <= 60:
        yield (*where, "timeout"), "must be between 2s and 1m"
    if health.start_period > 300:
        yield (*where, "start_period"), "must be at most 5m"


def _depends_on(where: Where, process: Process, config: Config) -> Iterator[Broken]:
    others = {name: other for _, name, other in processes(config) if other is not process}
    for name, condition in process.depends_on.items():
        here = (*where, "depends_on", name)
        other = others.get(name)
        if other is None:
            yield here, f"no other container of the task is called {name!r}"
        elif condition == "healthy" and other.health_check is None:
            yield here, f"{name} has no health_check, so it never becomes healthy"
        elif condition in {"complete", "success"} and getattr(other, "essential", True):
            yield here, f"{name} is essential: the task ends when it does"


# All of them together


def _between(config: Config) -> Iterator[Broken]:
    names = [name for _, name, _ in processes(config)]
    for name in _twice(names):
        yield ("sidecars",), f"two containers are called {name!r}"
    ports = [config.container.port, *(port for each in config.sidecars for port in each.ports)]
    for port in _twice(ports):
        yield ("sidecars",), f"two containers listen on port {port}, and share one address"
    needs = {name: process.depends_on.keys() - {name} for _, name, process in processes(config)}
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        yield ("container", "depends_on"), f"containers wait for each other in a circle: {circle}"


def _roles(config: Config) -> Iterator[Broken]:
    for index, arn in enumerate(config.task_role.policies):
        if not _POLICY.fullmatch(arn):
            yield ("task_role", "policies", index), f"must be the ARN of a managed policy, not {arn!r}"
    for index, statement in enumerate(config.task_role.statements):
        for name in ("actions", "resources"):
            if not getattr(statement, name):
                yield ("task_role", "statements", index, name), "must not be empty"
    for index, arn in enumerate(config.execution_role.kms_keys):
        if not _KEY.fullmatch(arn):
            yield ("execution_role", "kms_keys", index), f"must be the ARN of a KMS key, not {arn!r}"


def _scale(scale: Scale, tasks: int) -> Iterator[Broken]:
    here = ("service", "scale")
    if scale.min > scale.max:
        yield (*here, "min"), f"must be at most max, which is {scale.max}"
    elif tasks > scale.max:
        yield ("service", "tasks"), f"must be at most service.scale.max, which is {scale.max}"
    if scale.cpu is scale.memory is scale.requests_per_target is None:
        yield here, "needs something to scale by: cpu, memory or requests_per_target"


def _twice(values: Sequence[str] | Sequence[int]) -> list[str | int]:
    return [value for value, count in Counter[str | int](values).items() if count > 1]
