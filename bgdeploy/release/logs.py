"""The application's log: the lines of both colours in the order of time, and which side and version wrote each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone

from bgdeploy.aws import Attrs, server_time
from bgdeploy.errors import BgdeployError
from bgdeploy.release import parse
from bgdeploy.release.progress import Progress
from bgdeploy.release.reader import Reader
from bgdeploy.release.recent import Recent
from bgdeploy.release.records.told import Line
from bgdeploy.release.snapshot import Side
from bgdeploy.release.watch import passing

_POLL = 2.0  # seconds between two looks for new lines
# Lines may arrive later than younger ones of other tasks: the log driver sends them in batches.
_LATE = timedelta(seconds=10)
_STRANGE_AGE, _KNOWN_AGE = (
    5.0,
    30.0,
)  # seconds after which it is asked again who writes: to a strange stream, to any
_MOST_TASKS = 100  # that DescribeTasks tells about
_LONGEST_PATTERN = 1024


def pattern(text: str) -> str | None:
    """Return the filter pattern by which CloudWatch Logs finds lines that hold `text`, None where there is none.

    In quotes a pattern means the very text (aws-facts 9.1); how a quote or a backslash is written in there, no
    document says, and `%` may begin a regular expression.
    """
    plain = text.isprintable() and not set(text) & set('"\\%')
    return f'"{text}"' if plain and text.strip() and len(text) <= _LONGEST_PATTERN - 2 else None


class Writers:
    """Who writes to which log stream: `version/container/task`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._progress = Progress(
            reader.aws, f"{reader.target.cluster}:{reader.target.service}", Recent(reader.aws.clock)
        )
        self._asked_at = float("-inf")
        self._sides: dict[str, Side] = {}  # by task
        self._by_version: dict[str, Side] = {}  # where only one side has it

    def of(self, stream: str) -> tuple[Side | None, str, str]:
        """Return side, version and container of a stream."""
        version, container, task = (["", "", *stream.rsplit("/", 2)])[-3:]
        age = self._reader.aws.clock.monotonic() - self._asked_at
        if age > (_KNOWN_AGE if task in self._sides else _STRANGE_AGE):
            self._ask()
        return self._sides.get(task) or self._by_version.get(version), version, container

    def _ask(self) -> None:
        """Find out which tasks are on which side; ECS remembers those that stopped for an hour."""
        sets, versions = self._task_sets()
        found = (self._tasks("RUNNING"), self._tasks("STOPPED"))
        # A task says in startedBy which task set it belongs to.
        self._sides = {
            task["taskArn"].rpartition("/")[2]: sets[task["startedBy"]]
            for tasks in found
            for task in tasks
            if task.get("startedBy") in sets
        }
        sides = {version: {side for other, side in versions if other == version} for version, _ in versions}
        self._by_version = {version: side for version, (side, *more) in sides.items() if not more}
        self._asked_at = self._reader.aws.clock.monotonic()

    def _task_sets(self) -> tuple[dict[str, Side], list[tuple[str, Side]]]:
        """Return the side of each task set in the newest deployment, and of each version that is still there."""
        reader = self._reader
        ident = reader.active() or reader.latest()
        reader.sides.refresh()
        raws = reader.sides.service().get("taskSets") or ()
        if ident is None:
            return {raw["id"]: "blue" for raw in raws}, []
        seen = self._progress.read(ident)
        deployment = parse.deployment(seen.info)
        if deployment.rolls_back:
            seen = self._progress.read(deployment.rolls_back)
            deployment = parse.deployment(seen.info)
        sets = parse.labels(seen.target)
        versions: list[tuple[str, Side]] = []
        for raw in raws:
            side = parse.side(raw, deployment, sets)
            if side:
                sets[raw["id"]] = side
                versions.append((reader.sides.version(raw["taskDefinition"]), side))
        return sets, versions

    def _tasks(self, status: str) -> Iterator[Attrs]:
        ecs, target = self._reader.aws.client("ecs"), self._reader.target
        pages = ecs.get_paginator("list_tasks").paginate(
            cluster=target.cluster, serviceName=target.service, desiredStatus=status
        )
        for page in pages:
            for start in range(0, len(page["taskArns"]), _MOST_TASKS):
                arns = page["taskArns"][start : start + _MOST_TASKS]
                yield from ecs.describe_tasks(cluster=target.cluster, tasks=arns)["tasks"]


class Log:
    """The log of a target's application, from a while ago on."""

    def __init__(self, reader: Reader, since: timedelta, grep: str = "", side: Side | None = None) -> None:
        self._aws = reader.aws
        self._group = reader.target.log_group
        self._writers = Writers(reader)
        self._text, self._pattern = grep, pattern(grep)
        self._side = side
        self._from = int((self._now() - since).timestamp() * 1000)
        self._seen: dict[str, int] = {}  # events that may come again, and when they were

    def lines(self) -> Iterator[Line]:
        """Yield the lines that are there and have not been yielded yet, by time."""
        asked = {"filterPattern": self._pattern} if self._pattern else {}
        pages = self._aws.client("logs").get_paginator("filter_log_events")
        for page in pages.paginate(logGroupName=self._group, startTime=self._from, **asked):
            for event in page["events"]:
                if event["eventId"] not in self._seen and self._wanted(event):
                    yield from self._line(event)
                self._seen[event["eventId"]] = event["timestamp"]
            self._go_on()

    def _go_on(self) -> None:
        """Move on to where the next look begins, and forget what it cannot meet again."""
        newest = max(self._seen.values(), default=self._from)
        self._from = max(self._from, newest - int(_LATE.total_seconds() * 1000))
        self._seen = {ident: at for ident, at in self._seen.items() if at >= self._from}

    def follow(self, notice: Callable[[str], None]) -> Iterator[Line]:
        """Yield lines as they come, without end, outlasting AWS's troubles: `notice` is told of each once."""
        told = ""
        while True:
            try:
                yield from self.lines()
                told = ""
            except Exception as error:
                trouble = passing(error)
                if trouble is None:
                    raise
                if trouble != told:
                    notice(trouble)
                told = trouble
            self._aws.clock.sleep(_POLL)

    def _wanted(self, event: Attrs) -> bool:
        return bool(self._pattern) or self._text in event["message"]

    def _line(self, event: Attrs) -> Iterator[Line]:
        side, version, container = self._writers.of(event["logStreamName"])
        if self._side in {None, side}:
            at = datetime.fromtimestamp(event["timestamp"] / 1000, timezone.utc)
            yield Line(at, side, version, container, event["message"])

    def _now(self) -> datetime:
        """Return AWS's time, by which its log is dated. Raises BgdeployError when there is no log."""
        answer = self._aws.client("logs").describe_log_groups(logGroupNamePrefix=self._group, limit=1)
        # They come by name, so the group itself is before all that only begin like it.
        if [found["logGroupName"] for found in answer["logGroups"]] != [self._group]:
            raise BgdeployError(
                f"there is no log group {self._group} in {self._aws.region}", "`bgdeploy provision` makes it"
            )
        return server_time(answer) or self._aws.clock.now()
