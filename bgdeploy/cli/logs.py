"""`logs`: what the application of both colours says."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from bgdeploy.cli import options
from bgdeploy.cli.invocation import Invocation, Result, click_echo
from bgdeploy.cli.release import open_reader
from bgdeploy.errors import Exit

if TYPE_CHECKING:
    from bgdeploy.release.records.told import Line
    from bgdeploy.release.snapshot import Side

_LONG = 12 * 3600  # seconds, from which on the day is told as well


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--side", type=click.Choice(["blue", "green"]), help="Only this side of the newest deployment.")
@click.option("--since", metavar="D", callback=options.duration, default="10m", show_default=True)
@click.option("--grep", metavar="TEXT", default="", help="Only lines that hold this very text.")
@click.pass_obj
def logs(invocation: Invocation, follow: bool, side: Side | None, since: int, grep: str) -> Result | int:
    """Show the application's log: both colours by time, each line with time, side and version.

    With --follow and --output json each line is a JSON object of its own.
    """
    from bgdeploy.release.logs import Log

    reader = open_reader(invocation)
    log = Log(reader, timedelta(seconds=since), grep, side)
    if invocation.output == "json" and not follow:
        return Result(
            {"log_group": reader.target.log_group, "lines": [line.as_dict() for line in log.lines()]}
        )
    write = _writer(invocation, reader.target.container, dated=since >= _LONG)
    try:
        for line in log.follow(invocation.say) if follow else log.lines():
            write(line)
    except BrokenPipeError:  # whoever read it has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        invocation.interrupts.end()
        invocation.end_echo()
        return int(Exit.INTERRUPTED)
    return int(Exit.DONE)


def _writer(invocation: Invocation, container: str, *, dated: bool) -> Callable[[Line], None]:
    """Return what writes a line to stdout as it comes: in colours, as data, or as it was."""
    import json

    from bgdeploy.views.logs import head, shown

    out = invocation.out
    if invocation.output == "json":
        return lambda line: click_echo(json.dumps(line.as_dict(), ensure_ascii=False))
    if out.is_terminal:
        return lambda line: out.print(shown(line, head(line, container, dated=dated)), soft_wrap=True)
    return lambda line: click_echo(head(line, container, dated=dated) + line.message)
