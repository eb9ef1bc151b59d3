"""Releases in a living sandbox, from the build context to the answer that the hook waits for."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import urllib3
from botocore.exceptions import ConnectionClosedError

from bgdeploy import config as c
from bgdeploy import starter
from bgdeploy.aws import Aws
from bgdeploy.clock import FastClock, SystemClock
from bgdeploy.config import Check, Config, Deployment, Duration, Settings
from bgdeploy.errors import BgdeployError, BusyError, Exit, InterruptError, UsageError
from bgdeploy.provision import converge
from bgdeploy.release import operations, watch
from bgdeploy.release.attending.attendant import Attendant
from bgdeploy.release.cause import Kind
from bgdeploy.release.ending import Ending
from bgdeploy.release.reader import Reader, find_target
from bgdeploy.release.start import Started, start
from bgdeploy.release.watch import Frame
from bgdeploy.sandbox.control import Running
from bgdeploy.stack import build

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


class Project:
    """A provisioned project, and what its owner does with it."""

    def __init__(self, folder: Path) -> None:
        starter.write(folder)
        self.folder = folder
        self.checks = (Check(name="page", get="/", contains="Hello from {version}", within=Duration(10)),)
        # Our seconds are short, as the sandbox's are: a lapse lasts less than one.
        self.clock = FastClock(20, SystemClock())
        self.aws = Aws(stack=self.settings.names.stack, region="us-east-1", clock=self.clock)
        resources = build(self.settings, folder, self.aws.account, self.aws.region)
        converge.provision(self.aws, resources, lambda progress: None)
        self.said: list[str] = []
        self.frames: list[Frame] = []

    @property
    def settings(self) -> Settings:
        config = Config(
            app="releasing",
            deployment=Deployment(keep_blue=Duration(0)),
            load_balancer=c.LoadBalancer(
                production=c.ProductionListener(port=8291),
                test=c.TestListener(port=8292),
                health_check=c.HealthCheck(interval=Duration(5), timeout=Duration(2)),
            ),
            checks=self.checks,
            alarms=(c.Alarm(name="not-found", log_filter='" 404 "'),),
        )
        return Settings(env="dev", config=config)

    def start(self, version: str, **options: Any) -> Started:
        self.said = []
        return start(self.aws, self.settings, self.folder, version, say=self.said.append, **options)

    def follow(self, started: Started, attendant: Attendant | None = None, **options: Any) -> Ending:
        """Follow it with an attendant, for ten minutes of the sandbox's clock at most."""
        self.frames = []
        attendant = attendant or Attendant(self.aws, started.target, started.record)
        options = {"timeout": 600, "show": self.frames.append, **options}
        try:
            return watch.follow(
                Reader(self.aws, started.target),
                started.deployment_id,
                attendant=attendant,
                **options,
            )
        finally:
            attendant.close()

    def release(self, version: str, **options: Any) -> Ending:
        return self.follow(self.start(version, **options))

    def await_page(self, started: Started, text: str) -> None:
        """Ask production until it says `text`: a load balancer takes a moment to do what it was told."""
        url = started.target.urls[started.target.production_listener]
        for _ in range(50):
            page = urllib3.request("GET", url, retries=False, timeout=5).data.decode()
            if text in page:
                return
            self.clock.sleep(1)
        raise AssertionError(page)

    def write(self, old: str, new: str) -> None:
        page = self.folder / "container/htdocs/index.html"
        text = page.read_text(encoding="utf-8")
        assert old in text
        page.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture(scope="module")
def project(account: Running, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("project"))


def test_a_version_is_built_checked_and_goes_live(project: Project) -> None:
    started = project.start("v1")
    ended = project.follow(started)
    assert (ended.kind, ended.exit, ended.version) == (Kind.LIVE, Exit.DONE, "v1"), ended
    project.await_page(started, "Hello from v1")
    assert any(line.startswith("pushed ") for line in project.said)
    checks = project.frames[-1].checks
    assert checks is not None
    assert (checks.stage, [result.passed for result in checks.results]) == ("passed", [True])


def test_a_page_that_fails_its_check_never_reaches_production(project: Project) -> None:
    project.write("Hello from", "Good morning from")
    started = project.start("v2")
    ended = project.follow(started)
    assert (ended.kind, ended.exit) == (Kind.CHECK_FAILED, Exit.ROLLED_BACK), ended
    assert 'wanted body contains "Hello from v2"' in ended.why[0]
    assert "Good morning from v2" in ended.why[0]
    project.await_page(started, "Hello from v1")


def test_what_ecr_has_goes_out_again_and_a_changed_context_is_told(project: Project) -> None:
    project.checks = (Check(name="page", get="/", contains="Good morning from {version}"),)
    project.write("Good morning", "Good evening")
    started = project.start("v2")
    assert any("container/ has changed since v2 was built" in line for line in project.said)
    assert project.follow(started).exit is Exit.DONE
    project.await_page(started, "Good morning from v2")


def test_of_two_releases_at_once_one_is_told_that_the_other_runs(project: Project) -> None:
    outcomes: list[Started | BusyError] = []

    def release() -> None:
        try:
            outcomes.append(project.start("v2"))
        except BusyError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=release) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    started, busy = sorted(outcomes, key=lambda outcome: isinstance(outcome, BusyError))
    assert isinstance(started, Started)
    assert isinstance(busy, BusyError)
    assert (busy.exit, busy.result["deployment"]) == (Exit.ANOTHER_IS_ACTIVE, started.deployment_id)
    assert f"deployment {started.deployment_id} of v2 is active" in busy.message
    operations.stop(project.aws, started.deployment_id)
    assert project.follow(started).kind is Kind.STOPPED


def test_a_start_whose_answer_is_lost_is_known_to_be_ours(project: Project) -> None:
    client, sent = project.aws.client("codedeploy"), []

    def lose_the_first(request: Any, **_: Any) -> None:
        sent.append(request)
        if len(sent) == 1:
            client._endpoint.http_session.send(request)
            raise ConnectionClosedError(endpoint_url=request.url)

    event = "before-send.codedeploy.CreateDeployment"
    client.meta.events.register(event, lose_the_first)
    try:
        started = project.start("v2")
    finally:
        client.meta.events.unregister(event, lose_the_first)
    assert len(sent) == 2
    assert Reader(project.aws, started.target).active() == started.deployment_id
    operations.stop(project.aws, started.deployment_id)
    assert project.follow(started).kind is Kind.STOPPED


def test_a_release_that_ignores_alarms_switches_them_off_for_itself_alone(project: Project) -> None:
    started = project.start("v2", ignore_alarms=True, strategy="canary 10% 5m")
    codedeploy, target = project.aws.client("codedeploy"), started.target
    info = codedeploy.get_deployment(deploymentId=started.deployment_id)["deploymentInfo"]
    group = codedeploy.get_deployment_group(
        applicationName=target.application, deploymentGroupName=target.group
    )["deploymentGroupInfo"]
    assert info["overrideAlarmConfiguration"]["enabled"] is False
    assert info["deploymentConfigName"] == "CodeDeployDefault.ECSCanary10Percent5Minutes"
    assert group["alarmConfiguration"]["enabled"] is True
    operations.stop(project.aws, started.deployment_id)
    assert project.follow(started).kind is Kind.STOPPED


def test_ctrl_c_before_the_deployment_says_what_it_leaves_behind(project: Project) -> None:
    def press_ctrl_c(line: str) -> None:
        if line.startswith("task definition "):
            raise KeyboardInterrupt

    reader = Reader(project.aws, find_target(project.aws, project.settings.names))
    latest = reader.latest()
    with pytest.raises(InterruptError, match="no deployment was started, production is untouched") as caught:
        start(project.aws, project.settings, project.folder, "v3", say=press_ctrl_c)
    pushed, registered = caught.value.result["done"]
    assert re.fullmatch(r"image \S+@sha256:\w{64} was pushed", pushed)
    assert re.fullmatch(r"task definition releasing-dev:\d+ was registered", registered)
    assert reader.latest() == latest


def test_when_nobody_attends_the_hook_fails_closed_at_its_lease(project: Project) -> None:
    started = project.start("v2")
    reader = Reader(project.aws, started.target)
    ended = watch.follow(reader, started.deployment_id, timeout=1200)
    assert (ended.kind, ended.exit) == (Kind.HOOK_FAILED, Exit.ROLLED_BACK), ended
    assert any(line.startswith("hook: ") and "failing closed" in line for line in ended.why), ended.why
    logs = project.aws.client("logs").filter_log_events(logGroupName=project.settings.names.hook_log_group)
    said = [event["message"] for event in logs["events"] if started.deployment_id in event["message"]]
    assert any("nobody claimed the checks for 300 s: failing closed" in line for line in said), said


_RELEASE = """\
import sys
from pathlib import Path
from bgdeploy.aws import Aws
from bgdeploy.clock import FastClock, SystemClock
from bgdeploy.names import Names
from bgdeploy.release.attending import attendant
from bgdeploy.release import reader
clock = FastClock(20, SystemClock())
aws = Aws(stack="releasing-dev", region="us-east-1", clock=clock)
target = reader.find_target(aws, Names("releasing-dev"))
reads = reader.Reader(aws, target)
one = attendant.Attendant(aws, target, ask=lambda url, timeout: clock.sleep(10**6))
while True:
    one.attend(reads.read(sys.argv[1]))
    print(one.state.stage, flush=True)
    clock.sleep(2)
"""


def test_a_watch_finishes_what_a_killed_release_began(project: Project) -> None:
    started = project.start("v2")
    with subprocess.Popen(
        [sys.executable, "-c", _RELEASE, started.deployment_id], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert any(line == "running\n" for line in process.stdout)
        process.kill()
    ended = project.follow(started, Attendant(project.aws, started.target))
    assert ended.exit is Exit.DONE, ended


def test_an_interrupted_release_goes_on_when_somebody_attaches_again(project: Project) -> None:
    started = project.start("v2")

    def interrupt(frame: Frame) -> None:
        if frame.checks and frame.checks.stage in {"waiting", "running"}:
            raise KeyboardInterrupt

    left = project.follow(started, show=interrupt)
    assert (left.exit, left.next) == (Exit.INTERRUPTED, (f"bgdeploy watch {started.deployment_id}",))
    assert project.follow(started, Attendant(project.aws, started.target)).exit is Exit.DONE


def test_a_machine_that_is_not_let_in_is_not_the_applications_failure(project: Project) -> None:
    ec2 = project.aws.client("ec2")
    name = f"{project.settings.names.plain}-load-balancer"
    group = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": [name]}])
    (rule,) = [rule for rule in group["SecurityGroups"][0]["IpPermissions"] if rule["FromPort"] == 8292]
    ident = group["SecurityGroups"][0]["GroupId"]
    ec2.revoke_security_group_ingress(GroupId=ident, IpPermissions=[rule])
    try:
        ended = project.release("v2")
    finally:
        ec2.authorize_security_group_ingress(GroupId=ident, IpPermissions=[rule])
    assert (ended.kind, ended.exit) == (Kind.CHECKS_UNREACHABLE, Exit.ROLLED_BACK), ended
    assert "no connection within 3 s" in ended.why[0]
    assert any("load_balancer.test.allow" in step for step in ended.next)


def test_observed_checks_are_reported_and_hold_nothing_up(project: Project) -> None:
    project.checks = (Check(name="page", get="/", contains="no such text", within=Duration(2)),)
    ended = project.release("v2", checks="observe")
    assert ended.exit is Exit.DONE
    checks = project.frames[-1].checks
    assert checks is not None
    assert (checks.stage, [result.passed for result in checks.results]) == ("observed", [False])


def test_a_split_listener_and_a_missing_hook_are_told_at_once_and_nothing_is_started(
    project: Project,
) -> None:
    elb, name = project.aws.client("elbv2"), project.settings.names
    before = Reader(project.aws, find_target(project.aws, name))
    target = before.target
    listener = elb.describe_listeners(ListenerArns=[target.production_listener])["Listeners"][0]
    weights = [{"TargetGroupArn": arn, "Weight": 50} for arn in target.target_groups.values()]
    split = [{"Type": "forward", "ForwardConfig": {"TargetGroups": weights}}]
    latest = before.latest()
    elb.modify_listener(ListenerArn=target.production_listener, DefaultActions=split)
    project.aws.client("lambda").delete_function(FunctionName=name.hook)
    try:
        with pytest.raises(BgdeployError, match="2 things are in the way") as caught:
            project.start("v2")
    finally:
        elb.modify_listener(ListenerArn=target.production_listener, DefaultActions=listener["DefaultActions"])
    assert "non-zero weight" in caught.value.message
    assert "the hook's function is missing" in caught.value.message
    assert before.latest() == latest


def test_a_version_that_cannot_be_a_tag_is_refused_before_aws_is_asked(project: Project) -> None:
    with pytest.raises(UsageError, match="is no version"):
        project.start("v 2")


def test_a_stack_that_is_not_provisioned_is_told(project: Project) -> None:
    elsewhere = Settings(env="prod", config=project.settings.config)
    with pytest.raises(BgdeployError, match="is not provisioned"):
        start(project.aws, elsewhere, project.folder, "v1")
