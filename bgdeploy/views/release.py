"""The live board of a release, at most 24 lines of 80 columns. Functions of values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from bgdeploy.release.changes import (
    Silence,
    alarm_text,
    check_text,
    checks_text,
    tasks_text,
    throttled_text,
)
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
from bgdeploy.views.panel import Panel, footer, pane
from bgdeploy.views.theme import UNICODE, WIDTH, Glyphs, fit, plain

if TYPE_CHECKING:
    from bgdeploy.release.changes import Frame
    from bgdeploy.release.checks import CheckResult, ChecksState
    from bgdeploy.release.snapshot import Event, Listener

HEIGHT = 24
_BAR = 20
_FEW_CHECKS = 4  # that are shown even where events have to make room for them


@contextmanager
def showing(
    console: Console, signs: Glyphs, live: bool, panel: Callable[[], Panel | None] = lambda: None
) -> Iterator[Callable[[Frame | Silence], None]]:
    """Yield what shows frames on `console`: a board that is redrawn, with its panel, or one line for each change."""
    if not live:
        lines = Lines(signs)

        def print_lines(frame: Frame | Silence) -> None:
            for line in lines.feed(frame):
                console.print(Text(line), soft_wrap=True)

        yield print_lines
        return
    with Live(console=console, auto_refresh=False, transient=False) as board_of:
        last: list[Frame] = []
        room = console.size

        def draw(frame: Frame | Silence, beside: Panel | None) -> None:
            nonlocal room
            before, room = room, console.size
            if room.width < min(before.width, WIDTH) or room.height < min(before.height, HEIGHT):
                console.clear()  # a terminal that shrinks has folded the old board: nobody knows where it begins
            if isinstance(frame, Silence):
                board_of.update(threshold(frame, signs, console.width), refresh=True)
                return
            last[:] = [frame]
            board_of.update(board(frame, signs, console.width, console.height, beside), refresh=True)

        try:
            yield lambda frame: draw(frame, panel())
        finally:
            for frame in last:  # what stays on the screen offers no keys: nobody listens any more
                draw(frame, None)


def threshold(silence: Silence, signs: Glyphs = UNICODE, width: int = WIDTH) -> RenderableType:
    """Return what stands in the board's place until AWS has said where a deployment is."""
    asked = f"  AWS has been asked where it is for {length(silence.elapsed)}"
    lines = [Text.assemble((silence.deployment, "title"), (asked, "faint"))]
    if silence.notice or silence.throttled:
        lines.append(Text(f" {signs.warn} {silence.notice or throttled_text(silence.throttled)}", "warn"))
    return Group(*(fit(line, min(width, WIDTH), signs) for line in lines))


def board(
    frame: Frame,
    signs: Glyphs = UNICODE,
    width: int = WIDTH,
    height: int = HEIGHT,
    panel: Panel | None = None,
) -> RenderableType:
    """Return the whole picture: where a deployment is, who gets the traffic, what was checked, what it waits for."""
    width, height = min(width, WIDTH), min(height, HEIGHT)
    head = [_title(frame, signs, width), _phase(frame), *_traffic(frame, signs, width), *_tasks(frame)]
    tail = [*_rollback(frame, signs), *_alarms(frame, signs), *_wait(frame), *_notice(frame, signs)]
    foot = list(footer(panel))
    room = height - len(head) - len(tail) - len(foot)
    events = list(_events(frame, signs, room - (panel.room if panel else 0)))
    above = [*head, *events, *pane(panel, room - len(events)), *tail]
    lines = [*above[: height - len(foot)], *foot]
    return Group(*(fit(_clean(line, signs), width, signs) for line in lines))


def _clean(line: Text, signs: Glyphs) -> Text:
    """Return the line in the alphabet of `signs`: what AWS and applications say may hold any sign."""
    line.plain = plain(line.plain, signs)
    return line


def _title(frame: Frame, signs: Glyphs, width: int) -> Text:
    snapshot = frame.snapshot
    line = Text(f"{snapshot.target.group}  {snapshot.deployment.id}  ", "title")
    versions = [version for version in (old_version(snapshot), new_version(snapshot)) if version]
    line.append(f" {signs.arrow} ".join(versions), "title")
    took = f"  {length(_end(frame) - snapshot.deployment.created)}"
    config = snapshot.deployment.config.removeprefix("CodeDeployDefault.ECS")
    config = f"  {config.removeprefix(f'{snapshot.target.group}-')}"
    if line.cell_len + len(config) + len(took) > width:
        config = ""
    return line.append(config + took, "faint")


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


def _traffic(frame: Frame, signs: Glyphs, width: int) -> Iterator[Text]:
    doors = {"production": frame.snapshot.production, "test": frame.snapshot.test}
    for name, listener in doors.items():
        if listener:
            yield _listener(name, listener, frame, signs, width)


def _listener(name: str, listener: Listener, frame: Frame, signs: Glyphs, width: int) -> Text:
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
    if line.cell_len + len(listener.url) + 2 <= width:
        line.append(f"  {listener.url}", "faint")
    return line


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
    """The events, the checks below the one that waits for them, and below all those that go on after the shift."""
    later = list(_later(frame, signs)) if frame.checks and frame.checks.after else []
    # Once there are later ones, those before the shift have all passed, and their event says so.
    checks = frame.checks if frame.checks and not later else None
    room -= len(later)
    events = _fitting(frame.snapshot.events, room - min(len(checks.results) if checks else 0, _FEW_CHECKS))
    if not any(event.name == HELD for event in events):  # and with it the checks: their room is free again
        events = _fitting(frame.snapshot.events, room)
    for event in events:
        yield _event(event, frame, signs)
        if event.name == HELD and checks:
            yield from _checks(checks, signs, room - len(events))
    yield from later


def _later(frame: Frame, signs: Glyphs) -> Iterator[Text]:
    after = frame.checks.after if frame.checks else None
    if after is None:
        return
    good = {"passed": True, "failed": False, "late": False}.get(after.stage)
    line = Text(" ").append_text(signs.mark(good, running=after.stage == "running"))
    said = checks_text(after, shifted=True)
    yield line.append(f" checks after the shift{': ' if said else ''}{said}")
    yield from _checks(after, signs, _FEW_CHECKS)


def _fitting(events: Sequence[Event], room: int) -> list[Event]:
    """Return the events that a small terminal has room for: those that are over go first, then those to come."""
    shown = list(events)
    while len(shown) > max(room, 1):
        over = next((event for event in shown if event.status in {"Succeeded", "Skipped"}), shown[-1])
        shown.remove(over)
    return shown


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
    if event.name == HELD and frame.checks and (said := _checks_word(frame.checks)):
        word = f"{word}  checks: {said}" if word else f"checks: {said}"
    line.append(f"  {word}" if word else "")
    if event.message:
        line.append(f": {event.message}", "bad")
    return line


def _checks_word(state: ChecksState) -> str:
    """What there is to decide is said where the waits are, in full."""
    return "inconclusive" if state.stage == "asking" else checks_text(state)


def _checks(state: ChecksState, signs: Glyphs, room: int) -> Iterator[Text]:
    """Those that failed first: they are what somebody looks for when there is no room for all."""
    results = sorted(state.results, key=lambda r: (r.passed is not False, r.verdict != "inconclusive"))
    fitting = results if len(results) <= room else results[: max(room - 1, 0)]
    for result in fitting:
        line = Text("     ").append_text(_check_mark(result, state, signs))
        yield line.append(f" {result.name}  {check_text(result)}")
    if len(fitting) < len(results) and room > 0:
        left = results[len(fitting) :]
        passed = sum(result.passed is True for result in left)
        yield Text(f"       and {len(left)} more checks, {passed} passed", "faint")


def _check_mark(result: CheckResult, state: ChecksState, signs: Glyphs) -> Text:
    if result.verdict == "inconclusive":
        return Text(signs.warn, "warn")
    left_out = bool(result.got) and not result.attempts
    return signs.mark(result.passed, running=state.stage == "running" and not left_out)


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
        if frame.checks is not None and frame.checks.stage == "asking":
            waiting = replace(waiting, what="`bgdeploy promote` lets it go on, `bgdeploy stop` ends it")
        yield Text(f" {waiting.text(frame.now)}", "warn")


def _notice(frame: Frame, signs: Glyphs) -> Iterator[Text]:
    if frame.throttled and not frame.notice:
        yield Text(f" {signs.warn} {throttled_text(frame.throttled)}", "warn")
    if frame.notice:
        yield Text(
            f" {signs.warn} {frame.notice}; what you see is from {frame.snapshot.at:%H:%M:%SZ}", "warn"
        )
