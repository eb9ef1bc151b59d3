"""`plan`, `provision`, `teardown`: the stack as a whole."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import click

from bgdeploy.cli.invocation import Invocation, Result
from bgdeploy.errors import WARNING, BgdeployError, Exit, UsageError
from bgdeploy.provision.plan import Action

if TYPE_CHECKING:
    from bgdeploy.aws import Aws
    from bgdeploy.config import Settings
    from bgdeploy.provision.converge import Found
    from bgdeploy.provision.plan import Change, Outcome, Plan, Progress
    from bgdeploy.provision.resource import Resource
    from bgdeploy.release.reader import Reader


def open_stack(invocation: Invocation) -> tuple[Settings, Aws, list[Resource]]:
    """Return the project's settings, AWS, and every resource of its stack. Raises UsageError and ConfigError."""
    from bgdeploy.hookfiles import require_hook
    from bgdeploy.stack import build

    settings = invocation.settings()
    require_hook(invocation.project, settings.config)
    aws = invocation.aws(settings)
    return settings, aws, build(settings, invocation.project, aws.account, aws.region)


@click.command()
@click.option("--exit-code", is_flag=True, help="Exit 3 when changes are pending.")
@click.pass_obj
def plan(invocation: Invocation, exit_code: bool) -> Result:
    """Show what provision would change, field by field."""
    from bgdeploy.provision.converge import examine
    from bgdeploy.views.plan import lines

    _, aws, resources = open_stack(invocation)
    found = examine(aws, resources)
    status = Exit.CHANGES_PENDING if exit_code and found.pending else Exit.DONE
    return Result(found.as_dict(), invocation.spelled("\n".join(lines(found))), exit=status)


@click.command()
@click.option("--yes", is_flag=True, help="Answer yes to whatever would be asked.")
@click.option(
    "--adopt",
    "adopted",
    multiple=True,
    metavar="ADDRESS",
    help="Take over what has our name and not our tags, such as role/hook; may be given several times.",
)
@click.pass_obj
def provision(invocation: Invocation, yes: bool, adopted: tuple[str, ...]) -> Result:
    """Make AWS match the config."""
    from bgdeploy.hookfiles import hook_doubts
    from bgdeploy.provision import converge
    from bgdeploy.release.scaling import remembered, restore
    from bgdeploy.views.progress import summary

    settings, aws, resources = open_stack(invocation)
    doubts = [
        f"{text}; {hint}" for text, hint in hook_doubts(invocation.project / "hook_lambda", settings.config)
    ]
    for doubt in doubts:
        invocation.say(WARNING + invocation.spelled(doubt))
    found = converge.look_up(aws, resources)
    planned = converge.examine(aws, resources, found, adopted)
    _require_known(adopted, planned)
    _require_possible(planned)
    if not yes:
        for change in planned.grave:
            _ask_for(invocation, change)
    with _showing(invocation, aws) as tell:
        outcome = converge.provision(aws, resources, tell, found, adopted)
    _raise_if_incomplete(outcome, aws.stack, "provision")
    url = "" if outcome.changed else _known_url(found)
    closed = _close_test_port(aws, settings, found)
    scaling, bucket = "", settings.names.bucket(aws.account, aws.region)
    if not url or remembered(aws, bucket):
        reader = _reader(aws, settings)
        url = reader.target.urls[reader.target.production_listener]
        scaling = restore(reader)
    later = ", ".join(change.address for change in planned.later)
    lines = [
        summary(outcome, aws.stack),
        later and f"what differs of {later} goes out with the next release: `bgdeploy plan` shows it",
        scaling,
        closed,
        f"production: {url}",
    ]
    data = {**outcome.as_dict(), "production": {"url": url}, "auto_scaling": scaling, "warnings": doubts}
    return Result(data, invocation.spelled("\n".join(filter(None, lines))))


def _close_test_port(aws: Aws, settings: Settings, found: Found) -> str:
    """Close it for those who were killed while they ran checks, and return in words what that was."""
    from bgdeploy.release.attending.opening import sweep
    from bgdeploy.resources.security import SecurityGroup, lets_callers_in

    groups = [
        actual for resource, actual in found.actual.items() if actual and isinstance(resource, SecurityGroup)
    ]
    return sweep(aws, settings.names) if any(map(lets_callers_in, groups)) else ""


def _known_url(found: Found) -> str:
    """Return where production is, by what was found anyway; "" when that does not tell."""
    from bgdeploy.aws import HOST_TAG
    from bgdeploy.provision.resource import TAGS
    from bgdeploy.release.parse import url
    from bgdeploy.release.target import URL_TAG

    there = {resource.address: actual for resource, actual in found.actual.items() if actual}
    door = there.get("listener/production", {})
    hosts = {each["LoadBalancerArn"]: each["DNSName"] for each in there.values() if "DNSName" in each}
    own, tags = hosts.get(door.get("LoadBalancerArn", "")), door.get(TAGS, {})
    return url(door, tags.get(HOST_TAG, own), tags.get(URL_TAG)) if own else ""


def _require_known(adopted: tuple[str, ...], planned: Plan) -> None:
    known = {change.address for change in planned.changes}
    strange = [address for address in adopted if address not in known]
    if strange:
        raise UsageError(
            f"nothing here is called {', '.join(strange)}", "`bgdeploy plan` shows every address"
        )


def _require_possible(planned: Plan) -> None:
    """Raise, before anything is changed, when the config asks for a change that AWS cannot make in place.

    The rest of such a change would leave the stack half one thing and half the other.
    """
    fixed = [change for change in planned.refused if change.differences]
    if fixed:
        raise BgdeployError(
            "nothing was changed, because not all can be:\n"
            + "\n".join(f"  {change.address}: {change.reason}" for change in fixed),
            "`bgdeploy plan` shows all that would change",
            planned.as_dict(),
        )


def _ask_for(invocation: Invocation, change: Change) -> None:
    """Ask before something is removed or taken over. Raises UsageError where nobody can answer."""
    verb = "take over" if change.action is Action.ADOPT else "remove"
    if not invocation.interactive:
        raise UsageError(
            f"provision would {verb} {change.address} {change.name}, and asks before it does",
            "--yes answers it; `bgdeploy plan` shows all that would change",
        )
    click.confirm(f"{verb.capitalize()} {change.address} {change.name}?", abort=True, err=True)


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask for the stack's name.")
@click.pass_obj
def teardown(invocation: Invocation, yes: bool) -> Result:
    """Remove everything that carries this stack's tags, and nothing else."""
    from bgdeploy.provision import converge
    from bgdeploy.views.progress import summary

    settings, aws, resources = open_stack(invocation)
    if not yes:
        _ask_for_name(invocation, settings.names.stack)
    with _showing(invocation, aws) as tell:
        outcome = converge.teardown(aws, resources, tell)
    _raise_if_incomplete(outcome, aws.stack, "teardown")
    if not outcome.changed:
        return Result(outcome.as_dict(), f"{aws.stack}: nothing of it is there")
    return Result(outcome.as_dict(), summary(outcome, aws.stack, removal=True))


def _showing(invocation: Invocation, aws: Aws) -> AbstractContextManager[Callable[[Progress], None]]:
    from bgdeploy.views.progress import showing

    return showing(
        invocation.err, aws.clock.monotonic, invocation.signs(invocation.err), live=invocation.watched
    )


def _raise_if_incomplete(outcome: Outcome, stack: str, command: str) -> None:
    """Raise when something failed or was interrupted; what was done stays done, and a second run goes on from there."""
    from bgdeploy.views.progress import summary

    if outcome.interrupted:
        stopped = BgdeployError(
            f"interrupted; {summary(outcome, stack, removal=command == 'teardown')}",
            f"`bgdeploy {command}` goes on from here",
            outcome.as_dict(),
        )
        stopped.exit = Exit.INTERRUPTED
        raise stopped
    if outcome.failed:
        # Each has told why in a line of its own.
        failed = ", ".join(result.change.address for result in outcome.failed)
        raise BgdeployError(
            f"{len(outcome.failed)} of {len(outcome.results)} resources failed: {failed}; "
            f"{len(outcome.blocked)} not tried",
            f"mend that and run `bgdeploy {command}` again: it goes on from here",
            outcome.as_dict(),
        )


def _ask_for_name(invocation: Invocation, stack: str) -> None:
    if not invocation.interactive:
        raise UsageError(
            "teardown asks for the stack's name, and nobody is there to answer", "--yes answers it"
        )
    if click.prompt(f"This removes {stack} and all it holds. Its name to go on", err=True) != stack:
        raise click.Abort


def _reader(aws: Aws, settings: Settings) -> Reader:
    from bgdeploy.release.reader import Reader, find_target

    return Reader(aws, find_target(aws, settings.names))
