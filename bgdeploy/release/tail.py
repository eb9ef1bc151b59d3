"""The newest lines of one version's log, for whoever watches a release: within the ceiling of calls, no line twice.

They are looked for in a thread: nobody who has the log shown waits for AWS.
"""

from __future__ import annotations

from concurrent.futures import Future
from datetime import datetime, timedelta, timezone

from bgdeploy import background
from bgdeploy.aws import Aws
from bgdeploy.release.recent import Recent
from bgdeploy.release.records.told import Said

_AGE = 4.0  # seconds after which new lines are looked for
_SINCE = timedelta(minutes=2)  # before the first look
_LATE = timedelta(seconds=10)  # by which a line may come later than younger ones
_KEPT = 50  # lines


class Tail:
    """Reads the log of one target's application."""

    def __init__(self, aws: Aws, group: str, recent: Recent) -> None:
        self._aws = aws
        self._group = group
        self._recent = recent
        self._version = ""
        self._known: dict[str, dict[str, Said]] = {}  # by version
        self._asked_at = 0.0
        self._asking: Future[tuple[Said, ...]] | None = None
        self._newest: Future[tuple[Said, ...]] | None = None

    def read(self, version: str, now: datetime) -> tuple[Said, ...]:
        """Return the newest lines that the tasks of a version have written, as far as known, oldest first, with when.

        Raises what AWS refused for as long as that is the newest it said.
        """
        if version != self._version:
            self._version, self._asking, self._newest = version, None, None
        if self._asking is None and self._due(version):
            self._asked_at = self._aws.clock.monotonic()
            self._asking = background.begin(
                lambda: self._recent.put(_key(version), lambda: self._look(version, now))
            )
        if self._asking and self._asking.done():
            self._newest, self._asking = self._asking, None
        return self._newest.result() if self._newest else ()

    def _due(self, version: str) -> bool:
        again = self._newest is None or self._aws.clock.monotonic() - self._asked_at >= _AGE
        return again and self._recent.due(_key(version), _AGE)

    # In a thread of its own

    def _look(self, version: str, now: datetime) -> tuple[Said, ...]:
        known = self._known.get(version, {})
        since = max((at for at, _ in known.values()), default=now - _SINCE + _LATE) - _LATE
        found = self._aws.client("logs").filter_log_events(
            logGroupName=self._group,
            logStreamNamePrefix=f"{version}/",  # its streams are `version/container/task`
            startTime=int(since.timestamp() * 1000),
        )["events"]
        told = {one["eventId"]: (_moment(one["timestamp"]), one["message"]) for one in found}
        newest = sorted((known | told).items(), key=lambda one: one[1][0])[-_KEPT:]
        self._known[version] = dict(newest)
        return tuple(said for _, said in newest)


def _key(version: str) -> str:
    return f"log {version}"


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc)
