"""A small AWS account that holds one stack and one deployment, answers as AWS does, and counts who asked for what.

It plays the recorded linear run on the clock it is given. For what only counting shows: how many calls a watching
makes. The sandbox's tests are where the reader meets a living CodeDeploy.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import format_datetime
from hashlib import md5
from io import BytesIO
from typing import Any

from botocore.exceptions import ClientError

from bgdeploy.clock import Clock
from bgdeploy.release.snapshot import Snapshot

_GROUP = "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/{}/0123456789abcdef"
Answer = dict[str, Any]


class Account:
    """The part of `bgdeploy.aws.Aws` that a reader uses."""

    region = "us-east-1"

    def __init__(self, clock: Clock, story: Callable[[float], Snapshot], tasks: int = 1) -> None:
        self.clock = clock
        self.story = story
        self.tasks = tasks
        self.calls: deque[tuple[float, str]] = deque()
        self.failures: deque[Exception] = deque()
        self.stopped: list[Answer] = []
        self.objects: dict[str, bytes] = {}
        self.log: list[tuple[str, datetime, str]] = []  # id, when, line

    def throttled(self) -> int:
        return 0

    def client(self, service: str) -> Any:
        return _Client(self)

    @property
    def now(self) -> Snapshot:
        """The story as it stands."""
        return self.story(self.clock.monotonic())

    def answer(self, operation: str, params: Answer) -> Answer:
        """Answer one request, or fail as the test wants."""
        self.calls.append((self.clock.monotonic(), operation))
        if self.failures:
            raise self.failures.popleft()
        answer: Answer = getattr(self, f"_{operation}")(params)
        date = format_datetime(self.now.at, usegmt=True)
        return {**answer, "ResponseMetadata": {"HTTPHeaders": {"date": date}}}

    def _get_deployment(self, params: Answer) -> Answer:
        undone = self.now.rollback
        one = undone if undone and params["deploymentId"] == undone.id else self.now.deployment
        info: Answer = {
            "deploymentId": one.id,
            "status": one.status,
            "creator": one.creator,
            "description": one.description,
            "deploymentConfigName": one.config,
            "createTime": one.created,
            "startTime": one.started,
            "completeTime": one.completed,
            "instanceTerminationWaitTimeStarted": one.termination_wait_started,
            "autoRollbackConfiguration": {"enabled": bool(one.rollback_on), "events": list(one.rollback_on)},
            "blueGreenDeploymentConfiguration": {
                "deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT", "waitTimeInMinutes": 0},
                "terminateBlueInstancesOnDeploymentSuccess": {
                    "action": "TERMINATE",
                    "terminationWaitTimeInMinutes": int(one.keep_blue.total_seconds() // 60),
                },
            },
        }
        if one.error_code:
            info["errorInformation"] = {"code": one.error_code, "message": one.error_message}
        if one.rollback_id:
            info["rollbackInfo"] = {"rollbackDeploymentId": one.rollback_id}
        if one.rolls_back:
            info["rollbackInfo"] = {"rollbackTriggeringDeploymentId": one.rolls_back}
        return {"deploymentInfo": info}

    def _batch_get_deployment_targets(self, params: Answer) -> Answer:
        now = self.now
        undone = now.rollback and params["deploymentId"] == now.rollback.id
        target = {
            "status": now.deployment.status,
            "lifecycleEvents": [
                {
                    "lifecycleEventName": event.name,
                    "status": event.status,
                    "startTime": event.start,
                    "endTime": event.end,
                }
                for event in (now.rollback_events if undone else now.events)
            ],
            "taskSetsInfo": [
                {
                    "identifer": one.id,
                    "status": one.status,
                    "desiredCount": self.tasks * one.desired,
                    "runningCount": self._running(one.side, one.running),
                    "pendingCount": 0,
                    "trafficWeight": float(
                        (now.production.weights if now.production else {})[one.target_group]
                    ),
                    "taskSetLabel": one.side.title(),
                }
                for one in now.task_sets
            ],
        }
        return {"deploymentTargets": [{"deploymentTargetType": "ECSTarget", "ecsTarget": target}]}

    def _running(self, side: str, running: int) -> int:
        """With many tasks the number is another one at every poll while they come up."""
        if self.tasks == 1:
            return running
        return self.tasks if side == "blue" or running else int(self.clock.monotonic() * 3) % self.tasks

    def _describe_services(self, params: Answer) -> Answer:
        sets = [
            {
                "id": one.id,
                "status": one.status,
                "taskDefinition": one.task_definition,
                "computedDesiredCount": self.tasks * one.desired,
                "runningCount": self.tasks * one.running,
                "pendingCount": 0,
                "stabilityStatus": "STEADY_STATE",
                "externalId": one.deployment or None,
                "loadBalancers": [{"targetGroupArn": _GROUP.format(one.target_group)}],
            }
            for one in self.now.task_sets
        ]
        return {"services": [{"status": "ACTIVE", "taskSets": sets, "events": []}]}

    def _describe_task_definition(self, params: Answer) -> Answer:
        known = {one.task_definition: one.version for one in self.now.task_sets}
        version = known.get(params["taskDefinition"], "v" + params["taskDefinition"].rsplit(":", 1)[1])
        return {"tags": [{"key": "bgdeploy:version", "value": version}]}

    def _describe_listeners(self, params: Answer) -> Answer:
        doors = [door for door in (self.now.production, self.now.test) if door]
        return {
            "Listeners": [
                {
                    "ListenerArn": door.arn,
                    "DefaultActions": [
                        {
                            "Type": "forward",
                            "ForwardConfig": {
                                "TargetGroups": [
                                    {"TargetGroupArn": _GROUP.format(name), "Weight": weight}
                                    for name, weight in door.weights.items()
                                ]
                            },
                        }
                    ],
                }
                for door in doors
            ]
        }

    def _describe_alarms(self, params: Answer) -> Answer:
        return {
            "MetricAlarms": [
                {"AlarmName": alarm.name, "StateValue": alarm.state, "StateReason": alarm.reason}
                for alarm in self.now.alarms
            ]
        }

    def _describe_target_health(self, params: Answer) -> Answer:
        healthy = {f"arn:{one.side}": one.healthy for one in self.now.task_sets}.get(
            params["TargetGroupArn"], 0
        )
        one = {"TargetHealth": {"State": "healthy"}}
        return {"TargetHealthDescriptions": [one] * (healthy * self.tasks)}

    def _list_tasks(self, params: Answer) -> Answer:
        return {"taskArns": [task["taskArn"] for task in self.stopped][: params["maxResults"]]}

    def _describe_tasks(self, params: Answer) -> Answer:
        return {"tasks": self.stopped}

    def _get_metric_data(self, params: Answer) -> Answer:
        values = {"Timestamps": [self.now.at - timedelta(minutes=1), self.now.at], "Values": [0.0, 2.0]}
        return {"MetricDataResults": [{"Id": query["Id"], **values} for query in params["MetricDataQueries"]]}

    def _filter_log_events(self, params: Answer) -> Answer:
        found = [(ident, int(at.timestamp() * 1000), line) for ident, at, line in self.log]
        keys = ("eventId", "timestamp", "message")
        told = [dict(zip(keys, each, strict=True)) for each in found if each[1] >= params["startTime"]]
        return {"events": told}

    def _put_object(self, params: Answer) -> Answer:
        self.objects[params["Key"]] = params["Body"]
        return {"ETag": f'"{md5(params["Body"]).hexdigest()}"'}

    def _get_object(self, params: Answer) -> Answer:
        if params["Key"] not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": "none"}}, "GetObject")
        return {"Body": BytesIO(self.objects[params["Key"]])}

    def _stop_deployment(self, params: Answer) -> Answer:
        return {"status": "Pending"}

    def _continue_deployment(self, params: Answer) -> Answer:
        return {}


class _Client:
    def __init__(self, account: Account) -> None:
        self._account = account

    def __getattr__(self, operation: str) -> Callable[..., Answer]:
        return lambda **params: self._account.answer(operation, params)
