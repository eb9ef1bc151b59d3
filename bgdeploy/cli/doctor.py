"""`doctor` and `policy`: what a release would fail on, and what whoever runs bgdeploy must be allowed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from bgdeploy.cli.invocation import Invocation, Result
from bgdeploy.cli.provision import open_stack
from bgdeploy.errors import Exit, UsageError

if TYPE_CHECKING:
    from bgdeploy.doctor.finding import Finding, Mend
    from bgdeploy.permissions.policy import Use


@click.command()
@click.option("--fix", is_flag=True, help="Put right what can be put right without risk, after a yes.")
@click.option("--yes", is_flag=True, help="Answer yes to whatever would be asked.")
@click.pass_obj
def doctor(invocation: Invocation, fix: bool, yes: bool) -> Result:
    """Look at all that a release depends on; --fix mends what is safe.

    Each check is ok, a warning, or what a release would fail on: then the exit status is 1. It changes nothing but what
    --fix names and somebody says yes to.
    """
    from bgdeploy.doctor import judge
    from bgdeploy.doctor.look import look
    from bgdeploy.doctor.mend import carry_out

    settings, aws, resources = open_stack(invocation)
    condition = look(aws, settings, resources)
    found = tuple(judge.findings(condition))
    fixed: list[str] = []
    for mend in _mends(found) if fix else ():
        if yes or agrees(invocation, mend):
            carry_out(aws, settings.names, mend)
            fixed.append(mend.deed)
            invocation.say(f"done: {mend.deed}")
    if fixed:
        found = tuple(judge.findings(look(aws, settings, resources)))
    return _result(invocation, f"{aws.stack}  {aws.region}", found, fixed)


def _mends(found: Sequence[Finding]) -> list[Mend]:
    """Return what can be put right, each deed once."""
    return list(dict.fromkeys(finding.mend for finding in found if finding.mend))


def agrees(invocation: Invocation, mend: Mend) -> bool:
    """Ask whether something shall be done. Raises UsageError where nobody can answer."""
    if not invocation.interactive:
        raise UsageError(f"doctor would {mend.deed}, and asks before it does", "--yes answers it")
    return click.confirm(f"{mend.deed[0].upper()}{mend.deed[1:]}?", err=True)


def _result(invocation: Invocation, title: str, found: Sequence[Finding], fixed: Sequence[str]) -> Result:
    from bgdeploy.views.doctor import summary

    failing = [finding for finding in found if finding.state == "fails"]

    def text() -> Any:
        from bgdeploy.views.doctor import doctor as page

        out = invocation.out
        return page(title, found, invocation.signs(out), out.width)

    return Result(
        {"findings": [finding.as_dict() for finding in found], "fixed": list(fixed)},
        text,
        exit=Exit.ERROR if failing else Exit.DONE,
        error=(summary(found), "; ".join(dict.fromkeys(each.hint for each in failing if each.hint)))
        if failing
        else None,
    )


@click.command()
@click.option(
    "--for",
    "use",
    type=click.Choice(["provision", "release", "watch", "teardown", "ci"]),
    required=True,
    help="What it is to allow: ci is plan and release.",
)
@click.pass_obj
def policy(invocation: Invocation, use: Use) -> Result:
    """Print the smallest IAM policy that lets somebody run these commands on this stack.

    It allows what bgdeploy calls for this config, on this stack's own, and nothing else.
    """
    from bgdeploy.permissions.policy import LONGEST_MANAGED, Place, document, length

    settings, aws, resources = open_stack(invocation)
    written = document(use, Place(settings, resources, aws.account, aws.region))
    if length(written) > LONGEST_MANAGED:
        invocation.say(
            f"it has {length(written)} characters, and a managed policy {LONGEST_MANAGED} at most: put half of its "
            "statements into a second one"
        )
    return Result({"use": use, "policy": written}, json.dumps(written, indent=2))
