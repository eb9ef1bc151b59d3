"""The card that ends a release. A function of values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from bgdeploy.errors import Exit
from bgdeploy.views.chart import chart
from bgdeploy.views.theme import UNICODE, WIDTH, Glyphs, folded, labelled, plain

if TYPE_CHECKING:
    from bgdeploy.release.ending import Ending


def card(ending: Ending, signs: Glyphs = UNICODE, width: int = WIDTH) -> RenderableType:
    """Return the end of a release: what happened, why, what is live, and last of all what to type next.

    Lines with a command may be longer than `width`: a command is there to be copied, and must not be folded.
    """
    mark, style = _verdict(ending, signs)
    failed = ending.exit in {Exit.ROLLED_BACK, Exit.NEEDS_A_PERSON}
    rows = [("why" if failed else "note", line) for line in ending.why]
    rows += [("log", line) for line in ending.log]
    for series in ending.series:
        rows += [("plot", line) for line in chart(series, signs)]
    if ending.green and failed:
        rows.append(("green", ending.green))
    for live in ending.live:
        label = "live" if live.listener == "production" else "test"
        rows.append((label, f"{live.who} {live.percent}%  {live.url}"))
    if ending.rollback:
        rows.append(("rollback", f"{ending.rollback} rolled {ending.deployment} back"))
    rows.append(("exit", str(int(ending.exit))))
    rows += [("next", step) for step in ending.next]
    headline = folded(f"{mark} ", plain(ending.headline, signs), min(width, WIDTH))
    return Group(*(Text(line, style) for line in headline), *labelled(rows, signs, min(width, WIDTH)))


def _verdict(ending: Ending, signs: Glyphs) -> tuple[str, str]:
    if ending.good:
        return signs.good, "good"
    left = ending.exit in {Exit.GAVE_UP_WAITING, Exit.INTERRUPTED}
    return (signs.warn, "warn") if left else (signs.bad, "bad")
