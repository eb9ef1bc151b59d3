"""AWS's answers as the values of a snapshot. Pure: it takes what boto3 returned and asks nothing itself."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from bgdeploy.release.snapshot import Alarm, Deployment, Event, Listener, Side, StoppedTask, TaskSet

Raw = Mapping[str, Any]

_OPERATORS = {
    "GreaterThanOrEqualToThreshold": ">=",
    "GreaterThanThreshold": ">",
    "LessThanThreshold": "<",
    "LessThanOrEqualToThreshold": "<=",
}
# A service's events that say why its tasks do not come up; the rest is progress (aws-facts 6.2, 11 no. 9).
_TROUBLE = re.compile(r"unhealthy|unable to|failed", re.IGNORECASE)
_TARGET_GROUP = re.compile(r"arn:[\w-]+:elasticloadbalancing:[\w-]*:\d*:targetgroup/([\w-]+)/\w+")


def utc(moment: datetime | None) -> datetime | None:
    """Return `moment` in UTC: boto3 gives local time zones."""
    return moment.astimezone(timezone.utc) if moment else None


def deployment(info: Raw, group_rollback: tuple[str, ...] = ()) -> Deployment:
    """Return the deployment that GetDeployment described.

    A deployment that overrides nothing may leave out its rollback events; then its group's apply.
    """
    wait = info.get("blueGreenDeploymentConfiguration") or {}
    ready = wait.get("deploymentReadyOption") or {}
    rollback = info.get("rollbackInfo") or {}
    error = info.get("errorInformation") or {}
    own = info.get("autoRollbackConfiguration")
    return Deployment(
        id=info["deploymentId"],
        status=info["status"],
        creator=info.get("creator", "user"),
        description=info.get("description") or "",
        config=info.get("deploymentConfigName", ""),
        created=utc(info["createTime"]) or info["createTime"],
        started=utc(info.get("startTime")),
        completed=utc(info.get("completeTime")),
        error_code=error.get("code", ""),
        error_message=error.get("message", ""),
        rollback_id=rollback.get("rollbackDeploymentId") or None,
        rolls_back=rollback.get("rollbackTriggeringDeploymentId") or None,
        rollback_on=group_rollback if own is None else rollback_events(own),
        termination_wait_started=bool(info.get("instanceTerminationWaitTimeStarted")),
        approval=_approval(ready),
        keep_blue=_keep_blue(wait),
    )


def rollback_events(auto: Raw | None) -> tuple[str, ...]:
    """Return the events of an autoRollbackConfiguration, sorted; none when it is switched off."""
    if not auto or not auto.get("enabled"):
        return ()
    return tuple(sorted(auto.get("events") or ()))


def _approval(ready: Raw) -> timedelta | None:
    """STOP_DEPLOYMENT is CodeDeploy's word for a wait that needs a person (aws-facts 2.2)."""
    if ready.get("actionOnTimeout") != "STOP_DEPLOYMENT":
        return None
    return timedelta(minutes=ready.get("waitTimeInMinutes") or 0)


def _keep_blue(wait: Raw) -> timedelta:
    end = wait.get("terminateBlueInstancesOnDeploymentSuccess") or {}
    return timedelta(minutes=end.get("terminationWaitTimeInMinutes") or 0)


def events(target: Raw | None) -> tuple[Event, ...]:
    """Return the lifecycle events of an ECS target, in the order in which they happen."""
    return tuple(
        Event(
            name=event["lifecycleEventName"],
            status=event.get("status", "Unknown"),
            start=utc(event.get("startTime")),
            end=utc(event.get("endTime")),
            # Only a failed event carries diagnostics (aws-facts 3).
            message=(event.get("diagnostics") or {}).get("message") or "",
        )
        for event in (target or {}).get("lifecycleEvents") or ()
    )


def labels(target: Raw | None) -> dict[str, Side]:
    """Return which task set CodeDeploy calls blue and which green, as far as the target says.

    The member is spelled `identifer`, and older answers carry no label (aws-facts 3).
    """
    known: dict[str, Side] = {}
    for info in (target or {}).get("taskSetsInfo") or ():
        label = str(info.get("taskSetLabel") or "").lower()
        if label == "blue":
            known[info["identifer"]] = "blue"
        elif label == "green":
            known[info["identifer"]] = "green"
    return known


def side(raw: Raw, deployment: Deployment, known: Mapping[str, Side]) -> Side | None:
    """Return the side of a task set in a deployment; None when it belongs to another deployment.

    CodeDeploy writes the deployment's id into the set that it makes (aws-facts 6.2); a rollback makes none, so
    this holds through a rollback as well. Where no label says which set is blue, it is the PRIMARY one; but once
    green is known and the deployment is over, a PRIMARY set that is neither came later.
    """
    if raw["id"] in known:
        return known[raw["id"]]
    if raw.get("externalId") == deployment.id:
        return "green"
    blue_is_known = "blue" in known.values() or (deployment.over and "green" in known.values())
    return "blue" if raw.get("status") == "PRIMARY" and not blue_is_known else None


def task_set(raw: Raw, which: Side, version: str) -> TaskSet:
    """Return a task set of DescribeServices."""
    return TaskSet(
        id=raw["id"],
        side=which,
        status=raw["status"],
        version=version,
        task_definition=raw["taskDefinition"],
        target_group=target_group_name(_target_group(raw)),
        desired=raw.get("computedDesiredCount", 0),
        running=raw.get("runningCount", 0),
        pending=raw.get("pendingCount", 0),
        steady=raw.get("stabilityStatus") == "STEADY_STATE",
        deployment=raw.get("externalId") or "",
    )


def counted(task_set: TaskSet, info: Raw) -> TaskSet:
    """Return a task set with the numbers and the status of an entry of a deployment target's taskSetsInfo."""
    return replace(
        task_set,
        status=info.get("status", task_set.status),
        desired=info.get("desiredCount", task_set.desired),
        running=info.get("runningCount", task_set.running),
        pending=info.get("pendingCount", task_set.pending),
    )


def _target_group(raw: Raw) -> str:
    balancers = raw.get("loadBalancers") or [{}]
    return str(balancers[0].get("targetGroupArn", ""))


def target_group_name(arn: str) -> str:
    """Return the name inside a target group's ARN: `…:targetgroup/NAME/ID`."""
    parts = arn.split("/")
    return parts[1] if len(parts) == 3 else arn


def family_revision(task_definition: str) -> str:
    """Return `family:revision`, what a task definition without our version tag is called."""
    return task_definition.rsplit("/", 1)[-1]


def weights(listener: Raw) -> dict[str, int]:
    """Return target group name → weight of a listener's default action.

    CodeDeploy leaves two weighted groups and no TargetGroupArn; an action that names one group only may have
    both forms, or only TargetGroupArn (aws-facts 7.2).
    """
    action: Raw = next((a for a in listener.get("DefaultActions") or () if a.get("Type") == "forward"), {})
    groups = (action.get("ForwardConfig") or {}).get("TargetGroups") or ()
    if groups:
        several = len(groups) > 1
        return {
            target_group_name(group["TargetGroupArn"]): _weight(group.get("Weight"), several)
            for group in groups
        }
    return {target_group_name(action["TargetGroupArn"]): 100} if action.get("TargetGroupArn") else {}


def _weight(weight: int | None, several: bool) -> int:
    """A single group gets all requests, whatever its weight says (ELB gives it 1)."""
    return (weight or 0) if several else 100


def listener(raw: Raw, url: str) -> Listener:
    """Return a listener of DescribeListeners."""
    return Listener(raw["ListenerArn"], url, weights(raw))


def url(raw: Raw, host: str, tag: str | None) -> str:
    """Return where people reach a listener: its tag `bgdeploy:url`, else its host and its port."""
    if tag:
        return tag.rstrip("/")
    scheme = "https" if raw.get("Protocol") in {"HTTPS", "TLS"} else "http"
    standard = {"http": 80, "https": 443}[scheme]
    port = raw.get("Port", standard)
    return f"{scheme}://{host}" + ("" if port == standard else f":{port}")


def alarm(raw: Raw) -> Alarm:
    """Return an alarm of DescribeAlarms, with the value that decided its state when the state says it."""
    return Alarm(
        name=raw["AlarmName"],
        state=raw.get("StateValue", "INSUFFICIENT_DATA"),
        reason=raw.get("StateReason", ""),
        since=utc(raw.get("StateTransitionedTimestamp") or raw.get("StateUpdatedTimestamp")),
        value=_newest_datapoint(raw.get("StateReasonData") or ""),
        operator=_OPERATORS.get(raw.get("ComparisonOperator", ""), ""),
        limit=raw.get("Threshold"),
    )


def _newest_datapoint(data: str) -> float | None:
    """StateReasonData is JSON whose `recentDatapoints` runs from old to new; sets by hand may write anything."""
    try:
        points = json.loads(data).get("recentDatapoints")
        return float(points[-1]) if points else None
    except (ValueError, TypeError, AttributeError, KeyError, IndexError):
        return None


def target_trouble(healths: Sequence[Raw]) -> tuple[int, tuple[str, ...]]:
    """Return how many targets of DescribeTargetHealth are healthy, and why the unhealthy ones are not."""
    healthy, reasons = 0, dict[str, None]()
    for described in healths:
        health = described.get("TargetHealth") or {}
        if health.get("State") == "healthy":
            healthy += 1
        elif health.get("State") == "unhealthy":
            why = health.get("Description") or health.get("Reason") or "no reason given"
            reasons[f"a target is unhealthy: {why}"] = None
    return healthy, tuple(reasons)


def stopped_tasks(tasks: Sequence[Raw], task_set_id: str, task_definition: str) -> tuple[StoppedTask, ...]:
    """Return the tasks of a task set that stopped by themselves, newest first.

    Tasks say in startedBy which task set they belong to; where that is missing the task definition tells. What the
    scheduler stops to have fewer has not failed; what it stops for its health has, and says so (stoppedReason).
    """
    own = [
        task
        for task in tasks
        if task.get("startedBy", "") == task_set_id
        or (not task.get("startedBy", "").startswith("ecs-svc/") and _runs(task, task_definition))
    ]
    oldest = datetime.min.replace(tzinfo=timezone.utc)
    own.sort(key=lambda task: task.get("stoppedAt") or oldest, reverse=True)
    return tuple(_stopped(task) for task in own if not _wanted(task))


def _wanted(task: Raw) -> bool:
    scaled = task.get("stopCode") == "ServiceSchedulerInitiated" and "fail" not in task.get(
        "stoppedReason", ""
    )
    return scaled or task.get("stopCode") == "UserInitiated"


def stopped_reasons(tasks: Sequence[StoppedTask]) -> tuple[str, ...]:
    """Return why tasks stopped, each reason once with how often it came."""
    counted: dict[str, int] = {}
    for task in tasks:
        counted[task.why] = counted.get(task.why, 0) + 1
    return tuple(why if count == 1 else f"{why} ({count} tasks)" for why, count in counted.items())


def _runs(task: Raw, task_definition: str) -> bool:
    return bool(task.get("taskDefinitionArn") == task_definition)


def _stopped(task: Raw) -> StoppedTask:
    """Return a task with its stoppedReason, and the exit codes and reasons of its containers."""
    parts = [task.get("stoppedReason") or "no reason given"]
    containers = task.get("containers") or ()
    for container in containers:
        if container.get("exitCode"):
            parts.append(f"{container['name']} exited with {container['exitCode']}")
        if container.get("reason") and container["reason"] not in parts[0]:
            parts.append(container["reason"])
    ended = [one["name"] for one in containers if one.get("exitCode")] or [one["name"] for one in containers]
    return StoppedTask(
        id=task.get("taskArn", "").rpartition("/")[2],
        why="a task stopped: " + _short("; ".join(parts)),
        failed=task.get("stopCode") not in {"SpotInterruption", "TerminationNotice"},
        container=next(iter(ended), ""),
    )


def service_trouble(service: Raw, task_set_id: str, since: datetime | None) -> tuple[str, ...]:
    """Return the service's events since then that say why the tasks of this set do not come up, newest first."""
    said: dict[str, None] = {}
    for event in service.get("events") or ():
        message = event.get("message", "")
        of_another = "taskSet " in message and task_set_id not in message
        old = since is None or (utc(event.get("createdAt")) or since) < since
        if not (of_another or old) and _TROUBLE.search(message):
            said[_short(message)] = None
    return tuple(said)


def _short(message: str) -> str:
    """Return a message of ECS's with target groups by their names: whole ARNs hide what it says."""
    return _TARGET_GROUP.sub(r"\1", message)
