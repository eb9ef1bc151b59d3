"""Which commit a project's folder is at, as far as git knows. Nothing here fails: a release does not need to know."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

_PATIENCE = 5.0  # seconds that git gets
_HASH = re.compile(r"[0-9a-f]{40,64}")


@dataclass(frozen=True)
class Commit:
    """A commit, "" when nobody knows it, and whether the folder holds something else by now."""

    hash: str = ""
    dirty: bool = False


def of(folder: Path) -> Commit:
    """Return the commit of a folder; nothing when it is no git's, or git is not there."""
    head = _git(folder, "rev-parse", "HEAD")
    if head is None or not _HASH.fullmatch(head):
        return Commit()
    changed = _git(folder, "status", "--porcelain", "--", ".")
    return Commit(head, bool(changed))


def _git(folder: Path, *words: str) -> str | None:
    # Without optional locks it is in nobody's way who works there at the same time.
    command = ["git", "--no-optional-locks", "-C", str(folder), *words]
    try:
        asked = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return asked.stdout.strip() if asked.returncode == 0 else None
