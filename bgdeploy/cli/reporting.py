"""Where a pipeline is told how a command ended: GitHub's files, a JUnit report. What cannot be written is a warning."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bgdeploy.errors import WARNING, Exit

if TYPE_CHECKING:
    from bgdeploy.cli.invocation import Invocation, Result

_FOLLOWING = {"release", "watch", "rollback"}


def tell_pipeline(invocation: Invocation, result: Result) -> None:
    """Tell whoever runs this in a pipeline how it ended."""
    if invocation.command not in _FOLLOWING:
        return
    if invocation.junit and result.finished:
        from bgdeploy.views.junit import junit

        _write(invocation, invocation.junit, junit(result.finished), "wb")
    summary = invocation.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        _write(invocation, Path(summary), _summary(invocation, result).encode(), "ab")
    outputs = invocation.environ.get("GITHUB_OUTPUT")
    if outputs:
        import secrets  # here, for it brings half of OpenSSL along

        from bgdeploy.views.github import output_lines, output_values

        lines = output_lines(output_values(result.data, result.exit), f"bgdeploy-{secrets.token_hex(16)}")
        _write(invocation, Path(outputs), lines.encode(), "ab")
    if result.exit is not Exit.DONE and invocation.environ.get("GITHUB_ACTIONS") == "true":
        _annotate(invocation, result)


def _summary(invocation: Invocation, result: Result) -> str:
    from bgdeploy.views.github import refusal, said, summary

    if result.finished:
        return summary(result.finished)
    if result.error:
        message, hint = map(invocation.spelled, result.error)
        return refusal(invocation.command, message, hint)
    return said(result.text if isinstance(result.text, str) else "")


def _annotate(invocation: Invocation, result: Result) -> None:
    from bgdeploy.cli.invocation import click_echo
    from bgdeploy.views.github import annotation

    message, hint = map(invocation.spelled, result.error or ("it failed", ""))
    text = "\n".join(part for part in (message, *_why(result), hint) if part)
    click_echo(annotation(f"bgdeploy {invocation.command}", text), err=True)


def _why(result: Result) -> tuple[str, ...]:
    return result.finished.ending.why if result.finished else ()


def _write(invocation: Invocation, path: Path, content: bytes, mode: str) -> None:
    try:
        with path.open(mode) as file:
            file.write(content)
    except OSError as error:
        invocation.say(f"{WARNING}{path} could not be written: {error.strerror or error}")
