"""CloudWatch Logs' filter patterns: words, space-delimited fields and JSON selectors (aws-facts 9.1). Pure."""

from __future__ import annotations

import fnmatch
import json
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

Matches = Callable[[str], "Mapping[str, Any] | None"]


class PatternError(ValueError):
    """A filter pattern that CloudWatch Logs would refuse."""


@lru_cache(maxsize=512)
def compiled(pattern: str) -> Matches:
    """Return the function that tells whether a line matches `pattern`, and what its fields were.

    It returns None for a line that does not match, else the named fields (none for words). Raises PatternError.
    """
    text = pattern.strip()
    if len(pattern) > 1024:
        raise PatternError("a filter pattern has at most 1024 characters")
    if text.startswith("{") and text.endswith("}"):
        return _json(text[1:-1])
    if text.startswith("[") and text.endswith("]"):
        return _fields(text[1:-1])
    return _words(pattern)


# Words: all plain ones, none of the excluded, and one of the optional if there are any

_WORD = re.compile(
    r'(?P<sign>[?-]?)(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|%(?P<regex>[^%]+)%|(?P<bare>[^\s"]+))\s*'
)


def _words(pattern: str) -> Matches:
    must: list[Callable[[str], bool]] = []
    may: list[Callable[[str], bool]] = []
    text, at = pattern.strip(), 0
    while at < len(text):
        found = _WORD.match(text, at)
        if not found:
            raise PatternError("Invalid character(s) in term")
        at = found.end()
        test = _term(found)
        if found["sign"] == "?":
            may.append(test)
        else:
            must.append(_negated(test) if found["sign"] == "-" else test)

    def matches(line: str) -> Mapping[str, Any] | None:
        good = all(test(line) for test in must)
        # Beside a plain word the optional ones change nothing: AWS ignores them there.
        return {} if good and (bool(must) or not may or any(test(line) for test in may)) else None

    return matches


def _term(found: re.Match[str]) -> Callable[[str], bool]:
    if found["regex"] is not None:
        try:
            return _bool(re.compile(found["regex"]).search)
        except re.error as error:
            raise PatternError(f"Invalid regular expression: {error}") from None
    if found["quoted"] is not None:
        return _contains(re.sub(r"\\(.)", r"\1", found["quoted"]))
    if not re.fullmatch(r"\w+", found["bare"]):
        raise PatternError(f"Invalid character(s) in term '{found['bare']}'")  # anything else must be quoted
    return _contains(found["bare"])


def _bool(search: Callable[[str], Any]) -> Callable[[str], bool]:
    return lambda line: search(line) is not None


def _contains(text: str) -> Callable[[str], bool]:
    return lambda line: text in line


def _negated(test: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda line: not test(line)


# Fields: [ip, ..., status = 404 || status = 5*, size]

_FIELD = re.compile(r'\[[^\]]*\]|"[^"]*"|\S+')
_COMPARISON = re.compile(r'(?P<name>\w+)\s*(?P<sign>!=|<=|>=|=|<|>)\s*(?P<value>"[^"]*"|%[^%]+%|[^\s"]+)')
_SIGNS: Mapping[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class _Column:
    """One column of a space-delimited pattern: its name, and what its field must satisfy."""

    name: str
    test: Callable[[str], bool]


def _fields(inside: str) -> Matches:
    columns = [_column(part.strip()) for part in _split_columns(inside)]
    gaps = [number for number, column in enumerate(columns) if column.name == "..."]
    if not columns or len(gaps) > 1:
        raise PatternError("Invalid space-delimited pattern")

    def matches(line: str) -> Mapping[str, Any] | None:
        values = [_bare(field) for field in _FIELD.findall(line)]
        chosen = _aligned(columns, gaps, values)
        if chosen is None or not all(column.test(value) for column, value in chosen):
            return None
        return {column.name: value for column, value in chosen}

    return matches


def _aligned(columns: list[_Column], gaps: list[int], values: list[str]) -> list[tuple[_Column, str]] | None:
    """Return each column with its field; the columns must cover the whole line (aws-facts 9.1)."""
    if not gaps:
        return list(zip(columns, values, strict=True)) if len(columns) == len(values) else None
    before, after = columns[: gaps[0]], columns[gaps[0] + 1 :]
    if len(before) + len(after) > len(values):
        return None
    tail = values[len(values) - len(after) :]
    return list(zip(before, values, strict=False)) + list(zip(after, tail, strict=True))


def _split_columns(inside: str) -> list[str]:
    return re.findall(r'(?:"[^"]*"|[^,"])+', inside)


def _column(text: str) -> _Column:
    if text == "..." or re.fullmatch(r"\w+", text):
        return _Column(text, lambda _value: True)
    ors = [[_comparison(one) for one in part.split("&&")] for part in text.split("||")]
    names = {name for ands in ors for name, _ in ands}
    if len(names) != 1:
        raise PatternError(f"Invalid condition '{text}'")
    return _Column(names.pop(), lambda value: any(all(test(value) for _, test in ands) for ands in ors))


def _comparison(text: str) -> tuple[str, Callable[[str], bool]]:
    found = _COMPARISON.fullmatch(text.strip())
    if not found:
        raise PatternError(f"Invalid condition '{text.strip()}'")
    return found["name"], _compare(found["sign"], found["value"])


def _bare(field: str) -> str:
    return field[1:-1] if field[:1] in {"[", '"'} and len(field) > 1 else field


def _compare(sign: str, wanted: str) -> Callable[[Any], bool]:
    """Return the test of one comparison: numbers as numbers, text with `*` as a wildcard."""
    text = wanted.strip('"')
    number = _number(text)

    def test(value: Any) -> bool:
        mine = _number(value)
        if number is not None and mine is not None:
            return _SIGNS[sign](mine, number)
        if sign not in {"=", "!="}:
            return False
        shown = str(value).lower() if isinstance(value, bool) else str(value)
        return fnmatch.fnmatchcase(shown, re.sub(r"[\[?]", lambda m: f"[{m.group()}]", text)) == (sign == "=")

    return test


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


# JSON: { ($.status = 404 && $.path = "/a*") || $.error IS NULL }

_TOKEN = re.compile(
    r"\s*(?:(?P<op>&&|\|\||\(|\))|(?P<path>\$[\w.\[\]-]*)\s*(?:(?P<sign>!=|<=|>=|=|<|>)\s*"
    r'(?P<value>"[^"]*"|[^\s()&|]+)|(?P<word>IS\s+(?:NULL|TRUE|FALSE)|NOT\s+EXISTS)))\s*'
)
_MISSING = object()


def _json(inside: str) -> Matches:
    tokens: list[re.Match[str]] = []
    at = 0
    while at < len(inside.strip()):
        found = _TOKEN.match(inside.strip(), at)
        if not found or found.end() == at:
            raise PatternError("Invalid JSON selector")
        tokens.append(found)
        at = found.end()
    test, rest = _or(tokens)
    if rest:
        raise PatternError("Invalid JSON selector")

    def matches(line: str) -> Mapping[str, Any] | None:
        try:
            document = json.loads(line)
        except ValueError:
            return None
        return {"$": document} if test(document) else None

    return matches


Tokens = list["re.Match[str]"]
Test = Callable[[Any], bool]


def _or(tokens: Tokens) -> tuple[Test, Tokens]:
    first, tokens = _and(tokens)
    tests = [first]
    while tokens and tokens[0]["op"] == "||":
        test, tokens = _and(tokens[1:])
        tests.append(test)
    return (lambda document: any(test(document) for test in tests)), tokens


def _and(tokens: Tokens) -> tuple[Test, Tokens]:
    first, tokens = _one(tokens)
    tests = [first]
    while tokens and tokens[0]["op"] == "&&":
        test, tokens = _one(tokens[1:])
        tests.append(test)
    return (lambda document: all(test(document) for test in tests)), tokens


def _one(tokens: Tokens) -> tuple[Test, Tokens]:
    if not tokens:
        raise PatternError("Invalid JSON selector")
    head, rest = tokens[0], tokens[1:]
    if head["op"] == "(":
        test, rest = _or(rest)
        if not rest or rest[0]["op"] != ")":
            raise PatternError("Invalid JSON selector")
        return test, rest[1:]
    if head["path"] is None:
        raise PatternError("Invalid JSON selector")
    path = head["path"]
    if head["word"]:
        return _worded(path, " ".join(head["word"].split())), rest
    compare = _compare(head["sign"], head["value"])

    def test_value(document: Any) -> bool:
        value = selected(document, path)
        return value is not _MISSING and value is not None and compare(value)

    return test_value, rest


def _worded(path: str, word: str) -> Test:
    wanted: Mapping[str, Any] = {"IS NULL": None, "IS TRUE": True, "IS FALSE": False, "NOT EXISTS": _MISSING}
    return lambda document: selected(document, path) is wanted[word]


def selected(document: Any, path: str) -> Any:
    """Return what `$.a.b[0]` selects of a document; a private mark when there is nothing there."""
    for step in re.findall(r"[\w-]+|\[\d+\]", path[1:]):
        if step.startswith("[") and isinstance(document, list) and int(step[1:-1]) < len(document):
            document = document[int(step[1:-1])]
        elif isinstance(document, dict) and step in document:
            document = document[step]
        else:
            return _MISSING
    return document


def value_of(reference: str, fields: Mapping[str, Any]) -> float | None:
    """Return the number a metric transformation publishes: a constant, or the field that `$name` selects."""
    if not reference.startswith("$"):
        return _number(reference)
    if "$" in fields:
        return _number(selected(fields["$"], reference))
    return _number(fields.get(reference[1:]))
