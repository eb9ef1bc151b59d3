"""The filters of EC2's Describe operations, on what is described. Functions of values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from bgdeploy.sandbox.world import RefusedError

Facts = Mapping[str, Any]
Getters = Mapping[str, Callable[[Facts], Any]]  # a filter's name → the value, or values, that it is about


def chosen(
    described: Iterable[Facts], filters: Sequence[Facts], getters: Getters, tags: str = "Tags"
) -> list[Facts]:
    """Return what passes every filter. Raises RefusedError for a filter that there is none such."""
    return [each for each in described if all(_passes(each, one, getters, tags) for one in filters)]


def _passes(described: Facts, wanted: Facts, getters: Getters, tags: str) -> bool:
    name = wanted["Name"]
    found = _values(described, name, getters, tags)
    return any(_fits(value, pattern) for value in found for pattern in wanted.get("Values", ()))


def _values(described: Facts, name: str, getters: Getters, tags: str) -> list[str]:
    own = {pair["Key"]: pair["Value"] for pair in described.get(tags, ())}
    if name.startswith("tag:"):
        return [own[name[4:]]] if name[4:] in own else []
    if name == "tag-key":
        return list(own)
    if name not in getters:
        raise RefusedError("InvalidParameterValue", f"The filter '{name}' is invalid")
    found = getters[name](described)
    listed = found if isinstance(found, list) else [found]
    return [_written(value) for value in listed if value is not None]


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _fits(value: str, pattern: str) -> bool:
    """Tell whether a value is the wanted one, in which * stands for any text and ? for any one character."""
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, value, re.DOTALL) is not None
