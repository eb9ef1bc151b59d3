"""A service with all that people have, commanded as they do: secrets, ARM, a sidecar, and scaling that holds still."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from bgdeploy.aws import Aws
from bgdeploy.clock import FastClock, SystemClock
from bgdeploy.release.scaling import SUSPENDED
from bgdeploy.sandbox.control import Running

pytestmark = pytest.mark.slow

STACK = "services-dev"
SERVICE = {"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount"}
# Somebody wants no scheduled scaling for a while: that has to outlive every release.
BY_HAND = {**dict.fromkeys(SUSPENDED, False), "ScheduledScalingSuspended": True}
CONFIG = """\
app: services
load_balancer:
  production: {{port: 8591}}
  test: {{port: 8592}}
  health_check: {{interval: 5s, timeout: 2s}}
container:
  architecture: arm64
  environment: {{COLOUR: teal}}
  secrets:
    API_KEY: /services/api-key
    DB_PASSWORD: "{secret}:password"
  depends_on: {{proxy: start}}
sidecars:
  - name: proxy
    image: public.ecr.aws/docker/library/httpd:2.4-alpine
    command: [httpd-foreground, -c, Listen 8081]
    ports: [8081]
service:
  exec: on
  scale: {{min: 2, max: 4, cpu: 60, requests_per_target: 500}}
network: {{create: {{zones: {zones}}}}}
deployment: {{keep_blue: {keep_blue}}}
alarms: []
checks: []
"""
# It tells what it was given, as no application should.
SERVER = """\
import http.server, json, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        told = {name: os.environ.get(name) for name in ("COLOUR", "API_KEY", "DB_PASSWORD", "VERSION")}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(told).encode())
http.server.ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"""
DOCKERFILE = """\
FROM python:3.12-alpine
ARG VERSION
ENV VERSION=$VERSION
WORKDIR /srv
COPY server.py .
CMD ["python", "server.py"]
"""


class Owner:
    """Whoever owns the stack, at a shell."""

    def __init__(self, sandbox: Running, folder: Path) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "BGDEPLOY_")) and k != "CI"}
        self.environ = {**kept, "BGDEPLOY_SANDBOX_HOME": sandbox.home, "BGDEPLOY_SANDBOX": "1"}
        self.project = folder
        self.clock = FastClock(sandbox.speed, SystemClock())
        self.aws = Aws(stack=STACK, region=sandbox.region, clock=self.clock)
        assert self.run("init").returncode == 0
        for name, text in {"server.py": SERVER, "Dockerfile": DOCKERFILE}.items():
            (folder / "container" / name).write_text(text, encoding="utf-8")
        ssm, manager = self.aws.client("ssm"), self.aws.client("secretsmanager")
        ssm.put_parameter(Name="/services/api-key", Value="k3y", Type="SecureString")
        value = json.dumps({"user": "shop", "password": "pa55"})
        self.secret = manager.create_secret(Name="services/db", SecretString=value)["ARN"]
        self.configure()

    def configure(self, zones: int = 2, keep_blue: str = "0s") -> None:
        text = CONFIG.format(secret=self.secret, zones=zones, keep_blue=keep_blue)
        (self.project / "config/base.yaml").write_text(text, encoding="utf-8")

    def begin(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "bgdeploy", *command],
            cwd=self.project,
            env={**self.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        with self.begin(*command) as process:
            out, err = process.communicate()
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def ask(self, *command: str) -> dict[str, Any]:
        """Run a command that must succeed, and return its result."""
        done = self.run("--output", "json", *command)
        assert done.returncode == 0, done.stdout + done.stderr
        result: dict[str, Any] = json.loads(done.stdout)["result"]
        return result

    def page(self) -> dict[str, str]:
        """Return what production tells, once all of its tasks have come or gone."""
        url = self.ask("status")["production"]["url"]
        told: dict[str, str] = json.loads(urllib3.request("GET", url, retries=False, timeout=5).data)
        return told

    @property
    def scaling(self) -> dict[str, bool]:
        """What of the service's scaling is suspended."""
        found = self.aws.client("application-autoscaling").describe_scalable_targets(
            ResourceIds=[f"service/{STACK}/{STACK}"], **SERVICE
        )["ScalableTargets"]
        told: dict[str, bool] = found[0]["SuspendedState"]
        return told

    @property
    def active(self) -> list[str]:
        found: list[str] = self.aws.client("codedeploy").list_deployments(
            applicationName=STACK, deploymentGroupName=STACK, includeOnlyStatuses=["InProgress", "Created"]
        )["deployments"]
        return found

    @property
    def service(self) -> dict[str, Any]:
        ecs = self.aws.client("ecs")
        return dict(ecs.describe_services(cluster=STACK, services=[STACK])["services"][0])

    def await_idle(self) -> None:
        """Wait until no deployment is active any more."""
        deadline = self.clock.monotonic() + 3600
        while self.active:
            assert self.clock.monotonic() < deadline
            self.clock.sleep(10)


@pytest.fixture(scope="module")
def owner(sandbox: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owner]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sandbox.exports().items():
            patch.setenv(name, value)
        yield Owner(sandbox, tmp_path_factory.mktemp("services"))


def test_all_of_it_is_provisioned_and_then_nothing_is_left_to_do(owner: Owner) -> None:
    provisioned = owner.ask("provision")
    made = {change["address"] for change in provisioned["changed"]}
    assert {"scalable-target", "scaling-policy/cpu", "scaling-policy/requests"} <= made
    assert owner.ask("plan", "--exit-code")["pending"] == []
    assert owner.service["desiredCount"] == 2


def test_a_release_brings_secrets_and_sidecar_and_gives_scaling_back_exactly(owner: Owner) -> None:
    owner.aws.client("application-autoscaling").register_scalable_target(
        ResourceId=f"service/{STACK}/{STACK}", **SERVICE, SuspendedState=BY_HAND
    )
    with owner.begin("release", "v1") as process:
        for line in process.stderr or ():
            if "auto scaling is suspended" in line:
                break
        during = owner.scaling
        out, err = process.communicate()
    assert process.returncode == 0, out + err
    assert during == SUSPENDED
    assert "auto scaling is as it was before the release" in " ".join(out.split())
    assert owner.scaling == BY_HAND
    assert owner.page() == {"COLOUR": "teal", "API_KEY": "k3y", "DB_PASSWORD": "pa55", "VERSION": "v1"}


def test_the_tasks_are_what_the_config_says_and_hold_no_secret(owner: Owner) -> None:
    ecs = owner.aws.client("ecs")
    told = ecs.describe_task_definition(taskDefinition=owner.service["taskDefinition"])["taskDefinition"]
    assert told["runtimePlatform"]["cpuArchitecture"] == "ARM64"
    assert "k3y" not in json.dumps(told, default=str)
    arns = ecs.list_tasks(cluster=STACK, serviceName=STACK)["taskArns"]
    for task in ecs.describe_tasks(cluster=STACK, tasks=arns)["tasks"]:
        assert {each["name"] for each in task["containers"]} == {"web", "proxy"}


def test_the_release_is_no_drift_and_neither_is_what_scaling_does(owner: Owner) -> None:
    owner.aws.client("ecs").update_service(cluster=STACK, service=STACK, desiredCount=3)
    plan = owner.ask("plan", "--exit-code")
    assert (plan["pending"], plan["next_release"]) == ([], [])


def test_what_somebody_changed_of_service_and_role_is_put_right(owner: Owner) -> None:
    changed = {"healthCheckGracePeriodSeconds": 5, "enableExecuteCommand": False}
    owner.aws.client("ecs").update_service(cluster=STACK, service=STACK, **changed)
    role, policy = f"{STACK}-task", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    iam = owner.aws.client("iam")
    iam.attach_role_policy(RoleName=role, PolicyArn=policy)
    pending = {
        change["address"]: {each["field"] for each in change["fields"]}
        for change in owner.ask("plan")["pending"]
    }
    assert pending == {"service": set(changed), "role/task": {"ManagedPolicies"}}
    owner.ask("provision")
    assert {name: owner.service[name] for name in changed} == {
        "healthCheckGracePeriodSeconds": 60,
        "enableExecuteCommand": True,
    }
    assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []


def test_after_a_release_was_killed_the_next_command_gives_scaling_back(owner: Owner) -> None:
    said = []
    with owner.begin("release", "v2") as process:
        for line in process.stderr or ():
            said.append(line)
            if "auto scaling is suspended" in line:
                process.kill()
    assert process.returncode == -signal.SIGKILL, "".join(said)
    owner.await_idle()
    assert owner.scaling == SUSPENDED
    assert owner.ask("provision")["auto_scaling"] == "auto scaling is as it was before the release"
    assert owner.scaling == BY_HAND


def test_who_leaves_early_is_told_and_a_watch_gives_scaling_back(owner: Owner) -> None:
    owner.configure(keep_blue="1h")
    owner.ask("provision")
    done = owner.run("release", "v3", "--until", "shifted")
    assert done.returncode == 0, done.stdout + done.stderr
    told = " ".join(done.stdout.split())
    assert re.search(r"auto scaling stays suspended until deployment d-\w+ is over", told)
    assert owner.scaling == SUSPENDED
    assert owner.ask("status")["scaling"] == "2 to 4 tasks, suspended"
    assert owner.run("promote").returncode == 0
    assert owner.run("watch").returncode == 0
    assert owner.scaling == BY_HAND


def test_where_tasks_stand_goes_out_with_the_next_release(owner: Owner) -> None:
    owner.configure(zones=3)
    owner.ask("provision")
    plan = owner.ask("plan")
    (later,) = plan["next_release"]
    assert (plan["pending"], later["address"]) == ([], "service")
    assert [each["field"] for each in later["fields"]] == ["networkConfiguration.awsvpcConfiguration.subnets"]
    assert "NetworkConfiguration" in owner.ask("appspec")["content"]
    owner.ask("release", "v4")
    assert len(owner.service["networkConfiguration"]["awsvpcConfiguration"]["subnets"]) == 3
    assert owner.ask("plan")["next_release"] == []


def test_nothing_is_left_of_it(owner: Owner) -> None:
    owner.ask("teardown", "--yes")
    assert owner.ask("plan")["exists"] == []
    scaling = owner.aws.client("application-autoscaling")
    found = scaling.describe_scalable_targets(ResourceIds=[f"service/{STACK}/{STACK}"], **SERVICE)
    assert found["ScalableTargets"] == []
