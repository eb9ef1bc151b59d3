"""What goes before a deployment: Ctrl-C that must lose nothing, and the end of another one, waited for quietly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from bgdeploy.cli.invocation import Invocation
from bgdeploy.errors import InterruptError

if TYPE_CHECKING:
    from bgdeploy.release.watch import Frame, Show


@contextmanager
def starting(invocation: Invocation) -> Iterator[None]:
    """Say of a Ctrl-C what it came before. Whoever leaves with a deployment has it held back until that is followed."""
    interrupts = invocation.interrupts
    interrupts.once()
    try:
        yield
    except KeyboardInterrupt:
        if not interrupts.held:
            raise InterruptError("interrupted: nothing was started") from None
        raise InterruptError(
            "interrupted while CodeDeploy was asked to start the deployment: it may run, or not",
            "`bgdeploy status` tells, `bgdeploy watch` follows it",
        ) from None


def quietly(invocation: Invocation) -> Show:
    """Return what shows a deployment that is only waited for: its great steps, and a sign of life now and then."""
    from bgdeploy.views.lines import Lines

    lines = Lines(invocation.signs(invocation.err))

    def show(frame: Frame) -> None:
        steps = tuple(change for change in frame.changes if change.kind == "deployment")
        for line in lines.feed(replace(frame, changes=steps)):
            invocation.say(line)

    return show
