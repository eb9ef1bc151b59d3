"""Numbers of things, as people say them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

_ONE = {"repositories": "repository"}  # of the plurals that are listed; any other loses its s


def counted(number: int, one: str, many: str = "") -> str:
    """Return "1 task" or "2 tasks"; `many` where it is not `one` with an s."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def listed(numbers: Mapping[str, int]) -> str:
    """Return "1 VPC, 2 target groups" of {"VPCs": 1, "target groups": 2, "alarms": 0}."""
    told = (
        counted(number, _ONE.get(many, many.removesuffix("s")), many)
        for many, number in numbers.items()
        if number
    )
    return ", ".join(told) or "nothing"
