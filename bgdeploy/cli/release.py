"""`release` and `watch`: start a release, and follow one to its end from anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bgdeploy.cli import options
from bgdeploy.cli.companions import companions
from bgdeploy.cli.following import Following, attendant, how_far
from bgdeploy.cli.invocation import Invocation, Result
from bgdeploy.cli.starting import quietly, starting
from bgdeploy.errors import BgdeployError, BusyError

if TYPE_CHECKING:
    from bgdeploy.config import Settings
    from bgdeploy.release.reader import Reader
    from bgdeploy.release.start import Started
    from bgdeploy.release.watch import Until
    from bgdeploy.release.way import IfActive, Same


@click.command()
@click.argument("version")
@click.option("--image", metavar="REF", help="Release this image instead of the tag VERSION or a build.")
@click.option("--strategy", metavar="S", help="How production moves, such as 'canary 25% 45m'.")
@options.checks
@options.until_shifted
@options.timeout
@options.quiet
@options.junit
@options.on_cancel
@click.option(
    "--if-active",
    type=click.Choice(["fail", "wait", "replace"]),
    default="fail",
    show_default=True,
    help="When another deployment is active: wait for its end; or replace it, which ends the time for which its old "
    "version is kept, and before that stops it and rolls back.",
)
@click.option("--force", is_flag=True, help="Release although just this is live, or on its way, already.")
@click.option("--detach", is_flag=True, help="Only start it: `watch` must run the checks.")
@click.option("--ignore-alarms", is_flag=True, help="Release although an alarm is on, and whatever goes off.")
@click.pass_obj
def release(
    invocation: Invocation, /, until: Until | None, timeout: int | None, detach: bool, **asked: Any
) -> Result:
    """Release a version, check it before users see it, and follow it.

    VERSION is the image's tag: the one that ECR has goes out, else it is built and pushed. What is live already, the
    very same image and task definition, is not released again, and a release of it that is on its way is followed.
    Ctrl-C and SIGTERM stop following; a deployment that was started goes on, unless --on-cancel says otherwise.
    """
    from bgdeploy.release.reader import Reader
    from bgdeploy.release.way import Same

    with starting(invocation):
        opening = _Opening(invocation, timeout)
        begun = opening.start(**asked)
    if isinstance(begun, Same):
        return _already(opening, begun, asked["version"], until, detach)
    if detach:
        return _detached(invocation, begun, opening.settings)
    following = Following(
        invocation,
        Reader(opening.reader.aws, begun.target),
        begun.deployment_id,
        attendant(invocation, opening.reader, begun.record),
        started=True,
        companions=companions(invocation, opening.reader),
    )
    ended = following.follow(how_far(invocation, begun, until), opening.left)
    record = begun.record
    return following.result(ended, {"image": record.image, "task_definition": record.task_definition})


class _Opening:
    """A release until it is on its way."""

    def __init__(self, invocation: Invocation, timeout: int | None) -> None:
        self.invocation = invocation
        self.settings = invocation.settings()
        self._timeout = timeout
        self._deadline: float | None = None

    @property
    def left(self) -> float | None:
        """The seconds that are left of the time-out."""
        if self._deadline is None:
            return None
        return max(self._deadline - self.reader.aws.clock.monotonic(), 0.0)

    def start(self, *, if_active: IfActive, force: bool, **asked: Any) -> Started | Same:
        """Start it when nothing is in its way (any more); or return what is there already of what it wants."""
        from bgdeploy.release.start import start
        from bgdeploy.release.wanted import Wanted
        from bgdeploy.release.way import Way, make_way
        from bgdeploy.stack import task_network

        invocation, settings, project = self.invocation, self.settings, self.invocation.project
        self._open(asked["version"], asked["strategy"])
        aws = self.reader.aws

        def network() -> Any:
            return task_network(aws, settings, project)

        wanted = None if force else Wanted(aws, settings, project, asked["version"], asked["image"], network)
        way = Way(if_active, invocation.say, quietly(invocation), self._deadline)
        interrupts = invocation.interrupts
        while True:
            same = make_way(self.reader, wanted, way)
            if same:
                return same
            try:
                return start(
                    aws,
                    settings,
                    project,
                    **asked,
                    network=network,
                    target=self.reader.target,
                    say=invocation.say,
                    begin=interrupts.hold,
                )
            except BusyError:  # somebody else was faster
                if if_active == "fail":
                    raise
                interrupts.let_through()

    def _open(self, version: str, strategy: str | None) -> None:
        """Find the stack. What is wrong with the request is told now, and not after a long wait."""
        from bgdeploy.release.start import require
        from bgdeploy.release.traffic import look_up

        way, _ = require(self.settings, self.invocation.project, version, strategy)
        self.reader = open_reader(self.invocation)
        look_up(self.reader.aws, way)
        if self._timeout is not None:
            self._deadline = self.reader.aws.clock.monotonic() + self._timeout


def _already(opening: _Opening, same: Same, version: str, until: Until | None, detach: bool) -> Result:
    """Say that just this is live; or follow the deployment that it is on its way with, and end as that ends."""
    from bgdeploy.release.scaling import restore

    invocation, reader = opening.invocation, opening.reader
    data = {"version": version, "deployment": same.deployment, "task_definition": same.task_definition}
    if not same.deployment:
        name = same.task_definition.rpartition("/")[2]
        text = f"{version} is live already, as task definition {name}: nothing was released; --force releases it again"
        scaling = restore(reader)  # a release that was killed may have left it suspended
        return Result({**data, "already": "live"}, "\n".join(filter(None, [text, scaling])))
    text = f"{version} is on its way already, with deployment {same.deployment}"
    if detach:
        attach = invocation.spelled(f"bgdeploy watch {same.deployment}")
        return Result({**data, "already": "in flight", "next": [attach]}, f"{text}:\n  {attach}")
    invocation.say(f"{text}, which is followed now")
    attending, along = attendant(invocation, reader), companions(invocation, reader)
    following = Following(invocation, reader, same.deployment, attending, companions=along)
    return following.result(following.follow(until or "shifted", opening.left), {"already": "in flight"})


def _detached(invocation: Invocation, started: Started, settings: Settings) -> Result:
    ident, record, lease = started.deployment_id, started.record, settings.config.hook.lease
    attach = invocation.spelled(f"bgdeploy watch {ident}")
    waits = (
        "its hook runs the checks itself,\nand this shows what becomes of it"
        if record.door
        else f"it waits {lease} for somebody to run its checks,\n"
        "and fails when nobody does, with production as it was"
    )
    text = f"deployment {ident} releases {record.version}; {waits}:\n  {attach}"
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
@options.timeout
@options.quiet
@options.junit
@options.on_cancel
@click.pass_obj
def watch(invocation: Invocation, deployment: str | None, until: Until, timeout: int | None) -> Result:
    """Follow the running deployment, or a named one, from anywhere.

    When nothing runs, it tells how the latest one ended. Its checks are taken over when nobody runs them.
    """
    invocation.interrupts.once()
    reader = open_reader(invocation)
    found = named_or_newest(reader, deployment)
    attending, along = attendant(invocation, reader), companions(invocation, reader)
    following = Following(invocation, reader, found, attending, companions=along)
    return following.result(following.follow(until, timeout))


def open_reader(invocation: Invocation) -> Reader:
    """Return a reader of the project's stack. Raises BgdeployError when it is not there."""
    from bgdeploy.release.reader import Reader, find_target

    settings = invocation.settings()
    aws = invocation.aws(settings)
    return Reader(aws, find_target(aws, settings.names))


def named_or_newest(reader: Reader, deployment: str | None) -> str:
    """Return the deployment that was named, or the one that runs, or else the latest.

    Raises BgdeployError when there never was one.
    """
    found = deployment or reader.active() or reader.latest()
    if found is None:
        raise BgdeployError(
            f"nothing was ever deployed to {reader.target.group}",
            "`bgdeploy release VERSION` is the first",
            {"stack": reader.target.group},
        )
    return found
