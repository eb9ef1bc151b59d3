"""What an answer to one request is worth to a check that asks for it. Pure."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import structs

from bgdeploy.checktypes import Check
from bgdeploy.quantities import Limit
from bgdeploy.release.checks import Measurement

_SHORT = 80  # characters of a body that fit beside the rest on a card
_MARKUP = re.compile(r"<[^>]*>")


@dataclass(frozen=True)
class Answer:
    """What came back to one request: a status, or why there is none."""

    status: int | None
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case
    error: str = ""
    reached: bool = True  # False: there was no connection
    seconds: float = 0.0  # until all of it was there


@dataclass(frozen=True)
class _Expectation:
    """One thing that an answer must be. `broken` returns what it is instead, None when it is that."""

    wanted: str
    broken: Callable[[Answer], str | None]


def judge(check: Check, answer: Answer) -> Measurement:
    """Return what `answer` is worth to `check`: when it does not pass, the first expectation that it breaks."""
    if answer.status is None:
        return Measurement("fail", f"status {check.status}", answer.error, reached=answer.reached)
    values = {"latency": answer.seconds}
    for expectation in _expectations(check):
        got = expectation.broken(answer)
        if got is not None:
            return Measurement("fail", expectation.wanted, got, values)
    return Measurement("pass", wanted(check), _passed(check, answer), values)


def wanted(check: Check) -> str:
    """Return everything that a check expects of an answer, in words."""
    return ", ".join(expectation.wanted for expectation in _expectations(check))


def _passed(check: Check, answer: Answer) -> str:
    """Return all that was as it should be, the time with what was measured."""
    said = [each.wanted for each in _expectations(structs.replace(check, below=None))]
    if check.below is not None:
        said.append(f"{check.below.show(answer.seconds)} <= {check.below.shown}")
    return ", ".join(said)


def _expectations(check: Check) -> Iterator[_Expectation]:
    yield _Expectation(f"status {check.status}", lambda answer: _status(check.status, answer))
    if check.contains is not None:
        text = check.contains
        yield _Expectation(
            f'body contains "{text}"',
            lambda answer: None if text in answer.body else excerpt(answer.body, text),
        )
    if check.matches is not None:
        pattern = check.matches
        yield _Expectation(
            f"body matches /{pattern}/",
            lambda answer: None if re.search(pattern, answer.body) else excerpt(answer.body, pattern),
        )
    for path, value in check.json.items():
        yield _Expectation(f"body.{path} = {json.dumps(value)}", _json_expectation(path, value))
    for name, value in check.header.items():
        yield _Expectation(f'header {name} "{value}"', _header_expectation(name, value))
    if check.below is not None:
        limit = check.below
        yield _Expectation(f"an answer within {limit.shown}", lambda answer: _slow(limit, answer))


def _status(expected: int, answer: Answer) -> str | None:
    if answer.status == expected:
        return None
    # What an application says of its own trouble is worth more than the number; its markup is not.
    said = _MARKUP.sub(" ", answer.body).strip()
    return f"status {answer.status}" + (f": {excerpt(said)}" if said else "")


def _slow(limit: Limit, answer: Answer) -> str | None:
    return None if answer.seconds <= limit else f"{limit.show(answer.seconds)} > {limit.shown}"


def _header_expectation(name: str, value: str) -> Callable[[Answer], str | None]:
    def broken(answer: Answer) -> str | None:
        got = answer.headers.get(name.lower())
        if got == value:
            return None
        return "no such header" if got is None else f'"{got}"'

    return broken


def _json_expectation(path: str, value: Any) -> Callable[[Answer], str | None]:
    def broken(answer: Answer) -> str | None:
        try:
            document = json.loads(answer.body)
        except ValueError:
            return f"no JSON: {excerpt(answer.body)}"
        try:
            got = at(document, path)
        except LookupError:
            return f"no {path} in {excerpt(answer.body)}"
        return None if same(got, value) else _shortened(json.dumps(got, ensure_ascii=False))

    return broken


def at(document: Any, path: str) -> Any:
    """Return what stands at `path` ("checks.0.ok") of a JSON document. Raises LookupError when nothing does."""
    for step in path.split("."):
        if isinstance(document, Mapping):
            document = document[step]
        elif isinstance(document, list) and step.isdecimal():
            document = document[int(step)]
        else:
            raise LookupError(path)
    return document


def same(got: Any, value: Any) -> bool:
    """Tell whether two JSON values are equal; true is not 1, 1.0 is."""
    if isinstance(got, bool) or isinstance(value, bool):
        return got is value
    if isinstance(got, list) and isinstance(value, list):
        return len(got) == len(value) and all(map(same, got, value))
    if isinstance(got, dict) and isinstance(value, dict):
        return got.keys() == value.keys() and all(same(got[key], value[key]) for key in got)
    return bool(got == value)


def excerpt(body: str, like: str = "") -> str:
    """Return a short piece of a body, quoted: the line that comes nearest to `like`, else how it begins."""
    lines = [" ".join(line.split()) for line in body.splitlines() if line.strip()]
    if not lines:
        return "an empty body"
    # Markup would make every line of a page look a little like every other.
    texts = {_MARKUP.sub("", line): line for line in reversed(lines[:500])}
    near = difflib.get_close_matches(_MARKUP.sub("", like), texts, n=1, cutoff=0.4) if like else []
    return f'"{_shortened(texts[near[0]] if near else " ".join(lines))}"'


def _shortened(text: str) -> str:
    return text if len(text) <= _SHORT else text[: _SHORT - 1] + "…"
