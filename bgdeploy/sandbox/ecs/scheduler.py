"""What the ECS scheduler does from moment to moment: keep the number of tasks, replace what fails, judge steadiness.

Called with the world's lock held, ten times a real second; every wait is in AWS time.
"""

from __future__ import annotations

import ipaddress
import random
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from bgdeploy.sandbox.ecs.lifecycle import Lifecycle
from bgdeploy.sandbox.ecs.model import Container, EcsService, Task, TaskSet
from bgdeploy.sandbox.world import World

_BACK_OFF = timedelta(seconds=10)  # for each failure in a row, up to a minute
_LONGEST_BACK_OFF = timedelta(minutes=1)
# However fast AWS's time runs, processes do not start faster: for these real seconds nobody minds a task's health.
_LEAST_REAL_GRACE = 3.0
_STRUGGLING = 3  # failures in a row, after which ECS says so
_KEEP_STOPPED = timedelta(hours=1)  # stopped tasks can be described for about that long
_UNKNOWN_ROLE = (
    ") failed to launch a task with (error ECS was unable to assume the role '{}' that was provided for this task. "
    "Please verify that the role being passed has the proper trust relationship and permissions and that your IAM "
    "user has permissions to pass this role.)."
)
_RESERVED = 4  # addresses at the beginning of every subnet, AWS's own
_FULL = (
    ") was unable to place a task. Reason: The specified subnet does not have enough free addresses to satisfy the "
    "request.."
)


class FullError(Exception):
    """No subnet of a task set has an address left."""


class Scheduler:
    """Moves the tasks of all services."""

    def __init__(self, world: World, lifecycle: Lifecycle) -> None:
        self._world = world
        self._lifecycle = lifecycle
        self._subnets: dict[str, list[str]] = {}  # subnet → its addresses

    def tick(self, service: EcsService) -> None:
        """Let time pass for one service."""
        now = self._world.clock.now()
        for task_set in list(service.task_sets):
            self._fill(task_set, now)
            for task in list(task_set.tasks):
                self._advance(task_set, task, now)
            self._judge(task_set, now)
            if task_set.status == "DRAINING" and all(task.over for task in task_set.tasks):
                service.task_sets.remove(task_set)
                service.past.append(task_set)
        _forget(service, now - _KEEP_STOPPED)

    # The number of tasks

    def _fill(self, task_set: TaskSet, now: datetime) -> None:
        serving = [task for task in task_set.tasks if task.serving]
        missing = task_set.computed_desired - len(serving)
        for task in serving[:-missing] if missing < 0 else []:
            reason = f"Scaling activity initiated by (deployment {task_set.id})"
            self._lifecycle.stop(task_set, task, "ServiceSchedulerInitiated", reason)
        if task_set.not_before is None or now >= task_set.not_before:
            for _ in range(missing):
                if not self._create(task_set, now):
                    break

    def _create(self, task_set: TaskSet, now: datetime) -> bool:
        """Create a task, and tell whether that was possible."""
        from botocore.exceptions import ClientError

        try:
            task = self._new_task(task_set, now)
        except ClientError as error:  # its subnet or its task definition has been deleted
            reason = f") was unable to place a task. Reason: {error.response['Error']['Message']}."
            return self._cannot(task_set, reason, now)
        except FullError:
            return self._cannot(task_set, _FULL, now)
        role = self._lifecycle.unknown_role(task.definition)
        if role is not None:
            return self._cannot(task_set, _UNKNOWN_ROLE.format(role), now)
        task_set.tasks.append(task)
        task_set.service.tell(f", taskSet {task_set.id}) has started 1 tasks: (task {task.id}).", now)
        return True

    def _cannot(self, task_set: TaskSet, why: str, now: datetime) -> bool:
        task_set.service.tell(why, now)
        self._back_off(task_set, now)
        return False

    def _new_task(self, task_set: TaskSet, now: datetime) -> Task:
        region, network = task_set.service.region, task_set.network["awsvpcConfiguration"]
        told = self._world.beneath("ecs", region=region).describe_task_definition(
            taskDefinition=task_set.task_definition, include=["TAGS"]
        )
        definition = told["taskDefinition"]
        subnet, address = self._home(network, task_set.service)
        return Task(
            uuid.uuid4().hex,
            definition,
            address,
            subnet,
            tuple(network.get("securityGroups", ())),
            network.get("assignPublicIp", "DISABLED") == "ENABLED",
            [Container(each) for each in definition["containerDefinitions"]],
            now,
            {pair["key"]: pair["value"] for pair in told.get("tags", [])},
        )

    def _home(self, network: Mapping[str, Any], service: EcsService) -> tuple[str, str]:
        """Return one of the subnets, and a free address of it. Raises FullError when none has any."""
        taken = {task.ip for _, task in service.tasks if not task.over}
        for subnet in random.sample(network["subnets"], len(network["subnets"])):
            free = [address for address in self._addresses(subnet, service.region) if address not in taken]
            if free:
                return subnet, random.choice(free)
        raise FullError

    def _addresses(self, subnet: str, region: str) -> list[str]:
        """Return the addresses of a subnet that are not AWS's own: those at its beginning, and the last one."""
        if subnet not in self._subnets:
            ec2 = self._world.beneath("ec2", region=region)
            cidr = ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["CidrBlock"]
            self._subnets[subnet] = list(map(str, ipaddress.IPv4Network(cidr)))[_RESERVED:-1]
        return self._subnets[subnet]

    # One task

    def _advance(self, task_set: TaskSet, task: Task, now: datetime) -> None:
        if task.over:
            return
        failure = self._lifecycle.advance(task_set, task, now)
        if failure is not None:
            self._back_off(task_set, now)
            self._lifecycle.stop(task_set, task, *failure)
        elif task.status == "RUNNING" and task.serving:
            self._mind_health(task_set, task, now)

    def _mind_health(self, task_set: TaskSet, task: Task, now: datetime) -> None:
        """Replace a task that the load balancer finds unhealthy once its grace period is over."""
        if task.target is None or task.started is None:
            return
        group, port = task.target
        health, service = self._world.elb.health(group, task.ip, port), task_set.service
        if health == "healthy":
            task_set.failures = 0
        if health != "unhealthy" or now < task.started + self._grace(service):
            return
        why = self._world.elb.why(group, task.ip, port)
        where = f"(target-group {group})"
        service.tell(f") (port {port}) is unhealthy in {where} due to (reason {why})", now)
        service.tell(f") (task {task.id}) failed ELB health checks in {where}.", now)
        self._back_off(task_set, now)
        self._lifecycle.stop(
            task_set, task, "ServiceSchedulerInitiated", f"Task failed ELB health checks in {where}"
        )

    def _grace(self, service: EcsService) -> timedelta:
        asked = service.params.get("healthCheckGracePeriodSeconds", 0)
        return timedelta(seconds=max(asked, _LEAST_REAL_GRACE * self._world.settings.speed))

    def _back_off(self, task_set: TaskSet, now: datetime) -> None:
        """Have the next replacement wait, a little longer each time that one fails."""
        task_set.failures += 1
        if task_set.failures > 1:
            task_set.not_before = now + min(_BACK_OFF * (task_set.failures - 1), _LONGEST_BACK_OFF)
        if task_set.failures == _STRUGGLING:
            text = (
                ") is unable to consistently start tasks successfully. For more information, see the "
                "Troubleshooting section of the Amazon ECS Developer Guide."
            )
            task_set.service.tell(text, now)

    # Steadiness

    def _judge(self, task_set: TaskSet, now: datetime) -> None:
        """Decide whether the task set is in a steady state (aws-facts 6.2)."""
        running = [task for task in task_set.tasks if task.status == "RUNNING" and task.serving]
        steady = (
            len(running) == task_set.computed_desired
            and task_set.pending == 0
            and all(self._well(task) for task in running)
        )
        if steady != task_set.steady:
            task_set.steady, task_set.steady_at = steady, now
            if steady:
                task_set.service.tell(f", taskSet {task_set.id}) updated state to STEADY_STATE.", now)

    def _well(self, task: Task) -> bool:
        """Tell whether nothing speaks against a task.

        In a target group that no listener forwards to nobody checks it, and it counts as well (aws-facts 7.2, the
        nuance about health checks).
        """
        if task.target is None:
            return True
        group, port = task.target
        return self._world.elb.health(group, task.ip, port) in {"healthy", "unused"}


def _forget(service: EcsService, before: datetime) -> None:
    for task_set in (*service.past, *service.task_sets):
        task_set.tasks = [task for task in task_set.tasks if task.stopped is None or task.stopped > before]
    service.past = [task_set for task_set in service.past if task_set.tasks]
