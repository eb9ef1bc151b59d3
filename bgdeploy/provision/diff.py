"""What differs between what something should be and what it is. Only what is declared is compared. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Step = str | int


class Whole(dict[str, Any]):
    """A mapping that is declared to its last key: what the actual one has beside it differs too."""


@dataclass(frozen=True)
class Difference:
    """One value that is not as it should be, and the way to it from the top."""

    path: tuple[Step, ...]
    wanted: Any
    actual: Any

    @property
    def field(self) -> str:
        """The field of the resource that has to change for it."""
        return str(self.path[0])

    @property
    def where(self) -> str:
        """The way to the value, as people write it: `loadBalancerInfo.targetGroups[1].name`."""
        first, *rest = self.path
        return str(first) + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in rest)


def differences(
    desired: Mapping[str, Any], actual: Mapping[str, Any], ignored: Collection[str] = ()
) -> list[Difference]:
    """Return where `actual` does not agree with `desired`, in the order of declaration.

    What only `actual` has is not ours to judge. Sets are compared as such: AWS gives many lists back in another order.
    """
    declared = {field: wanted for field, wanted in desired.items() if field not in ignored}
    return list(_mapping((), declared, actual))


def _mapping(
    path: tuple[Step, ...], wanted: Mapping[str, Any], actual: Mapping[str, Any]
) -> Iterator[Difference]:
    for key, value in wanted.items():
        yield from _value((*path, key), value, actual.get(key))


def _value(path: tuple[Step, ...], wanted: Any, actual: Any) -> Iterator[Difference]:
    if isinstance(wanted, Mapping) and isinstance(actual, Mapping) and not isinstance(wanted, Whole):
        yield from _mapping(path, wanted, actual)
    elif (
        isinstance(wanted, (list, tuple)) and isinstance(actual, (list, tuple)) and len(wanted) == len(actual)
    ):
        for index, (left, right) in enumerate(zip(wanted, actual, strict=True)):
            yield from _value((*path, index), left, right)
    elif isinstance(wanted, (set, frozenset)):
        if not _same_members(list(wanted), actual or ()):
            yield Difference(path, wanted, actual)
    elif type(wanted) is bool or type(actual) is bool:
        if wanted is not actual:  # 1 equals True, and is another answer
            yield Difference(path, wanted, actual)
    elif wanted != actual:
        yield Difference(path, wanted, actual)


def narrowed(difference: Difference) -> Iterator[Difference]:
    """Yield where within its values a difference lies, as changes of their parts. For people: it may be long.

    What is a member on one side alone comes or goes: nothing is there on the other.
    """
    parts = list(_parted(difference.path, difference.wanted, difference.actual))
    yield from parts or (difference,)  # such as the order alone


def _parted(path: tuple[Step, ...], wanted: Any, actual: Any) -> Iterator[Difference]:
    if isinstance(wanted, Mapping) and isinstance(actual, Mapping):
        for key in {**wanted, **actual}:
            if wanted.get(key) != actual.get(key):
                yield from _parted((*path, key), wanted.get(key), actual.get(key))
    elif wanted is not None and actual is not None and (_is_many(wanted) or _is_many(actual)):
        yield from _moved(path, _members(wanted), _members(actual))
    else:
        yield Difference(path, wanted, actual)


def _moved(path: tuple[Step, ...], wanted: list[Any], actual: list[Any]) -> Iterator[Difference]:
    come = [each for each in wanted if each not in actual]
    gone = [each for each in actual if each not in wanted]
    if len(come) == len(gone) == 1:
        yield from _parted((*path, wanted.index(come[0])), come[0], gone[0])
        return
    yield from (Difference((*path, actual.index(each)), None, each) for each in gone)
    yield from (Difference((*path, wanted.index(each)), each, None) for each in come)


def _is_many(value: Any) -> bool:
    return isinstance(value, (list, tuple, set, frozenset))


def _members(value: Any) -> list[Any]:
    """Return the members of a list or set in one order; IAM writes a list of one without the list."""
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    return list(value) if _is_many(value) else [value]


def _same_members(wanted: list[Any], actual: Any) -> bool:
    if not isinstance(actual, (set, frozenset, list, tuple)):
        return False
    found = list(actual)  # which may hold what no set can
    return all(each in found for each in wanted) and all(each in wanted for each in found)
