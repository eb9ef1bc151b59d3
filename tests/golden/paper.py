"""Views on paper: 80 columns, no colour, compared with what is kept beside the tests.

`UPDATE_GOLDEN=1 pytest tests/golden` writes the files anew; the diff is then what to look at.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

from rich.console import Console, RenderableType

from bgdeploy.views.theme import THEME

HERE = Path(__file__).parent
WIDTH = 80


def rendered(view: RenderableType, encoding: str = "utf-8") -> str:
    """Return a view as the text that a terminal of 80 columns would show."""
    paper = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
    console = Console(file=paper, record=True, width=WIDTH, no_color=True, theme=THEME, legacy_windows=False)
    console.print(view, highlight=False, soft_wrap=True)
    return "\n".join(line.rstrip() for line in console.export_text(styles=False).splitlines()) + "\n"


def check(name: str, text: str) -> None:
    """Compare `text` with the golden file `name`, or write the file when UPDATE_GOLDEN is set."""
    kept = HERE / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        kept.write_text(text, encoding="utf-8")
    assert text == kept.read_text(encoding="utf-8")
