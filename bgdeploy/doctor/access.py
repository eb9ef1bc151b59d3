"""What IAM policies allow, read from their documents. Pure; where a document says more than is known, it is believed.

For what only IAM itself can tell (boundaries, organizations), `iam:SimulatePrincipalPolicy` is asked where it may be.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Document = Mapping[str, Any]


def assumable(trust: Document, service: str, account: str) -> bool:
    """Tell whether a role with this trust policy lets `service` assume it for the sake of `account`."""
    known = {"aws:SourceAccount": account}
    applying = [
        statement
        for statement in _statements([trust])
        if _one_of(service, _several(_services(statement)))
        and _one_of("sts:AssumeRole", _several(statement.get("Action", ())), ignore_case=True)
    ]
    return _allowed(applying, known)


def lacking(documents: Sequence[Document], wanted: Iterable[Document]) -> Iterator[tuple[str, str]]:
    """Yield each action and resource of the statements `wanted` that the documents do not allow."""
    for statement in wanted:
        known = {
            key: _several(value)[0]
            for conditions in statement.get("Condition", {}).values()
            for key, value in conditions.items()
        }
        for action in _several(statement["Action"]):
            for resource in _several(statement["Resource"]):
                if not allows(documents, action, resource, known):
                    yield action, resource


def allows(documents: Sequence[Document], action: str, resource: str, known: Mapping[str, str]) -> bool:
    """Tell whether the documents allow `action` on `resource`, where `known` is what conditions would find."""
    applying = [
        statement
        for statement in _statements(documents)
        if _covers(statement, "Action", action, ignore_case=True) and _covers(statement, "Resource", resource)
    ]
    return _allowed(applying, known)


def _allowed(applying: Sequence[Document], known: Mapping[str, str]) -> bool:
    """A denial counts when its conditions are met for certain, a permission unless they are not."""
    if any(each["Effect"] == "Deny" and _met(each, known, unknown=False) for each in applying):
        return False
    return any(each["Effect"] == "Allow" and _met(each, known, unknown=True) for each in applying)


def _met(statement: Document, known: Mapping[str, str], *, unknown: bool) -> bool:
    for operator, conditions in statement.get("Condition", {}).items():
        for key, values in conditions.items():
            if key not in known or operator not in {"StringEquals", "StringLike", "ArnEquals", "ArnLike"}:
                if not unknown:
                    return False
            elif not _one_of(known[key], _several(values)):
                return False
    return True


def _covers(statement: Document, element: str, value: str, *, ignore_case: bool = False) -> bool:
    if f"Not{element}" in statement:
        return not _one_of(value, _several(statement[f"Not{element}"]), ignore_case=ignore_case)
    return _one_of(value, _several(statement.get(element, ())), ignore_case=ignore_case)


def _one_of(value: str, patterns: Sequence[str], *, ignore_case: bool = False) -> bool:
    return any(_matches(value, pattern, ignore_case=ignore_case) for pattern in patterns)


def _matches(value: str, pattern: str, *, ignore_case: bool) -> bool:
    """IAM knows two wildcards, * and ?, and no brackets."""
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return bool(re.fullmatch(expression, value, re.DOTALL | (re.IGNORECASE if ignore_case else 0)))


def _services(statement: Document) -> Any:
    principal = statement.get("Principal", {})
    return principal.get("Service", ()) if isinstance(principal, Mapping) else principal


def _statements(documents: Iterable[Document]) -> Iterator[Document]:
    for document in documents:
        found = document.get("Statement", ())
        yield from [found] if isinstance(found, Mapping) else found


def _several(value: Any) -> Sequence[str]:
    return [value] if isinstance(value, str) else list(value)
