"""How far one deployment has come: GetDeployment and its target, each asked for when it is the one that moves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bgdeploy.aws import Attrs, Aws, error_code, server_time
from bgdeploy.errors import BgdeployError
from bgdeploy.release import parse
from bgdeploy.release.recent import Recent
from bgdeploy.release.snapshot import Event

_REREAD = 30.0  # seconds after which what does not move is looked at all the same


@dataclass
class Seen:
    """The newest answers about one deployment."""

    info: Attrs
    target: Attrs | None = None
    at: datetime | None = None  # AWS's time of the newest answer
    final: bool = False  # over, and read to the end

    @property
    def events(self) -> tuple[Event, ...]:
        """Its lifecycle events."""
        return parse.events(self.target)

    @property
    def task_sets(self) -> list[Attrs]:
        """What its target says about the two task sets."""
        found: list[Attrs] = (self.target or {}).get("taskSetsInfo") or []
        return found

    @property
    def installing(self) -> bool:
        """Tell whether green's tasks are being started."""
        return any(event.name == "Install" and event.status == "InProgress" for event in self.events)


class Progress:
    """Reads deployments of one service, two calls a poll at most and mostly one."""

    def __init__(self, aws: Aws, target_id: str, recent: Recent) -> None:
        self._aws = aws
        self._target_id = target_id
        self._recent = recent
        self._seen: dict[str, Seen] = {}

    def read(self, deployment_id: str, *, fresh: bool = False) -> Seen:
        """Return how far a deployment is. `fresh` looks at a finished one once more.

        Raises BgdeployError when there is none with this id.
        """
        seen = self._seen.get(deployment_id)
        if seen is None or fresh:
            seen = seen or Seen({})
            self._ask_deployment(deployment_id, seen)
            self._seen[deployment_id] = seen
            self._ask_target(deployment_id, seen, besides=True)
        elif not seen.final:
            self._poll(deployment_id, seen)
        # A rollback's id may come after the status (aws-facts 4.2), so a failed deployment stays open until then.
        seen.final = _over(seen.info) and (seen.info["status"] == "Succeeded" or _has_rollback(seen.info))
        return seen

    def _poll(self, deployment_id: str, seen: Seen) -> None:
        """Ask for what moves; for the other only when the first says that it has moved too, or now and then."""
        before = _gist(seen)
        if target_leads(seen.info, seen.events):
            self._ask_target(deployment_id, seen)
            if _gist(seen) != before or self._old(f"deployment {deployment_id}"):
                self._ask_deployment(deployment_id, seen, besides=True)
        else:
            self._ask_deployment(deployment_id, seen)
            begun = seen.info["status"] != "Created"
            late = begun and seen.target is None
            if late or _gist(seen) != before or self._old(f"target {deployment_id}"):
                self._ask_target(deployment_id, seen, besides=True)

    def _old(self, key: str) -> bool:
        return self._aws.clock.monotonic() - self._recent.read_at(key) > _REREAD

    def _ask_deployment(self, deployment_id: str, seen: Seen, *, besides: bool = False) -> None:
        answer = self._recent.put(
            f"deployment {deployment_id}", lambda: self._get(deployment_id), cost=int(besides)
        )
        seen.info, seen.at = answer["deploymentInfo"], server_time(answer) or seen.at

    def _ask_target(self, deployment_id: str, seen: Seen, *, besides: bool = False) -> None:
        answer = self._recent.put(
            f"target {deployment_id}", lambda: self._get_target(deployment_id), cost=int(besides)
        )
        if answer is not None:
            found = answer.get("deploymentTargets") or [{}]
            seen.target, seen.at = found[0].get("ecsTarget"), server_time(answer) or seen.at

    def _get(self, deployment_id: str) -> Attrs:
        from botocore.exceptions import ClientError

        try:
            answer: Attrs = self._aws.client("codedeploy").get_deployment(deploymentId=deployment_id)
        except ClientError as error:
            if error_code(error) not in {"DeploymentDoesNotExistException", "InvalidDeploymentIdException"}:
                raise
            raise BgdeployError(
                f"there is no deployment {deployment_id} in {self._aws.region}",
                "`bgdeploy status` names the one that runs",
            ) from error
        return answer

    def _get_target(self, deployment_id: str) -> Attrs | None:
        """An ECS deployment has one target, and none in its first seconds (aws-facts 3)."""
        from botocore.exceptions import ClientError

        try:
            answer: Attrs = self._aws.client("codedeploy").batch_get_deployment_targets(
                deploymentId=deployment_id, targetIds=[self._target_id]
            )
        except ClientError as error:
            # A deployment that ended before its first event may never get a target.
            if error_code(error) not in {
                "DeploymentNotStartedException",
                "DeploymentTargetDoesNotExistException",
            }:
                raise
            return None
        return answer


def target_leads(info: Attrs, events: tuple[Event, ...]) -> bool:
    """Tell whether the lifecycle events are what moves next, and not the deployment's status.

    They stand still before the deployment begins, once one failed, and once all have passed: while blue is kept.
    """
    if _over(info) or not events or any(event.status == "Failed" for event in events):
        return False
    return any(event.status != "Succeeded" for event in events)


def _gist(seen: Seen) -> tuple[Any, ...]:
    """What of one answer says that the other has moved as well."""
    statuses = [event.status for event in seen.events]
    return (
        seen.info.get("status"),
        bool(seen.info.get("instanceTerminationWaitTimeStarted")),
        (seen.target or {}).get("status"),
        "Failed" in statuses,
        bool(statuses) and all(status == "Succeeded" for status in statuses),
    )


def _over(info: Attrs) -> bool:
    return info["status"] in {"Succeeded", "Failed", "Stopped"}


def _has_rollback(info: Attrs) -> bool:
    return bool((info.get("rollbackInfo") or {}).get("rollbackDeploymentId"))
