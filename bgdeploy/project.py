"""Reads a project's folder: `config/base.yaml`, the environment's file laid over it, and who wrote what.

Everything wrong with them is found in one go and told with file and line, before AWS hears of anything.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import yaml

from bgdeploy.config import Config, Settings
from bgdeploy.errors import UsageError
from bgdeploy.quantities import QUANTITIES, Limit, Quantity, SecretUrl
from bgdeploy.rules import broken_rules

KeyPath = tuple["str | int", ...]
# msgspec's words for what it expected, said in ours.
_PLAINLY = {
    "`int`": "a whole number",
    "`str`": "text",
    "`float`": "a number",
    "`array`": "a list",
    "`object`": "a mapping",
    "`bool`": "true or false",
    "of length <=": "with a length of at most",
    "`str | object`": "text, or a mapping of tags",
    "`array | object`": "a list of ids, or a mapping of tags",
    "`object | array`": "a list of ids, or a mapping of tags",
    "text matching regex '^/'": "a path that begins with /",
    r"text matching regex '^arn:[\\w-]+:(acm|iam):'": "a certificate's ARN, arn:aws:acm:…",
    r"text matching regex ':loadbalancer/app/[\\w-]+/\\w+$'": "the ARN of an application load balancer",
    "text matching regex '^[a-z0-9][a-z0-9.-]*$'": "a host's name in lower case",
    "text matching regex '^[a-z][a-z0-9-]*$'": "lower-case letters, digits and hyphens, a letter first",
}
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
    config = _Checker(document).check()
    # Where a value was refused its default stands, and of a whole with such a part no rule says anything true.
    refused = tuple(problem.path for problem in document.problems)
    document.problems += [
        Problem(document.where(path), _dotted(path), text)
        for path, text in broken_rules(config, env)
        if not any(known.startswith((f"{_dotted(path)}.", f"{_dotted(path)}[")) for known in refused)
    ]
    if document.problems:
        raise ConfigError(document.problems)
    return Settings(env, config)


def environments(folder: Path) -> list[str]:
    """Return the environments that `folder` has a file for."""
    return sorted(path.stem for path in folder.glob("*.yaml") if path.stem != "base")


def _require_environment(folder: Path, env: str) -> None:
    known = environments(folder)
    if env not in known:
        raise UsageError(
            f"there is no environment {env!r}: {folder.name}/{env}.yaml does not exist"
            + _did_you_mean(env, known),
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
        self.document.problems.append(Problem(where, _dotted(path), text))


def _lay_over(base: _Document, over: _Document) -> None:
    base.value = _merged(base.value, over.value)
    base.lines |= over.lines
    base.problems += over.problems


def _merged(base: Any, over: Any) -> Any:
    """Mappings merge; everything else replaces."""
    if isinstance(base, dict) and isinstance(over, dict):
        return base | {key: _merged(base.get(key), value) for key, value in over.items()}
    return over


class _Wrong:
    """Stands for a value that was refused. Its default is used instead, so that the search goes on."""


_WRONG = _Wrong()


class _Checker:
    """Builds the typed config, collecting every problem instead of stopping at the first."""

    def __init__(self, document: _Document) -> None:
        self.document = document

    def check(self) -> Config:
        config = self._struct(Config, self.document.value, (), app="app")
        return config if isinstance(config, Config) else Config(app="app")

    def _value(self, kind: Any, value: Any, path: KeyPath) -> Any:
        plain = get_args(kind)[0] if get_origin(kind) is Annotated else kind
        mapping = _mapping_of(plain)
        if mapping and (isinstance(value, dict) or str not in _several(plain)):
            return None if value is None else self._struct(mapping, value, path)
        if isinstance(plain, type) and issubclass(plain, msgspec.Struct):
            return self._struct(plain, value, path)
        if get_origin(plain) is tuple and isinstance(value, list):
            items = [self._value(get_args(plain)[0], item, (*path, n)) for n, item in enumerate(value)]
            return _WRONG if _WRONG in items else tuple(items)
        if get_origin(plain) is dict and isinstance(value, dict):
            pairs = {key: self._value(get_args(plain)[1], item, (*path, key)) for key, item in value.items()}
            return _WRONG if _WRONG in pairs.values() else pairs
        written = next((each for each in QUANTITIES if each is plain or each in _several(plain)), None)
        if written is not None:
            return self._written(written, value, path, optional=written is not plain)
        return self._leaf(kind, value, path)

    def _struct(self, kind: type[msgspec.Struct], value: Any, path: KeyPath, **instead: Any) -> Any:
        """Return the mapping as its type; `instead` stands for what is needed and missing, so that the rest is seen."""
        if not isinstance(value, dict):
            return self._problem(
                path,
                f"must be a mapping with the keys {', '.join(kind.__struct_encode_fields__)}, "
                f"not {_shown(value)}",
            )
        hints = get_type_hints(kind, include_extras=True)
        names = dict(zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True))
        for key in (key for key in value if key not in names):
            nearest = _did_you_mean(key, list(names)) or f"; known here: {', '.join(names)}"
            self._problem((*path, key), f"is no known key{nearest}")
        found = {
            names[key]: self._value(hints[names[key]], item, (*path, key))
            for key, item in value.items()
            if key in names
        }
        required = [f for f in msgspec.structs.fields(kind) if f.required]
        for f in (f for f in required if f.name not in found):
            self._problem((*path, f.encode_name), "is missing and has no default")
        given = instead | {name: item for name, item in found.items() if item is not _WRONG}
        return kind(**given) if all(f.name in given for f in required) else _WRONG

    def _written(self, kind: type[Quantity], value: Any, path: KeyPath, *, optional: bool) -> Any:
        if optional and value in (None, "none"):
            return None
        plain = kind is Limit and type(value) in (int, float)
        try:
            return kind.parse(str(value) if plain or isinstance(value, str) else f"!{value}")
        except ValueError:
            shown = "(not shown)" if kind is SecretUrl else _shown(value)
            return self._problem(path, f"must be {kind.form}, not {shown}")

    def _leaf(self, kind: Any, value: Any, path: KeyPath) -> Any:
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            shown: Any = "(not shown)" if "secrets" in path else value
            return self._problem(path, _expectation(kind, shown, str(error)))

    def _problem(self, path: KeyPath, text: str) -> _Wrong:
        self.document.problems.append(Problem(self.document.where(path), _dotted(path), text))
        return _WRONG


def _mapping_of(kind: Any) -> type[msgspec.Struct] | None:
    """Return the mapping that a value may be beside null, None where it may be none."""
    found = (one for one in _several(kind) if isinstance(one, type) and issubclass(one, msgspec.Struct))
    return next(found, None)


def _several(kind: Any) -> tuple[Any, ...]:
    """Return the types of `A | B`, nothing of any other type."""
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else ()


def _expectation(kind: Any, value: Any, said: str) -> str:
    plain = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if get_origin(plain) is Literal:
        choices = [str(choice) for choice in get_args(plain)]
        return f"must be one of {', '.join(choices)}, not {_shown(value)}{_did_you_mean(str(value), choices)}"
    expected = said.partition(" - at `$")[0].partition(", got")[0].removeprefix("Expected ")
    expected = expected.replace(" | null`", "`")  # that it may be left out helps nobody who wrote it
    for theirs, ours in _PLAINLY.items():
        expected = expected.replace(theirs, ours)
    return f"must be {expected}, not {_shown(value)}"


def _shown(value: Any) -> str:
    """Return what was written, short, as YAML people would say it."""
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 40 else f"{text[:36]}…{text[-1]}"


def _did_you_mean(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def _dotted(path: KeyPath) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
