"""What is told of the past, as plain values: releases, and lines of the log. `history` and `logs` fill them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from bgdeploy.release.snapshot import Side

IN_FLIGHT, WENT_LIVE = "in flight", "went live"
ROLLING_BACK, ROLLED_BACK, ROLLBACK_FAILED = "rolling back", "rolled back", "rollback failed"


Said = tuple[datetime, str]  # a line of the log, and when it was written


@dataclass(frozen=True)
class Release:
    """One release, and what became of it."""

    deployment: str
    version: str  # "" when nobody can tell any more
    result: str  # one of the words above, or CodeDeploy's own: failed, stopped
    why: str  # in a few words, "" when it went well
    live: bool  # its tasks are the ones that production is on
    created: datetime
    completed: datetime | None  # None while it goes on
    by: str  # user@host, "" for a deployment that bgdeploy did not start
    config: str
    rollback: str = ""  # the deployment that undid it
    undoes: str = ""  # the deployment that it went back from
    image: str = ""
    task_definition: str = ""
    error_code: str = ""
    error_message: str = ""
    strategy: str = ""  # as it was asked for
    commit: str = ""  # of the project's folder, "" when nobody knows
    dirty: bool = False
    checks: Mapping[str, str | None] = field(default_factory=dict)  # those that decide → their verdicts
    phases: Mapping[str, float] = field(default_factory=dict)  # seconds; empty when nobody followed it

    @property
    def checked(self) -> str:
        """How many of its checks have passed, `3/4`, "" when nobody knows."""
        passed = sum(verdict == "pass" for verdict in self.checks.values())
        return f"{passed}/{len(self.checks)}" if self.checks else ""

    @property
    def digest(self) -> str:
        """The image's, "" when nobody knows."""
        return self.image.partition("@")[2]

    @property
    def good(self) -> bool | None:
        """Tell whether it came to what was wanted, None while that is open."""
        return {WENT_LIVE: True, IN_FLIGHT: None}.get(self.result, False)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, for programs; moments as ISO 8601."""
        end = self.completed
        return {
            **asdict(self),
            "digest": self.digest,
            "created": self.created.isoformat(),
            "completed": end.isoformat() if end else None,
            "seconds": (end - self.created).total_seconds() if end else None,
        }


@dataclass(frozen=True)
class Line:
    """One line of the application's log."""

    at: datetime
    side: Side | None  # None: nobody knows any more which tasks wrote it
    version: str
    container: str
    message: str

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, for programs."""
        return {**asdict(self), "at": self.at.isoformat(timespec="milliseconds")}
