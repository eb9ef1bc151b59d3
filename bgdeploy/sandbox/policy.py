"""Reads IAM policies: does a set of documents allow an action on a resource? Pure, and smaller than IAM's own.

Understood: Allow and Deny, (Not)Action and (Not)Resource with wildcards, and the condition operators that policies
for CodeDeploy use. As in IAM, a condition on a key that the request lacks does not hold; neither does one whose
operator is not understood. Boundaries, session and organisation policies are outside its sight.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Request:
    """What somebody wants to do. `context` holds the condition keys that are known of it."""

    action: str
    resource: str = "*"
    context: Mapping[str, str] = field(default_factory=dict)


def allows(documents: Iterable[Mapping[str, Any]], request: Request) -> bool:
    """Tell whether some statement allows the request and none denies it."""
    statements = [one for document in documents for one in _list(document.get("Statement"))]
    effects = {one.get("Effect") for one in statements if _applies(one, request)}
    return "Allow" in effects and "Deny" not in effects


def trusts(document: Mapping[str, Any], service: str, account: str) -> bool:
    """Tell whether a role's trust policy lets `service` assume it for the sake of `account`.

    For which of the account's things it does so is outside our sight: a condition on aws:SourceArn is taken to hold.
    """
    for statement in _list(document.get("Statement")):
        principal = statement.get("Principal")
        named = _list(principal.get("Service")) if isinstance(principal, Mapping) else _list(principal)
        actions = _list(statement.get("Action"))
        assumes = any(_matches(str(action), "sts:AssumeRole", any_case=True) for action in actions)
        meant = assumes and (service in named or "*" in named)
        if statement.get("Effect") == "Allow" and meant and _acts_for(statement, account):
            return True
    return False


def _acts_for(statement: Mapping[str, Any], account: str) -> bool:
    conditions = {
        operator: {key: value for key, value in wanted.items() if key.lower() != "aws:sourcearn"}
        for operator, wanted in (statement.get("Condition") or {}).items()
    }
    return _holds(conditions, {"aws:SourceAccount": account})


def _applies(statement: Mapping[str, Any], request: Request) -> bool:
    return (
        _covers(statement, "Action", request.action, any_case=True)
        and _covers(statement, "Resource", request.resource)
        and _holds(statement.get("Condition") or {}, request.context)
    )


def _covers(statement: Mapping[str, Any], member: str, value: str, *, any_case: bool = False) -> bool:
    if f"Not{member}" in statement:
        patterns = _list(statement[f"Not{member}"])
        return not any(_matches(str(pattern), value, any_case=any_case) for pattern in patterns)
    return any(_matches(str(pattern), value, any_case=any_case) for pattern in _list(statement.get(member)))


def _holds(conditions: Mapping[str, Mapping[str, Any]], context: Mapping[str, str]) -> bool:
    lowered = {key.lower(): value for key, value in context.items()}
    for operator, wanted in conditions.items():
        for key, values in wanted.items():
            actual = lowered.get(key.lower())
            if actual is None or not any(_compare(operator, str(one), actual) for one in _list(values)):
                return False
    return True


def _compare(operator: str, wanted: str, actual: str) -> bool:
    match operator:
        case "StringEquals" | "ArnEquals":
            return wanted == actual
        case "StringEqualsIgnoreCase":
            return wanted.lower() == actual.lower()
        case "StringLike" | "ArnLike":
            return _matches(wanted, actual)
    return False


def _matches(pattern: str, value: str, *, any_case: bool = False) -> bool:
    """Match with IAM's two wildcards, `*` and `?`; everything else stands for itself."""
    expression = "".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in pattern)
    return re.fullmatch(expression, value, re.IGNORECASE | re.DOTALL if any_case else re.DOTALL) is not None


def _list(value: Any) -> list[Any]:
    """IAM lets a list of one be written without its brackets."""
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]
