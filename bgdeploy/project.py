"""Reads a project's folder: `config/base.yaml`, the environment's file laid over it, and who wrote what.

Everything wrong with them is found in one go and told with file and line, before AWS hears of anything.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bgdeploy.config import Settings
from bgdeploy.errors import UsageError
from bgdeploy.rules import broken_rules
from bgdeploy.typed import KeyPath, did_you_mean, dotted, typed

_VARIABLE = re.compile(r"\$\{env:(\w+)(?::-([^}]*))?\}")


@dataclass(frozen=True)
class Problem:
    """One thing wrong with the config, and where it stands."""

    where: str  # file:line
    path: str  # the key path, "deployment.keep_blue"
    text: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.path, self.text) if part)


class ConfigError(UsageError):
    """The project's config cannot be used. `problems` holds everything that is wrong with it."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems, key=_place)
        count = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(
            f"the config has {count}:\n" + "\n".join(f"  {problem}" for problem in self.problems),
            "`bgdeploy config schema` prints every key, for your editor too",
            {"problems": [asdict(problem) for problem in self.problems]},
        )


def _place(problem: Problem) -> tuple[str, int]:
    """Return file and line of a problem, for them to be told from top to bottom."""
    file, _, line = problem.where.partition(":")
    return file, int(line or 0)


@dataclass
class _Document:
    """What one or several files say, and where each key of it was written."""

    value: Any = field(default_factory=dict)
    lines: dict[KeyPath, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def where(self, path: KeyPath) -> str:
        """Return file:line of the key at `path`, of its nearest parent when it was never written."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, "")

    def note(self, problems: Iterable[tuple[KeyPath, str]]) -> None:
        """Add what is wrong with the values, and where those stand."""
        self.problems += [Problem(self.where(path), dotted(path), text) for path, text in problems]


def load(project: Path, env: str, environ: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of `project` for the environment `env`.

    Raises UsageError when there is no such project or environment, ConfigError with every problem at once.
    """
    folder = project / "config"
    if not (folder / "base.yaml").is_file():
        raise UsageError(
            f"{project} is no bgdeploy project: it has no config/base.yaml",
            "go to a project's root, name one with --project, or start one with `bgdeploy init`",
        )
    _require_environment(folder, env)
    variables = os.environ if environ is None else environ
    document = _Document()
    for name in ("base.yaml", f"{env}.yaml"):
        _lay_over(document, _read(folder / name, project, variables))
    checked = typed(document.value)
    document.note(checked.problems)
    # Where a value was refused its default stands, and of a whole with such a part no rule says anything true.
    # What is missing and has no default is another matter: the rest is judged, and it alone is not.
    missing = {dotted(path) for path in checked.invented}
    refused = tuple(problem.path for problem in document.problems if problem.path not in missing)
    document.note(
        (path, text)
        for path, text in broken_rules(checked.config, env)
        if not any(known.startswith((f"{dotted(path)}.", f"{dotted(path)}[")) for known in refused)
        and not any(path[: len(invented)] == invented for invented in checked.invented)
    )
    if document.problems:
        raise ConfigError(document.problems)
    return Settings(env, checked.config)


def environments(folder: Path) -> list[str]:
    """Return the environments that `folder` has a file for."""
    return sorted(path.stem for path in folder.glob("*.yaml") if path.stem != "base")


def _require_environment(folder: Path, env: str) -> None:
    known = environments(folder)
    if env not in known:
        raise UsageError(
            f"there is no environment {env!r}: {folder.name}/{env}.yaml does not exist"
            + did_you_mean(env, known),
            f"the project has: {', '.join(known) or 'none yet'}; an empty file is enough for a new one",
        )


def _read(path: Path, project: Path, variables: Mapping[str, str]) -> _Document:
    name = path.relative_to(project).as_posix()
    document = _Document()
    try:
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        node = loader.get_single_node()
    except UnicodeDecodeError:
        raise ConfigError([Problem(name, "", "is not a text file in UTF-8")]) from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(
            [Problem(f"{name}:{line}", "", f"is not YAML: {error.problem or error.context}")]
        ) from None
    except yaml.YAMLError as error:
        raise ConfigError([Problem(name, "", f"is not YAML: {error}")]) from None
    if node is None:
        return document
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError([Problem(f"{name}:1", "", "must be a mapping of keys to values")])
    document.value = _Reading(name, document, loader, variables).plain(node, ())
    return document


class _Reading:
    """Turns one file's nodes into plain values, noting the line of each key on the way."""

    def __init__(
        self, name: str, document: _Document, loader: yaml.SafeLoader, variables: Mapping[str, str]
    ) -> None:
        self.name = name
        self.document = document
        self.loader = loader
        self.variables = variables

    def plain(self, node: yaml.Node, path: KeyPath) -> Any:
        if isinstance(node, yaml.MappingNode):
            return dict(self._pairs(node, path))
        if isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self._note((*path, index), item)
            return [self.plain(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _pairs(self, node: yaml.MappingNode, path: KeyPath) -> Iterator[tuple[str, Any]]:
        seen: set[str] = set()
        for key_node, value_node in node.value:
            # As it is written: YAML takes `on` and `no` for true and false.
            plain = isinstance(key_node, yaml.ScalarNode)
            key = str(key_node.value if plain else self.loader.construct_object(key_node))
            if key in seen:
                self._problem((*path, key), key_node, "is written twice")
            seen.add(key)
            self._note((*path, key), key_node)
            yield key, self.plain(value_node, (*path, key))

    def _scalar(self, node: yaml.Node, path: KeyPath) -> Any:
        text = str(node.value)
        if "${" not in text:
            return self.loader.construct_object(node)
        filled = _VARIABLE.sub(lambda match: self._variable(match, node, path), text)
        # An unquoted ${env:PORT} may stand for a number; a quoted one stays the string it is written as.
        quoted = getattr(node, "style", None) is not None
        return filled if quoted else yaml.safe_load(filled)

    def _variable(self, match: re.Match[str], node: yaml.Node, path: KeyPath) -> str:
        name, default = match.group(1), match.group(2)
        value = self.variables.get(name, default)
        if value is None:
            self._problem(
                path,
                node,
                f"the environment variable {name} is not set; set it, or write a default: ${{env:{name}:-…}}",
            )
        return value or ""

    def _note(self, path: KeyPath, node: yaml.Node) -> None:
        self.document.lines[path] = f"{self.name}:{node.start_mark.line + 1}"

    def _problem(self, path: KeyPath, node: yaml.Node, text: str) -> None:
        where = f"{self.name}:{node.start_mark.line + 1}"
        self.document.problems.append(Problem(where, dotted(path), text))


def _lay_over(base: _Document, over: _Document) -> None:
    base.value = _merged(base.value, over.value)
    base.lines |= over.lines
    base.problems += over.problems


def _merged(base: Any, over: Any) -> Any:
    """Mappings merge; everything else replaces."""
    if isinstance(base, dict) and isinstance(over, dict):
        return base | {key: _merged(base.get(key), value) for key, value in over.items()}
    return over
