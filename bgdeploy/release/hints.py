"""What AWS's words for a failure mean, and what to do about it: one table. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Hint:
    """What a message comes down to, and the way out."""

    means: str
    do: str


_ROUTE = (
    "tasks need a way to AWS's services: a public address in a public subnet, network.create.private: nat or "
    "endpoints, or the VPC endpoints of ECR, S3, CloudWatch Logs and Secrets Manager; `bgdeploy doctor` looks"
)
_ROLE = "`bgdeploy plan` shows what the execution role lacks, `bgdeploy provision` gives it back"
_UNHEALTHY = "nothing answers the health check as it should"
_WRONG_STATUS = "the application answers the health check, but not with 200 to 399"
_NO_ANSWER = (
    "the health check gets no answer in time: "
    "the port is closed to the load balancer, or the application is slow"
)
_HOW_UNHEALTHY = {_WRONG_STATUS, _NO_ANSWER}

# The first that matches is the answer, so what is special stands before what is general. The words are those of
# ECS's stopped reasons and service events, ELB's reason codes and CodeDeploy's errors (aws-facts 1.4, 4.3, 7.3).
_TABLE: tuple[tuple[str, str, str], ...] = (
    # Images
    (
        r"CannotPull.*(not found|manifest unknown|does not exist|name unknown)",
        "the image is not in its registry",
        "`bgdeploy release VERSION` builds and pushes it; with --image, check the name and the tag",
    ),
    (
        r"CannotPull.*(timeout|timed out|deadline exceeded|no route to host|request canceled|connection refused)"
        r"|(registry auth|secrets).*(deadline exceeded|timeout|timed out|RequestError|request send failed)",
        "the tasks have no route to the registry or to the secrets",
        _ROUTE,
    ),
    (
        r"CannotPull.*(denied|forbidden|not authorized|unauthorized|no basic auth)"
        r"|retrieve ecr registry auth.*(AccessDenied|not authorized)",
        "the execution role may not pull the image",
        f"{_ROLE}; an image of another account needs that repository's policy as well",
    ),
    (
        r"CannotPull.*toomanyrequests",
        "the registry refuses more pulls for now",
        "push the image to ECR and release it from there: Docker Hub limits how often anybody may pull",
    ),
    (
        r"exec format error|does not contain descriptor matching platform|image operating system",
        "the image is built for another processor than the tasks have",
        "set container.architecture to the image's (arm64 or x86_64), or build it with `docker build --platform`",
    ),
    (
        r"CannotPull.*no space left",
        "the image does not fit the tasks' disk",
        "set container.ephemeral_storage, or make the image smaller",
    ),
    (
        r"CannotPull",
        "the image cannot be pulled",
        "look at the reason above; `bgdeploy doctor` checks images",
    ),
    # Starting
    (
        r"ResourceInitializationError.*(secret|ssm|GetParameters|GetSecretValue)",
        "a secret cannot be read",
        f"check the names in container.secrets, and execution_role.kms_keys for keys of your own; {_ROLE}",
    ),
    (
        r"ResourceInitializationError.*(log group|log stream|logger)",
        "the application's log cannot be written",
        "`bgdeploy provision` makes the log group and lets the execution role write to it",
    ),
    (
        r"CannotStartContainer|CannotCreateContainer|exited with 12[67]\b",
        "the container's command cannot be run",
        "check container.command, the image's ENTRYPOINT, and that the program is there and executable",
    ),
    # Running
    (
        r"OutOfMemory|exited with 137\b",
        "the container was killed, most likely because it needed more memory than it has",
        "raise container.memory, or have the application use less",
    ),
    (
        r"exited with 139\b",
        "the application crashed in native code (SIGSEGV)",
        "check the image's architecture and its native libraries",
    ),
    (
        r"exited with 143\b",
        "the container was told to end (SIGTERM), and did",
        "look at who stopped it: a failed health check, most often",
    ),
    (
        r"exited with [1-9]\d*\b",
        "the application ended by itself with an error",
        "mend what its last words complain of",
    ),
    (
        r"Essential container in task exited",
        "the application ended by itself, although nothing failed",
        "a container must run in the foreground: check container.command and the image's CMD",
    ),
    # Health
    (
        r"Health checks failed with these codes|ResponseCodeMismatch",
        _WRONG_STATUS,
        "check load_balancer.health_check.path, and what the application answers there",
    ),
    (
        r"Request timed out|Target\.Timeout",
        _NO_ANSWER,
        "check container.port, the tasks' security group, and load_balancer.health_check.timeout",
    ),
    (
        r"failed container health checks",
        "the container's own health check fails",
        "run container.health_check.command in the image; its start_period gives the application time to come up",
    ),
    (
        r"connection refused|Target\.FailedHealthChecks|failed ELB health checks|is unhealthy",
        _UNHEALTHY,
        "the application must listen on container.port of every address (0.0.0.0), and answer "
        "load_balancer.health_check.path in time",
    ),
    # Capacity
    (
        r"RESOURCE:ENI|insufficient.*(free )?addresses|not enough (free )?IP",
        "no network interface or address is left for another task",
        "the subnets are full: use larger ones, or fewer tasks",
    ),
    (
        r"Capacity is unavailable|RESOURCE:(CPU|MEMORY)|InsufficientCapacity",
        "AWS has no Fargate capacity there at the moment",
        "release again later; more zones (network.create.zones: 3) make it less likely",
    ),
    (
        r"reached the limit on the number of|LimitExceeded|exceeds the maximum limit|RESOURCE_LIMIT_EXCEEDED",
        "a quota of the account is used up",
        "ask for more in the Service Quotas console, or run fewer tasks; blue and green run at the same time",
    ),
    # CodeDeploy
    (
        r"Primary taskset target group must be behind listener",
        "a listener does not forward to the tasks that are live",
        "`bgdeploy doctor --fix` points it at them",
    ),
    (
        r"Green taskset target group cannot have non-zero weight",
        "a listener already sends requests to the target group that the new tasks were to get",
        "`bgdeploy doctor --fix` gives the live one all of them",
    ),
    (
        r"does not give you permission to perform operations|IAM_ROLE_PERMISSIONS|IAM_ROLE_MISSING|InvalidRole",
        "CodeDeploy's role lacks a permission, or is gone",
        "`bgdeploy plan` shows what is missing, `bgdeploy provision` gives it back",
    ),
    (
        r"did not have a container port|container does not exist in the task definition",
        "the AppSpec names a container or port that the task definition does not have",
        "`bgdeploy appspec` shows it: container.name and container.port must be the image's",
    ),
    (
        r"Invalid ?TaskSet|TaskSet ?NotFound|INVALID_ECS_SERVICE|ServiceNotActive|ServiceNotFound",
        "the service was changed while it was deployed to",
        "`bgdeploy status` shows what is left, `bgdeploy provision` heals it",
    ),
    (
        r"AccessDenied|not authorized to perform",
        "a role lacks a permission",
        "`bgdeploy plan` shows which, `bgdeploy provision` gives it back",
    ),
    (
        r"waiting for the replacement task set to become healthy",
        "the new tasks never became healthy within CodeDeploy's hour",
        "deployment.early_fail ends that sooner, while somebody follows",
    ),
)
_COMPILED = tuple((re.compile(words, re.IGNORECASE), Hint(means, do)) for words, means, do in _TABLE)
_MOST = 2  # more would hide the one that matters


def hints(said: Iterable[str]) -> tuple[Hint, ...]:
    """Return what the messages mean, each meaning once, in their order; none for what nobody has seen before."""
    found = {hint: None for text in said if (hint := _hint(text))}
    if any(hint.means in _HOW_UNHEALTHY for hint in found):  # then how is told, and that it is so is no news
        found = {hint: None for hint in found if hint.means != _UNHEALTHY}
    return tuple(found)[:_MOST]


def _hint(text: str) -> Hint | None:
    return next((hint for words, hint in _COMPILED if words.search(text)), None)
