"""Reads blue and green: their task sets, versions, target health, and why tasks do not come up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from bgdeploy.aws import Attrs, Aws, tag_map
from bgdeploy.release import parse
from bgdeploy.release.progress import Seen
from bgdeploy.release.recent import Recent
from bgdeploy.release.snapshot import Deployment, StoppedTask, Target, TaskSet

VERSION_TAG = "bgdeploy:version"  # on a task definition

# How old an answer may become, in seconds, when nothing says that it has changed.
_SERVICE_AGE, _STOPPED_AGE = 30.0, 15.0
_COMING_HEALTH_AGE, _RESTING_HEALTH_AGE = 12.0, 60.0
_PATIENCE = timedelta(seconds=30)  # that tasks get to come up before they are asked why they do not
_MOST_STOPPED = 20  # tasks whose reasons are read, however many there are
_LEAVE = 4  # calls of a minute that are left for what has surely changed


@dataclass(frozen=True)
class Read:
    """What was read of both sides."""

    task_sets: tuple[TaskSet, ...]
    trouble: tuple[str, ...]  # why green did not come up, kept when green is gone
    stopped: tuple[StoppedTask, ...]  # green's, newest first, kept as well
    superseded_by: str  # the PRIMARY set's version when that belongs to neither side


class Sides:
    """Reads the task sets of one service."""

    def __init__(self, aws: Aws, target: Target, recent: Recent) -> None:
        self._aws = aws
        self._target = target
        self._recent = recent
        self._versions: dict[str, str] = {}
        self._trouble: dict[
            str, tuple[str, ...]
        ] = {}  # by deployment: what is said beside the tasks that stopped
        self._lost: dict[str, dict[str, StoppedTask]] = {}  # by deployment, then by task

    def read(self, seen: Seen, deployment: Deployment) -> Read:
        """Return the task sets of a deployment, blue first."""
        service = self.service()
        known = parse.labels(seen.target)
        found, superseded = [], ""
        for raw in service.get("taskSets") or ():
            which = parse.side(raw, deployment, known)
            if which:
                found.append(
                    self._watched(parse.task_set(raw, which, self.version(raw["taskDefinition"])), seen)
                )
            elif raw["status"] == "PRIMARY":
                superseded = self.version(raw["taskDefinition"])
        found = [self._counted(task_set, seen, deployment) for task_set in found]
        self._ask_why(service, found, seen, deployment)
        return Read(
            tuple(sorted(found, key=lambda task_set: task_set.side)),
            self._told(deployment.id),
            tuple(self._lost.get(deployment.id, {}).values()),
            superseded,
        )

    def _watched(self, task_set: TaskSet, seen: Seen) -> TaskSet:
        """Return it with its health, which matters most while it comes up."""
        coming = task_set.side == "green" and task_set.status == "ACTIVE" and seen.installing
        healthy, why = self.health(task_set.target_group)
        if coming or (healthy < task_set.desired and task_set.status != "DRAINING"):
            healthy, why = self.health(task_set.target_group, _COMING_HEALTH_AGE)
        expected = task_set.status != "DRAINING" and task_set.desired
        return replace(task_set, healthy=healthy, trouble=why if expected else ())

    def _counted(self, task_set: TaskSet, seen: Seen, deployment: Deployment) -> TaskSet:
        """Return it with the numbers of the deployment's target, where those are the newer ones."""
        read = self._recent.read_at
        if deployment.over or read(f"target {deployment.id}") <= read("service"):
            return task_set
        live = next((info for info in seen.task_sets if info["identifer"] == task_set.id), None)
        return parse.counted(task_set, live) if live else task_set

    def service(self) -> Attrs:
        """Return what DescribeServices says, {} for a service that is gone."""

        def call() -> Attrs:
            found = self._aws.client("ecs").describe_services(
                cluster=self._target.cluster, services=[self._target.service]
            )
            return next(iter(found["services"]), {})

        return self._recent.get("service", call, _SERVICE_AGE)

    def refresh(self) -> None:
        """Have the service read again when it is next asked for, if it could have changed since."""
        self._recent.expire("service")

    def forget(self) -> None:
        """Have everything that may have changed asked for again."""
        healths = (f"health {arn}" for arn in self._target.target_groups.values())
        self._recent.forget("service", *healths)

    def version(self, task_definition: str) -> str:
        """Return the version that a task definition is tagged with, else its family and revision."""
        if task_definition not in self._versions:
            found = self._recent.put(
                f"task definition {task_definition}",
                lambda: self._aws.client("ecs").describe_task_definition(
                    taskDefinition=task_definition, include=["TAGS"]
                ),
            )
            plain = parse.family_revision(task_definition)
            self._versions[task_definition] = tag_map(found.get("tags")).get(VERSION_TAG, plain)
        return self._versions[task_definition]

    def health(self, target_group: str, max_age: float = _RESTING_HEALTH_AGE) -> tuple[int, tuple[str, ...]]:
        """Return how many targets of a group are healthy, and why others are not. One call for any number."""
        arn = self._target.target_groups.get(target_group)
        if arn is None:
            return 0, ()

        def call() -> list[Attrs]:
            found: list[Attrs] = self._aws.client("elbv2").describe_target_health(TargetGroupArn=arn)[
                "TargetHealthDescriptions"
            ]
            return found

        return parse.target_trouble(self._recent.get(f"health {arn}", call, max_age, leave=_LEAVE))

    def _ask_why(self, service: Attrs, sides: list[TaskSet], seen: Seen, deployment: Deployment) -> None:
        """Find out why green does not come up, and put it into green's trouble."""
        green = next((task_set for task_set in sides if task_set.side == "green"), None)
        task_set_id = green.id if green else _labelled_green(seen)
        if not task_set_id or not _wanting(green, seen):
            return
        why = green.trouble if green else ()
        why += parse.service_trouble(service, task_set_id, deployment.started or deployment.created)
        stopped = self._stopped(task_set_id, green.task_definition if green else "")
        self._lost[deployment.id] = {task.id: task for task in stopped} | self._lost.get(deployment.id, {})
        self._trouble[deployment.id] = tuple(dict.fromkeys((*why, *self._trouble.get(deployment.id, ()))))
        if green:
            sides[sides.index(green)] = replace(green, trouble=self._told(deployment.id))

    def _told(self, deployment_id: str) -> tuple[str, ...]:
        """Return why green did not come up, why tasks stopped first: each reason once, with how often."""
        lost = tuple(self._lost.get(deployment_id, {}).values())
        return (*parse.stopped_reasons(lost), *self._trouble.get(deployment_id, ()))

    def _stopped(self, task_set_id: str, task_definition: str) -> tuple[StoppedTask, ...]:
        """Return the tasks that stopped: ECS remembers them for an hour. Two calls for any number of tasks."""

        def call() -> list[Attrs]:
            ecs = self._aws.client("ecs")
            arns = ecs.list_tasks(
                cluster=self._target.cluster,
                serviceName=self._target.service,
                desiredStatus="STOPPED",
                maxResults=_MOST_STOPPED,
            )["taskArns"]
            found: list[Attrs] = []
            if arns:
                found = ecs.describe_tasks(cluster=self._target.cluster, tasks=arns)["tasks"]
            return found

        tasks = self._recent.get("stopped tasks", call, _STOPPED_AGE, cost=2)
        return parse.stopped_tasks(tasks, task_set_id, task_definition)


def _labelled_green(seen: Seen) -> str:
    return next((id_ for id_, side in parse.labels(seen.target).items() if side == "green"), "")


def _wanting(green: TaskSet | None, seen: Seen) -> bool:
    """Tell whether green had its time to come up and did not, or never will."""
    install = next((event for event in seen.events if event.name == "Install"), None)
    if install is None or install.status == "Failed":
        return install is not None
    if green is None or _moving(seen) or min(green.healthy, green.running) >= max(green.desired, 1):
        return False
    return bool(install.start and seen.at and seen.at - install.start >= _PATIENCE)


def _moving(seen: Seen) -> bool:
    """Tell whether production has begun to move: from there on alarms and checks watch over green."""
    return any(event.name == "AllowTraffic" and event.status != "Pending" for event in seen.events)
