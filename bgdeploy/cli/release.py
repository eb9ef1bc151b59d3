"""`release` and `watch`: start a release, follow it to its end from anywhere, and say how it ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from bgdeploy.cli.invocation import Invocation, Result
from bgdeploy.errors import BgdeployError, Exit, InterruptError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bgdeploy.aws import Aws
    from bgdeploy.config import Settings
    from bgdeploy.release.attendant import Attendant
    from bgdeploy.release.checks import ChecksState
    from bgdeploy.release.ending import Ending
    from bgdeploy.release.reader import Reader
    from bgdeploy.release.start import Started
    from bgdeploy.release.watch import Frame, Until


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


def _until(default: Until) -> Callable[[Any], Any]:
    return click.option(
        "--until",
        type=click.Choice(["shifted", "finished"]),
        default=default,
        show_default=True,
        help="Follow until production is on it, or until the old version is removed as well.",
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
@_until("shifted")
@_timeout
@click.option("--detach", is_flag=True, help="Only start it: `watch` must run the checks.")
@click.option("--ignore-alarms", is_flag=True, help="Release although an alarm is on, and whatever goes off.")
@click.pass_obj
def release(
    invocation: Invocation, /, until: Until, timeout: int | None, detach: bool, **asked: Any
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
    ended = following.follow(until, timeout)
    record = started.record
    return following.result(ended, {"image": record.image, "task_definition": record.task_definition})


def _start(invocation: Invocation, asked: Mapping[str, Any]) -> tuple[Settings, Aws, Started]:
    """Start the release. Whoever comes here with a deployment has Ctrl-C held back until it is followed."""
    interrupts = invocation.interrupts
    try:
        from bgdeploy.release.start import start

        settings = invocation.settings()
        aws = invocation.aws(settings)
        say, begin = invocation.say, interrupts.hold
        return settings, aws, start(aws, settings, invocation.project, **asked, say=say, begin=begin)
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
@_until("finished")
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


@dataclass
class Following:
    """The following of one deployment in front of whoever started the program."""

    invocation: Invocation
    reader: Reader
    deployment: str
    attendant: Attendant
    started: bool = False  # by this very process
    frame: Frame | None = None  # the newest that was shown

    def follow(self, until: Until, timeout: int | None) -> Ending:
        """Follow it and return how it ended; Ctrl-C, at whatever moment, ends the following and not the deployment."""
        from bgdeploy.release.ending import detached

        interrupts = self.invocation.interrupts
        try:
            try:
                interrupts.let_through()
                ended = self._follow(until, timeout)
                interrupts.end()  # here, so that none comes between the ending and what is below
            except KeyboardInterrupt:
                ended = detached(self.frame.snapshot if self.frame else None, self.deployment)
        finally:
            interrupts.end()
            self.attendant.close()
        if ended.exit is Exit.INTERRUPTED:
            self.invocation.end_echo()
        return ended

    def _follow(self, until: Until, timeout: int | None) -> Ending:
        from bgdeploy.release.watch import follow
        from bgdeploy.views.release import showing

        invocation = self.invocation
        console = invocation.err
        with (
            self._goes_on(),
            showing(console, invocation.signs(console), live=invocation.watched) as show,
        ):

            def keep_and_show(frame: Frame) -> None:
                self.frame = frame
                show(frame)

            return follow(
                self.reader,
                self.deployment,
                clock=self.reader.aws.clock,
                attendant=self.attendant,
                until=until,
                timeout=timeout,
                show=keep_and_show,
            )

    @contextmanager
    def _goes_on(self) -> Iterator[None]:
        """Have an error that ends the following say that the deployment goes on, and how to attach again."""
        from bgdeploy.aws import translated

        try:
            yield
        except Exception as error:
            told = error if isinstance(error, BgdeployError) else translated(error)
            if told is None or not (self.started or self.frame):
                raise
            on = f"deployment {self.deployment} goes on: `bgdeploy watch {self.deployment}` follows it"
            hint = "; ".join(part for part in (told.hint, on) if part)
            raise BgdeployError(told.message, hint, {**told.result, "deployment": self.deployment}) from error

    def result(self, ended: Ending, more: Mapping[str, Any] | None = None) -> Result:
        """Return the ending: the card for people, and all of it for programs."""
        invocation = self.invocation
        spelled = replace(
            ended,
            why=tuple(map(invocation.spelled, ended.why)),
            next=tuple(map(invocation.spelled, ended.next)),
        )

        def text() -> Any:
            from bgdeploy.views.release import card

            out = invocation.out
            return card(spelled, invocation.signs(out), out.width)

        failed = ended.exit is not Exit.DONE
        return Result(
            {**spelled.as_dict(), **(more or {}), "checks": _plain(self.attendant.state)},
            text,
            exit=ended.exit,
            error=(ended.headline, "; ".join(ended.next)) if failed else None,
        )


def _plain(state: ChecksState) -> dict[str, Any]:
    return {"stage": state.stage, "by": state.owner, "results": [asdict(one) for one in state.results]}
