"""The comparisons of CloudWatch Logs' filter patterns: `= 4*`, `>= 500`, `= %5\\d\\d%` (aws-facts 9.1). Pure."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

REGEX = r"%[^%]+%"
VALUE = rf'"(?:[^"\\]|\\.)*"|{REGEX}|[^\s"()&|]+'

_SIGNS: Mapping[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?")
# What AWS lets a regular expression hold: no groups, no other symbols.
_REGULAR = re.compile(r"(?:[A-Za-z0-9 :_#=@/;,\-^$?\[\]{}|*+.]|\\.)+")


class PatternError(ValueError):
    """A filter pattern that CloudWatch Logs would refuse."""


def regular(text: str) -> Callable[[str], Any]:
    """Return the search of a regular expression that is written `%…%`. Raises PatternError."""
    if not _REGULAR.fullmatch(text[1:-1]):
        raise PatternError(f"Invalid character(s) in regular expression '{text}'")
    try:
        return re.compile(text[1:-1]).search
    except re.error as error:
        raise PatternError(f"Invalid regular expression '{text}': {error}") from None


def unquoted(text: str) -> str:
    """Return what stands between double quotes."""
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text[:1] == '"' else text


def number(value: Any) -> float | None:
    """Return a number, or a text that is one, as a number; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    return float(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else None


def condition(sign: str, wanted: str) -> Callable[[Any], bool]:
    """Return the test of one comparison: numbers as numbers, text with `*` as a wildcard. Raises PatternError."""
    if re.fullmatch(REGEX, wanted):
        return _text(sign, regular(wanted), wanted)
    text = unquoted(wanted)
    limit = number(text)
    if limit is None:
        # Anything but `*` stands for itself.
        pattern = ".*".join(re.escape(part) for part in text.split("*"))
        return _text(sign, re.compile(pattern, re.DOTALL).fullmatch, wanted)
    compare = _SIGNS[sign]

    def test(value: Any) -> bool:
        mine = number(value)
        return compare(mine, limit) if mine is not None else sign == "!="

    return test


def _text(sign: str, search: Callable[[str], Any], wanted: str) -> Callable[[Any], bool]:
    if sign not in {"=", "!="}:
        raise PatternError(f"'{sign}' compares numbers, and {wanted} is none")

    def test(value: Any) -> bool:
        return (search(shown(value)) is not None) == (sign == "=")

    return test


def shown(value: Any) -> str:
    """Return a value as a log line would show it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
