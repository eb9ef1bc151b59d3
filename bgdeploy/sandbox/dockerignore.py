"""What a .dockerignore file keeps out of the build context, as Docker reads it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

Ignored = Callable[[Path], bool]
_PARTS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def read(context: Path) -> Ignored:
    """Return the test whether a path of `context` is ignored. Raises ValueError for a pattern that is not understood.

    Docker's exceptions (`!keep`) are not: what they bring back may lie in a folder that is out.
    """
    file = context / ".dockerignore"
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    exception = next((pattern for pattern in patterns if pattern.startswith("!")), None)
    if exception is not None:
        raise ValueError(f".dockerignore: the sandbox's builder knows no exceptions such as {exception}")
    expressions = [_expression(pattern.strip("/")) for pattern in patterns]

    def ignored(path: Path) -> bool:
        inside = path.relative_to(context)
        names = [place.as_posix() for place in (inside, *inside.parents) if place != Path()]
        return any(expression.fullmatch(name) for expression in expressions for name in names)

    return ignored


def _expression(pattern: str) -> re.Pattern[str]:
    """`*` stays within one folder, `**` does not; everything else stands for itself."""
    pieces = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    return re.compile("".join(_PARTS.get(piece) or re.escape(piece) for piece in pieces))
