"""What is live, as a page of text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from bgdeploy.release.changes import alarm_text
from bgdeploy.views.theme import UNICODE, WIDTH, Glyphs, folded, plain

if TYPE_CHECKING:
    from bgdeploy.release.standing import DeploymentStatus, ListenerStatus, Status, TaskSetStatus


_LABELS = 16  # columns
_WIDEST = 100  # columns: longer lines of prose are hard to read


def status(now: Status, signs: Glyphs = UNICODE, width: int = WIDTH) -> RenderableType:
    """Return what answers at each listener, which tasks run, the alarms' states and what is in flight."""
    width = min(width, _WIDEST)
    lines = [Text(f"{now.stack}  {now.region}  service {now.service}", "title")]
    lines += _listener("production", now.production, signs)
    lines += _listener("test", now.test, signs)
    for task_set in now.task_sets:
        lines += _task_set(task_set, signs, width)
    if now.scaling:
        lines.append(_row("scaling").append(now.scaling))
    for alarm in now.alarms:
        good = {"OK": True, "ALARM": False, "MISSING": False}.get(alarm.state)
        lines.append(
            _row("alarm").append_text(signs.mark(good)).append(f" {alarm.name}  {alarm_text(alarm)}")
        )
    lines += _deployment(now, width)
    for line in lines:
        line.plain = plain(line.plain, signs)
    return Group(*lines)


def _row(label: str) -> Text:
    return Text(f"  {label}".ljust(_LABELS))


def _prose(text: str, width: int) -> Iterator[Text]:
    yield from (Text(line, "faint") for line in folded(" " * _LABELS, text, width))


def _listener(name: str, listener: ListenerStatus | None, signs: Glyphs) -> Iterator[Text]:
    if listener:
        who = f" {signs.dot} ".join(f"{version} {percent}%" for version, percent in listener.versions.items())
        yield _row(name).append(who or "nobody answers", "title").append(f"  {listener.url}", "faint")


def _task_set(task_set: TaskSetStatus, signs: Glyphs, width: int) -> Iterator[Text]:
    good = None if task_set.status == "DRAINING" else task_set.healthy >= task_set.desired
    line = _row("tasks").append_text(signs.mark(good))
    line.append(f" {task_set.version}  {task_set.status}  {task_set.running}/{task_set.desired} running, ")
    pending = f"{task_set.pending} pending, " if task_set.pending else ""
    line.append(f"{pending}{task_set.healthy} healthy  ")
    yield line.append(task_set.target_group, "faint")
    for target in task_set.targets:
        if target.reason:
            yield from _prose(f"{target.id}:{target.port} {target.state}: {target.reason}", width)


def _deployment(now: Status, width: int) -> Iterator[Text]:
    if now.active:
        yield _row("in flight").append(_told(now.active), "busy")
        if now.active.until:
            yield _row("").append(f"{now.active.wait} until {now.active.until:%H:%M:%SZ}")
        yield _row("next").append(f"bgdeploy watch {now.active.id}")
    elif now.last:
        yield _row("last release").append(_told(now.last))
        if now.last.rollback:
            yield _row("").append(f"rolled back by {now.last.rollback}")
        if now.last.error:
            yield from _prose(now.last.error, width)
    else:
        yield _row("last release").append("none yet: bgdeploy release VERSION")


def _told(deployment: DeploymentStatus) -> str:
    ended = f" at {deployment.completed:%Y-%m-%d %H:%M:%SZ}" if deployment.completed else ""
    version = f"{deployment.version}  " if deployment.version else ""
    status, where = deployment.status, str(deployment.phase)
    told = status if status.lower() == where else f"{status}, {where}"  # "Stopped, stopped" says it twice
    return f"{version}{deployment.id}  {told}{ended}"
