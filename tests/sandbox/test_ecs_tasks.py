"""The life of tasks: real processes behind a real load balancer."""

from __future__ import annotations

import os
import re
import signal
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from bgdeploy.sandbox.ecs.model import EcsService, Task
from tests.sandbox.fleet import HTTPD, Fleet, container, fleets

# A web server whose health check answers what its environment says.
_WEB = """
import os, http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = repr(dict(os.environ)).encode()
        self.send_response(int(os.environ.get("STATUS", "200")))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
print("ready")
http.server.HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def regions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iterator[Fleet]]:
    made = fleets(tmp_path_factory.mktemp("sandbox"))
    yield made
    made.close()


@pytest.fixture
def fleet(regions: Iterator[Fleet]) -> Iterator[Fleet]:
    fleet = next(regions)
    yield fleet
    fleet.end()


def web(**settings: Any) -> dict[str, Any]:
    return container(command=["python3", "-c", _WEB], **settings)


def shell(script: str, **settings: Any) -> dict[str, Any]:
    return container(command=["sh", "-c", script], **settings)


def logging_to(group: str) -> dict[str, Any]:
    options = {"awslogs-group": group, "awslogs-region": "", "awslogs-stream-prefix": "app"}
    return {"logDriver": "awslogs", "options": options}


def steady(fleet: Fleet, *containers: dict[str, Any], **settings: Any) -> EcsService:
    """Create a service and wait until it is steady."""
    definition = fleet.definition(*containers, **settings.pop("definition", {}))
    service = fleet.create(taskDefinition=definition, **settings)
    fleet.until(lambda: service.primary and service.primary.steady)
    return service


def first_stopped(fleet: Fleet) -> dict[str, Any]:
    """Wait until a task has stopped, and return the one that did first."""
    fleet.until(lambda: [task for task in fleet.tasks("STOPPED") if task["lastStatus"] == "STOPPED"])
    return next(task for task in fleet.tasks("STOPPED") if task["lastStatus"] == "STOPPED")


def only(service: EcsService) -> Task:
    assert service.primary is not None
    return next(task for task in service.primary.tasks if task.serving)


def pid(task: Task) -> int:
    process = task.containers[0].process
    assert process is not None
    return process.popen.pid


# Starting


def test_a_task_comes_up_step_by_step(fleet: Fleet) -> None:
    service = fleet.create()
    seen: list[str] = []

    def up() -> bool:
        seen.extend(task.status for task in (service.primary.tasks if service.primary else []))
        return bool(service.primary and service.primary.steady)

    fleet.until(up)
    assert list(dict.fromkeys(seen)) == ["PROVISIONING", "PENDING", "RUNNING"]
    task = fleet.tasks()[0]
    assert 8 <= (task["startedAt"] - task["createdAt"]).total_seconds() <= 60


def test_the_page_of_a_task_is_reached_through_the_load_balancer(fleet: Fleet) -> None:
    steady(fleet)
    with urllib.request.urlopen(fleet.url(fleet.production)) as page:
        assert "It works!" in page.read().decode()


def test_a_container_finds_its_own_environment_and_nobody_elses(fleet: Fleet) -> None:
    os.environ["BGDEPLOY_TEST_SECRET"] = "mine"
    try:
        steady(fleet, web(environment=[{"name": "COLOUR", "value": "blue"}]))
    finally:
        del os.environ["BGDEPLOY_TEST_SECRET"]
    with urllib.request.urlopen(fleet.url(fleet.production)) as page:
        found = page.read().decode()

    assert "'COLOUR': 'blue'" in found
    assert f"'AWS_REGION': '{fleet.region}'" in found
    assert "BGDEPLOY_TEST_SECRET" not in found
    assert "AWS_ACCESS_KEY_ID" not in found


def test_a_container_with_a_task_role_reaches_the_sandboxs_aws(fleet: Fleet) -> None:
    steady(fleet, web(), definition={"taskRoleArn": fleet.role("task")})
    with urllib.request.urlopen(fleet.url(fleet.production)) as page:
        assert "'AWS_ACCESS_KEY_ID': 'AKIATEST'" in page.read().decode()


def test_a_container_gets_its_secrets(fleet: Fleet) -> None:
    fleet.client("ssm").put_parameter(Name="/shop/key", Value="from ssm", Type="SecureString")
    secret = fleet.client("secretsmanager").create_secret(
        Name="shop", SecretString='{"token": "from the manager"}'
    )
    secrets = [
        {"name": "KEY", "valueFrom": "/shop/key"},
        {"name": "TOKEN", "valueFrom": f"{secret['ARN']}:token::"},
    ]
    fleet.grant(fleet.execution_role, "ssm:GetParameters", "secretsmanager:GetSecretValue")
    steady(fleet, web(secrets=secrets))
    with urllib.request.urlopen(fleet.url(fleet.production)) as page:
        found = page.read().decode()

    assert "'KEY': 'from ssm'" in found
    assert "'TOKEN': 'from the manager'" in found


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"image": "example.com/nothing:1"}, "CannotPullContainerError: "),
        (
            {"secrets": [{"name": "KEY", "valueFrom": "/nope"}]},
            "ResourceInitializationError: unable to pull secrets",
        ),
        (
            {"logConfiguration": logging_to("/nope")},
            "ResourceInitializationError: failed to validate logger args",
        ),
        ({"command": ["/no/such/program"]}, "CannotStartContainerError: "),
    ],
)
def test_a_task_that_cannot_start_says_why(fleet: Fleet, change: dict[str, Any], reason: str) -> None:
    if "logConfiguration" in change:
        change["logConfiguration"]["options"]["awslogs-region"] = fleet.region
    fleet.grant(fleet.execution_role, "ssm:GetParameters")
    fleet.create(taskDefinition=fleet.definition(container(**{"image": container()["image"], **change})))
    task = first_stopped(fleet)

    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith(reason)
    assert task["containers"][0]["reason"].startswith(reason)


def test_a_task_is_not_started_in_a_role_that_ecs_cannot_assume(fleet: Fleet) -> None:
    role = fleet.role("codedeploy", service="codedeploy.amazonaws.com")
    service = fleet.create(taskDefinition=fleet.definition(taskRoleArn=role))
    fleet.tick()
    assert service.primary is not None
    assert service.primary.tasks == []
    assert f"ECS was unable to assume the role '{role}' that was provided for this task." in fleet.events()[0]


@pytest.mark.parametrize(
    ("allowed", "reason"),
    [
        ((), "is not authorized to perform: ecr:GetAuthorizationToken on resource: *"),
        (("ecr:GetAuthorizationToken",), "CannotPullContainerError: .*403 Forbidden"),
        (("ecr:*",), "is not authorized to perform: logs:CreateLogStream on resource: arn:aws:logs:"),
        (("ecr:*", "logs:*"), "CannotPullContainerError: .* not found"),
    ],
)
def test_a_task_gets_at_image_and_log_only_as_its_execution_role_allows(
    fleet: Fleet, allowed: tuple[str, ...], reason: str
) -> None:
    role = fleet.role("own-execution")
    if allowed:
        fleet.grant(role, *allowed)
    fleet.client("logs").create_log_group(logGroupName="/app")
    log = logging_to("/app")
    log["options"]["awslogs-region"] = fleet.region
    one = container(f"123456789012.dkr.ecr.{fleet.region}.amazonaws.com/web:v1", logConfiguration=log)
    fleet.create(taskDefinition=fleet.definition(one, executionRoleArn=role))
    assert re.search(reason, first_stopped(fleet)["stoppedReason"])


def test_a_secret_is_read_only_as_the_execution_role_allows(fleet: Fleet) -> None:
    fleet.client("ssm").put_parameter(Name="/shop/key", Value="from ssm", Type="SecureString")
    one = web(secrets=[{"name": "KEY", "valueFrom": "/shop/key"}])
    fleet.create(taskDefinition=fleet.definition(one))
    assert "is not authorized to perform: ssm:GetParameters" in first_stopped(fleet)["stoppedReason"]


def test_a_container_whose_role_may_not_write_logs_is_silent(fleet: Fleet) -> None:
    role = fleet.role("mute-execution")
    fleet.grant(role, "ecr:*", "logs:CreateLogStream")
    fleet.client("logs").create_log_group(logGroupName="/app")
    log = logging_to("/app")
    log["options"]["awslogs-region"] = fleet.region
    steady(fleet, web(logConfiguration=log), definition={"executionRoleArn": role})
    assert fleet.client("logs").filter_log_events(logGroupName="/app")["events"] == []


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (HTTPD, f"CannotPullContainerError: .*{HTTPD}.*i/o timeout"),
        (
            "123456789012.dkr.ecr.us-east-1.amazonaws.com/web:v1",
            "unable to retrieve ecr registry auth.*timeout",
        ),
    ],
)
def test_a_task_without_a_public_address_gets_no_image(fleet: Fleet, image: str, reason: str) -> None:
    network = {"subnets": fleet.subnets, "securityGroups": [fleet.back], "assignPublicIp": "DISABLED"}
    definition = fleet.definition(container(image))
    fleet.create(taskDefinition=definition, networkConfiguration={"awsvpcConfiguration": network})
    assert re.search(reason, first_stopped(fleet)["stoppedReason"])


# Failing


def test_an_essential_container_that_ends_takes_its_task_with_it(fleet: Fleet) -> None:
    fleet.create(taskDefinition=fleet.definition(shell("exit 3")))
    task = first_stopped(fleet)

    assert (task["stopCode"], task["stoppedReason"]) == (
        "EssentialContainerExited",
        "Essential container in task exited",
    )
    assert task["containers"][0]["exitCode"] == 3


def test_a_container_that_is_not_essential_may_end(fleet: Fleet) -> None:
    helper = {
        "name": "helper",
        "image": container()["image"],
        "command": ["sh", "-c", "exit 0"],
        "essential": False,
    }
    steady(fleet, web(), helper)
    fleet.until(lambda: [one.get("exitCode") for one in fleet.tasks()[0]["containers"]] == [None, 0])
    assert fleet.describe()["runningCount"] == 1


def test_a_task_that_crashes_is_replaced(fleet: Fleet) -> None:
    service = steady(fleet)
    crashed = only(service)
    os.kill(pid(crashed), signal.SIGKILL)
    fleet.until(lambda: crashed.over and service.primary and service.primary.steady)

    assert only(service).id != crashed.id
    assert crashed.containers[0].exit_code == 137
    assert len([event for event in fleet.events() if "has started 1 tasks" in event]) == 2


def test_the_scheduler_waits_longer_for_each_task_that_fails_and_says_so(fleet: Fleet) -> None:
    service = fleet.create(taskDefinition=fleet.definition(shell("exit 1")))
    fleet.until(lambda: len([t for t in fleet.tasks("STOPPED") if t["lastStatus"] == "STOPPED"]) >= 5, step=2)
    assert service.primary is not None
    born = [task.created for task in service.primary.tasks]
    stopped = [task.stopped for task in service.primary.tasks]
    waits = [
        (later - ended).total_seconds() for later, ended in zip(born[1:], stopped, strict=False) if ended
    ]

    assert waits[1] < waits[2] < waits[3]
    assert any("is unable to consistently start tasks successfully" in event for event in fleet.events())


def test_an_unhealthy_task_is_replaced_after_its_grace_period(fleet: Fleet) -> None:
    definition = fleet.definition(web(environment=[{"name": "STATUS", "value": "500"}]))
    fleet.create(taskDefinition=definition, healthCheckGracePeriodSeconds=60)
    fleet.until(lambda: [each["State"] for each in fleet.health(fleet.blue)] == ["unhealthy"], step=0.1)
    assert fleet.tasks("STOPPED") == []
    fleet.until(lambda: fleet.tasks("STOPPED"), step=10)
    task = first_stopped(fleet)

    assert task["stoppedReason"] == f"Task failed ELB health checks in (target-group {fleet.blue})"
    assert (task["stoppingAt"] - task["startedAt"]).total_seconds() >= 60
    told = "due to (reason Health checks failed with these codes: [500])"
    assert any(told in event for event in fleet.events())


# Stopping


def test_a_stopped_task_drains_before_its_process_is_told_to_end(fleet: Fleet) -> None:
    service = steady(fleet)
    task = only(service)
    fleet.client("ecs").stop_task(cluster="shop", task=task.id, reason="because")
    process = pid(task)
    fleet.tick(1)
    draining = fleet.health(fleet.blue)[0]

    assert (draining["State"], draining["Reason"]) == ("draining", "Target.DeregistrationInProgress")
    os.kill(process, 0)  # it lives
    fleet.until(lambda: task.over)
    told = next(each for each in fleet.tasks("STOPPED") if each["taskArn"].endswith(task.id))
    assert (told["stopCode"], told["stoppedReason"]) == ("UserInitiated", "because")


def test_a_process_that_does_not_end_is_killed(fleet: Fleet) -> None:
    stubborn = container(
        command=["python3", "-c", "import signal; signal.signal(15, signal.SIG_IGN)\n" + _WEB]
    )
    service = steady(fleet, stubborn)
    task = only(service)
    fleet.client("ecs").stop_task(cluster="shop", task=task.id)
    fleet.until(lambda: task.over, step=4)

    assert task.containers[0].exit_code == 137
    assert task.stopped is not None
    assert task.signalled is not None
    assert (task.stopped - task.signalled).total_seconds() >= 30


def test_a_request_under_way_is_answered_by_a_task_that_leaves(fleet: Fleet) -> None:
    slow = _WEB.replace(
        "        self.send_response", "        import time; time.sleep(0.4)\n        self.send_response"
    )
    service = steady(fleet, container(command=["python3", "-c", slow]))
    task = only(service)
    url = fleet.url(fleet.production)

    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as visitors:
        waiting = visitors.submit(lambda: urllib.request.urlopen(url, timeout=5).read())
        fleet.world.real.sleep(0.1)
        fleet.client("ecs").stop_task(cluster="shop", task=task.id)
        fleet.until(lambda: task.over, step=5)
        assert b"HOST" in waiting.result()


# Logs


def test_what_a_container_writes_is_in_its_log_stream_to_the_last_line(fleet: Fleet) -> None:
    logs = fleet.client("logs")
    logs.create_log_group(logGroupName="/app")
    config = logging_to("/app")
    config["options"]["awslogs-region"] = fleet.region
    fleet.create(
        taskDefinition=fleet.definition(shell("echo one; echo two >&2; printf last", logConfiguration=config))
    )
    stopped = first_stopped(fleet)
    stream = f"app/web/{stopped['taskArn'].rpartition('/')[2]}"

    events = logs.get_log_events(logGroupName="/app", logStreamName=stream, startFromHead=True)["events"]
    assert [event["message"] for event in events] == ["one", "two", "last"]


def test_a_log_group_that_is_deleted_does_not_hold_up_its_task(fleet: Fleet) -> None:
    logs = fleet.client("logs")
    config = logging_to("/app")
    config["options"] |= {"awslogs-region": fleet.region, "awslogs-create-group": "true"}
    talking = shell("while :; do echo more; sleep 0.05; done", logConfiguration=config)
    service = fleet.create(taskDefinition=fleet.definition(talking))
    fleet.until(lambda: service.primary and service.primary.running)
    logs.delete_log_group(logGroupName="/app")
    fleet.tick()
    fleet.world.real.sleep(0.1)
    fleet.tick()

    assert only(service).status == "RUNNING"


# The network


def test_tasks_that_the_load_balancer_may_not_reach_time_out(fleet: Fleet) -> None:
    ec2 = fleet.client("ec2")
    rules = ec2.describe_security_groups(GroupIds=[fleet.back])["SecurityGroups"][0]["IpPermissions"]
    service = steady(fleet)
    ec2.revoke_security_group_ingress(GroupId=fleet.back, IpPermissions=rules)
    task = only(service)
    fleet.until(lambda: task.stopped_reason != "")

    assert task.stopped_reason.startswith("Task failed ELB health checks")
    assert any("due to (reason Request timed out)" in event for event in fleet.events())


def test_a_subnet_and_a_security_group_with_tasks_in_them_stay(fleet: Fleet) -> None:
    service = steady(fleet)
    refused = fleet.refused("ec2", "delete_security_group", GroupId=fleet.back)
    busy = only(service).subnet
    assert refused == ("DependencyViolation", f"resource {fleet.back} has a dependent object")
    assert fleet.refused("ec2", "delete_subnet", SubnetId=busy)[0] == "DependencyViolation"
