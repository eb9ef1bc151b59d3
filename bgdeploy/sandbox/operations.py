"""Who answers which operation: the list in docs/sandbox.md, made from the sandbox itself.

`python -m bgdeploy.sandbox.operations docs/sandbox.md` brings the file up to date.
"""

from __future__ import annotations

import sys
import tempfile
import textwrap
from collections.abc import Iterable
from pathlib import Path

from bgdeploy.sandbox.gateway import PRETENDED
from bgdeploy.sandbox.server import build_world, close_world
from bgdeploy.sandbox.world import Settings, World

_BEGIN, _END = "<!-- operations -->\n", "<!-- end of operations -->"
_WIDTH = 118


def listed(world: World) -> str:
    """Return the operations of the world's parts, and those that nobody answers though moto would, as Markdown."""
    ours = [operation for part in world.parts for operation in part.operations]
    return f"{_by_service(ours)}\nRefused, because moto would only pretend:\n\n{_by_service(PRETENDED)}"


def updated(text: str, world: World) -> str:
    """Return a page with its list of operations as it is in this world."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}{listed(world)}{_END}{after}"


def _by_service(operations: Iterable[tuple[str, str]]) -> str:
    names: dict[str, list[str]] = {}
    for service, name in sorted(operations):
        names.setdefault(service, []).append(name)
    lines = (f"- **{service}**: {', '.join(found)}" for service, found in names.items())
    return "".join(f"{textwrap.fill(line, _WIDTH, subsequent_indent='  ')}\n" for line in lines)


def main() -> None:
    page = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as home:
        world, _gateway = build_world(Settings(home=Path(home)), "AKIANOBODY")
        page.write_text(updated(page.read_text(encoding="utf-8"), world), encoding="utf-8")
        close_world(world)


if __name__ == "__main__":
    main()
