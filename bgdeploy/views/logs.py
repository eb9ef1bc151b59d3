"""A line of the application's log, with who wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from bgdeploy.views.theme import printable

if TYPE_CHECKING:
    from bgdeploy.release.records.told import Line


def head(line: Line, container: str, *, dated: bool) -> str:
    """Return what goes before the message: time, side and version; and the container, where it is not the one.

    `dated` puts the day before the time.
    """
    day = f"{line.at:%Y-%m-%d} " if dated else ""
    at = f"{day}{line.at:%H:%M:%S}.{line.at.microsecond // 1000:03}Z"
    who = line.version if line.container == container else f"{line.version}/{line.container}"
    return f"{at} {line.side or '?':<5} {who:<6} "


def shown(line: Line, head: str) -> Text:
    """Return the line for a terminal, which must not obey what applications write."""
    return Text(head, line.side or "faint").append(printable(line.message.expandtabs()), "default")
