"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


def duration(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """Return 90s, 45m or 1h30m as seconds."""
    from bgdeploy.quantities import Duration

    try:
        return Duration.parse(value) if value is not None else None
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a duration such as 90s, 45m or 1h30m") from None


def keep(context: click.Context, option: click.Parameter, value: Any) -> None:
    """Keep what is asked of every following where followings find it: with the invocation."""
    context.obj.configure(**{option.name or "": value})


timeout = click.option(
    "--timeout", metavar="D", callback=duration, help="Follow for this long at most, such as 45m."
)
checks = click.option(
    "--checks",
    type=click.Choice(["all", "observe", "none"]),
    default="all",
    show_default=True,
    help="observe runs and reports them, and releases whatever they find.",
)
until_shifted = click.option(
    "--until",
    type=click.Choice(["shifted", "finished"]),
    help="Follow until production is on it, which is the default, or until the old version is removed as well, which "
    "is when checks go on after the shift, or auto scaling has to be given back.",
)
quiet = click.option(
    "-q",
    "--quiet",
    is_flag=True,
    expose_value=False,
    callback=keep,
    help="Leave out how it goes on: only warnings, errors and how it ended.",
)
junit = click.option(
    "--junit",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    expose_value=False,
    callback=keep,
    help="Write a JUnit report of the release and its checks.",
)
on_cancel = click.option(
    "--on-cancel",
    type=click.Choice(["detach", "stop"]),
    default="detach",
    show_default=True,
    expose_value=False,
    callback=keep,
    help="What SIGTERM does, and Ctrl-C where there is no terminal, as when a CI job is cancelled: leave the "
    "deployment to whoever attaches; or stop it and roll it back.",
)
