"""What is measured, what it may be at most, and the table of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One number, and the most that it may be."""

    what: str
    measured: float
    limit: float
    unit: str = ""

    @property
    def good(self) -> bool:
        return self.measured <= self.limit


def render(figures: Sequence[Figure]) -> str:
    """Return the figures as lines of text."""
    width = max(len(figure.what) for figure in figures)
    return "\n".join(_line(figure, width) for figure in figures)


def _line(figure: Figure, width: int) -> str:
    verdict = "ok  " if figure.good else "OVER"
    limit = f"<= {figure.limit:g} {figure.unit}".rstrip()
    return f"{verdict}  {figure.what:<{width}}  {figure.measured:9.3f}  {limit}"
