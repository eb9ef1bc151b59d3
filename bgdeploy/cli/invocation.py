"""What one run of the program was asked for, and the one place that prints. Tests make one of their own."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bgdeploy.cli.interrupts import Interrupts
from bgdeploy.clock import Clock, FastClock, SystemClock
from bgdeploy.errors import WARNING, Exit

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from bgdeploy.aws import Aws
    from bgdeploy.config import Settings
    from bgdeploy.sandbox.control import Running
    from bgdeploy.views.finished import Finished
    from bgdeploy.views.theme import Glyphs

ENVELOPE_SCHEMA = 1
OnCancel = Literal["detach", "stop"]
# The options that say which stack is meant, and where it is.
_WHERE = ("sandbox", "env", "project", "profile", "region", "endpoint_url")


_THROTTLED = 3  # calls of a minute that AWS wanted later: fewer keep nobody waiting


@dataclass(frozen=True)
class Result:
    """What a command did: for programs (`data`), for people (`text`), and the exit status for both.

    A failure that has a `text` is told by it; people read `error` when there is none. A `document` is text for a
    file or another program: nobody's alphabet changes it.
    """

    data: Mapping[str, Any]
    text: Callable[[], RenderableType] | str | None = None
    exit: Exit = Exit.DONE
    error: tuple[str, str] | None = None  # message, hint
    finished: Finished | None = None  # of a command that follows a deployment
    document: bool = False


@dataclass
class Invocation:
    """The options that all commands share, and what a command needs to act on them."""

    clock: Clock = field(default_factory=SystemClock)
    environ: MutableMapping[str, str] = field(default_factory=lambda: os.environ)
    command: str = ""
    env: str = "dev"
    project: Path = Path()
    sandbox: bool = False
    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    output: str = field(default_factory=lambda: _early_output(sys.argv, os.environ))
    no_color: bool = False
    debug: bool = False
    on_cancel: OnCancel = "detach"
    quiet: bool = False
    throttling_told: bool = False  # or somebody tells it who shows how things stand
    junit: Path | None = None
    typed: frozenset[str] = frozenset()  # the options that were typed; the environment has the others
    interrupts: Interrupts = field(default_factory=Interrupts)

    def configure(self, **options: Any) -> None:
        """Take over the options of the command line."""
        for name, value in options.items():
            setattr(self, name, value)

    # What commands need

    def settings(self) -> Settings:
        """Return the project's settings. Raises UsageError or ConfigError."""
        from bgdeploy.project import load

        return load(self.project, self.env, self.environ)

    def aws(self, settings: Settings) -> Aws:
        """Return AWS as the stack of `settings` sees it, in the sandbox if that was asked for."""
        from bgdeploy.aws import Aws

        # A minute of the config's is one of the sandbox's, whatever it lasts here.
        clock = FastClock(self.enter_sandbox().speed, self.clock) if self.sandbox else self.clock
        return Aws(
            stack=settings.names.stack,
            region=self.region or settings.config.region,
            clock=clock,
            profile=self.profile,
            endpoint_url=self.endpoint_url,
            on_throttled=self.tell_throttling,
        )

    def tell_throttling(self, calls: int) -> None:
        """Say once that AWS throttles us, so that whoever waits knows why; a board says it itself."""
        if calls < _THROTTLED or self.throttling_told:
            return
        from bgdeploy.release.changes import throttled_text

        self.throttling_told = True
        self.say(throttled_text(calls))

    def enter_sandbox(self) -> Running:
        """Point this process at the sandbox, starting one when none runs, and away from any real account."""
        from bgdeploy.cli.sandbox import running_or_started

        running = running_or_started(self)
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"):
            self.environ.pop(name, None)
        self.environ.update(running.exports())
        self.profile = self.endpoint_url = None
        return running

    # What people see

    @property
    def interactive(self) -> bool:
        """Tell whether somebody watches who can answer: a terminal, and not a CI job's, or one that wants silence."""
        return not self.quiet and sys.stderr.isatty() and sys.stdin.isatty() and "CI" not in self.environ

    @property
    def watched(self) -> bool:
        """Tell whether somebody watches a terminal that can be drawn on, and wants to read text."""
        if not sys.stderr.isatty() or "CI" in self.environ or self.output == "json" or self.quiet:
            return False
        return not self.err.is_dumb_terminal

    @property
    def program(self) -> str:
        """How bgdeploy is called to mean the same stack again: what is printed is there to be copied."""
        words = ["bgdeploy"]
        for name in _WHERE:
            value = getattr(self, name)
            if name in self.typed and value:
                flag = f"--{name.replace('_', '-')}"
                words += [flag] if value is True else [flag, str(value)]
        return shlex.join(words)

    def spelled(self, text: str) -> str:
        """Return `text` with its commands as they are to be typed here."""
        from bgdeploy.views.commands import typed

        return typed(text, self.program)

    def signs(self, console: Console) -> Glyphs:
        """Return the signs to draw with on `console`."""
        from bgdeploy.views.theme import glyphs

        return glyphs(console, self.program, self.environ)

    @property
    def out(self) -> Console:
        """Where results go."""
        return self._console(stderr=False)

    @property
    def err(self) -> Console:
        """Where progress goes."""
        return self._console(stderr=True)

    def _console(self, *, stderr: bool) -> Console:
        from bgdeploy.views.theme import console

        return console(stderr=stderr, color=not self.no_color)

    def say(self, line: str) -> None:
        """Print a line of progress, for who wants to know; one that begins with WARNING, for everybody."""
        if not self.quiet or line.startswith(WARNING):
            self._tell(line, err=True)

    def end_echo(self) -> None:
        """End the line on which the terminal has echoed Ctrl-C."""
        if sys.stderr.isatty():
            click_echo("", err=True)

    def present(self, result: Result) -> None:
        """Print what a command returned."""
        if self.output == "json":
            self._envelope(result)
            return
        if result.text is not None:
            text = result.text if isinstance(result.text, str) else result.text()
            if isinstance(text, str) and result.document:
                click_echo(text)
            elif isinstance(text, str):
                self._tell(text)
            else:
                # Views fold what may be folded; what they leave long is to be copied in one piece.
                self.out.print(text, soft_wrap=True)
        elif result.error:
            message, hint = map(self.spelled, result.error)
            self._tell(f"bgdeploy: {message}", err=True)
            if hint:
                self._tell(f"  → {hint}", err=True)

    def _tell(self, text: str, *, err: bool = False) -> None:
        """Print what bgdeploy says itself, in the alphabet of whoever reads it."""
        from bgdeploy.views.alphabet import in_ascii, wants_ascii

        stream = sys.stderr if err else sys.stdout
        plain = wants_ascii(stream.encoding or "utf-8", self.environ)
        click_echo(in_ascii(text) if plain else text, err=err)

    def _envelope(self, result: Result) -> None:
        import json

        message, hint = map(self.spelled, result.error or ("", ""))
        envelope = {
            "schema": ENVELOPE_SCHEMA,
            "command": self.command,
            "ok": result.exit == Exit.DONE,
            "exit_status": int(result.exit),
            "result": dict(result.data),
            "error": {"message": message, "hint": hint} if result.error else None,
        }
        click_echo(json.dumps(envelope, indent=2, default=str, ensure_ascii=False))


def click_echo(text: str, *, err: bool = False) -> None:
    """Print `text`, whatever the terminal's encoding can show of it."""
    import click

    stream = sys.stderr if err else sys.stdout
    encoding = stream.encoding or "utf-8"
    click.echo(text.encode(encoding, "replace").decode(encoding), err=err)


def _early_output(argv: list[str], environ: Mapping[str, str]) -> str:
    """Return the output format asked for, also where the command line is too wrong to be parsed."""
    wanted = "--output=json" in argv or "--output json" in " ".join(argv)
    return "json" if wanted else environ.get("BGDEPLOY_OUTPUT", "text")
