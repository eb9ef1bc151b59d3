"""The root command: the options that all commands share, and where each command's code is."""

from __future__ import annotations

import difflib
import importlib
from pathlib import Path

import click
from click.core import ParameterSource

from bgdeploy import __version__
from bgdeploy.cli.invocation import Invocation

# command → where it is, and the line that `bgdeploy --help` shows without importing it.
COMMANDS = {
    "init": ("project:init", "Write a starter project here, named after the folder; never overwrites."),
    "plan": ("provision:plan", "Show what provision would change, field by field."),
    "provision": ("provision:provision", "Make AWS match the config."),
    "release": ("release:release", "Release a version, check it before users see it, and follow it."),
    "watch": ("release:watch", "Follow the running deployment, or a named one, from anywhere."),
    "status": ("operate:status", "Show what is live, what runs, the alarms, and what is in flight."),
    "promote": ("operate:promote", "End the wait that the deployment is in."),
    "stop": ("operate:stop", "Stop the running deployment and roll it back."),
    "history": ("past:history", "Show past releases: version, result and why, duration, who and when."),
    "report": ("report:report", "Write one release as an HTML page that can be attached to a ticket."),
    "logs": (
        "logs:logs",
        "Show the application's log: both colours by time, each line with time, side and version.",
    ),
    "rollback": ("back:rollback", "Go back to the version before, whatever phase the release is in."),
    "doctor": ("doctor:doctor", "Look at all that a release depends on; --fix mends what is safe."),
    "policy": (
        "doctor:policy",
        "Print the smallest IAM policy that lets somebody run these commands on this stack.",
    ),
    "appspec": ("operate:appspec", "Print the AppSpec that a release would send."),
    "teardown": ("provision:teardown", "Remove everything that carries this stack's tags."),
    "config": ("project:config", "Print the config, or the schema that editors complete it with."),
    "demo": ("demo:demo", "Play the whole story in a sandbox of its own."),
    "sandbox": ("sandbox:sandbox", "The local AWS: start, stop, status, reset."),
}

EXITS = """\b
Exit status:
  0  done; for a release: live and verified
  1  error
  2  wrong usage or config
  3  plan --exit-code: changes are pending
  4  the release failed, production is on the previous version
  5  the release failed and a person must act
  6  gave up waiting, the deployment goes on
  7  another deployment is active
  130  interrupted; a deployment that was started goes on
"""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for, so that help costs no imports."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(f"bgdeploy.cli.{module}"), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        near = () if args[0] in COMMANDS else difflib.get_close_matches(args[0], COMMANDS, n=1)
        if near:
            ctx.fail(f"No such command {args[0]!r}; did you mean {near[0]}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    epilog=EXITS,
    context_settings={
        "auto_envvar_prefix": "BGDEPLOY",
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    },
)
@click.option(
    "--env", default="dev", show_default=True, help="Which config/<env>.yaml is laid over base.yaml."
)
@click.option("--project", type=click.Path(path_type=Path), default=".", help="The project's root.")
@click.option("--sandbox", is_flag=True, help="Use the local AWS, starting one when none runs.")
@click.option("--profile", help="The AWS profile to use.")
@click.option("--region", help="The region to use instead of the config's.")
@click.option("--endpoint-url", help="Where to reach AWS, for every service.")
@click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="For people, or one JSON envelope, also on failure.",
)
@click.option("--no-color", is_flag=True, help="No colours (NO_COLOR works too).")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(__version__, prog_name="bgdeploy")
@click.pass_obj
def root(invocation: Invocation, /, **options: object) -> None:
    """Safe blue/green releases on AWS Fargate with CodeDeploy.

    Every option has a twin in the environment: BGDEPLOY_ENV, BGDEPLOY_SANDBOX, BGDEPLOY_RELEASE_UNTIL, ...
    """
    context = click.get_current_context()
    typed = (name for name in options if context.get_parameter_source(name) is ParameterSource.COMMANDLINE)
    invocation.configure(**options, typed=frozenset(typed), command=context.invoked_subcommand or "")
