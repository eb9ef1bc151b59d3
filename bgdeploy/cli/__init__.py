"""The command line: one file for each family of commands, and `main`, where every way out of the program is.

A command returns a Result; only `main` prints it, catches errors and exits. Nothing heavy is imported here:
each command's module is loaded when the command runs, so that `bgdeploy --help` is instant.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from bgdeploy.cli.invocation import Invocation, Result, click_echo
from bgdeploy.cli.reporting import tell_pipeline
from bgdeploy.cli.root import root
from bgdeploy.errors import BgdeployError, Exit, InterruptError, UsageError


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one command and end the process with its exit status."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started us: nobody wants to read it
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    invocation = Invocation()
    invocation.interrupts.install()
    sys.exit(run(sys.argv[1:] if argv is None else argv, invocation))


def run(argv: Sequence[str], invocation: Invocation) -> int:
    """Run one command, print what it returns or how it failed, and return its exit status."""
    try:
        return _run(argv, invocation)
    except KeyboardInterrupt:  # while click or an error had the word
        return int(Exit.INTERRUPTED)


def _run(argv: Sequence[str], invocation: Invocation) -> int:
    try:
        result = root.main(list(argv), prog_name="bgdeploy", standalone_mode=False, obj=invocation)
    except Exception as error:
        result = _failure(error, invocation)
    if not isinstance(result, Result):  # click's own answers: --help and --version have been printed
        return int(result or 0)
    invocation.interrupts.end()
    tell_pipeline(invocation, result)
    try:
        invocation.present(result)
        sys.stdout.flush()
    except OSError as error:
        # Whoever read our output has left, or the disk is full; Python would complain again while it shuts down.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            click_echo(f"bgdeploy: the output could not be written: {error.strerror}", err=True)
            return int(result.exit or Exit.ERROR)
    return int(result.exit)


def _failure(error: Exception, invocation: Invocation) -> Result:
    """Return the failed result for any exception; with --debug let it through instead."""
    if invocation.debug:
        raise error
    known = _known(error)
    if known is None:
        sentence = f"something went wrong that bgdeploy did not expect: {type(error).__name__}: {error}"
        return Result({}, exit=Exit.ERROR, error=(sentence, "--debug shows the traceback: please report it"))
    return Result(known.result, exit=known.exit, error=(known.message, known.hint))


def _way_out(error: click.ClickException, context: click.Context | None) -> str:
    """Return what helps somebody who typed something that there is not."""
    if context is None:
        return ""
    everywhere = {name for option in context.find_root().command.params for name in option.opts}
    if isinstance(error, click.NoSuchOption) and context.parent and error.option_name in everywhere:
        name = error.option_name
        return f"{name} stands before the command: `bgdeploy {name} … {context.info_name}`"
    return f"see `{context.command_path} --help`"


def _known(error: Exception) -> BgdeployError | None:
    if isinstance(error, BgdeployError):
        return error
    if isinstance(error, click.Abort):
        if isinstance(error.__cause__, KeyboardInterrupt):  # click makes one of the other
            return InterruptError("interrupted")
        return InterruptError(
            "nothing was done: the question was not answered", "--yes answers it beforehand"
        )
    if isinstance(error, click.ClickException):
        message = " ".join(error.format_message().split())  # click puts choices on lines of their own
        return UsageError(message, _way_out(error, getattr(error, "ctx", None)))
    if "botocore" in sys.modules:
        from bgdeploy.aws import translated

        return translated(error)
    return None
