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


def _same_members(wanted: list[Any], actual: Any) -> bool:
    if not isinstance(actual, (set, frozenset, list, tuple)):
        return False
    found = list(actual)  # which may hold what no set can
    return all(each in found for each in wanted) and all(each in wanted for each in found)
