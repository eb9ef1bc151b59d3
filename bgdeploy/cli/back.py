"""`rollback`: back to the version before, or to a named one, wherever the release of the new one stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bgdeploy.cli import options
from bgdeploy.cli.following import Following, attendant
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
        now, good = _find(invocation, reader, to, timeout)
        if good.task_definition == now.task_definition:
            return Result(
                {"how": "live", **_who(now, good)}, f"{good.version} is live: there is nowhere to go"
            )
        started = _start(invocation, reader, now, good, **how)
    return _follow(invocation, reader, started, (now, good), until, timeout)


def _stopped(invocation: Invocation, reader: Reader, active: str) -> bool:
    """Stop the active deployment if it is not rolled back already. False when it has just ended."""
    from bgdeploy.release import operations

    deployment = reader.read(active).deployment
    if deployment.rolls_back:
        return True
    invocation.interrupts.hold()
    try:
        said = operations.stop(reader.aws, active)
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

    following = Following(invocation, reader, active, None, judge=undone)
    return following.result(following.follow("finished", timeout), {"how": "stopped"})


def _find(invocation: Invocation, reader: Reader, to: str | None, timeout: int | None) -> tuple[Live, Good]:
    """Return what is live, and what to go back to. Whatever is active when a version is named is undone first."""
    from bgdeploy.release import back
    from bgdeploy.release.way import Way, make_way

    clock = reader.aws.clock
    deadline = None if timeout is None else clock.monotonic() + timeout
    if to is None:
        now = back.live(reader)
        return now, back.before(reader, now)
    good = back.named(reader, invocation.settings().names.plain, to)
    make_way(reader, None, Way("undo", invocation.say, quietly(invocation), deadline))
    return back.live(reader), good


def _start(
    invocation: Invocation, reader: Reader, now: Live, good: Good, *, strategy: str, checks: Mode
) -> Started:
    from bgdeploy.release import back
    from bgdeploy.stack import task_network

    settings, project = invocation.settings(), invocation.project
    went = f", which went live with deployment {good.deployment}" if good.deployment else ""
    invocation.say(f"back from {now.version} to {good.version}{went}")

    def network() -> Any:
        return task_network(reader.aws, settings, project)

    how = back.How(strategy, checks, network)
    return back.start(reader, settings, project, good, how, invocation.say, invocation.interrupts.hold)


def _follow(
    invocation: Invocation,
    reader: Reader,
    started: Started,
    ways: tuple[Live, Good],
    until: Until | None,
    timeout: int | None,
) -> Result:
    from bgdeploy.release.back import Approving, returned

    approving = Approving(attendant(invocation, reader, started.record), reader)
    judge = returned(ways[0])
    following = Following(invocation, reader, started.deployment_id, approving, started=True, judge=judge)
    ended = following.follow(until or ("finished" if started.scaling_suspended else "shifted"), timeout)
    return following.result(ended, {"how": "released", **_who(*ways)})


def _who(now: Live, good: Good) -> dict[str, str]:
    return {
        "back_from": now.version,
        "back_to": good.version,
        "image": good.image,
        "task_definition": good.task_definition,
    }
