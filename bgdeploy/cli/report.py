"""`report`: one release as a page that can be attached to a ticket."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from bgdeploy.cli.invocation import Invocation, Result
from bgdeploy.cli.release import named_or_newest, open_reader
from bgdeploy.errors import BgdeployError


@click.command()
@click.argument("deployment", metavar="[ID]", required=False)
@click.option("--out", metavar="FILE", help="Where to write it, - for stdout. [default: report-ID.html]")
@click.pass_obj
def report(invocation: Invocation, deployment: str | None, out: str | None) -> Result:
    """Write one release as an HTML page that can be attached to a ticket.

    It tells the verdict, the course, traffic, checks, alarms, and what is live, and needs neither a network nor
    JavaScript. Without ID it is about the running release, or the latest.
    """
    from bgdeploy.release.records import report as reports
    from bgdeploy.views.report import page

    reader = open_reader(invocation)
    found = named_or_newest(reader, deployment)
    told = reports.read(reader, found)
    told = replace(
        told, why=tuple(map(invocation.spelled, told.why)), next=tuple(map(invocation.spelled, told.next))
    )
    text = page(told)
    ident = told.story.deployment
    data = {"deployment": ident, "good": told.good, "verdict": told.verdict, "story": told.kept}
    if out == "-":
        return Result({**data, "path": "-", "html": text}, text, document=True)
    path = Path(out or f"report-{ident}.html")
    _write(path, text)
    return Result({**data, "path": str(path)}, f"{told.verdict}\n{path}")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BgdeployError(
            f"the report could not be written: {error}", "--out names another file, - is stdout"
        ) from error
