"""Reads all that is left of one release into a Report: CodeDeploy's own word, the record, and the story."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta

from bgdeploy.checktypes import Check
from bgdeploy.errors import Exit
from bgdeploy.quantities import Limit
from bgdeploy.release.analysis.limits import limited
from bgdeploy.release.changes import Frame, changes
from bgdeploy.release.ending import ending
from bgdeploy.release.evidence import Evidence
from bgdeploy.release.phase import Phase, new_version, phase, settled, shares
from bgdeploy.release.reader import Reader
from bgdeploy.release.records import history, record, stories, telling
from bgdeploy.release.records.record import Record
from bgdeploy.release.records.reported import Bound, Report, Source
from bgdeploy.release.records.stories import Kept
from bgdeploy.release.records.story import Ended, Standing, Story
from bgdeploy.release.snapshot import Snapshot

_ROLLBACK_PATIENCE = timedelta(minutes=1)  # for rollbackInfo, which may lag the status (aws-facts 4.2)
_UNDOING = {Phase.FAILED, Phase.STOPPED, Phase.ROLLING_BACK}


@dataclass(frozen=True)
class Seen:
    """What a fresh look shows."""

    snapshot: Snapshot
    evidence: Evidence = field(default_factory=Evidence)  # of a failure that nobody looked into before


def read(reader: Reader, deployment: str) -> Report:
    """Return all about the release that a deployment is, or that it rolls back.

    Raises BgdeployError for a deployment that is not there, or another stack's.
    """
    snapshot = reader.read(deployment, fresh=True)
    if snapshot.deployment.rolls_back:
        snapshot = reader.read(snapshot.deployment.rolls_back, fresh=True)
    kept = _kept(reader, snapshot.deployment.id)
    key = record.key_of(snapshot.deployment.description)
    told = record.load(reader.aws, reader.target.bucket, key) if key else None
    # Whoever followed it has looked up why it failed; for what nobody followed this is the first look.
    known = kept and kept.story.ending and kept.story.ending.over
    failed = snapshot.deployment.over and snapshot.deployment.status != "Succeeded"
    seen = Seen(snapshot, Evidence() if known or not failed else reader.evidence(snapshot))
    found = compose(reader.target.group, reader.aws.region, seen, kept.story if kept else None, told)
    return found if found.story.facts and found.story.facts.version else _named(reader, found)


def _named(reader: Reader, found: Report) -> Report:
    """Return the report of a deployment whose tasks are gone, and whose AppSpec alone still tells the version."""
    facts = found.story.facts
    info = reader.aws.client("codedeploy").get_deployment(deploymentId=found.story.deployment)
    version, definition = history.deployed(reader, info["deploymentInfo"])
    if not version or facts is None:
        return found
    return replace(
        found,
        story=replace(found.story, facts=replace(facts, version=version)),
        source=replace(found.source, task_definition=definition),
    )


def _kept(reader: Reader, deployment: str) -> Kept | None:
    with suppress(ValueError):  # one that cannot be read tells nothing
        return stories.load(reader.aws, reader.target.bucket, deployment)
    return None


def compose(stack: str, region: str, seen: Seen, kept: Story | None, told: Record | None) -> Report:
    """Return the report of what a fresh look shows, and of what was kept. Pure."""
    snapshot = seen.snapshot
    frame = Frame(snapshot, phase(snapshot), snapshot.at, 0.0, changes(None, snapshot))
    whole = telling.told(kept or telling.begun(frame), frame)
    end = _end(seen, whole)
    return Report(
        stack=stack,
        region=region,
        written=snapshot.at,
        story=replace(whole, ending=end),
        verdict=end.headline if end else _on_its_way(snapshot),
        good=end.exit == Exit.DONE if end else None,
        kept=kept is not None,
        live=tuple(_live(snapshot)),
        why=end.why if end else (),
        next=end.next if end else (f"bgdeploy watch {snapshot.deployment.id}",),
        source=_source(told),
    )


def _end(seen: Seen, story: Story) -> Ended | None:
    """Return how it ended: as whoever followed it found, else as it looks now; None while it goes on."""
    snapshot = seen.snapshot
    if story.ending and story.ending.over:
        return story.ending
    done = snapshot.deployment.completed
    if not settled(snapshot, "shifted", overdue=bool(done and snapshot.at - done > _ROLLBACK_PATIENCE)):
        return None
    frame = Frame(snapshot, phase(snapshot), snapshot.at, 0.0)
    ended = ending(snapshot, evidence=seen.evidence)
    return telling.concluded(Story(story.deployment), frame, ended).ending


def _on_its_way(snapshot: Snapshot) -> str:
    door = snapshot.production
    moved = sum(share.percent for share in shares(door, snapshot) if share.side == "green") if door else 0
    version = new_version(snapshot) or "the new version"
    where = phase(snapshot)
    how = "is being taken back" if where in _UNDOING else "is on its way"
    return f"{version} {how} ({where}): {moved}% of production is on it"


def _live(snapshot: Snapshot) -> Iterator[Standing]:
    doors = {"production": snapshot.production, "test": snapshot.test}
    for name, door in doors.items():
        for share in shares(door, snapshot) if door else ():
            if door and share.percent:
                version = share.version or snapshot.superseded_by  # by now it may be another release's
                yield Standing(name, door.url, share.side or "", version, share.percent)


def _source(told: Record | None) -> Source:
    if told is None:
        return Source()
    return Source(
        by=told.by,
        image=told.image,
        task_definition=told.task_definition,
        commit=told.commit,
        dirty=told.dirty,
        strategy=told.strategy,
        undoes=told.undoes,
        checks=told.mode,
        bounds={check.name: tuple(_bounds(check)) for check in told.checks},
    )


def _bounds(check: Check) -> Iterator[Bound]:
    if check.kind == "get" and check.below is not None:
        yield Bound("latency", "<=", check.below, check.below.unit, check.below.shown)
    if check.compare:
        factor = Limit.of(check.compare.factor, "")
        yield Bound("ratio", "<=", factor, "", f"{factor.shown} x blue's")
    for name, sign, limit in limited(check):
        yield Bound("value" if check.metric else name, sign, limit, limit.unit, limit.shown)
