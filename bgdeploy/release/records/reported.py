"""What a report tells, as plain values: `report` fills them, `views.report` draws them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bgdeploy.release.records.story import Standing, Story


@dataclass(frozen=True)
class Bound:
    """What a check allows a measured value to be."""

    value: str  # what it is about: latency, p95, success, ratio, value
    sign: str  # "<=" or ">="
    limit: float
    unit: str  # "s", "%" or "": a part of one is a percentage
    shown: str

    @property
    def said(self) -> str:
        """The limit in words."""
        return f"{'at most' if self.sign == '<=' else 'at least'} {self.shown}"


@dataclass(frozen=True)
class Source:
    """Where a release came from, as its record says; nothing of what bgdeploy did not start."""

    by: str = ""
    image: str = ""
    task_definition: str = ""
    commit: str = ""
    dirty: bool = False
    strategy: str = ""
    undoes: str = ""
    checks: str = ""  # all, observe or none
    bounds: Mapping[str, tuple[Bound, ...]] = field(default_factory=dict)  # by the check's name


@dataclass(frozen=True)
class Report:
    """One release, from its start to its end or to now."""

    stack: str
    region: str
    written: datetime
    story: Story
    verdict: str
    good: bool | None  # None: nobody knows yet
    kept: bool  # somebody followed it and saved what they saw
    live: tuple[Standing, ...]  # now
    why: tuple[str, ...] = ()
    next: tuple[str, ...] = ()
    source: Source = Source()
