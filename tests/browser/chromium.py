"""A real browser, without a window: shows pages, and tells what it made of them."""

from __future__ import annotations

import base64
import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
_PATIENCE = 120  # seconds for one page, on a machine that does much else
_QUIET = (
    "--headless",
    "--no-sandbox",  # which does not work in containers
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-features=IsolateSandboxedIframes",  # so that frames are drawn together with what is around them
)
# What a page's policy says to scripts among the rest, and what lets a witness in. Quotes are escaped there.
_CLOSED, _INLINE = "default-src &#x27;none&#x27;;", "&#x27;unsafe-inline&#x27;"
# Runs before anything else of a page, and tells at its end what came of it.
_WITNESS = """
<script>
const refused = [];
document.addEventListener('securitypolicyviolation', event => refused.push(event.blockedURI));
addEventListener('load', () => {
  const box = element => element.getBoundingClientRect();
  const wide = document.documentElement.clientWidth;
  const inside = element => !element.closest('.scroll') || element.matches('.scroll');
  const told = {
    wide,
    scrolls: document.documentElement.scrollWidth,
    images: [...document.querySelectorAll('svg[role=img]')].map(e => [box(e).width, box(e).height]),
    beyond: [...document.querySelectorAll('main *')].filter(e => !e.closest('svg') && inside(e)
      && box(e).right > wide + 1).map(e => e.outerHTML.slice(0, 200)),
    cut: [...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth + 1).length,
    refused,
    fetched: performance.getEntriesByType('resource').map(entry => entry.name),
    text: document.body.innerText,
  };
  const note = document.createElement('pre');
  note.id = 'told';
  note.textContent = JSON.stringify(told);
  document.body.append(note);
});
</script>
"""
# Counts the colours of a picture.
_EYE = """<!doctype html><canvas id=c></canvas><img id=i src="data:image/png;base64,%s"><script>
addEventListener('load', () => {
  c.width = i.width; c.height = i.height;
  const pen = c.getContext('2d');
  pen.drawImage(i, 0, 0);
  const dots = new Uint32Array(pen.getImageData(0, 0, c.width, c.height).data.buffer);
  const [r, g, b] = pen.getImageData(2, 2, 1, 1).data;
  const note = document.createElement('pre');
  note.id = 'told';
  note.textContent = JSON.stringify({colours: new Set(dots).size, corner: (r + g + b) / 765});
  document.body.append(note);
});
</script>"""


@dataclass
class Chromium:
    """The browser; everything it writes is below `folder`."""

    program: str
    folder: Path
    runs: int = 0

    def run(self, page: Path, *options: str) -> str:
        """Show a page, and return what the browser prints."""
        self.runs += 1
        profile = self.folder / f"profile-{self.runs}"
        command = [self.program, *_QUIET, f"--user-data-dir={profile}", *options, page.as_uri()]
        told = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=True)
        return told.stdout

    def measured(self, page: Path, width: int) -> dict[str, Any]:
        """Return what a page comes to in a window of a width; it has a witness, and is otherwise as it was."""
        text = page.read_text(encoding="utf-8")
        watched = text.replace(_CLOSED, f"{_CLOSED} script-src {_INLINE};", 1)
        assert watched != text
        copy = self.folder / f"measured-{self.runs}.html"
        copy.write_text(watched.replace("<title>", f"{_WITNESS}<title>", 1), encoding="utf-8")
        return _told(self.run(copy, f"--window-size={width},900", "--virtual-time-budget=5000", "--dump-dom"))

    def picture(self, page: Path, settings: str = "") -> bytes:
        """Return a picture of a page, as PNG, with some of the browser's settings."""
        shot = self.folder / f"shot-{self.runs}.png"
        chosen = [f"--blink-settings={settings}"] if settings else []
        self.run(
            page, "--window-size=1100,2600", "--virtual-time-budget=5000", f"--screenshot={shot}", *chosen
        )
        return shot.read_bytes()

    def without_scripts(self, page: Path) -> bytes:
        """Return a picture of a page that may run nothing: in a frame, for the browser itself needs its scripts."""
        frame = self.folder / f"frame-{self.runs}.html"
        style = "position:fixed;inset:0;width:100%;height:100%;border:0"
        inside = html.escape(page.read_text(encoding="utf-8"))
        text = f'<!doctype html><iframe sandbox="" style="{style}" srcdoc="{inside}"></iframe>'
        frame.write_text(text, encoding="utf-8")
        return self.picture(frame)

    def seen(self, picture: bytes) -> dict[str, Any]:
        """Return how many colours a picture has, and how light its corner is, from 0 to 1."""
        eye = self.folder / "eye.html"
        eye.write_text(_EYE % base64.b64encode(picture).decode(), encoding="utf-8")
        return _told(self.run(eye, "--virtual-time-budget=20000", "--dump-dom"))

    def printed(self, page: Path) -> int:
        """Print a page, and return on how many sheets."""
        paper = self.folder / f"paper-{self.runs}.pdf"
        self.run(page, "--no-pdf-header-footer", f"--print-to-pdf={paper}")
        return len(re.findall(rb"/Type\s*/Page\b", paper.read_bytes()))


def _told(dom: str) -> dict[str, Any]:
    match = re.search(r'<pre id="told">(.*?)</pre>', dom, re.DOTALL)
    assert match, dom[-2000:]
    told: dict[str, Any] = json.loads(html.unescape(match[1]))
    return told


def find() -> str | None:
    """Return where the browser is, None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)
