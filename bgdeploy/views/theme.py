"""Colours and glyphs, and what stands in for them where there are none. Colour never carries meaning alone."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rich.console import Console
from rich.text import Text
from rich.theme import Theme

from bgdeploy.views.alphabet import in_ascii, wants_ascii
from bgdeploy.views.commands import typed

WIDTH = 80  # columns that everything fits into, and no more than that are used

THEME = Theme(
    {
        "good": "green",
        "bad": "bold red",
        "warn": "yellow",
        "busy": "cyan",
        "faint": "dim",
        "title": "bold",
        "blue": "blue",
        "green": "green",
    },
    inherit=True,
)


@dataclass(frozen=True)
class Glyphs:
    """The signs of one alphabet, and how bgdeploy is called: commands are printed to be copied."""

    good: str
    bad: str
    busy: str
    idle: str
    skipped: str
    warn: str
    arrow: str
    dot: str
    full: str
    empty: str
    rest: str  # ends a line that was cut
    levels: str  # of a plot, from low to high
    program: str = "bgdeploy"

    def mark(self, good: bool | None, *, running: bool = False) -> Text:
        """Return the sign of an outcome: good, bad, or none yet."""
        if good is None:
            return Text(self.busy, "busy") if running else Text(self.idle, "faint")
        return Text(self.good, "good") if good else Text(self.bad, "bad")


UNICODE = Glyphs("✓", "✗", "●", "·", "-", "!", "→", "·", "█", "░", "…", "▁▂▃▄▅▆▇█")
ASCII = Glyphs("+", "x", "*", ".", "-", "!", "->", "|", "#", ".", "~", "_.:-=+*#")


def console(*, stderr: bool = False, color: bool = True) -> Console:
    """Return the console of stdout or stderr; rich itself honours NO_COLOR and a dumb terminal."""
    return Console(stderr=stderr, no_color=None if color else True, theme=THEME, highlight=False, emoji=False)


def glyphs(console: Console, program: str = "bgdeploy", environ: Mapping[str, str] = os.environ) -> Glyphs:
    """Return the signs that the console's encoding can show, plain ones for who asks for the locale C."""
    return replace(ASCII if wants_ascii(console.encoding, environ) else UNICODE, program=program)


def printable(text: str) -> str:
    """Return `text` on one line and without control characters: applications and AWS may say anything."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def plain(text: str, signs: Glyphs) -> str:
    """Return printable `text`, its commands as they are typed, with nothing that the alphabet of `signs` lacks."""
    text = typed(printable(text), signs.program)
    return in_ascii(text) if signs.good.isascii() else text


def folded(head: str, text: str, width: int) -> list[str]:
    """Return `text` after `head`, folded under its own beginning; words stay whole, they may be URLs."""
    return textwrap.wrap(
        text,
        width,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [head.rstrip()]


def fit(line: Text, width: int, signs: Glyphs) -> Text:
    """Return `line` cut to `width` columns, with a sign that it was cut."""
    if line.cell_len > width:
        line.truncate(width - len(signs.rest))
        line.append(signs.rest)
    return line


def labelled(rows: Sequence[tuple[str, str]], signs: Glyphs, width: int) -> Iterator[Text]:
    """Yield rows under their labels; a label that repeats the one above is left out, but for the listeners'."""
    before = ""
    for label, text in rows:
        shown = "" if label == before and label not in {"live", "test"} else label
        before, said = label, text if label == "plot" else plain(text, signs)
        head = f"  {shown:<9}"
        whole = label == "plot" or (label == "next" and _holds_command(text))
        lines = [head + said] if whole else folded(head, _COMMAND.sub(_joined, said), width)
        yield from (Text(line.replace(_JOINT, " ")) for line in lines)


_COMMAND, _JOINT = re.compile(r"`[^`]*`"), "\0"


def _joined(command: re.Match[str]) -> str:
    """Return a command within a sentence as one word, so that folding leaves it whole."""
    return command[0].replace(" ", _JOINT)


def _holds_command(step: str) -> bool:
    return ("bgdeploy " in step and "`" not in step) or step.startswith("aws ")
