"""What GitHub Actions shows of a release, and what later steps get of it: files and lines in its own formats. Pure.

What an application, a check or AWS says is text, wherever it is put: it makes no markup, no output and no command.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from bgdeploy.errors import Exit
from bgdeploy.release.changes import alarm_text, alarm_verdict, checks_text, tries_text
from bgdeploy.release.checks import CheckResult, ChecksState
from bgdeploy.release.phase import duration, length, new_version, old_version
from bgdeploy.release.snapshot import Alarm, Event, Snapshot
from bgdeploy.views.finished import Finished
from bgdeploy.views.theme import printable

_MARKUP = str.maketrans({sign: f"\\{sign}" for sign in "\\`*_[]|~#"})
_DATA = (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"))
_PROPERTY = (*_DATA, (":", "%3A"), (",", "%2C"))


# The job's summary


def summary(finished: Finished) -> str:
    """Return a release as Markdown: the verdict, and all that explains it."""
    ended, snapshot, checks = finished.ending, finished.snapshot, finished.checks
    parts = [
        f"### {_sign(ended.exit)} {_plain(ended.headline)}",
        _about(finished),
        "\n".join(f"- {_plain(line)}" for line in ended.why),
        _table("What is live", ("listener", "version", "share", "at"), _live(finished)),
        _table("Phases", ("phase", "result", "took"), _phases(snapshot) if snapshot else ()),
        *(_checks(checks) if checks else ()),
        _table("Alarms", ("", "alarm", "state", "measured"), _alarms(snapshot) if snapshot else ()),
        _block("The task's last lines", ended.log),
        _block("Next", ended.next),
    ]
    return "\n\n".join(part for part in parts if part) + "\n\n"


def refusal(command: str, message: str, hint: str) -> str:
    """Return as Markdown why a command came to nothing before there was a deployment to tell of."""
    parts = [f"### ❌ {_plain(f'bgdeploy {command}: {message}')}", _plain(hint)]
    return "\n\n".join(part for part in parts if part) + "\n\n"


def said(text: str) -> str:
    """Return as Markdown what a command says that had nothing to do."""
    return f"### ✅ {_plain(text)}\n\n"


def _sign(status: Exit) -> str:
    return {Exit.DONE: "✅", Exit.GAVE_UP_WAITING: "⚠️", Exit.INTERRUPTED: "⚠️"}.get(status, "❌")


def _about(finished: Finished) -> str:
    snapshot = finished.snapshot
    if snapshot is None:
        return f"deployment {_plain(finished.ending.deployment)}"
    versions = " → ".join(filter(None, (old_version(snapshot), new_version(snapshot))))
    config = snapshot.deployment.config.removeprefix("CodeDeployDefault.ECS")
    told = (snapshot.target.group, f"deployment {snapshot.deployment.id}", versions, config)
    return " · ".join(_plain(part) for part in told if part)


_Row = tuple[str, ...]


def _live(finished: Finished) -> Iterator[_Row]:
    for one in finished.ending.live:
        yield one.listener, one.who, f"{one.percent}%", one.url


def _phases(snapshot: Snapshot) -> Iterator[_Row]:
    yield from (_phase(event, event.name, snapshot) for event in snapshot.events)
    yield from (_phase(event, f"rollback: {event.name}", snapshot) for event in snapshot.rollback_events)


def _phase(event: Event, name: str, snapshot: Snapshot) -> _Row:
    took = duration(event, snapshot.at)
    said = f": {event.message}" if event.message else ""
    return name, f"{event.status}{said}", length(took) if took is not None else ""


def _checks(checks: ChecksState) -> Iterator[str]:
    """Yield the checks before the shift, and those after it."""
    head = ("", "check", "wanted", "measured", "tries")
    for state, shifted in ((checks, False), (checks.after, True)):
        if state and (state.results or checks_text(state)):
            title = f"Checks {'after' if shifted else 'before'} the shift"
            said = checks_text(state, shifted=shifted)
            yield _table(f"{title}: {said}" if said else title, head, map(_check, state.results)) or (
                f"**{_plain(f'{title}: {said}')}**"
            )


def _check(result: CheckResult) -> _Row:
    sign = {"pass": "✅", "fail": "❌", "inconclusive": "⚠️"}.get(result.verdict or "", "·")
    name = f"{result.name} (observed)" if result.observed else result.name
    tries = tries_text(result) if result.attempts else "not run"
    return sign, name, result.wanted, result.got or result.request, tries


def _alarms(snapshot: Snapshot) -> Iterator[_Row]:
    for alarm in snapshot.alarms:
        sign = {"OK": "✅", "INSUFFICIENT_DATA": "·"}.get(alarm.state, "❌")
        yield sign, alarm.name, alarm_text(alarm), _measured(alarm)


def _measured(alarm: Alarm) -> str:
    """Return what an alarm has measured beside its limit; past that is only one that is on."""
    if alarm.state == "ALARM" or not alarm_verdict(alarm):
        return alarm_verdict(alarm)
    return f"{alarm.value:g} (alarm when {alarm.operator} {alarm.limit:g})"


def _table(title: str, head: _Row, rows: Iterator[_Row] | Sequence[_Row]) -> str:
    """Return a table, "" when it would have no rows."""
    lines = [f"| {' | '.join(map(_plain, row))} |" for row in rows]
    if not lines:
        return ""
    rule = "|" + " --- |" * len(head)
    return "\n".join([f"**{_plain(title)}**", "", f"| {' | '.join(head)} |", rule, *lines])


def _block(title: str, lines: Sequence[str]) -> str:
    """Return lines as they are, to be copied."""
    shown = "\n".join(escape(printable(line)) for line in lines)
    return f"**{title}**\n\n<pre>{shown}</pre>" if lines else ""


def _plain(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return escape(printable(text).translate(_MARKUP), quote=False)


# What later steps get


def output_values(result: Mapping[str, Any], status: Exit) -> dict[str, str]:
    """Return the job's outputs from what a command has returned, "" where it has nothing to say."""
    live = [one for one in result.get("live", ()) if one["listener"] == "production"]
    most = max(live, key=lambda one: one["percent"], default=None)
    already = f"already {result['already']}" if "already" in result else ""
    return {
        "deployment": str(result.get("deployment") or ""),
        "version": str(result.get("version") or ""),
        "image": str(result.get("image") or ""),
        "task-definition": str(result.get("task_definition") or ""),
        "result": str(result.get("kind") or already or Exit(status).name.lower().replace("_", " ")),
        "exit-status": str(int(status)),
        "live-version": str(most["version"]) if most else "",
        "production-url": str(most["url"]) if most else "",
    }


def output_lines(values: Mapping[str, str], delimiter: str) -> str:
    """Return outputs in the form for any text; `delimiter` is a word that nobody can foresee."""
    return "".join(f"{name}<<{delimiter}\n{value}\n{delimiter}\n" for name, value in values.items())


def annotation(title: str, message: str) -> str:
    """Return the line that makes GitHub show an error with the job."""
    return f"::error title={_coded(title, _PROPERTY)}::{_coded(message, _DATA)}"


def _coded(text: str, codes: tuple[tuple[str, str], ...]) -> str:
    for sign, code in codes:
        text = text.replace(sign, code)
    return text
