"""What somebody at the keyboard adds to the board: the log's newest lines, and the keys that do something now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.text import Text

from bgdeploy.release.keys import Offer
from bgdeploy.release.records.told import Said

PANE = 6  # lines that the log gets at least, where events have to make room for it


@dataclass(frozen=True)
class Panel:
    """What is shown below a board that listens to keys."""

    offers: tuple[Offer, ...] = ()
    said: str = ""  # what a key has just brought about, or asks for; it is shown instead of the keys
    log: tuple[Said, ...] | None = None  # None: not asked for
    of: str = ""  # whose log it is

    @property
    def room(self) -> int:
        """The lines that it wants for the log."""
        return 0 if self.log is None else PANE


def pane(panel: Panel | None, room: int) -> Iterator[Text]:
    """Yield the newest lines of the log that there is room for, below a line that says whose it is."""
    if panel is None or panel.log is None or room < 2:
        return
    yield Text(f" log of {panel.of}" if panel.log else f" log of {panel.of}: nothing yet", "title")
    for at, message in panel.log[-(room - 1) :]:
        yield Text(f"   {at:%H:%M:%S} ", "faint").append(message.rstrip(), "default")


def footer(panel: Panel | None) -> Iterator[Text]:
    """Yield the last line of the board, nothing where nobody can press a key."""
    if panel is None:
        return
    if panel.said:
        yield Text(f" {panel.said}", "warn")
        return
    yield Text(" " + "   ".join(f"{offer.key} {offer.label}" for offer in panel.offers), "faint")
