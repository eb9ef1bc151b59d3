"""Past releases, as a table: one line each, and one below it for why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from bgdeploy.release.phase import length
from bgdeploy.views.theme import UNICODE, WIDTH, Glyphs, fit, folded, plain

if TYPE_CHECKING:
    from bgdeploy.release.records.told import Release

_WIDEST = 120  # columns
_HEADS = ("when (UTC)", "version", "result", "took", "checks", "deployment", "by")
_CHECKS = _HEADS.index("checks")
_INDENT = "    "


def history(releases: Sequence[Release], signs: Glyphs = UNICODE, width: int = WIDTH) -> RenderableType:
    """Return a table of releases, in the order given."""
    width = min(width, _WIDEST)
    rows = [_HEADS, *map(_cells, releases)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADS))]
    if not any(each.checked for each in releases) or _room(widths) > width:
        # Where there is not enough room for all, who it was says more than how many checks there were.
        rows = [(*row[:_CHECKS], *row[_CHECKS + 1 :]) for row in rows]
        del widths[_CHECKS]
    lines = [fit(_row("  ", rows[0], widths, "faint"), width, signs)]
    versions = {each.deployment: each.version for each in releases}
    for each, cells in zip(releases, rows[1:], strict=True):
        sign = signs.mark(each.good, running=each.result == "in flight")
        line = Text.assemble(sign, " ", _row("", cells, widths, "title" if each.live else ""))
        line.plain = plain(line.plain, signs)
        lines += [fit(line, width, signs), *_below(each, versions, signs, width)]
    return Group(*lines)


def _room(widths: Sequence[int]) -> int:
    return 2 * len(widths) + sum(widths)


def _cells(each: Release) -> tuple[str, ...]:
    took = length(each.completed - each.created) if each.completed else ""
    result = each.result
    if each.live:
        result = "live" if each.good else f"{result}, live"
    when = f"{each.created:%Y-%m-%d %H:%M}"
    return when, each.version or "?", result, took, each.checked, each.deployment, each.by or "?"


def _row(start: str, cells: Sequence[str], widths: Sequence[int], style: str) -> Text:
    padded = (cell.ljust(room) for cell, room in zip(cells, widths, strict=True))
    return Text((start + "  ".join(padded)).rstrip(), style)


def _below(each: Release, versions: dict[str, str], signs: Glyphs, width: int) -> Iterator[Text]:
    """Yield why it came to that, and what undid it or what it undid."""
    parts = [each.why]
    if each.undoes:
        parts.append(f"back from {versions.get(each.undoes) or each.undoes}")
    if each.rollback:
        parts.append(f"undone by {each.rollback}")
    said = "; ".join(part for part in parts if part)
    for line in folded(_INDENT, plain(said, signs), width) if said else ():
        yield Text(line, "faint")
