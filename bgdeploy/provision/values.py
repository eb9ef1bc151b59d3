"""Values as whoever reads a plan knows them from the config and from AWS: as JSON. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


class Unmade(str):
    """Stands for a value that AWS chooses when it makes what has it: words, not a text that anything is set to."""

    __slots__ = ()


def written(value: Any) -> str:
    """Return a value in one line: text in quotes, so that (none), for what is not there, is nothing else."""
    if value is None:
        return "(none)"
    if isinstance(value, Unmade):
        return str(value)
    return json.dumps(_plain(value), ensure_ascii=False, default=str)


def _plain(value: Any) -> Any:
    """Return what JSON has a word for: sets in one order, and 3.0, as CloudWatch tells a threshold of 3, as 3."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (set, frozenset)):
        return [_plain(each) for each in sorted(value, key=str)]
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
