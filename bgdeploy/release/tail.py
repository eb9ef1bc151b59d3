"""The newest lines of one version's log, for whoever watches a release: within the ceiling of calls, no line twice."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from bgdeploy.aws import Aws
from bgdeploy.release.recent import Recent
from bgdeploy.release.records.told import Said

_AGE = 4.0  # seconds after which new lines are looked for
_SINCE = timedelta(minutes=2)  # before the first look
_LATE = 10_000  # milliseconds by which a line may come later than younger ones
_KEPT = 50  # lines


class Tail:
    """Reads the log of one target's application."""

    def __init__(self, aws: Aws, group: str, recent: Recent) -> None:
        self._aws = aws
        self._group = group
        self._recent = recent
        self._version = ""
        self._events: dict[str, tuple[int, str]] = {}

    def read(self, version: str, now: datetime) -> tuple[Said, ...]:
        """Return the newest lines that the tasks of a version have written, oldest first, with when."""
        if version != self._version:
            self._version, self._events = version, {}
            self._recent.expire("log")
        self._recent.get("log", lambda: self._look(version, now), _AGE)
        return tuple(
            (datetime.fromtimestamp(at / 1000, timezone.utc), message)
            for at, message in self._events.values()
        )

    def _look(self, version: str, now: datetime) -> None:
        first = int((now - _SINCE).timestamp() * 1000)
        since = max((at for at, _ in self._events.values()), default=first + _LATE) - _LATE
        found = self._aws.client("logs").filter_log_events(
            logGroupName=self._group,
            logStreamNamePrefix=f"{version}/",  # its streams are `version/container/task`
            startTime=since,
        )["events"]
        known = self._events | {one["eventId"]: (one["timestamp"], one["message"]) for one in found}
        self._events = dict(sorted(known.items(), key=lambda one: one[1][0])[-_KEPT:])
