"""Writes docs/resources.md from the kinds themselves: `python -m tests.resources.document`."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import bgdeploy.resources
from bgdeploy.provision.resource import Resource
from tests.resources.every import LIVES

PATH = Path(__file__).parents[2] / "docs/resources.md"
_INTRODUCTION = """\
# What a stack is made of

Written by `python -m tests.resources.document` from the classes in `bgdeploy/resources/`; a test says when it is out of
date. Each kind is one class there, and each field is called as AWS calls it.

- **Found by**: how a thing is known again, since there is no state file. Whatever it is found by, it is changed or
  removed only when it carries the tag `bgdeploy:stack` with the stack's name, or is part of something that does.
- **Healed**: `plan` shows the field when it is not as the config says, and `provision` sets it right. What is not
  listed is nobody's business: alarm actions, more lifecycle rules, other policies of a role stay as they are.
- **Refused**: AWS cannot change the field in place. A difference is told with a way out, and blocks what needs the
  thing.
- **Left alone**: given when the thing is made, and never compared. The reasons are below the table.

| Kind | What it is | Found by | Healed | Refused | Left alone |
|---|---|---|---|---|---|
"""
_USED = """\

## What is only used

These are somebody else's. They must be there, and are never made, changed or removed.

| Kind | What it is |
|---|---|
"""


def kinds(kind: type[Resource] = Resource) -> Iterator[type[Resource]]:
    """Yield all that a stack can be made of, each class that nobody in `bgdeploy/resources/` builds upon."""
    for module in pkgutil.iter_modules(bgdeploy.resources.__path__):
        importlib.import_module(f"{bgdeploy.resources.__name__}.{module.name}")
    below = [
        each for each in kind.__subclasses__() if each.__module__.startswith(bgdeploy.resources.__name__)
    ]
    for each in below:
        yield from kinds(each)
    if not below:
        yield kind


def render() -> str:
    """Return the page."""
    every = sorted(kinds(), key=lambda kind: (kind.kind, kind.__name__))
    own = [kind for kind in every if not kind.external]
    reasons = [
        f"- {kind.kind}: {_fields(kind.create_only)}. {_reason(kind, 'create_only')}\n"
        for kind in own
        if kind.create_only
    ]
    used = [f"| {kind.kind} | {_what(kind)} |\n" for kind in every if kind.external]
    return "".join(
        [
            _INTRODUCTION,
            *map(_row, own),
            "\n## Why some fields are left alone\n\n",
            *reasons,
            _USED,
            *used,
        ]
    )


def _row(kind: type[Resource]) -> str:
    healed = {
        field
        for life in LIVES
        if life.kind is kind
        for fields, _ in life.drift
        for field in ([fields] if isinstance(fields, str) else fields)
    }
    tags = set() if kind.part_of_another else {"Tags"}
    cells = (
        kind.kind,
        _what(kind),
        kind.found_by,
        _fields(healed | tags | {field for life in LIVES if life.kind is kind for field in life.at_once}),
        _fields(kind.immutable),
        _fields(kind.create_only),
    )
    return f"| {' | '.join(cells)} |\n"


def _what(kind: type[Resource]) -> str:
    return _plain((inspect.getdoc(kind) or "").partition("\n")[0])


def _fields(names: set[str] | frozenset[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def _reason(kind: type[Resource], name: str) -> str:
    """Return the comment that stands with a field of a class."""
    owner = next(each for each in kind.__mro__ if name in vars(each))
    lines = inspect.getsource(owner).splitlines()
    node = next(
        each
        for each in ast.walk(ast.parse("\n".join(lines)))
        if isinstance(each, ast.Assign) and getattr(each.targets[0], "id", "") == name
    )
    said: list[str] = []
    for line in reversed(lines[: node.lineno - 1]):
        if not line.lstrip().startswith("#"):
            break
        said.insert(0, line.strip(" #"))
    return _plain(" ".join(said))


def _plain(text: str) -> str:
    """Return what the code says without its references to the notes on AWS."""
    return re.sub(r" \((aws-facts )?\d[\d., ]*\)", "", text)


if __name__ == "__main__":
    PATH.write_text(render(), encoding="utf-8")
    sys.stderr.write(f"wrote {PATH}\n")
