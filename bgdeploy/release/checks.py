"""What a check asks for, what it got, and what follows from it. Pure: `asking` does the asking."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from msgspec import structs

from bgdeploy.config import Check

Mode = Literal["all", "observe", "none"]
Stage = Literal[
    "idle",  # the deployment is not at the hook
    "waiting",  # it is, and the hook has not said so yet
    "running",
    "passed",
    "failed",
    "unreachable",  # nobody let us in: that is not the application's failure
    "observed",  # run and reported only, as asked; the deployment goes on whatever they found
    "skipped",  # not run, as asked
    "elsewhere",  # another bgdeploy runs them
    "lapsed",  # the hook was answered for before we could
]
_SHORT = 80  # characters of a body that fit beside the rest on a card


@dataclass(frozen=True)
class CheckResult:
    """What one check has found so far; `passed` is None until its verdict."""

    name: str
    request: str  # GET http://…/
    passed: bool | None
    wanted: str
    got: str
    attempts: int
    seconds: float
    reached: bool = True  # False: no attempt could connect


@dataclass(frozen=True)
class ChecksState:
    """Where the checks of a deployment stand, and who runs them."""

    stage: Stage = "idle"
    owner: str = ""
    results: tuple[CheckResult, ...] = ()
    notice: str = ""  # AWS's trouble that is being outlasted


@dataclass(frozen=True)
class Answer:
    """What came back to one request: a status, or why there is none."""

    status: int | None
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case
    error: str = ""
    reached: bool = True  # False: there was no connection


@dataclass(frozen=True)
class Verdict:
    """What one answer is worth: when it does not pass, the first expectation that it breaks."""

    passed: bool
    wanted: str
    got: str


@dataclass(frozen=True)
class _Expectation:
    """One thing that an answer must be. `broken` returns what it is instead, None when it is that."""

    wanted: str
    broken: Callable[[Answer], str | None]


def fill(check: Check, version: str) -> Check:
    """Return the check for one version: `{version}` is replaced wherever it may stand.

    In `matches` it stands for the very text of the version, not for a regular expression.
    """

    def text(value: str) -> str:
        return value.replace("{version}", version)

    return structs.replace(
        check,
        get=text(check.get),
        contains=None if check.contains is None else text(check.contains),
        matches=None if check.matches is None else check.matches.replace("{version}", re.escape(version)),
        json={path: text(value) if isinstance(value, str) else value for path, value in check.json.items()},
        header={name: text(value) for name, value in check.header.items()},
    )


def judge(check: Check, answer: Answer) -> Verdict:
    """Return what `answer` is worth to `check`."""
    if answer.status is None:
        return Verdict(False, f"status {check.status}", answer.error)
    for expectation in _expectations(check):
        got = expectation.broken(answer)
        if got is not None:
            return Verdict(False, expectation.wanted, got)
    return Verdict(True, wanted(check), wanted(check))


def wanted(check: Check) -> str:
    """Return everything that a check expects, in words."""
    return ", ".join(expectation.wanted for expectation in _expectations(check))


def outcome(results: tuple[CheckResult, ...]) -> Literal["passed", "failed", "unreachable"]:
    """Return what all verdicts come to. A listener that let nobody in says nothing about the application."""
    if all(result.passed for result in results):
        return "passed"
    return "failed" if any(result.reached for result in results) else "unreachable"


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


def _status(expected: int, answer: Answer) -> str | None:
    return None if answer.status == expected else f"status {answer.status}"


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
    texts = {re.sub(r"<[^>]*>", "", line): line for line in reversed(lines[:500])}
    near = difflib.get_close_matches(re.sub(r"<[^>]*>", "", like), texts, n=1, cutoff=0.4) if like else []
    return f'"{_shortened(texts[near[0]] if near else " ".join(lines))}"'


def _shortened(text: str) -> str:
    return text if len(text) <= _SHORT else text[: _SHORT - 1] + "…"
