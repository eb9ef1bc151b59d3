"""The JSON selectors of CloudWatch Logs' filter patterns: `{ ($.status = 404 && $.path = "/a*") || $.e IS NULL }`.

aws-facts 9.1. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from bgdeploy.sandbox.conditions import VALUE, PatternError, condition, shown

Test = Callable[[Any], bool]
Match = Callable[[str], "Mapping[str, Any] | None"]
Tokens = list["re.Match[str]"]

_PATH = r"\$(?:\.[\w*-]+|\[(?:\d+|\*)\])+"
_TOKEN = re.compile(
    rf"(?:(?P<op>&&|\|\||\(|\))|(?P<path>{_PATH})\s*(?:(?P<sign>!=|<=|>=|=|<|>)\s*(?P<value>{VALUE})|"
    r"(?P<word>IS\s+(?:NULL|TRUE|FALSE)|NOT\s+EXISTS)))\s*"
)
_WORDS: Mapping[str, Any] = {"NULL": None, "TRUE": True, "FALSE": False}
_DEEPEST = 50  # parentheses in parentheses: far more than anybody writes, far less than Python's stack


def json_selector(inside: str) -> tuple[Match, tuple[str, ...]]:
    """Return the match of what stands between braces, and the selectors it names. Raises PatternError."""
    tokens = _tokens(inside)
    test, rest = _either(tokens, 0)
    if rest:
        raise PatternError("Invalid JSON selector")

    def match(line: str) -> Mapping[str, Any] | None:
        try:
            document = json.loads(line)
        except (ValueError, RecursionError):  # not JSON, or nested beyond reason
            return None
        return {"$": document} if test(document) else None

    return match, tuple(dict.fromkeys(token["path"] for token in tokens if token["path"]))


def selected(document: Any, path: str) -> list[Any]:
    """Return all that `$.a.b[0]` selects of a document: nothing, one value, or several where it has a `*`."""
    found = [document]
    for step in re.findall(r"[\w*-]+", path[1:]):
        found = [inner for outer in found for inner in _step(outer, step)]
    return found


def extracted(document: Any, path: str) -> str | None:
    """Return the value of a selector as text, None where there is none."""
    found = selected(document, path)
    return shown(found[0]) if found else None


def _step(document: Any, step: str) -> list[Any]:
    if isinstance(document, dict):
        return list(document.values()) if step == "*" else [document[step]] if step in document else []
    if isinstance(document, list):
        if step == "*":
            return document
        return document[int(step) : int(step) + 1] if step.isdigit() else []
    return []


def _tokens(inside: str) -> Tokens:
    tokens: Tokens = []
    at = 0
    while at < len(inside):
        found = _TOKEN.match(inside, at)
        if not found:
            raise PatternError("Invalid JSON selector")
        tokens.append(found)
        at = found.end()
    wildcards = [token["path"].count("*") for token in tokens if token["path"]]
    if max(wildcards, default=0) > 1 or sum(wildcards) > 3:
        raise PatternError("a selector has at most one wildcard, a pattern at most three")
    return tokens


def _either(tokens: Tokens, depth: int) -> tuple[Test, Tokens]:
    test, tokens = _both(tokens, depth)
    tests = [test]
    while tokens and tokens[0]["op"] == "||":
        test, tokens = _both(tokens[1:], depth)
        tests.append(test)
    return (lambda document: any(test(document) for test in tests)), tokens


def _both(tokens: Tokens, depth: int) -> tuple[Test, Tokens]:
    test, tokens = _one(tokens, depth)
    tests = [test]
    while tokens and tokens[0]["op"] == "&&":
        test, tokens = _one(tokens[1:], depth)
        tests.append(test)
    return (lambda document: all(test(document) for test in tests)), tokens


def _one(tokens: Tokens, depth: int) -> tuple[Test, Tokens]:
    if not tokens or depth > _DEEPEST:
        raise PatternError("Invalid JSON selector")
    head, rest = tokens[0], tokens[1:]
    if head["op"] == "(":
        test, rest = _either(rest, depth + 1)
        if not rest or rest[0]["op"] != ")":
            raise PatternError("Invalid JSON selector")
        return test, rest[1:]
    if head["path"] is None:
        raise PatternError("Invalid JSON selector")
    return _selection(head), rest


def _selection(token: re.Match[str]) -> Test:
    """Return the test of `$.path sign value` or `$.path IS …`. What is not there satisfies NOT EXISTS alone."""
    path, word = token["path"], token["word"]
    if word is None:
        compare = condition(token["sign"], token["value"])
        return lambda document: any(compare(v) for v in selected(document, path) if v is not None)
    if word.startswith("NOT"):
        return lambda document: not selected(document, path)
    wanted = _WORDS[word.split()[1]]
    return lambda document: any(value is wanted for value in selected(document, path))
