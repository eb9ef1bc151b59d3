"""Reads everything about a deployment at one instant into a Snapshot, with few calls. It decides nothing."""

from __future__ import annotations

import threading
from typing import Any

from bgdeploy.aws import Attrs, Aws
from bgdeploy.errors import BgdeployError
from bgdeploy.release import parse
from bgdeploy.release.collecting import collect
from bgdeploy.release.ending import Page
from bgdeploy.release.evidence import Evidence
from bgdeploy.release.progress import Progress, Seen
from bgdeploy.release.reach import BY_NAME, get
from bgdeploy.release.recent import Recent
from bgdeploy.release.sides import VERSION_TAG, Sides
from bgdeploy.release.snapshot import Alarm, Deployment, Listener, Reach, Snapshot, Target
from bgdeploy.release.tail import Tail
from bgdeploy.release.target import find_target

__all__ = ["ACTIVE", "VERSION_TAG", "Reader", "find_target"]

# All statuses in which a deployment still holds its group (aws-facts 2, 5.6).
ACTIVE = ("Created", "Queued", "InProgress", "Ready", "Baking")

# How old an answer may become, in seconds, when nothing says that it has changed.
_LISTENER_AGE, _ALARM_AGE = 30.0, 20.0
_MOST_ALARMS = 100  # that one DescribeAlarms tells; a deployment group watches at most 10 (aws-facts 4.1)


class Reader:
    """Reads the deployments of one target. One thread reads at a time: others wait for their turn."""

    def __init__(self, aws: Aws, target: Target) -> None:
        self.aws = aws
        self.target = target
        self._recent = Recent(aws.clock)
        self._progress = Progress(aws, f"{target.cluster}:{target.service}", self._recent)
        self.sides = Sides(aws, target, self._recent)
        self.tail = Tail(aws, target.log_group, self._recent)
        self._gist: tuple[Any, ...] | None = None
        self._turn = threading.Lock()

    def active(self) -> str | None:
        """Return the id of the deployment that holds the group, None when the group is free."""
        return next(iter(self._list(includeOnlyStatuses=list(ACTIVE))), None)

    def latest(self) -> str | None:
        """Return the id of the newest deployment, None when there was none yet.

        AWS lists the newest first; no document promises it, tools rely on it (aws-facts 3).
        """
        return next(iter(self._list()), None)

    def _list(self, **only: Any) -> list[str]:
        found: list[str] = self.aws.client("codedeploy").list_deployments(
            applicationName=self.target.application, deploymentGroupName=self.target.group, **only
        )["deployments"]
        return found

    def read(self, deployment_id: str, *, fresh: bool = False) -> Snapshot:
        """Return all about a deployment. `fresh` asks again for what could else be used a while longer.

        Raises BgdeployError when there is no such deployment, or when it is another stack's; AWS's errors pass through.
        """
        with self._turn:
            return self._read(deployment_id, fresh)

    def _read(self, deployment_id: str, fresh: bool) -> Snapshot:
        seen = self._progress.read(deployment_id, fresh=fresh)
        self._require_ours(deployment_id, seen)
        deployment = parse.deployment(seen.info, self.target.rollback_on)
        rollback, undone = self._rollback(deployment)
        self._expire(seen, undone, fresh)
        at = max((moment for moment in (seen.at, undone and undone.at) if moment), default=None)
        sides = self.sides.read(seen, deployment)
        production, test = self.listeners()
        return Snapshot(
            at=at or self.aws.clock.now(),
            target=self.target,
            deployment=deployment,
            events=seen.events,
            task_sets=sides.task_sets,
            production=production,
            test=test,
            alarms=self.alarms(),
            rollback=rollback,
            rollback_events=undone.events if undone else (),
            trouble=sides.trouble,
            stopped=sides.stopped,
            superseded_by=sides.superseded_by,
        )

    def _require_ours(self, deployment_id: str, seen: Seen) -> None:
        """An id says nothing about the stack: one of another environment is easily pasted."""
        application = seen.info.get("applicationName", self.target.application)
        if application != self.target.application:
            raise BgdeployError(
                f"deployment {deployment_id} is one of {application}, not of {self.target.application}",
                "--env names another environment of this project, --project another project",
                {"deployment": deployment_id, "application": application},
            )

    def _rollback(self, deployment: Deployment) -> tuple[Deployment | None, Seen | None]:
        """A rollback is a deployment of its own, and is followed by its id (aws-facts 4.2)."""
        if not deployment.over or not deployment.rollback_id:
            return None, None
        seen = self._progress.read(deployment.rollback_id)
        return parse.deployment(seen.info), seen

    def _expire(self, seen: Seen, undone: Seen | None, fresh: bool) -> None:
        """Let go of the answers that what has just been read shows to be outdated."""
        statuses = (seen.info["status"], undone.info["status"] if undone else "")
        sets = tuple((info["identifer"], info.get("status")) for info in seen.task_sets)
        traffic = (
            tuple(info.get("trafficWeight") for info in seen.task_sets),
            *(
                event.status
                for part in (seen, undone)
                if part
                for event in part.events
                if "Allow" in event.name
            ),
        )
        gist = (statuses, sets, traffic)
        old, self._gist = self._gist or gist, gist
        if fresh:
            self.sides.forget()
            self._recent.forget("listeners", "alarms")
        if statuses != old[0]:
            self._recent.expire("service", "listeners", "alarms")
        if sets != old[1]:
            self._recent.expire("service")
        if traffic != old[2]:
            self._recent.expire("listeners")

    def listeners(self) -> tuple[Listener | None, Listener | None]:
        """Return the production and the test listener, None for one that is gone or was never there."""
        wanted = [arn for arn in (self.target.production_listener, self.target.test_listener) if arn]

        def call() -> list[Attrs]:
            found: list[Attrs] = self.aws.client("elbv2").describe_listeners(ListenerArns=wanted)["Listeners"]
            return found

        read = {raw["ListenerArn"]: raw for raw in self._recent.get("listeners", call, _LISTENER_AGE)}
        production, test = (
            parse.listener(read[arn], self.target.urls.get(arn, "")) if arn and arn in read else None
            for arn in (self.target.production_listener, self.target.test_listener)
        )
        return production, test

    def alarms(self) -> tuple[Alarm, ...]:
        """Return the alarms that watch deployments of this target; one that is gone has the state MISSING."""
        if not self.target.alarms:
            return ()

        def call() -> list[Attrs]:
            found: list[Attrs] = self.aws.client("cloudwatch").describe_alarms(
                AlarmNames=list(self.target.alarms), MaxRecords=_MOST_ALARMS
            )["MetricAlarms"]
            return found

        read = {
            raw["AlarmName"]: parse.alarm(raw)
            for raw in self._recent.get("alarms", call, _ALARM_AGE, leave=4)
        }
        return tuple(read.get(name) or Alarm(name, "MISSING") for name in self.target.alarms)

    def evidence(self, snapshot: Snapshot) -> Evidence:
        """Return what can be found out about a deployment that has failed: a handful of calls, once at its end."""
        return collect(self.aws, snapshot)

    def page(self) -> Page | None:
        """Request production once, and return what it answered; None when nobody knows where production is.

        The path is the health check's: an application that serves nothing at `/` is no less alive.
        """
        root = self.target.urls.get(self.target.production_listener)
        return request(root + self.target.health_path, self.target.reach) if root else None


def request(url: str, reach: Reach = BY_NAME) -> Page:
    """Request `url` once, following no redirect, and return its status or why there is none."""
    import urllib3

    try:
        with urllib3.PoolManager() as pool:
            answer = get(pool, url, reach, urllib3.Timeout(connect=3, read=10))
            answer.close()
            return Page(url, answer.status)
    except urllib3.exceptions.HTTPError as error:
        return Page(url, None, f"{type(error).__name__}: {error}")
