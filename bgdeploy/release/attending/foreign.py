"""What is asked of a deployment that bgdeploy did not start: what the config of whoever watches it asks. Pure."""

from __future__ import annotations

from bgdeploy.config import Settings
from bgdeploy.release.checks import fill
from bgdeploy.release.phase import new_version
from bgdeploy.release.records.record import Record
from bgdeploy.release.snapshot import Snapshot


def record_for(snapshot: Snapshot, settings: Settings) -> Record:
    """Return the record that such a deployment would have, had this project released it."""
    version, green = new_version(snapshot), snapshot.side("green")
    return Record(
        version=version,
        env=settings.env,
        image="",
        task_definition=green.task_definition if green else "",
        checks=tuple(fill(check, version) for check in settings.config.checks),
        mode="all",
        by="",
        started=snapshot.deployment.created.isoformat(timespec="seconds"),
    )
