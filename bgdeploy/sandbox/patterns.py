"""CloudWatch Logs' filter patterns: words, space-delimited fields and JSON selectors (aws-facts 9.1). Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest
from typing import Any

from bgdeploy.sandbox.conditions import (
    REGEX,
    VALUE,
    PatternError,
    condition,
    number,
    regular,
    unquoted,
)
from bgdeploy.sandbox.selectors import extracted, json_selector, selected

__all__ = ["Pattern", "PatternError", "compiled", "value_of"]

Match = Callable[[str], "Mapping[str, Any] | None"]


@dataclass(frozen=True)
class Pattern:
    """A filter pattern, ready to be held against lines."""

    match: Match
    kind: str  # words | fields | json: only the latter two have values to publish
    regexes: int  # how many %…% it has
    selectors: tuple[str, ...] = ()  # the `$.a.b` that a JSON pattern names

    def __call__(self, line: str) -> Mapping[str, Any] | None:
        """Return None for a line that does not match, else its fields: none for words, "$" for a JSON document."""
        return self.match(line)

    def values(self, fields: Mapping[str, Any]) -> dict[str, str]:
        """Return what TestMetricFilter shows of a match: every field, or every selector's value."""
        if self.kind == "json":
            return {
                name: text for name in self.selectors if (text := extracted(fields["$"], name)) is not None
            }
        return {f"${name}": str(value) for name, value in fields.items()}


@lru_cache(maxsize=512)
def compiled(pattern: str) -> Pattern:
    """Return the pattern that `pattern` describes. Raises PatternError."""
    text = pattern.strip()
    if len(pattern) > 1024:
        raise PatternError("a filter pattern has at most 1024 characters")
    regexes = len(re.findall(REGEX, re.sub(r'"(?:[^"\\]|\\.)*"', "", text)))
    if regexes > 2:  # aws-facts 9.1
        raise PatternError("a filter pattern has at most 2 regular expressions")
    if text.startswith("{") and text.endswith("}"):
        match, selectors = json_selector(text[1:-1].strip())
        return Pattern(match, "json", regexes, selectors)
    if text.startswith("[") and text.endswith("]"):
        return Pattern(_fields(text[1:-1]), "fields", regexes)
    return Pattern(_words(text), "words", regexes)


def value_of(reference: str, fields: Mapping[str, Any]) -> float | None:
    """Return the number a metric transformation publishes: a constant, or the field that `$name` selects."""
    if not reference.startswith("$"):
        return _float(number(reference))
    if "$" in fields:
        found = selected(fields["$"], reference)
        return _float(number(found[0])) if len(found) == 1 else None
    return _float(number(fields.get(reference[1:])))


def _float(value: float | None) -> float | None:
    try:
        return None if value is None else float(value)
    except OverflowError:
        return None


# Words: all plain ones, none of the excluded, and one of the optional if there are any

_WORD = re.compile(
    rf'(?P<sign>[?-]?)(?:(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<regex>{REGEX})|(?P<bare>[^\s"]+))\s*'
)


def _words(text: str) -> Match:
    must: list[Callable[[str], bool]] = []
    may: list[Callable[[str], bool]] = []
    at = 0
    while at < len(text):
        found = _WORD.match(text, at)
        if not found:
            raise PatternError("Invalid character(s) in term")
        at = found.end()
        (may if found["sign"] == "?" else must).append(_term(found))

    def match(line: str) -> Mapping[str, Any] | None:
        # Beside a plain or an excluded word the optional ones change nothing: AWS ignores them there.
        tests, enough = (must, all) if must or not may else (may, any)
        return {} if enough(test(line) for test in tests) else None

    return match


def _term(found: re.Match[str]) -> Callable[[str], bool]:
    test = _plain_term(found)
    return (lambda line: not test(line)) if found["sign"] == "-" else test


def _plain_term(found: re.Match[str]) -> Callable[[str], bool]:
    if found["regex"] is not None:
        search = regular(found["regex"])
        return lambda line: search(line) is not None
    if found["quoted"] is not None:
        phrase = unquoted(found["quoted"])  # an exact substring, with its blanks
        return lambda line: phrase in line
    bare = found["bare"]
    if not re.fullmatch(r"\w+", bare):  # anything else must be quoted
        raise PatternError(f"Invalid character(s) in term '{bare}'")
    return lambda line: bare in line


# Fields: [ip, ..., status = 404 || status = 5*, size]

_FIELD = re.compile(r'\[[^\]]*\]|"[^"]*"|\S+')
_COMPARISON = re.compile(rf"(?P<name>\w+)\s*(?P<sign>!=|<=|>=|=|<|>)\s*(?P<value>{VALUE})")
_COLUMN = re.compile(rf'(?:"(?:[^"\\]|\\.)*"|{REGEX}|[^,"%]|%)+')
_OPERATOR = re.compile(rf'("(?:[^"\\]|\\.)*"|{REGEX})|(&&|\|\|)')


@dataclass(frozen=True)
class _Column:
    """One column of a space-delimited pattern: its name, and what its field must satisfy."""

    name: str
    test: Callable[[str], bool]


def _fields(inside: str) -> Match:
    columns = [_column(part.strip()) for part in _COLUMN.findall(inside)]
    gaps = [place for place, column in enumerate(columns) if column.name == "..."]
    if not columns or len(gaps) > 1 or _COLUMN.sub("", inside) != "," * (len(columns) - 1):
        raise PatternError("Invalid space-delimited pattern")

    def match(line: str) -> Mapping[str, Any] | None:
        values = [_bare(field) for field in _FIELD.findall(line)]
        aligned = _aligned(columns, gaps, len(values))
        if aligned is None or not all(c.test(v) for c, v in zip_longest(aligned, values) if c):
            return None
        return {c.name if c else str(at): v for at, (c, v) in enumerate(zip(aligned, values, strict=True), 1)}

    return match


def _aligned(columns: list[_Column], gaps: list[int], fields: int) -> list[_Column | None] | None:
    """Return the column of each field, None for those under the dots; None when they do not cover the line.

    The columns must cover the whole line (aws-facts 9.1).
    """
    if not gaps:
        return list(columns) if len(columns) == fields else None
    before, after = columns[: gaps[0]], columns[gaps[0] + 1 :]
    unnamed = fields - len(before) - len(after)
    return [*before, *[None] * unnamed, *after] if unnamed >= 0 else None


def _column(text: str) -> _Column:
    if text == "..." or re.fullmatch(r"\w+", text):
        return _Column(text, lambda _value: True)
    ors = [[_comparison(one) for one in ands] for ands in _split(text)]
    names = {name for ands in ors for name, _ in ands}
    if len(names) != 1:
        raise PatternError(f"Invalid condition '{text}'")
    return _Column(names.pop(), lambda value: any(all(test(value) for _, test in ands) for ands in ors))


def _split(text: str) -> list[list[str]]:
    """Return the comparisons of a condition, those that || parts apart from each other, each list joined by &&."""
    ors, start = [[""]], 0
    for found in _OPERATOR.finditer(text):
        if found[2] is None:  # quoted, or a regular expression
            continue
        ors[-1][-1] = text[start : found.start()]
        start = found.end()
        if found[2] == "||":
            ors.append([""])
        else:
            ors[-1].append("")
    ors[-1][-1] = text[start:]
    return ors


def _comparison(text: str) -> tuple[str, Callable[[Any], bool]]:
    found = _COMPARISON.fullmatch(text.strip())
    if not found:
        raise PatternError(f"Invalid condition '{text.strip()}'")
    return found["name"], condition(found["sign"], found["value"])


def _bare(field: str) -> str:
    ends = field[:1] + field[-1:]
    return field[1:-1] if len(field) > 1 and ends in {"[]", '""'} else field
