"""The starter project: what `bgdeploy init` writes, and what the demo releases."""

from __future__ import annotations

import shutil
import sysconfig
from collections.abc import Iterator
from pathlib import Path

FOLDERS = ("config", "appspec", "hook_lambda", "container")


def source() -> Path:
    """Return where the starter's folders are: beside the package in a checkout, else where pip put them."""
    checkout = Path(__file__).resolve().parent.parent
    if all((checkout / folder).is_dir() for folder in FOLDERS):
        return checkout
    return Path(sysconfig.get_path("data")) / "share" / "bgdeploy" / "starter"


def files() -> Iterator[Path]:
    """Yield the starter's files, relative to `source()`."""
    root = source()
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(root)


def write(project: Path) -> tuple[list[Path], list[Path]]:
    """Write the starter's files that `project` lacks; return those written and those already there."""
    written, kept = [], []
    for relative in files():
        destination = project / relative
        if destination.exists():
            kept.append(relative)
            continue
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source() / relative, destination)
        written.append(relative)
    return written, kept
