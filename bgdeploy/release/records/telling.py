"""What one following adds to a deployment's story: frame by frame, and how it ended. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from bgdeploy.errors import Exit
from bgdeploy.release.ending import ending
from bgdeploy.release.phase import new_version, old_version, shares
from bgdeploy.release.records import record, story
from bgdeploy.release.records.joining import joined
from bgdeploy.release.records.story import Story
from bgdeploy.release.snapshot import Event, Listener, Snapshot

if TYPE_CHECKING:
    from bgdeploy.release.changes import Frame
    from bgdeploy.release.checks import CheckResult, ChecksState, Measurement
    from bgdeploy.release.ending import Ending

# After its end, listeners and alarms soon tell of other releases.
_AFTERGLOW = timedelta(minutes=5)
_LEFT = {Exit.GAVE_UP_WAITING, Exit.INTERRUPTED}  # endings of the following alone


def begun(frame: Frame) -> Story:
    """Return the story of a deployment of which nothing is told yet."""
    return Story(frame.snapshot.deployment.id)


def told(before: Story, frame: Frame, by: str = "", since: datetime | None = None) -> Story:
    """Return the story with what a frame shows besides. `by` follows the deployment `since` then; None only looks."""
    snapshot = frame.snapshot
    seen = Story(
        before.deployment,
        facts=facts(snapshot),
        steps=(*_steps(snapshot.deployment.id, snapshot.events), *_undoing(snapshot)),
        trouble=tuple(
            story.Trouble(change.subject, change.text, change.at)
            for change in frame.changes
            if change.kind == "trouble"
        ),
    )
    if not _late(snapshot):
        seen = replace(
            seen,
            traffic=tuple(_traffic(before, snapshot)),
            alarms=tuple(_alarms(before, snapshot)),
            checks=(*_checks(before, frame.checks, frame.now),),
            stages=(*_stages(before, frame.checks, frame.now),),
            watched=(story.Watched(by, since, frame.now),) if since else (),
        )
    return joined(before, seen)


def concluded(before: Story, frame: Frame, ended: Ending) -> Story:
    """Return the story with its ending. That somebody left is no ending of the deployment."""
    if ended.exit in _LEFT:
        return before
    own = ending(frame.snapshot, frame.checks)
    # To whoever went back the way back is a success; the release that was undone has failed all the same.
    judged = ended.exit is Exit.ERROR or (ended.exit is Exit.DONE and own.exit is not Exit.DONE)
    found = own if judged else ended
    said = story.Ended(
        at=frame.snapshot.at,
        over=frame.snapshot.deployment.over,
        kind=found.kind.value,
        exit=int(found.exit),
        headline=found.headline,
        why=found.why,
        next=found.next,
        live=tuple(
            story.Standing(each.listener, each.url, each.side, each.version, each.percent)
            for each in found.live
        ),
        event=found.event,
        verified=found.verified,
        seconds=found.seconds,
        log=ended.log,
        series=ended.series,
    )
    return joined(before, Story(before.deployment, ending=said))


def _late(snapshot: Snapshot) -> bool:
    end = facts(snapshot).end
    return end is not None and snapshot.at - end > _AFTERGLOW


def facts(snapshot: Snapshot) -> story.Facts:
    """Return the deployment itself."""
    deployment, rollback = snapshot.deployment, snapshot.rollback
    return story.Facts(
        at=snapshot.at,
        version=new_version(snapshot),
        before=old_version(snapshot),
        status=deployment.status,
        description=deployment.description,
        config=deployment.config,
        created=deployment.created,
        key=record.key_of(deployment.description) or "",
        started=deployment.started,
        completed=deployment.completed,
        error_code=deployment.error_code,
        error_message=deployment.error_message,
        rollback=deployment.rollback_id or "",
        rollback_status=rollback.status if rollback else "",
        rollback_created=rollback.created if rollback else None,
        rollback_completed=rollback.completed if rollback else None,
    )


def _steps(deployment: str, events: tuple[Event, ...]) -> Iterator[story.Step]:
    for place, event in enumerate(events):
        yield story.Step(deployment, place, event.name, event.status, event.start, event.end, event.message)


def _undoing(snapshot: Snapshot) -> Iterator[story.Step]:
    if snapshot.rollback:
        yield from _steps(snapshot.rollback.id, snapshot.rollback_events)


def _traffic(before: Story, snapshot: Snapshot) -> Iterator[story.Traffic]:
    doors = {"production": snapshot.production, "test": snapshot.test}
    for name, door in doors.items():
        parts = _parts(door, snapshot) if door else ()
        known = next((each.parts for each in reversed(before.traffic) if each.listener == name), None)
        if door and parts != known:
            yield story.Traffic(snapshot.at, name, parts)


def _parts(door: Listener, snapshot: Snapshot) -> tuple[story.Part, ...]:
    return tuple(
        story.Part(share.side or "", share.version, share.percent)
        for share in shares(door, snapshot)
        if share.percent
    )


def _alarms(before: Story, snapshot: Snapshot) -> Iterator[story.AlarmState]:
    for alarm in snapshot.alarms:
        known = next((each for each in reversed(before.alarms) if each.name == alarm.name), None)
        if known is None or known.state != alarm.state:
            at = alarm.since if known and alarm.since and alarm.since > known.at else snapshot.at
            yield story.AlarmState(
                at, alarm.name, alarm.state, alarm.value, alarm.operator, alarm.limit, alarm.reason
            )


def _checks(before: Story, state: ChecksState | None, now: datetime) -> Iterator[story.Checked]:
    for after, part in ((False, state), (True, state.after if state else None)):
        known = {each.name: each for each in before.checks if each.after is after}
        for place, result in enumerate(part.results if part else ()):
            found = _checked(after, place, result, now)
            old = known.get(result.name)
            if old is None or replace(found, seen=old.seen, measurements=()) != replace(old, measurements=()):
                yield _measured(found, result, old)
            elif new := _new(result, old):
                yield replace(found, measurements=new)


def _checked(after: bool, place: int, result: CheckResult, now: datetime) -> story.Checked:
    return story.Checked(
        after=after,
        place=place,
        name=result.name,
        kind=result.kind,
        request=result.request,
        wanted=result.wanted,
        observed=result.observed,
        seen=now,
        verdict=result.verdict,
        got=result.got,
    )


def _measured(found: story.Checked, result: CheckResult, old: story.Checked | None) -> story.Checked:
    return replace(found, measurements=_new(result, old))


def _new(result: CheckResult, old: story.Checked | None) -> tuple[story.Measured, ...]:
    """Return the measurements that are younger than all that are told."""
    newest = old.measurements[-1].at if old and old.measurements else None
    return tuple(
        _measurement(each, each.at)
        for each in result.measurements
        if each.at and (newest is None or each.at > newest)
    )


def _measurement(each: Measurement, at: datetime) -> story.Measured:
    return story.Measured(
        at=at,
        verdict=each.verdict,
        wanted=each.wanted,
        got=each.got,
        seconds=each.seconds,
        values=tuple(sorted(each.values.items())),
        output=() if each.passed else each.output,
    )


_SILENT = {"idle", "elsewhere"}  # stages that say nothing of the checks themselves


def _stages(before: Story, state: ChecksState | None, now: datetime) -> Iterator[story.Stage]:
    for after, part in ((False, state), (True, state.after if state else None)):
        if part is None or part.stage in _SILENT:
            continue
        known = next((each for each in reversed(before.stages) if each.after is after), None)
        if known is None or (known.stage, known.owner) != (part.stage, part.owner):
            yield story.Stage(now, after, part.stage, part.owner, part.why)
