"""The smallest IAM policy for one use of bgdeploy on one stack, from the tables of what it calls. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from bgdeploy.config import Settings
from bgdeploy.permissions import commands
from bgdeploy.permissions import scopes as on
from bgdeploy.permissions.call import Call, Calls, Need, Scope, calls
from bgdeploy.permissions.kind import Kind
from bgdeploy.permissions.kinds import KINDS, SUSPEND
from bgdeploy.provision.resource import Resource
from bgdeploy.resources.existing import ExistingLoadBalancer, ExistingVpc
from bgdeploy.resources.function import Function
from bgdeploy.resources.identity import Role
from bgdeploy.resources.network import Subnet
from bgdeploy.resources.scaling import ScalableTarget
from bgdeploy.resources.security import SecurityGroup
from bgdeploy.strategy import parse

Use = Literal["provision", "release", "watch", "teardown", "ci"]

LONGEST_MANAGED = 6144  # characters of a managed policy (IAM's quotas)


def needed_calls(use: Use, resources: Sequence[Resource], *, notifies: bool = False) -> tuple[Call, ...]:
    """Return what is called for one use on a stack of these resources, each call once.

    `notifies` says that topics are told of its releases.
    """
    kinds = [kind for cls, kind in KINDS.items() if any(isinstance(each, cls) for each in resources)]
    found: Mapping[Use, Iterator[Calls]] = {
        "provision": _provision(kinds, resources),
        "teardown": iter((commands.WHO, *(each for kind in kinds for each in (kind.look, kind.drop)))),
        "watch": _watch(resources),
        "release": _release(resources),
        "ci": _ci(kinds, resources),
    }
    needed = dict.fromkeys(call for group in found[use] for call in group)
    if notifies and use in {"release", "watch", "ci"}:
        needed |= dict.fromkeys(commands.NOTIFY)
    return tuple(call for call in needed if on.MANAGED not in call.on or _managed(resources))


def _provision(kinds: Sequence[Kind], resources: Sequence[Resource]) -> Iterator[Calls]:
    yield from (commands.WHO, commands.TARGET, commands.RESTORE)
    for kind in kinds:
        yield from (kind.look, kind.survey, kind.make, kind.drop if kind.sweeps else ())
    yield from _scaling(resources)
    yield commands.REMOVING
    if _lets_callers_in(resources):
        yield commands.CLOSING


def _watch(resources: Sequence[Resource]) -> Iterator[Calls]:
    yield from (commands.WHO, commands.WATCH)
    if _lets_callers_in(resources):
        yield commands.OPENING
    yield from _scaling(resources)


def _scaling(resources: Sequence[Resource]) -> Iterator[Calls]:
    """Yield what gives auto scaling back that a killed release has left suspended."""
    if any(isinstance(each, ScalableTarget) for each in resources):
        yield SUSPEND
        yield calls("s3", "PutObject", on.SUSPENSION)
        yield calls("codedeploy", "ListDeployments GetDeployment", on.GROUP)


def _release(resources: Sequence[Resource]) -> Iterator[Calls]:
    yield from (commands.WHO, commands.RELEASE)
    yield from _scaling(resources)
    if _lets_callers_in(resources):
        yield commands.OPENING
    if any(isinstance(each, Function) and each.security_group for each in resources):
        yield calls("ec2", "DescribeNetworkInterfaces", on.ANYTHING)  # where the hook finds the load balancer
    # An AppSpec names the subnets and security groups in which the new tasks are to stand.
    yield calls("ec2", "DescribeSecurityGroups", on.ANYTHING)
    if any(isinstance(each, Subnet) for each in resources):
        yield calls("ec2", "DescribeSubnets", on.ANYTHING)
    else:
        yield from (kind.survey for cls, kind in KINDS.items() if any(isinstance(e, cls) for e in resources))


def _ci(kinds: Sequence[Kind], resources: Sequence[Resource]) -> Iterator[Calls]:
    """A pipeline looks at the plan, and releases."""
    yield from _release(resources)
    yield from (calls for kind in kinds for calls in (kind.look, kind.survey))


def _lets_callers_in(resources: Sequence[Resource]) -> bool:
    return any(isinstance(each, SecurityGroup) and each.callers for each in resources)


def _managed(resources: Sequence[Resource]) -> list[str]:
    """Return the managed policies that the config gives to the stack's roles."""
    return sorted({arn for each in resources if isinstance(each, Role) for arn in each.managed or ()})


# The document


@dataclass(frozen=True)
class Place:
    """Which stack, and where: what the scopes' ARNs are filled with."""

    settings: Settings
    resources: Sequence[Resource]
    account: str
    region: str

    @property
    def words(self) -> Mapping[str, str]:
        names, there = self.settings.names, self._only(ExistingLoadBalancer)
        own = f"app/{names.plain}/*"
        path = there.arn.partition(":loadbalancer/")[2] if there else ""
        vpc = self._only(ExistingVpc)
        return {
            "account": self.account,
            "region": self.region,
            "name": names.plain,
            "bucket": names.bucket(self.account, self.region),
            "hook": names.hook,
            "logs": names.log_group,
            "hook_logs": names.hook_log_group,
            "balancer": path or own,
            "doors": f"{path}/*" if path else own,
            "strategy": parse(self.settings.config.deployment.strategy).config(names.stack),
            "vpc": vpc.wanted if vpc and isinstance(vpc.wanted, str) else "*",
        }

    def _only(self, kind: Any) -> Any:
        return next((each for each in self.resources if isinstance(each, kind)), None)

    def exact(self, scope: Scope) -> Scope:
        """Return a scope with what only the config can say of it."""
        if scope is on.MANAGED:
            only = tuple(("ArnEquals", "iam:PolicyARN", arn) for arn in _managed(self.resources))
            return replace(scope, condition=only)
        if scope is on.TOPICS:
            return replace(scope, arns=self.settings.config.topics)
        if scope in (on.NETWORK, on.NEW_TAGS):
            kinds = {each.kind for each in self.resources}
            return replace(scope, arns=tuple(arn for kind, arn in on.NETWORK_ARNS.items() if kind in kinds))
        vpc = self._only(ExistingVpc)
        if scope is on.EXISTING_VPC and vpc and not isinstance(vpc.wanted, str):
            tags = sorted(vpc.wanted.items())
            return replace(
                scope, condition=tuple(("StringEquals", f"aws:ResourceTag/{k}", v) for k, v in tags)
            )
        return scope


def document(use: Use, place: Place) -> dict[str, Any]:
    """Return the smallest policy for one use: a statement for each scope, by name."""
    called = needed_calls(use, place.resources, notifies=bool(place.settings.config.topics))
    needs = [need for call in called for need in call.needs]
    scopes = {need.on.sid: place.exact(need.on) for need in needs}
    statements = [_statement(scopes[sid], needs, place.words) for sid in sorted(scopes)]
    return {"Version": "2012-10-17", "Statement": statements}


def length(policy: Mapping[str, Any]) -> int:
    """Return how long IAM finds a policy: white space does not count."""
    return len("".join(json.dumps(policy, separators=(",", ":")).split()))


def _statement(scope: Scope, needs: Sequence[Need], words: Mapping[str, str]) -> dict[str, Any]:
    actions = sorted({need.action for need in needs if need.on.sid == scope.sid})
    told: dict[str, Any] = {
        "Sid": scope.sid,
        "Effect": "Allow",
        "Action": _plain(actions),
        "Resource": _plain([arn.format_map(words) for arn in scope.arns]),
    }
    if scope.condition:
        told["Condition"] = _condition(scope, words)
    return told


def _condition(scope: Scope, words: Mapping[str, str]) -> dict[str, Any]:
    """Return the conditions as IAM has them: of several values for one key, one must match."""
    told: dict[str, dict[str, Any]] = {}
    for operator, key, value in scope.condition:
        values = told.setdefault(operator, {}).setdefault(key, [])
        values.append(value.format_map(words))
    return {operator: {key: _plain(found) for key, found in keys.items()} for operator, keys in told.items()}


def _plain(values: list[str]) -> str | list[str]:
    """Return a list of one as IAM also takes it: policies have few characters."""
    return values[0] if len(values) == 1 else values
