"""`history`: what was released, by whom, and what became of it."""

from __future__ import annotations

from typing import Any

import click

from bgdeploy.cli.invocation import Invocation, Result
from bgdeploy.cli.release import open_reader


@click.command()
@click.option("--limit", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many.")
@click.pass_obj
def history(invocation: Invocation, limit: int) -> Result:
    """Show past releases: version, result and why, duration, who and when.

    A rollback is shown with the release that it undid.
    """
    from bgdeploy.release.records import history as past

    reader = open_reader(invocation)
    releases = past.read(reader, limit)
    stack = reader.target.group

    def text() -> Any:
        from bgdeploy.views.history import history as table

        out = invocation.out
        return table(releases, invocation.signs(out), out.width)

    data = {"stack": stack, "releases": [each.as_dict() for each in releases]}
    return Result(data, text if releases else f"nothing was ever deployed to {stack}")
