"""Options that several commands share."""

from __future__ import annotations

import click


def duration(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """Return 90s, 45m or 1h30m as seconds."""
    from bgdeploy.quantities import Duration

    try:
        return Duration.parse(value) if value is not None else None
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a duration such as 90s, 45m or 1h30m") from None


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
