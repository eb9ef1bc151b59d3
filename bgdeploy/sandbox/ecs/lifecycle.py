"""The life of one task: its containers are started, watched, drained and stopped."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from bgdeploy.sandbox.ecs.access import LaunchError
from bgdeploy.sandbox.ecs.launch import Launcher
from bgdeploy.sandbox.ecs.model import Container, Task, TaskSet
from bgdeploy.sandbox.tasks import Process, Processes, StartError
from bgdeploy.sandbox.world import World

_PROVISIONING = timedelta(seconds=4)  # a network interface is attached
_PENDING = timedelta(seconds=6)  # the image is pulled; both are quick, but not nothing, on Fargate
_STOP_TIMEOUT = 30  # AWS seconds between SIGTERM and SIGKILL, ECS's default
_LEAST_REAL_STOP = 1.0  # real seconds that a process has in any case

Failure = tuple[str, str]  # AWS's stop code and stopped reason


class Lifecycle:
    """Moves tasks from one status to the next."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._launcher = Launcher(world)
        self._processes = Processes(world.reaper)

    def unknown_role(self, definition: Mapping[str, Any]) -> str | None:
        """Return the role of a task definition that ECS cannot assume, None when it can assume all of them."""
        return self._launcher.unknown_role(definition)

    def advance(self, task_set: TaskSet, task: Task, now: datetime) -> Failure | None:
        """Let time pass for a task; return why it must be stopped, None when it need not be."""
        self._launcher.ship(task_set.service, task)
        if not task.serving:
            self._wind_down(task_set, task, now)
        elif task.status == "PROVISIONING" and now >= task.created + _PROVISIONING:
            task.status = "PENDING"
        elif task.status == "PENDING" and now >= task.created + _PROVISIONING + _PENDING:
            return self._bring_up(task_set, task, now)
        elif task.status == "RUNNING":
            return _watch(task)
        return None

    def stop(self, task_set: TaskSet, task: Task, code: str, reason: str) -> None:
        """Begin to stop a task: its target drains first, then its processes are told to end."""
        if not task.serving:
            return
        now = self._world.clock.now()
        task.desired, task.stopping, task.stop_code, task.stopped_reason = "STOPPED", now, code, reason
        task.status = "DEACTIVATING" if task.target is not None else "STOPPING"
        if task.target is not None:
            group, port = task.target
            self._world.elb.deregister(group, task.ip, port)
            where = f"(target-group {group})"
            task_set.service.tell(f", taskSet {task_set.id}) deregistered 1 targets in {where}", now)
            task_set.service.tell(f") has begun draining connections on 1 tasks in {where}.", now)

    def end_all(self, tasks: list[Task]) -> None:
        """End every process at once."""
        for task in tasks:
            for container in task.containers:
                process = _settled(container)
                if process is not None:
                    self._processes.discard(process)
        self._processes.close()

    # Up

    def _bring_up(self, task_set: TaskSet, task: Task, now: datetime) -> Failure | None:
        """Have the containers started; when all of them are, the task runs and is registered."""
        try:
            if not task.launched:
                task.launched = True
                for container in task.containers:
                    self._launch(task_set, task, container)
            if all(_collect(container) for container in task.containers):
                self._run(task_set, task, now)
        except LaunchError as error:
            return "TaskFailedToStart", str(error)
        return None

    def _launch(self, task_set: TaskSet, task: Task, container: Container) -> None:
        try:
            spec = self._launcher.spec(task_set.service, task, container)
        except LaunchError as error:
            container.reason = str(error)
            if not _dispensable(container):
                raise
        else:
            container.starting = self._processes.start(spec)

    def _run(self, task_set: TaskSet, task: Task, now: datetime) -> None:
        task.status, task.started = "RUNNING", now
        group, port = task_set.target_group_arn, task_set.container_port
        serving = next((one for one in task.containers if one.name == task_set.container_name), None)
        if serving is None or serving.process is None:
            return
        task.target = (group, port)
        endpoint = ("127.0.0.1", serving.process.port)
        self._world.elb.register(group, task.ip, port, endpoint, task.security_groups)
        message = f", taskSet {task_set.id}) registered 1 targets in (target-group {group})"
        task_set.service.tell(message, now)

    # Down

    def _wind_down(self, task_set: TaskSet, task: Task, now: datetime) -> None:
        """Wait until nothing comes in any more, then end the processes, kindly first."""
        if any(
            container.starting is not None and not container.starting.done() for container in task.containers
        ):
            return
        living = [
            (container, process)
            for container in task.containers
            if (process := _settled(container)) is not None and not process.over
        ]
        drained = task.target is None or self._world.elb.gone(task.target[0], task.ip, task.target[1])
        if not living:
            self._finish(task_set, task, now)
        elif drained and task.signalled is None:
            task.signalled, task.status = now, "STOPPING"
            for _, process in living:
                process.signal(signal.SIGTERM)
        elif task.signalled is not None:
            for container, process in living:
                if now >= task.signalled + self._patience(container):
                    process.signal(signal.SIGKILL)

    def _patience(self, container: Container) -> timedelta:
        asked = container.definition.get("stopTimeout", _STOP_TIMEOUT)
        return timedelta(seconds=max(asked, _LEAST_REAL_STOP * self._world.settings.speed))

    def _finish(self, task_set: TaskSet, task: Task, now: datetime) -> None:
        self._launcher.ship(task_set.service, task)
        for container in task.containers:
            if container.process is not None:
                container.exit_code = container.process.exit_code
                self._processes.discard(container.process)
                container.process = None
        task.status, task.stopped = "STOPPED", now
        message = f", taskSet {task_set.id}) has stopped 1 running tasks: (task {task.id})."
        task_set.service.tell(message, now)


def _collect(container: Container) -> bool:
    """Take over a container's process when it has been started; tell whether it has. Raises LaunchError."""
    if container.starting is None:
        return True
    if not container.starting.done():
        return False
    try:
        container.process = container.starting.result()
    except StartError as error:
        container.reason = str(error)
        if not _dispensable(container):
            raise LaunchError(str(error)) from error
    finally:
        container.starting = None
    return True


def _dispensable(container: Container) -> bool:
    """Tell whether a task goes on without a container that could not be had: one that is not essential.

    What fails for the task as a whole, its secrets and its logs, is no such reason.
    """
    return not container.essential and container.reason.startswith("Cannot")


def _settled(container: Container) -> Process | None:
    """Return a container's process, one that is just being started too; None when it has none."""
    if container.starting is not None:
        try:
            container.process = container.starting.result()
        except StartError as error:
            container.reason = str(error)
        container.starting = None
    return container.process


def _watch(task: Task) -> Failure | None:
    """A task ends with the first of its essential containers."""
    for container in task.containers:
        if container.process is not None and container.process.exit_code is not None:
            container.exit_code = container.process.exit_code
            if container.essential:
                return "EssentialContainerExited", "Essential container in task exited"
    return None
