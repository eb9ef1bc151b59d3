"""Builds the typed config from what the files say, and tells all that is wrong with it in one go. Pure."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import msgspec.structs

from bgdeploy.config import Config
from bgdeploy.quantities import QUANTITIES, Limit, Quantity, SecretUrl

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
    r"text matching regex '^arn:[\\w-]+:sns:[\\w-]+:\\d{12}:[\\w-]{1,256}$'": "the ARN of an SNS topic",
    r"text matching regex '^(LATEST|\\d+\\.\\d+\\.\\d+)$'": "LATEST or a version such as 1.4.0",
    "text matching regex '^[a-z0-9][a-z0-9.-]*$'": "a host's name in lower case",
    "text matching regex '^[a-z][a-z0-9-]*$'": "lower-case letters, digits and hyphens, a letter first",
}


class _Wrong:
    """Stands for a value that was refused. Its default is used instead, so that the search goes on."""


_WRONG = _Wrong()


@dataclass
class Typed:
    """The config as far as it can be used, and the key path of everything wrong with it."""

    config: Config
    problems: list[tuple[KeyPath, str]] = field(default_factory=list)
    invented: list[KeyPath] = field(default_factory=list)  # what is needed and missing: no rule may judge it


def typed(value: Any) -> Typed:
    """Return what `value`, as YAML has it, says; every problem with it instead of the first."""
    found = Typed(Config(app="app"))
    config = _Checker(found).struct(Config, value, (), {"app": "app"})
    found.config = config if isinstance(config, Config) else found.config
    return found


class _Checker:
    """Builds typed values, and collects the problems with them on the way."""

    def __init__(self, found: Typed) -> None:
        self.found = found

    def _value(self, kind: Any, value: Any, path: KeyPath) -> Any:
        plain = get_args(kind)[0] if get_origin(kind) is Annotated else kind
        mapping = _mapping_of(plain)
        if mapping and (isinstance(value, dict) or str not in _several(plain)):
            return None if value is None else self.struct(mapping, value, path)
        if isinstance(plain, type) and issubclass(plain, msgspec.Struct):
            return self.struct(plain, value, path)
        if get_origin(plain) is tuple and isinstance(value, list):
            items = [self._item(get_args(plain)[0], item, (*path, n)) for n, item in enumerate(value)]
            return _WRONG if _WRONG in items else tuple(items)
        if get_origin(plain) is dict and isinstance(value, dict):
            pairs = {key: self._value(get_args(plain)[1], item, (*path, key)) for key, item in value.items()}
            return _WRONG if _WRONG in pairs.values() else pairs
        written = next((each for each in QUANTITIES if each is plain or each in _several(plain)), None)
        if written is not None:
            return self._written(written, value, path, optional=written is not plain)
        return self._leaf(kind, value, path)

    def _item(self, kind: Any, value: Any, path: KeyPath) -> Any:
        """Return a member of a list. One with something missing stays: no rule would see the others without it."""
        if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
            return self._value(kind, value, path)
        instead: dict[str, Any] = {
            f.name: () if get_origin(f.type) is tuple else dotted((*path, f.encode_name))
            for f in _required(kind)
        }
        found = self.struct(kind, value, path, instead)
        if found is not _WRONG:
            return found
        self.found.invented.append(path)
        return kind(**instead)

    def struct(
        self, kind: type[msgspec.Struct], value: Any, path: KeyPath, instead: Mapping[str, Any] | None = None
    ) -> Any:
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
            nearest = did_you_mean(key, list(names)) or f"; known here: {', '.join(names)}"
            self._problem((*path, key), f"is no known key{nearest}")
        found = {
            names[key]: self._value(hints[names[key]], item, (*path, key))
            for key, item in value.items()
            if key in names
        }
        usable = {name: item for name, item in found.items() if item is not _WRONG}
        instead = instead or {}
        for f in _required(kind):
            if f.name not in found:
                self._problem((*path, f.encode_name), "is missing and has no default")
            if path and f.name in instead and f.name not in usable:
                self.found.invented.append((*path, f.encode_name))
        given = {**instead, **usable}
        return kind(**given) if all(f.name in given for f in _required(kind)) else _WRONG

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
        self.found.problems.append((path, text))
        return _WRONG


def _required(kind: type[msgspec.Struct]) -> list[msgspec.structs.FieldInfo]:
    """Return the fields that have no default."""
    return [f for f in msgspec.structs.fields(kind) if f.required]


def _mapping_of(kind: Any) -> type[msgspec.Struct] | None:
    """Return the mapping that a value may be beside null, None where it may be none."""
    found = (one for one in _several(kind) if isinstance(one, type) and issubclass(one, msgspec.Struct))
    return next(found, None)


def _several(kind: Any) -> tuple[Any, ...]:
    """Return the types of `A | B`, nothing of any other type."""
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else ()


def _expectation(kind: Any, value: Any, said: str) -> str:
    plain = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    kinds = [one for one in _several(plain) or (plain,) if one is not type(None)]
    if len(kinds) == 1 and get_origin(kinds[0]) is Literal:
        choices = [str(choice) for choice in get_args(kinds[0])]
        return f"must be one of {', '.join(choices)}, not {_shown(value)}{did_you_mean(str(value), choices)}"
    expected = said.partition(" - at `$")[0].partition(", got")[0].removeprefix("Expected ")
    expected = expected.replace(" | null`", "`")  # that it may be left out helps nobody who wrote it
    for theirs, ours in _PLAINLY.items():
        expected = expected.replace(theirs, ours)
    return f"must be {expected}, not {_shown(value)}"


def _shown(value: Any) -> str:
    """Return what was written, short, as YAML people would say it."""
    if value is None:
        text = "nothing"
    else:
        text = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 40 else f"{text[:36]}…{text[-1]}"


def did_you_mean(word: str, known: list[str]) -> str:
    """Return a question that names the nearest of the known words, "" when none is near."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def dotted(path: KeyPath) -> str:
    """Return a key path as people write it: checks[0].name."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
