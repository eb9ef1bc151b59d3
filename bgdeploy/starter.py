"""The starter project: what `bgdeploy init` writes, and what the demo releases."""

from __future__ import annotations

import re
import sysconfig
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from bgdeploy.names import LONGEST_STACK_NAME

APP = "ecs-blue-green-demo"  # the application's name in the starter's own files
_LONGEST = LONGEST_STACK_NAME - len(
    "-prod"
)  # so that its stack has a name in each of the starter's environments
# What YAML takes for something else than text, and what a load balancer's name may not begin with.
_TAKEN = {"true", "false", "yes", "no", "on", "off", "null", "y", "n", "internal"}
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


def app_name(folder: str) -> str:
    """Return what an application in a folder of this name is called: the same as far as AWS allows, else APP."""
    plain = unicodedata.normalize("NFKD", folder.casefold()).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "-", plain).lstrip("-0123456789").removeprefix("internal-").strip("-")
    if len(name) > _LONGEST:
        words = name[: _LONGEST + 1].rpartition("-")[0]
        name = words or name[:_LONGEST]
    return APP if not name or name in _TAKEN or name.startswith("internal-") else name


def write(project: Path, app: str = APP) -> tuple[list[Path], list[Path]]:
    """Write the starter's files that `project` lacks; return those written and those already there."""
    written, kept = [], []
    for relative in files():
        destination = project / relative
        if destination.exists():
            kept.append(relative)
            continue
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.write_bytes((source() / relative).read_bytes().replace(APP.encode(), app.encode()))
        written.append(relative)
    return written, kept
