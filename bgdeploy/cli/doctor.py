"""`doctor` and `policy`: what a release would fail on, and what whoever runs bgdeploy must be allowed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from bgdeploy.cli.invocation import Invocation, Result
from bgdeploy.cli.provision import open_stack
from bgdeploy.errors import Exit

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
    --fix names and somebody says yes to; where nobody can, and --yes is not given either, the exit status is 2.
    """
    from bgdeploy.doctor import judge
    from bgdeploy.doctor.look import look
    from bgdeploy.doctor.mend import carry_out

    settings, aws, resources = open_stack(invocation)
    condition = look(aws, settings, resources)
    found = tuple(judge.findings(condition))
    title, fixed = f"{aws.stack}  {aws.region}", list[str]()
    mends = _mends(found) if fix else []
    if mends and not yes and not invocation.interactive:
        return reported(invocation, title, found, unanswered=mends)
    for mend in mends:
        if yes or agrees(mend):
            carry_out(aws, settings.names, mend)
            fixed.append(mend.deed)
            invocation.say(f"done: {mend.deed}")
    if fixed:
        found = tuple(judge.findings(look(aws, settings, resources)))
    return reported(invocation, title, found, fixed)


def _mends(found: Sequence[Finding]) -> list[Mend]:
    """Return what can be put right, each deed once."""
    return list(dict.fromkeys(finding.mend for finding in found if finding.mend))


def agrees(mend: Mend) -> bool:
    """Ask whether something shall be done."""
    return click.confirm(f"{mend.deed[0].upper()}{mend.deed[1:]}?", err=True)


def reported(
    invocation: Invocation,
    title: str,
    found: Sequence[Finding],
    fixed: Sequence[str] = (),
    unanswered: Sequence[Mend] = (),
) -> Result:
    """Return the report; `unanswered` is what would have been mended if somebody had been there to say yes to it."""
    from bgdeploy.views.doctor import summary

    failing = [finding for finding in found if finding.state == "fails"]
    exit_status, error = Exit.DONE, None
    if unanswered:
        deeds = " and ".join(mend.deed for mend in unanswered)
        exit_status = Exit.USAGE
        error = (
            f"doctor would {deeds}; it asks before it does, and nobody is there to answer",
            "`bgdeploy doctor --fix --yes` answers it",
        )
    elif failing:
        exit_status = Exit.ERROR
        error = (summary(found), "; ".join(dict.fromkeys(each.hint for each in failing if each.hint)))

    def text() -> Any:
        from bgdeploy.views.doctor import doctor as page

        out = invocation.out
        last = error if unanswered else None
        return page(title, found, invocation.signs(out), out.width, last)

    data = {"findings": [finding.as_dict() for finding in found], "fixed": list(fixed)}
    return Result(data, text, exit=exit_status, error=error)


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
    return Result({"use": use, "policy": written}, json.dumps(written, indent=2), document=True)
