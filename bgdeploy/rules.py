"""What a config's types cannot say: limits of AWS's, and values that must fit each other. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bgdeploy.alarmrules import broken_alarm_rules
from bgdeploy.checkrules import broken_check_rules
from bgdeploy.config import Config, Duration
from bgdeploy.names import LONGEST_STACK_NAME, Names
from bgdeploy.networkrules import broken_network_rules
from bgdeploy.strategy import strategy_problems
from bgdeploy.taskrules import broken_task_rules

Broken = tuple[tuple["str | int", ...], str]

# The days that CloudWatch Logs can keep a log for (PutRetentionPolicy).
_RETENTION = (
    1,
    3,
    5,
    7,
    14,
    30,
    60,
    90,
    120,
    150,
    180,
    365,
    400,
    545,
    731,
    1096,
    1827,
    2192,
    2557,
    2922,
    3288,
    3653,
)
_LONGEST_WAIT = Duration(2 * 86400)  # before blue is removed: 2880 minutes (aws-facts 2.2)
_LONGEST_LEASE = Duration(14 * 60)  # a Lambda function lives 15 minutes at most, and needs some to answer
_LONGEST_ASKING = Duration(10 * 60)  # of a check that the hook asks, within its 15 minutes
_LONGEST_APPROVAL = Duration(5 * 86400)  # 120 hours between install and shift (aws-facts 2.2)


def broken_rules(config: Config, env: str) -> Iterator[Broken]:
    """Yield the key path of every value that cannot work, and a sentence that says why and what would."""
    yield from _names(config, env)
    yield from broken_network_rules(config)
    yield from _logs(config)
    yield from broken_task_rules(config)
    yield from _deployment(config)
    yield from broken_check_rules(config.checks)
    yield from _checks_from_hook(config)
    yield from broken_alarm_rules(config, Names(f"{config.app}-{env}"))
    yield from _notifications(config)


def _notifications(config: Config) -> Iterator[Broken]:
    for index, one in enumerate(config.notifications):
        if one.sns and one.webhook:
            yield ("notifications", index), "has a topic and a webhook: write two of them"
        if one.sns and one.sns.split(":")[3] != config.region:
            yield ("notifications", index, "sns"), f"must be a topic in {config.region}, where the stack is"


def _checks_from_hook(config: Config) -> Iterator[Broken]:
    """What the hook can ask, and where it must stand to ask it: a function in a VPC never has a public address."""
    if config.checks_from != "hook":
        return
    for index, check in enumerate(config.checks):
        if check.moment == "before" and check.kind != "get":
            told = f"a {check.kind} check before the shift needs checks_from: caller: the hook asks get alone"
            yield ("checks", index, check.kind), told
        if check.within is not None and check.within > _LONGEST_ASKING:
            yield ("checks", index, "within"), f"must be at most {_LONGEST_ASKING} with checks_from: hook"
    made = config.network.made
    if made and made.private == "none":
        yield (
            ("checks_from",),
            "the hook needs a way to AWS that is not the public subnets': network.create.private: nat or endpoints",
        )
    if not config.load_balancer.use and "vpc" not in config.load_balancer.test.allow:
        yield ("checks_from",), "the hook asks from inside: load_balancer.test.allow must have vpc"


def _names(config: Config, env: str) -> Iterator[Broken]:
    stack = Names(f"{config.app}-{env}").stack
    if len(stack) > LONGEST_STACK_NAME:
        yield (
            ("app",),
            (
                f"the stack would be called {stack!r}, {len(stack)} characters; at most {LONGEST_STACK_NAME} "
                "fit, because a target group's name ends at 32"
            ),
        )
    if stack.startswith("internal-") and not config.load_balancer.use:
        yield ("app",), "must not begin with internal-, as no load balancer's name may (CreateLoadBalancer)"
    if not re.fullmatch(r"[a-z0-9-]+", env):
        yield ("app",), f"an environment's name is lower-case letters, digits and hyphens, not {env!r}"


def _logs(config: Config) -> Iterator[Broken]:
    days, rest = divmod(config.logs.retention, 86400)
    if rest or days not in _RETENTION:
        yield (
            ("logs", "retention"),
            f"CloudWatch Logs keeps logs for one of {', '.join(f'{d}d' for d in _RETENTION)}",
        )


def _deployment(config: Config) -> Iterator[Broken]:
    deployment = config.deployment
    for problem in strategy_problems(deployment.strategy):
        yield ("deployment", "strategy"), problem
    if deployment.keep_blue > _LONGEST_WAIT or deployment.keep_blue % 60:
        yield ("deployment", "keep_blue"), f"must be whole minutes, at most {_LONGEST_WAIT}"
    if deployment.approval is not None and not 60 <= deployment.approval <= _LONGEST_APPROVAL:
        yield ("deployment", "approval"), f"must be between 1m and {_LONGEST_APPROVAL}, or none"
    elif deployment.approval is not None and deployment.approval % 60:
        yield ("deployment", "approval"), "must be whole minutes"
    patience = deployment.early_fail.no_progress
    if patience is not None and patience < 60:
        yield (
            ("deployment", "early_fail", "no_progress"),
            "must be 1m or more, or none: tasks take their time",
        )
    if not 30 <= config.hook.lease <= _LONGEST_LEASE:
        yield ("hook", "lease"), f"must be between 30s and {_LONGEST_LEASE}"
