"""The live board of a release, at most 24 lines of 80 columns, and the card that ends it. Functions of values."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from bgdeploy.release.changes import alarm_text, check_text, checks_text, tasks_text
from bgdeploy.release.phase import (
    HELD,
    Phase,
    Share,
    duration,
    length,
    new_version,
    old_version,
    shares,
    wait,
)
from bgdeploy.views.lines import Lines
from bgdeploy.views.theme import UNICODE, Glyphs, fit, glyphs, plain, printable

if TYPE_CHECKING:
    from bgdeploy.release.changes import Frame
    from bgdeploy.release.ending import Ending
    from bgdeploy.release.snapshot import Event, Listener

WIDTH, HEIGHT = 80, 24
_BAR = 20


@contextmanager
def showing(console: Console, *, live: bool) -> Iterator[Callable[[Frame], None]]:
    """Yield what shows frames on `console`: a board that is redrawn, or one line for each change."""
    signs = glyphs(console)
    if not live:
        lines = Lines(signs)

        def print_lines(frame: Frame) -> None:
            for line in lines.feed(frame):
                console.print(Text(line), soft_wrap=True)

        yield print_lines
        return
    with Live(console=console, auto_refresh=False, transient=False) as board_of:
        yield lambda frame: board_of.update(board(frame, signs, console.width), refresh=True)


def board(frame: Frame, signs: Glyphs = UNICODE, width: int = WIDTH) -> RenderableType:
    """Return the whole picture: where a deployment is, who gets the traffic, what was checked, what it waits for."""
    head = [_title(frame, signs), _phase(frame), *_traffic(frame, signs), *_tasks(frame)]
    tail = [*_rollback(frame, signs), *_alarms(frame, signs), *_wait(frame), *_notice(frame, signs)]
    room = HEIGHT - len(head) - len(tail) - len(frame.snapshot.events)
    lines = [*head, *_events(frame, signs, room), *tail][:HEIGHT]
    return Group(*(fit(_clean(line, signs), min(width, WIDTH), signs) for line in lines))


def _clean(line: Text, signs: Glyphs) -> Text:
    """Return the line in the alphabet of `signs`: what AWS and applications say may hold any sign."""
    line.plain = plain(line.plain, signs)
    return line


def _title(frame: Frame, signs: Glyphs) -> Text:
    snapshot = frame.snapshot
    line = Text(f"{snapshot.target.group}  {snapshot.deployment.id}  ", "title")
    versions = [version for version in (old_version(snapshot), new_version(snapshot)) if version]
    line.append(f" {signs.arrow} ".join(versions), "title")
    config = snapshot.deployment.config.removeprefix("CodeDeployDefault.ECS")
    line.append(f"  {config}  {length(_end(frame) - snapshot.deployment.created)}", "faint")
    return line


def _end(frame: Frame) -> datetime:
    """Return when the story ended, now while it goes on."""
    if frame.phase in {Phase.ROLLED_BACK, Phase.ROLLBACK_FAILED} and frame.snapshot.rollback:
        return frame.snapshot.rollback.completed or frame.now
    over = frame.phase in {Phase.FINISHED, Phase.FAILED, Phase.STOPPED}
    return (frame.snapshot.deployment.completed if over else None) or frame.now


_PHASES = {
    Phase.CREATED: "accepted; CodeDeploy has not begun yet",
    Phase.INSTALLING: "installing: the new tasks are being started",
    Phase.TEST_TRAFFIC: "the test listener moves to the new version",
    Phase.CHECKING: "checking: the new version is asked before users see it",
    Phase.READY: "ready: the new version waits for approval",
    Phase.SHIFTING: "shifting production traffic to the new version",
    Phase.SHIFTED: "shifted: all production traffic is on the new version, blue is kept",
    Phase.FINISHED: "finished: the new version is live, blue is removed",
    Phase.FAILED: "failed",
    Phase.STOPPED: "stopped",
    Phase.ROLLING_BACK: "rolling back: production goes back to blue",
    Phase.ROLLED_BACK: "rolled back: production is on blue again",
    Phase.ROLLBACK_FAILED: "the rollback failed",
}
_STYLES = {
    Phase.SHIFTED: "good",
    Phase.FINISHED: "good",
    Phase.ROLLING_BACK: "warn",
    Phase.ROLLED_BACK: "warn",
    Phase.FAILED: "bad",
    Phase.STOPPED: "bad",
    Phase.ROLLBACK_FAILED: "bad",
}


def _phase(frame: Frame) -> Text:
    line = Text(_PHASES[frame.phase], _STYLES.get(frame.phase, "busy"))
    if frame.snapshot.deployment.error_code:
        line.append(f"  ({frame.snapshot.deployment.error_code})")
    return line


def _traffic(frame: Frame, signs: Glyphs) -> Iterator[Text]:
    yield from _listener("production", frame.snapshot.production, frame, signs)
    yield from _listener("test", frame.snapshot.test, frame, signs)


def _listener(name: str, listener: Listener | None, frame: Frame, signs: Glyphs) -> Iterator[Text]:
    if listener is None:
        return
    found = shares(listener, frame.snapshot)
    line = Text(f" {name:<11} ")
    filled = 0
    for share in found:
        cells = round(_BAR * share.percent / 100)
        filled += cells
        line.append((signs.full if share.side != "green" else signs.empty) * cells, share.side or "faint")
    line.append(" " * (_BAR - filled + 2))
    who = f" {signs.dot} ".join(_share(share) for share in found if share.percent)
    line.append(who or "nobody answers")
    # A load balancer's own name is long; half an address helps nobody.
    if line.cell_len + len(listener.url) + 2 <= WIDTH:
        line.append(f"  {listener.url}", "faint")
    yield line


def _share(share: Share) -> str:
    who = f"{share.side} {share.version}" if share.side else share.target_group
    return f"{who} {share.percent}%"


def _tasks(frame: Frame) -> Iterator[Text]:
    for task_set in frame.snapshot.task_sets:
        line = Text(f" {task_set.side:<11} ", task_set.side)
        line.append(f"{task_set.version}  {tasks_text(task_set)}", "default")
        if task_set.trouble:
            line.append(f"; {task_set.trouble[0]}", "bad")
        yield line


def _events(frame: Frame, signs: Glyphs, room: int) -> Iterator[Text]:
    for event in frame.snapshot.events:
        yield _event(event, frame, signs)
        if event.name == HELD:
            yield from _checks(frame, signs, room)


def _event(event: Event, frame: Frame, signs: Glyphs) -> Text:
    line = Text(" ")
    good = {"Succeeded": True, "Failed": False}.get(event.status)
    running = event.status == "InProgress"
    line.append_text(
        Text(signs.skipped, "faint") if event.status == "Skipped" else signs.mark(good, running=running)
    )
    took = duration(event, frame.now)
    line.append(f" {event.name:<22}", "" if good is not None or running else "faint")
    line.append(f"{length(took) if took is not None else '':>7}")
    word = {"Failed": "failed", "Skipped": "skipped", "InProgress": "running"}.get(event.status, "")
    if event.name == HELD and frame.checks and (said := checks_text(frame.checks)):
        word = f"{word}  checks: {said}" if word else f"checks: {said}"
    line.append(f"  {word}" if word else "")
    if event.message:
        line.append(f": {event.message}", "bad")
    return line


def _checks(frame: Frame, signs: Glyphs, room: int) -> Iterator[Text]:
    """Those that failed first: they are what somebody looks for when there is no room for all."""
    results = sorted(frame.checks.results if frame.checks else (), key=lambda r: r.passed is not False)
    fitting = results if len(results) <= room else results[: max(room - 1, 0)]
    for result in fitting:
        line = Text("     ").append_text(signs.mark(result.passed, running=True))
        told = check_text(result) if result.attempts else result.request
        line.append(f" {result.name}  {told}")
        yield line
    if len(fitting) < len(results) and room > 0:
        left = results[len(fitting) :]
        passed = sum(result.passed is True for result in left)
        yield Text(f"       and {len(left)} more checks, {passed} passed", "faint")


def _rollback(frame: Frame, signs: Glyphs) -> Iterator[Text]:
    rollback = frame.snapshot.rollback
    if rollback is None:
        return
    good = {"Succeeded": True, "Failed": False, "Stopped": False}.get(rollback.status)
    line = Text(" ").append_text(signs.mark(good, running=True))
    took = (rollback.completed or frame.now) - rollback.created
    yield line.append(f" rollback {rollback.id:<13}{length(took):>7}  {rollback.status}")


def _alarms(frame: Frame, signs: Glyphs) -> Iterator[Text]:
    line = Text(" alarms ")
    for alarm in frame.snapshot.alarms:
        line.append(" ").append_text(
            Text(signs.idle, "faint")
            if alarm.state == "INSUFFICIENT_DATA"
            else signs.mark(alarm.state == "OK")
        )
        line.append(f" {alarm.name} {alarm_text(alarm)}")
    if frame.snapshot.alarms:
        yield line


def _wait(frame: Frame) -> Iterator[Text]:
    waiting = wait(frame.snapshot)
    if waiting:
        yield Text(f" {waiting.what}, {length(waiting.until - frame.now)} more at most", "warn")


def _notice(frame: Frame, signs: Glyphs) -> Iterator[Text]:
    if frame.notice:
        yield Text(
            f" {signs.warn} {frame.notice}; what you see is from {frame.snapshot.at:%H:%M:%SZ}", "warn"
        )


# The card


def card(ending: Ending, signs: Glyphs = UNICODE) -> RenderableType:
    """Return the end of a release: what happened, why, what is live, and what to type next."""
    mark, style = _verdict(ending, signs)
    lines = [Text(line, style) for line in _wrapped(f"{mark} ", ending.headline)]
    lines += _labelled("note" if ending.good else "why", ending.why)
    if ending.green and not ending.good:
        lines += _labelled("green", (ending.green,))
    for live in ending.live:
        who = " ".join(part for part in (live.side, live.version) if part) or "nobody"
        lines += _labelled(
            "live" if live.listener == "production" else "test", (f"{who} {live.percent}%  {live.url}",)
        )
    if ending.rollback:
        lines += _labelled("rollback", (f"{ending.rollback} rolled {ending.deployment} back",))
    lines += _labelled("next", ending.next)
    lines += [Text(f"  exit     {int(ending.exit)}", "faint")]
    return Group(*(_clean(line, signs) for line in lines))


def _verdict(ending: Ending, signs: Glyphs) -> tuple[str, str]:
    if ending.good:
        return signs.good, "good"
    return (signs.bad, "bad") if ending.event or ending.why else (signs.warn, "warn")


def _labelled(label: str, lines: tuple[str, ...]) -> list[Text]:
    labels = [label, *[""] * len(lines)]
    return [
        Text(part)
        for head, line in zip(labels, lines, strict=False)
        for part in _wrapped(f"  {head:<9}", line)
    ]


def _wrapped(head: str, text: str) -> list[str]:
    """Return `text` after `head`, folded under its own beginning; words stay whole, they may be URLs."""
    return textwrap.wrap(
        printable(text),
        WIDTH,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [head.rstrip()]
