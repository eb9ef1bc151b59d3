"""`status`, `promote`, `stop` and `appspec`: look at what is live and in flight, and step in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from bgdeploy.cli.invocation import Invocation, Result
from bgdeploy.cli.release import open_reader
from bgdeploy.errors import BgdeployError, UsageError

if TYPE_CHECKING:
    from bgdeploy.config import Settings
    from bgdeploy.release.reader import Reader
    from bgdeploy.release.snapshot import Snapshot


@click.command()
@click.pass_obj
def status(invocation: Invocation) -> Result:
    """Show what is live, what runs, the alarms, and what is in flight."""
    from bgdeploy.release import status as standing

    now = standing.read(open_reader(invocation))

    def text() -> Any:
        from bgdeploy.views.status import status as page

        out = invocation.out
        return page(now, invocation.signs(out), out.width)

    return Result(now.as_dict(), text)


@click.command()
@click.argument("deployment", metavar="[ID]", required=False)
@click.pass_obj
def promote(invocation: Invocation, deployment: str | None) -> Result:
    """End the wait that the deployment is in.

    Waiting for approval, production moves now; while the old version is kept, it is removed now. Checks that were
    inconclusive, and that somebody is asked about, count as passed now.
    """
    from bgdeploy.release import operations
    from bgdeploy.release.attending import hook
    from bgdeploy.release.phase import phase

    reader = open_reader(invocation)
    snapshot = _running(reader, deployment, "promote")
    ident, where = snapshot.deployment.id, phase(snapshot)
    said = hook.accept(reader.aws, reader.target.bucket, ident) or operations.promote(
        reader.aws, ident, where
    )
    text = f"deployment {ident}: {said}\n{invocation.spelled(f'`bgdeploy watch {ident}` follows it')}"
    return Result({"deployment": ident, "phase": str(where), "said": said}, text)


@click.command()
@click.argument("deployment", metavar="[ID]", required=False)
@click.option("--no-rollback", is_flag=True, help="Leave everything where it is.")
@click.option("--yes", is_flag=True, help="Answer yes to whatever would be asked.")
@click.pass_obj
def stop(invocation: Invocation, deployment: str | None, no_rollback: bool, yes: bool) -> Result:
    """Stop the running deployment and roll it back."""
    from bgdeploy.release.attending import stopping

    reader = open_reader(invocation)
    snapshot = _running(reader, deployment, "stop")
    ident = snapshot.deployment.id
    if no_rollback:
        invocation.say(_left_behind(snapshot))
        if not yes:
            _ask(invocation, ident)
    by = stopping.by_me("`bgdeploy stop`")
    said = stopping.stop(reader.aws, reader.target.bucket, ident, by, rollback=not no_rollback)
    then = (
        "`bgdeploy status` shows what runs"
        if no_rollback
        else f"`bgdeploy watch {ident}` follows the rollback"
    )
    text = f"deployment {ident} is being stopped; CodeDeploy says: {said}\n{invocation.spelled(then)}"
    return Result({"deployment": ident, "rollback": not no_rollback, "said": said}, text)


def _running(reader: Reader, deployment: str | None, verb: str) -> Snapshot:
    """Return the deployment that is meant. Raises BgdeployError when none is named and none is active, or it is over.

    CodeDeploy takes a stop of what is stopped, and does nothing; and who stopped it would be noted wrongly.
    """
    from bgdeploy.release import operations

    found = deployment or reader.active()
    if found is None:
        raise BgdeployError(
            f"no deployment of {reader.target.group} is active: there is nothing to {verb}",
            "`bgdeploy status` shows what is live",
            {"stack": reader.target.group},
        )
    snapshot = reader.read(found)
    if snapshot.deployment.over:
        raise operations.over(found, reader.aws.region)
    return snapshot


def _left_behind(snapshot: Snapshot) -> str:
    """Say what a stop without a rollback leaves: two task sets, perhaps a split listener (aws-facts 2.3)."""
    from bgdeploy.release.changes import tasks_text
    from bgdeploy.release.phase import described, shares

    doors = {"production": snapshot.production, "test": snapshot.test}
    lines = [
        f"  {name}: {' · '.join(described(share) for share in shares(door, snapshot)) or 'nobody'}"
        for name, door in doors.items()
        if door
    ]
    lines += [f"  {one.side} {one.version}: {tasks_text(one)}" for one in snapshot.task_sets]
    return "\n".join(
        ["without a rollback this stays as it is, until `bgdeploy doctor --fix` cleans it up:", *lines]
    )


def _ask(invocation: Invocation, ident: str) -> None:
    if not invocation.interactive:
        raise UsageError(
            "a stop without a rollback asks whether that is meant, and nobody is there to answer",
            "--yes answers it; without --no-rollback nothing is asked",
        )
    click.confirm(f"Stop {ident} and leave all that?", abort=True, err=True)


@click.command()
@click.pass_obj
def appspec(invocation: Invocation) -> Result:
    """Print the AppSpec that a release would send.

    It is made for the newest task definition. Where AWS cannot be asked for it, <TASK_DEFINITION> stays.
    """
    from bgdeploy.release import appspec as document

    settings = invocation.settings()
    template = document.read(invocation.project)
    document.render(template, document.Filling.of(settings, document.ANY_REVISION))
    revision = _newest_revision(invocation, settings)
    network = _other_network(invocation, settings) if revision else None
    filling = document.Filling.of(settings, revision or document.ANY_REVISION, network)
    content = document.render(template, filling)
    if revision is None:
        content = content.replace(document.ANY_REVISION, "<TASK_DEFINITION>")
    return Result({"task_definition": revision, "content": content}, content.rstrip("\n"), document=True)


def _other_network(invocation: Invocation, settings: Settings) -> Mapping[str, Any] | None:
    """Return where a release would move the tasks, None when they stay where they are."""
    from bgdeploy.release.appspec import moved
    from bgdeploy.stack import task_network

    reader = open_reader(invocation)
    wanted = task_network(reader.aws, settings, invocation.project)
    return moved(wanted, reader.sides.service()["networkConfiguration"])


def _newest_revision(invocation: Invocation, settings: Settings) -> str | None:
    """Return the ARN of the newest task definition, None, having said so, when there is none or nobody to ask."""
    from bgdeploy.aws import sentence_of
    from bgdeploy.release import revision

    try:
        found = revision.latest(invocation.aws(settings), settings.names.plain)
    except Exception as error:
        told = sentence_of(error)
        if told is None:
            raise
        invocation.say(f"<TASK_DEFINITION> stays: {told.message}")
        return None
    if found is None:
        invocation.say("<TASK_DEFINITION> stays: none is registered yet")
    return found
