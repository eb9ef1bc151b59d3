"""ECS's operations on tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bgdeploy.sandbox.ecs import describe, validate
from bgdeploy.sandbox.ecs.book import Book, invalid, page, short
from bgdeploy.sandbox.ecs.model import Task, TaskSet
from bgdeploy.sandbox.world import Call, Handler, RefusedError

_MOST_LISTED = 100
Stop = Callable[[TaskSet, Task, str, str], None]


class TaskOperations:
    """The tasks of services. Tasks without a service there are none here."""

    def __init__(self, book: Book, stop: Stop) -> None:
        self._book = book
        self._stop = stop

    def handlers(self) -> Mapping[str, Handler]:
        ours: dict[str, Handler] = {
            "ListTasks": self._list_tasks,
            "DescribeTasks": self._describe_tasks,
            "StopTask": self._stop_task,
        }
        # moto would answer these, with tasks that nothing runs.
        return ours | dict.fromkeys(("RunTask", "StartTask", "ExecuteCommand"), self._refuse)

    def _list_tasks(self, call: Call) -> dict[str, Any]:
        cluster, named = self._book.cluster(call), call.params.get("serviceName")
        if named and self._book.find(cluster, named, call.region) is None:
            raise RefusedError("ServiceNotFoundException", "Service not found.")
        arns = [
            describe.task_arn(task, task_set.service)
            for task_set, task in self._book.tasks(call.region, cluster)
            if _wanted(call.params, task_set, task)
        ]
        found, rest = page(arns, call.params, _MOST_LISTED)
        return {"taskArns": found, **rest}

    def _describe_tasks(self, call: Call) -> dict[str, Any]:
        tasks = self._book.tasks(call.region, self._book.cluster(call))
        known = {task.id: (task_set, task) for task_set, task in tasks}
        asked = call.params["tasks"]
        found = [known[short(arn)] for arn in asked if short(arn) in known]
        with_tags = "TAGS" in call.params.get("include", [])
        return {
            "tasks": [describe.task(task, task_set, with_tags=with_tags) for task_set, task in found],
            "failures": [{"arn": arn, "reason": "MISSING"} for arn in asked if short(arn) not in known],
        }

    def _stop_task(self, call: Call) -> dict[str, Any]:
        wanted, reason = short(call.params["task"]), call.params.get("reason", "Task stopped by user")
        for task_set, task in self._book.tasks(call.region, self._book.cluster(call)):
            if task.id == wanted:
                self._stop(task_set, task, "UserInitiated", reason)
                return {"task": describe.task(task, task_set, with_tags=False)}
        raise invalid("The referenced task was not found.")

    def _refuse(self, call: Call) -> dict[str, Any]:
        raise validate.not_implemented(f"ecs {call.operation}")


def _wanted(params: Mapping[str, Any], task_set: TaskSet, task: Task) -> bool:
    """Tell whether a task is one that ListTasks was asked for."""
    family = task_set.task_definition.rpartition("/")[2].partition(":")[0]
    filters = {
        "desiredStatus": task.desired,
        "startedBy": task_set.id,
        "family": family,
        "launchType": "FARGATE",
    }
    service = short(params.get("serviceName", task_set.service.name))
    return (
        service == task_set.service.name
        and params.get("desiredStatus", "RUNNING") == task.desired
        and all(params.get(name, value) == value for name, value in filters.items())
        and "containerInstance" not in params  # those are EC2's
    )
