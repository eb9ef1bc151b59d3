"""What the doctor found, as a page of text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from bgdeploy.counting import counted
from bgdeploy.doctor.finding import Finding
from bgdeploy.views.theme import UNICODE, WIDTH, Glyphs, folded, plain

_CHECKS = 14  # columns
_WIDEST = 100  # columns: longer lines of prose are hard to read
_STYLES = {"ok": "good", "warning": "warn", "fails": "bad", "not checked": "faint"}


def doctor(
    title: str,
    findings: Sequence[Finding],
    signs: Glyphs = UNICODE,
    width: int = WIDTH,
    last: tuple[str, str] | None = None,
) -> RenderableType:
    """Return how everything is, what to do about what is not well, and what that means for a release.

    `last` is what else there is to say, and what to do about that.
    """
    lines = [Text(title, "title")]
    for finding in findings:
        lines += _finding(finding, signs, min(width, _WIDEST))
    lines.append(Text(summary(findings), "title"))
    if last:
        message, hint = last
        lines += [Text(line, "warn") for line in folded("", message, min(width, _WIDEST))]
        lines += [Text(line) for line in folded(f"  {signs.arrow} ", hint, min(width, _WIDEST))]
    for line in lines:
        line.plain = plain(line.plain, signs)
    return Group(*lines)


def summary(findings: Sequence[Finding]) -> str:
    """Return in one sentence what the findings mean for a release."""
    count = Counter(finding.state for finding in findings)
    parts = [
        counted(count["fails"], "failure") if count["fails"] else "",
        counted(count["warning"], "warning") if count["warning"] else "",
        f"{count['not checked']} not checked" if count["not checked"] else "",
    ]
    told = ", ".join(part for part in parts if part) or "all is well"
    return f"{told}: a release {'would fail' if count['fails'] else 'may start'}"


def _finding(finding: Finding, signs: Glyphs, width: int) -> Iterator[Text]:
    style = _STYLES[finding.state]
    sign = {"ok": signs.good, "warning": signs.warn, "fails": signs.bad, "not checked": signs.skipped}
    head = f"  {sign[finding.state]} {finding.check}".ljust(_CHECKS + 4)
    for line in folded(head, finding.text, width):
        yield Text(line, "" if finding.state == "ok" else style)
    if finding.hint:
        indent = " " * (_CHECKS + 4)
        yield from (Text(line) for line in folded(f"{indent}{signs.arrow} ", finding.hint, width))
