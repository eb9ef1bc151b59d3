"""`sandbox start|stop|status|reset`: the local AWS that bgdeploy brings along."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from bgdeploy.cli.invocation import Invocation, Result
from bgdeploy.counting import listed
from bgdeploy.errors import BgdeployError, UsageError

if TYPE_CHECKING:
    from bgdeploy.sandbox.control import Running


@contextmanager
def _sandbox_errors() -> Iterator[None]:
    """Turn the sandbox's errors into ours: it shares no code with the orchestrator."""
    try:
        from bgdeploy.sandbox import control
    except ImportError as error:
        raise BgdeployError(
            f"the sandbox is not installed: {error}", "pip install 'bgdeploy[sandbox]'"
        ) from error
    try:
        yield
    except control.SandboxError as error:
        raise BgdeployError(error.message, error.hint) from error


def running_or_started(invocation: Invocation) -> Running:
    """Return the sandbox that runs; start one when none does, and say so."""
    with _sandbox_errors():
        from bgdeploy.sandbox import control

        running = control.find()
        if running is None:
            running = control.start()
            invocation.say(
                f"started a sandbox: an AWS minute lasts {60 / running.speed:.3g} s "
                "(bgdeploy sandbox stop ends it)"
            )
        return running


@click.group()
def sandbox() -> None:
    """The local AWS: start, stop, status, reset."""


def _rates(_: click.Context, __: click.Parameter, value: str | None) -> dict[str, float]:
    """Return throttle=0.2,error=0.05,reset=0.02 as a dict."""
    rates = {}
    for part in (value or "").split(","):
        name, _equals, rate = part.strip().partition("=")
        if not name:
            continue
        try:
            rates[name] = float(rate)
        except ValueError:
            raise click.BadParameter(f"{part!r} is not like throttle=0.2") from None
        if name not in {"throttle", "error", "reset"} or not 0 <= rates[name] < 1:
            raise click.BadParameter(
                f"{part!r}: faults are throttle, error and reset, each from 0 to below 1"
            )
    return rates


def _seconds(_: click.Context, __: click.Parameter, value: str) -> float:
    """Return 50ms or 1s as seconds."""
    units = {"ms": 0.001, "s": 1.0}
    unit = next((unit for unit in units if value.endswith(unit)), None)
    try:
        return float(value.removesuffix(unit or "")) * units[unit or "s"]
    except ValueError:
        raise click.BadParameter(f"{value!r} is not like 50ms") from None


def _caller(_: click.Context, __: click.Parameter, value: str) -> str:
    """Return an IPv4 address, or vpc."""
    from ipaddress import IPv4Address

    if value != "vpc":
        try:
            IPv4Address(value)
        except ValueError:
            raise click.BadParameter(f"{value!r} is neither an IPv4 address nor vpc") from None
    return value


@sandbox.command()
@click.option(
    "--speed",
    type=click.FloatRange(0.1, 600),
    default=10.0,
    show_default=True,
    help="How many AWS seconds pass in a second.",
)
@click.option("--latency", default="0ms", callback=_seconds, help="Added to every API call, such as 50ms.")
@click.option(
    "--fault", "faults", callback=_rates, help="How often calls fail: throttle=0.2,error=0.05,reset=0.02."
)
@click.option("--seed", type=int, help="Makes the faults repeat.")
@click.option(
    "--caller",
    default="203.0.113.7",
    callback=_caller,
    show_default=True,
    help="Where the load balancers see you: an address outside, or vpc (inside).",
)
@click.pass_obj
def start(invocation: Invocation, /, **options: Any) -> Result:
    """Start it and print the exports that point AWS clients at it.

    In a shell: eval "$(bgdeploy sandbox start)"
    """
    with _sandbox_errors():
        from bgdeploy.sandbox import control

        running = control.start(**options)
        exports = running.exports()
    # A shell evaluates this: only exports may go to stdout.
    text = "\n".join(f"export {name}={shlex.quote(value)}" for name, value in exports.items())
    invocation.say(f"the sandbox runs at {running.endpoint}, speed {running.speed:g}")
    return Result(
        {"endpoint": running.endpoint, "pid": running.pid, "speed": running.speed, "exports": exports},
        text,
        document=True,
    )


@sandbox.command()
@click.pass_obj
def stop(invocation: Invocation) -> Result:
    """Stop the sandbox; everything in it is lost."""
    with _sandbox_errors():
        from bgdeploy.sandbox import control

        running = control.find()
        if running is None:
            return Result({"stopped": False}, "no sandbox runs")
        lost = _inventory(control.status(running))
        control.stop()
    return Result({"stopped": True, "lost": lost}, f"stopped the sandbox; it held {listed(lost)}")


@sandbox.command()
@click.pass_obj
def status(invocation: Invocation) -> Result:
    """Show where the sandbox runs and what it holds."""
    with _sandbox_errors():
        from bgdeploy.sandbox import control

        running = control.find()
        if running is None:
            return Result({"running": False}, "no sandbox runs; `bgdeploy sandbox start` starts one")
        report = control.status(running)
    where = f"runs at {running.endpoint}, speed {running.speed:g}, pid {running.pid}"
    text = f"{where}\nholds {listed(_inventory(report))}"
    return Result({"running": True, "endpoint": running.endpoint, "pid": running.pid, **report}, text)


@sandbox.command()
@click.pass_obj
def reset(invocation: Invocation) -> Result:
    """Empty the sandbox without stopping it."""
    with _sandbox_errors():
        from bgdeploy.sandbox import control

        running = control.find()
        if running is None:
            raise UsageError("no sandbox runs", "`bgdeploy sandbox start` starts one")
        control.reset(running)
    return Result({"reset": True}, "the sandbox is empty")


def _inventory(report: dict[str, object]) -> dict[str, int]:
    found = report.get("holds")
    return {str(kind): int(count) for kind, count in found.items()} if isinstance(found, dict) else {}
