"""`rollback`: back to the version before, or to a named one, wherever the release of the new one stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from bgdeploy.cli import options
from bgdeploy.cli.companions import companions
from bgdeploy.cli.following import Following, attendant, how_far
from bgdeploy.cli.invocation import Invocation, Result
from bgdeploy.cli.release import open_reader
from bgdeploy.cli.starting import quietly, starting
from bgdeploy.errors import BgdeployError

if TYPE_CHECKING:
    from bgdeploy.release.back import Good, Live
    from bgdeploy.release.checks import Mode
    from bgdeploy.release.reader import Reader
    from bgdeploy.release.start import Started
    from bgdeploy.release.watch import Until


@click.command()
@click.option("--to", metavar="VERSION", help="Go back to this version instead of the one before.")
@click.option(
    "--strategy",
    metavar="S",
    default="all-at-once",
    show_default=True,
    help="How production moves when the old version has to be released again.",
)
@options.checks
@options.until_shifted
@options.timeout
@options.quiet
@options.junit
@click.pass_obj
def rollback(
    invocation: Invocation, /, to: str | None, until: Until | None, timeout: int | None, **how: Any
) -> Result:
    """Go back to the version before, whatever phase the release is in.

    In flight, also while the old version is still kept, the deployment is stopped and rolled back. Finished, what
    went live before is released once more, by its own AppSpec; or VERSION is, by its newest task definition. The
    checks run as in a release. Nobody needs to approve it.
    """
    with starting(invocation):
        reader = open_reader(invocation)
        active = reader.active()
        if active and to is None and _stopped(invocation, reader, active):
            return _undo(invocation, reader, active, timeout)
        way = _find(invocation, reader, to, timeout)
        if way.over:
            text = f"{way.good.version} is live: nothing had to be released"
            return Result({"how": "stopped" if active else "live", **way.as_dict()}, text)
        started = _start(invocation, reader, way, **how)
    return _follow(invocation, reader, started, way, until, timeout)


@dataclass(frozen=True)
class _Way:
    """From what, to what; `over` when that is live by now."""

    left: Live
    good: Good
    over: bool

    def as_dict(self) -> dict[str, str]:
        good = self.good
        return {
            "back_from": self.left.version,
            "back_to": good.version,
            "image": good.image,
            "task_definition": good.task_definition,
        }


def _stopped(invocation: Invocation, reader: Reader, active: str) -> bool:
    """Stop the active deployment if it is not rolled back already. False when it has just ended."""
    from bgdeploy.release.attending import stopping

    deployment = reader.read(active).deployment
    if deployment.rolls_back:
        return True
    invocation.interrupts.hold()
    try:
        said = stopping.stop(reader.aws, reader.target.bucket, active, stopping.by_me("`bgdeploy rollback`"))
    except BgdeployError:
        if reader.active() == active:
            raise
        invocation.interrupts.let_through()
        return False
    invocation.say(f"deployment {active} is being stopped and rolled back; CodeDeploy says: {said}")
    return True


def _undo(invocation: Invocation, reader: Reader, active: str, timeout: int | None) -> Result:
    """Follow the stopped deployment until production is where it was."""
    from bgdeploy.release.back import undone

    along = companions(invocation, reader)
    following = Following(invocation, reader, active, None, judge=undone, companions=along)
    return following.result(following.follow("finished", timeout), {"how": "stopped"})


def _find(invocation: Invocation, reader: Reader, to: str | None, timeout: int | None) -> _Way:
    """Return from what to what to go back. Whatever is active when a version is named is undone first."""
    from bgdeploy.release import back
    from bgdeploy.release.way import Way, make_way

    if to is None:
        now = back.live(reader)
        return _Way(now, back.before(reader, now), over=False)
    left, good = back.leaving(reader), back.named(reader, invocation.settings().names.plain, to)
    clock = reader.aws.clock
    deadline = None if timeout is None else clock.monotonic() + timeout
    make_way(reader, None, Way("undo", invocation.say, quietly(invocation), deadline))
    return _Way(left, good, back.live(reader).task_definition == good.task_definition)


def _start(invocation: Invocation, reader: Reader, way: _Way, *, strategy: str, checks: Mode) -> Started:
    from bgdeploy.release import back
    from bgdeploy.stack import task_network

    settings, project, good = invocation.settings(), invocation.project, way.good
    went = f", which went live with deployment {good.deployment}" if good.deployment else ""
    invocation.say(f"back from {way.left.version} to {good.version}{went}")

    def network() -> Any:
        return task_network(reader.aws, settings, project)

    how = back.How(strategy, checks, network, way.left.deployment)
    return back.start(reader, settings, project, good, how, invocation.say, invocation.interrupts.hold)


def _follow(
    invocation: Invocation,
    reader: Reader,
    started: Started,
    way: _Way,
    until: Until | None,
    timeout: int | None,
) -> Result:
    from bgdeploy.release.back import returned

    following = Following(
        invocation,
        reader,
        started.deployment_id,
        attendant(invocation, reader, started.record),
        started=True,
        judge=returned(way.left.version),
        companions=companions(invocation, reader),
    )
    ended = following.follow(how_far(invocation, started, until), timeout)
    return following.result(ended, {"how": "released", **way.as_dict()})
