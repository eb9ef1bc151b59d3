"""What the ECS scheduler does from moment to moment: start tasks, watch them, replace them, stop them.

Called with the world's lock held, ten times a real second; every wait is in AWS time.
"""

from __future__ import annotations

import ipaddress
import random
import signal
import uuid
from datetime import datetime, timedelta
from typing import Any

from bgdeploy.sandbox import tasks
from bgdeploy.sandbox.ecs.describe import task_arn
from bgdeploy.sandbox.ecs.model import Container, EcsService, Task, TaskSet
from bgdeploy.sandbox.images import PullError
from bgdeploy.sandbox.world import RefusedError, World

_PROVISIONING = timedelta(seconds=4)  # a network interface is attached
_PENDING = timedelta(seconds=6)  # the image is pulled; both are quick, but not nothing, on Fargate
_STOP_TIMEOUT = timedelta(seconds=30)  # between SIGTERM and SIGKILL, ECS's default
_LEAST_REAL_STOP = 1.0  # real seconds that a process has in any case
_BACK_OFF = timedelta(seconds=10)  # for each failure in a row, up to a minute
_KEEP_STOPPED = timedelta(hours=1)  # stopped tasks can be described for about that long


class Scheduler:
    """Moves the tasks of all services."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._subnets: dict[str, ipaddress.IPv4Network] = {}

    def tick(self, service: EcsService) -> None:
        """Let time pass for one service."""
        for task_set in list(service.task_sets):
            self._fill(task_set)
            for task in list(task_set.tasks):
                self._advance(task_set, task)
            self._forget(task_set)
            self._steady(task_set)
            if task_set.status == "DRAINING" and not any(not task.over for task in task_set.tasks):
                service.task_sets.remove(task_set)

    def stop_all(self, service: EcsService) -> None:
        """End every process of a service at once."""
        for task_set in service.task_sets:
            for task in task_set.tasks:
                for container in task.containers:
                    if container.process is not None:
                        tasks.discard(container.process, self._world.reaper)
                        container.process = None

    # The number of tasks

    def _fill(self, task_set: TaskSet) -> None:
        now = self._world.clock.now()
        serving = [task for task in task_set.tasks if task.serving and not task.over]
        missing = task_set.computed_desired - len(serving)
        if task_set.not_before is not None and now < task_set.not_before:
            return
        for _ in range(missing):
            self._create(task_set)
        for task in serving[:-missing] if missing < 0 else []:
            self.stop(
                task_set, task, "ServiceSchedulerInitiated", f"Scaling activity initiated by ({task_set.id})"
            )

    def _create(self, task_set: TaskSet) -> None:
        service, now = task_set.service, self._world.clock.now()
        definition = self._world.beneath("ecs", region=service.region).describe_task_definition(
            taskDefinition=task_set.task_definition
        )["taskDefinition"]
        subnet = random.choice(task_set.network["awsvpcConfiguration"]["subnets"])
        task = Task(
            uuid.uuid4().hex,
            definition,
            self._address(subnet, service),
            subnet,
            [Container(each) for each in definition["containerDefinitions"]],
            now,
        )
        task_set.tasks.append(task)
        service.tell(
            f"(service {service.name}, taskSet {task_set.id}) has started 1 tasks: (task {task.id}).", now
        )

    def _address(self, subnet: str, service: EcsService) -> str:
        """Return a free address of the subnet; AWS keeps the first four of each."""
        if subnet not in self._subnets:
            ec2 = self._world.beneath("ec2", region=service.region)
            cidr = ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["CidrBlock"]
            self._subnets[subnet] = ipaddress.IPv4Network(cidr)
        network = self._subnets[subnet]
        taken = {task.ip for task_set in service.task_sets for task in task_set.tasks if not task.over}
        for _ in range(1000):
            address = str(network[random.randrange(4, network.num_addresses - 1)])
            if address not in taken:
                return address
        raise RefusedError("InvalidParameterException", f"The subnet {subnet} has no free address")

    # One task

    def _advance(self, task_set: TaskSet, task: Task) -> None:
        now = self._world.clock.now()
        if task.over:
            return
        self._ship(task_set, task)
        if not task.serving:
            self._wind_down(task_set, task, now)
        elif task.status == "PROVISIONING" and now >= task.created + _PROVISIONING:
            task.status = "PENDING"
        elif task.status == "PENDING" and now >= task.created + _PROVISIONING + _PENDING:
            self._start(task_set, task, now)
        elif task.status == "RUNNING":
            self._watch(task_set, task, now)

    def _start(self, task_set: TaskSet, task: Task, now: datetime) -> None:
        for container in task.containers:
            failure = self._start_container(task_set, task, container)
            if failure:
                container.reason = failure
                self._fail(task_set, task, "TaskFailedToStart", failure)
                return
        task.status, task.started = "RUNNING", now
        serving = next((one for one in task.containers if one.name == task_set.container_name), None)
        if serving is not None and serving.process is not None:
            task.target = (task_set.target_group_arn, task_set.container_port)
            self._world.elb.register(
                task_set.target_group_arn,
                task.ip,
                task_set.container_port,
                ("127.0.0.1", serving.process.port),
            )

    def _start_container(self, task_set: TaskSet, task: Task, container: Container) -> str:
        """Start one container; return why it failed, "" when it did not."""
        definition, region = container.definition, task_set.service.region
        try:
            self._log(task_set, task, container, [])
            image = self._world.images.resolve(definition["image"], region)
            entrypoint = definition.get("entryPoint") or image.entrypoint
            command = definition.get("command") or ([] if definition.get("entryPoint") else image.command)
            environment = {each["name"]: each["value"] for each in definition.get("environment", [])}
            folder = self._world.settings.home / "tasks" / task.id / container.name
            container.process = tasks.start(
                image, folder, [*entrypoint, *command], environment, self._world.reaper
            )
        except RefusedError as error:
            return (
                f"ResourceInitializationError: failed to validate logger args: create stream has been retried 1 "
                f"times: failed to create Cloudwatch log stream: {error.code}: {error.message}"
            )
        except (PullError, tasks.StartError) as error:
            return str(error)
        return ""

    def _watch(self, task_set: TaskSet, task: Task, now: datetime) -> None:
        for container in task.containers:
            if container.process is None or container.process.exit_code is None:
                continue
            container.exit_code = container.process.exit_code
            if container.essential:
                self._fail(task_set, task, "EssentialContainerExited", "Essential container in task exited")
                return
        if task.target is not None and task.started is not None:
            grace = timedelta(seconds=task_set.service.params.get("healthCheckGracePeriodSeconds", 0))
            group, port = task.target
            if now >= task.started + grace and self._world.elb.health(group, task.ip, port) == "unhealthy":
                reason = f"Task failed ELB health checks in (target-group {group})"
                task_set.service.tell(
                    f"(service {task_set.service.name}) (task {task.id}) failed ELB health checks in "
                    f"(target-group {group})",
                    now,
                )
                self._delay(task_set, now)
                self.stop(task_set, task, "ServiceSchedulerInitiated", reason)
            elif self._world.elb.health(group, task.ip, port) == "healthy":
                task_set.failures = 0

    def _fail(self, task_set: TaskSet, task: Task, code: str, reason: str) -> None:
        """A task ended by itself: it leaves at once, and its replacement waits a little longer each time."""
        self._delay(task_set, self._world.clock.now())
        self.stop(task_set, task, code, reason)

    def _delay(self, task_set: TaskSet, now: datetime) -> None:
        task_set.failures += 1
        if task_set.failures > 1:
            task_set.not_before = now + min(_BACK_OFF * (task_set.failures - 1), timedelta(minutes=1))
        if task_set.failures == 3:
            service = task_set.service
            service.tell(
                f"(service {service.name}) is unable to consistently start tasks successfully. For more "
                "information, see the Troubleshooting section of the Amazon ECS Developer Guide.",
                now,
            )

    def stop(self, task_set: TaskSet, task: Task, code: str, reason: str) -> None:
        """Begin to stop a task: its target drains first, then its processes are told to end."""
        if not task.serving:
            return
        now = self._world.clock.now()
        task.desired, task.stopping, task.stop_code, task.stopped_reason = "STOPPED", now, code, reason
        task.status = "DEACTIVATING" if task.status == "RUNNING" else "STOPPING"
        if task.target is not None:
            self._world.elb.deregister(task.target[0], task.ip, task.target[1])

    def _wind_down(self, task_set: TaskSet, task: Task, now: datetime) -> None:
        living = [
            one.process
            for one in task.containers
            if one.process is not None and one.process.exit_code is None
        ]
        drained = task.target is None or self._world.elb.gone(task.target[0], task.ip, task.target[1])
        if living and not drained:
            return
        if living and task.signalled is None:
            task.signalled, task.status = now, "STOPPING"
            for process in living:
                process.signal(signal.SIGTERM)
        elif living:
            patience = max(_STOP_TIMEOUT.total_seconds(), _LEAST_REAL_STOP * self._world.settings.speed)
            if task.signalled is not None and now >= task.signalled + timedelta(seconds=patience):
                for process in living:
                    process.signal(signal.SIGKILL)
        else:
            self._stopped(task_set, task, now)

    def _stopped(self, task_set: TaskSet, task: Task, now: datetime) -> None:
        self._ship(task_set, task)
        for container in task.containers:
            if container.process is not None:
                container.exit_code = container.process.exit_code
                tasks.discard(container.process, self._world.reaper)
                container.process = None
        task.status, task.stopped = "STOPPED", now
        service = task_set.service
        service.tell(
            f"(service {service.name}, taskSet {task_set.id}) has stopped 1 running tasks: (task "
            f"{task_arn(task, service).rpartition('/')[2]}).",
            now,
        )

    def _forget(self, task_set: TaskSet) -> None:
        before = self._world.clock.now() - _KEEP_STOPPED
        task_set.tasks = [task for task in task_set.tasks if task.stopped is None or task.stopped > before]

    # Output and steadiness

    def _ship(self, task_set: TaskSet, task: Task) -> None:
        for container in task.containers:
            lines = container.process.output() if container.process is not None else []
            if lines:
                self._log(task_set, task, container, lines)

    def _log(self, task_set: TaskSet, task: Task, container: Container, lines: list[str]) -> None:
        """Write to the container's log stream. Raises RefusedError when its log group does not exist."""
        config: dict[str, Any] = container.definition.get("logConfiguration") or {}
        options = config.get("options", {})
        if config.get("logDriver") != "awslogs" or "awslogs-group" not in options:
            return
        stream = f"{options.get('awslogs-stream-prefix', 'ecs')}/{container.name}/{task.id}"
        region = options.get("awslogs-region", task_set.service.region)
        self._world.logs.write(options["awslogs-group"], stream, lines, region)

    def _steady(self, task_set: TaskSet) -> None:
        """Decide whether the task set is in a steady state (aws-facts 6.2)."""
        running = [task for task in task_set.tasks if task.status == "RUNNING" and task.serving]
        healthy = all(
            task.target is None
            or self._world.elb.health(task.target[0], task.ip, task.target[1]) == "healthy"
            for task in running
        )
        steady = len(running) == task_set.computed_desired and task_set.pending == 0 and healthy
        if steady and not task_set.steady:
            task_set.steady_at = self._world.clock.now()
            service = task_set.service
            service.tell(
                f"(service {service.name}, taskSet {task_set.id}) updated state to STEADY_STATE.",
                task_set.steady_at,
            )
        task_set.steady = steady
