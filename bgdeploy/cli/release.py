"""`release` and `watch`: start a release, and follow one to its end from anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from bgdeploy.cli.following import Following
from bgdeploy.cli.invocation import Invocation, Result
from bgdeploy.errors import BgdeployError, InterruptError

if TYPE_CHECKING:
    from bgdeploy.aws import Aws
    from bgdeploy.config import Settings
    from bgdeploy.release.reader import Reader
    from bgdeploy.release.start import Started
    from bgdeploy.release.watch import Until


def _duration(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """Return 90s, 45m or 1h30m as seconds."""
    from bgdeploy.config import Duration

    try:
        return Duration.parse(value) if value is not None else None
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a duration such as 90s, 45m or 1h30m") from None


_timeout = click.option(
    "--timeout", metavar="D", callback=_duration, help="Follow for this long at most, such as 45m."
)


@click.command()
@click.argument("version")
@click.option("--image", metavar="REF", help="Release this image instead of the tag VERSION or a build.")
@click.option("--strategy", metavar="S", help="How production moves, such as 'canary 10% 5m'.")
@click.option(
    "--checks",
    type=click.Choice(["all", "observe", "none"]),
    default="all",
    show_default=True,
    help="observe runs and reports them, and releases whatever they find.",
)
@click.option(
    "--until",
    type=click.Choice(["shifted", "finished"]),
    help="Follow until production is on it, which is the default, or until the old version is removed as well, which "
    "is when auto scaling has to be given back.",
)
@_timeout
@click.option("--detach", is_flag=True, help="Only start it: `watch` must run the checks.")
@click.option("--ignore-alarms", is_flag=True, help="Release although an alarm is on, and whatever goes off.")
@click.pass_obj
def release(
    invocation: Invocation, /, until: Until | None, timeout: int | None, detach: bool, **asked: Any
) -> Result:
    """Release a version, check it before users see it, and follow it.

    VERSION is the image's tag: the one that ECR has goes out, else it is built and pushed. Ctrl-C stops following;
    a deployment that was started goes on.
    """
    invocation.interrupts.once()
    settings, aws, started = _start(invocation, asked)
    if detach:
        return _detached(invocation, started, settings)

    from bgdeploy.release.attendant import Attendant
    from bgdeploy.release.reader import Reader

    following = Following(
        invocation,
        Reader(aws, started.target),
        started.deployment_id,
        Attendant(aws, started.target, started.record),
        started=True,
    )
    ended = following.follow(until or ("finished" if started.scaling_suspended else "shifted"), timeout)
    record = started.record
    return following.result(ended, {"image": record.image, "task_definition": record.task_definition})


def _start(invocation: Invocation, asked: Mapping[str, Any]) -> tuple[Settings, Aws, Started]:
    """Start the release. Whoever comes here with a deployment has Ctrl-C held back until it is followed."""
    interrupts = invocation.interrupts
    try:
        from bgdeploy.release.start import start
        from bgdeploy.stack import task_network

        settings, project = invocation.settings(), invocation.project
        aws = invocation.aws(settings)
        started = start(
            aws,
            settings,
            project,
            **asked,
            network=lambda: task_network(aws, settings, project),
            say=invocation.say,
            begin=interrupts.hold,
        )
        return settings, aws, started
    except KeyboardInterrupt:
        if not interrupts.held:
            raise InterruptError("interrupted: nothing was started") from None
        raise InterruptError(
            "interrupted while CodeDeploy was asked to start the deployment: it may run, or not",
            "`bgdeploy status` tells, `bgdeploy watch` follows it",
        ) from None


def _detached(invocation: Invocation, started: Started, settings: Settings) -> Result:
    ident, record, lease = started.deployment_id, started.record, settings.config.hook.lease
    attach = invocation.spelled(f"bgdeploy watch {ident}")
    text = (
        f"deployment {ident} releases {record.version}; it waits {lease} for somebody to run its checks,\n"
        f"and fails when nobody does, with production as it was:\n  {attach}"
    )
    data = {
        "deployment": ident,
        "version": record.version,
        "image": record.image,
        "task_definition": record.task_definition,
        "next": [attach],
    }
    return Result(data, text)


@click.command()
@click.argument("deployment", metavar="[ID]", required=False)
@click.option(
    "--until",
    type=click.Choice(["shifted", "finished"]),
    default="finished",
    show_default=True,
    help="Follow until production is on it, or until the old version is removed as well.",
)
@_timeout
@click.pass_obj
def watch(invocation: Invocation, deployment: str | None, until: Until, timeout: int | None) -> Result:
    """Follow the running deployment, or a named one, from anywhere.

    When nothing runs, it tells how the latest one ended. Its checks are taken over when nobody runs them.
    """
    from bgdeploy.release.attendant import Attendant

    invocation.interrupts.once()
    reader = open_reader(invocation)
    found = deployment or reader.active() or reader.latest()
    if found is None:
        raise BgdeployError(
            f"nothing was ever deployed to {reader.target.group}",
            "`bgdeploy release VERSION` is the first",
            {"stack": reader.target.group},
        )
    following = Following(invocation, reader, found, Attendant(reader.aws, reader.target))
    return following.result(following.follow(until, timeout))


def open_reader(invocation: Invocation) -> Reader:
    """Return a reader of the project's stack. Raises BgdeployError when it is not there."""
    from bgdeploy.release.reader import Reader, find_target

    settings = invocation.settings()
    aws = invocation.aws(settings)
    return Reader(aws, find_target(aws, settings.names))
