"""Stepping in: other releases in the way, going back, approving, looking back; commands in a living sandbox."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import urllib3

from bgdeploy.aws import Aws
from bgdeploy.cli import run
from bgdeploy.cli.invocation import Invocation, Result
from bgdeploy.clock import FastClock, SystemClock
from bgdeploy.config import Settings
from bgdeploy.errors import Exit
from bgdeploy.provision import converge
from bgdeploy.release import traffic
from bgdeploy.release.back import live
from bgdeploy.release.logs import Log
from bgdeploy.release.phase import Phase, phase
from bgdeploy.release.reader import Reader, find_target
from bgdeploy.release.records import record as records
from bgdeploy.release.records.past import own_appspec
from bgdeploy.release.records.record import key_of
from bgdeploy.resources.codedeploy import Application
from bgdeploy.sandbox.control import Running
from bgdeploy.strategy import PREDEFINED, parse
from tests.clocks import awaited

pytestmark = pytest.mark.slow

# Blue is kept longer than any test lasts: whatever is over before has been ended.
_CONFIG = """\
load_balancer:
  production: {port: 8591}
  test: {port: 8592}
  health_check: {interval: 5s, timeout: 2s}
deployment: {keep_blue: 2h}
checks:
  - {name: page, get: /, contains: "Hello from {version}", timeout: 60s, within: 90s}
"""


@dataclass
class Spoken(Invocation):
    """An invocation that keeps what it says and returns, and shares its clients with others: making them takes time."""

    shared: Aws | None = None
    said: list[str] = field(default_factory=list)
    result: Result | None = None

    def aws(self, settings: Settings) -> Aws:
        return self.shared or super().aws(settings)

    def say(self, line: str) -> None:
        self.said.append(line)

    def present(self, result: Result) -> None:
        self.result = result


@dataclass(frozen=True)
class Ended:
    """What a command came to."""

    status: int
    data: dict[str, Any]
    error: str
    said: str


class Shop:
    """A provisioned project, and the commands that its owner types."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self.clock = FastClock(60, SystemClock())  # a second here is one of the sandbox's
        run(["--project", str(project), "init"], Spoken())
        (project / "config/dev.yaml").write_text(_CONFIG, encoding="utf-8")
        invocation = Invocation(clock=self.clock, project=project)
        self.aws = invocation.aws(invocation.settings())
        assert self.run("provision").status == 0
        self.target = find_target(self.aws, invocation.settings().names)

    def invocation(self, kind: type[Spoken]) -> Spoken:
        return kind(clock=self.clock, shared=self.aws)

    def run(self, *command: str, by: Spoken | None = None) -> Ended:
        by = by or self.invocation(Spoken)
        status = run(["--project", str(self.project), "--output", "json", *command], by)
        result = by.result
        assert result is not None
        message = ": ".join(result.error) if result.error else ""
        return Ended(status, dict(result.data), message, "\n".join(by.said))

    def begin(self, *command: str) -> tuple[Spoken, Callable[[], Ended]]:
        """Run a command in a thread, and return what waits for its end."""
        by, ended = self.invocation(Spoken), list[Ended]()
        thread = threading.Thread(target=lambda: ended.append(self.run(*command, by=by)))
        thread.start()

        def end() -> Ended:
            thread.join(60)
            return ended[0]

        return by, end

    @property
    def reader(self) -> Reader:
        return Reader(self.aws, self.target)

    def info(self, deployment_id: str) -> dict[str, Any]:
        found = self.aws.client("codedeploy").get_deployment(deploymentId=deployment_id)
        info: dict[str, Any] = found["deploymentInfo"]
        return info

    def live(self) -> str:
        return live(self.reader).version

    def approve_within(self, minutes: int) -> None:
        """Have the deployment group wait for approval."""
        group = self.aws.client("codedeploy").get_deployment_group(
            applicationName=self.target.application, deploymentGroupName=self.target.group
        )["deploymentGroupInfo"]["blueGreenDeploymentConfiguration"]
        ready = {"actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": minutes}
        self.aws.client("codedeploy").update_deployment_group(
            applicationName=self.target.application,
            currentDeploymentGroupName=self.target.group,
            blueGreenDeploymentConfiguration={**group, "deploymentReadyOption": ready},
        )

    @contextmanager
    def trouble(self) -> Iterator[None]:
        """Have an alarm go off, stay on, and be over again."""
        url, over = self.target.urls[self.target.production_listener], threading.Event()

        def miss() -> None:
            while not over.is_set():
                urllib3.request("GET", f"{url}/missing", retries=False, timeout=5)
                self.clock.sleep(10)

        thread = threading.Thread(target=miss)
        thread.start()
        try:
            self.await_(lambda: self.reader.alarms()[0].state == "ALARM")
            yield
        finally:
            over.set()
            thread.join()
        self.await_(lambda: self.reader.alarms()[0].state == "OK")

    def await_(self, there: Callable[[], Any]) -> Any:
        return awaited(self.clock, there)


@pytest.fixture(scope="module")
def shop(account: Running, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("operating"))


def test_before_anything_is_released_there_is_nothing_to_go_back_to_or_to_tell(shop: Shop) -> None:
    nowhere = shop.run("rollback")
    assert nowhere.status == 1
    assert "there is nothing to go back to: nothing has gone live yet" in nowhere.error
    assert shop.run("history").data["releases"] == []


def test_a_strategy_that_codedeploy_does_not_predefine_gets_a_config(shop: Shop) -> None:
    ended = shop.run("release", "v1", "--strategy", "canary 40% 1m")
    assert (ended.status, shop.live()) == (0, "v1"), ended
    name = f"{shop.aws.stack}-Canary40Percent1Minutes"
    assert shop.info(ended.data["deployment"])["deploymentConfigName"] == name
    assert f"deployment config {name} was made" in ended.said
    config = shop.aws.client("codedeploy").get_deployment_config(deploymentConfigName=name)
    routing = config["deploymentConfigInfo"]["trafficRoutingConfig"]
    assert routing["timeBasedCanary"] == {"canaryPercentage": 40, "canaryInterval": 1}
    assert shop.run("plan", "--exit-code").status == 0


def test_what_is_live_already_is_not_released_again(shop: Shop) -> None:
    latest = shop.reader.latest()
    ended = shop.run("release", "v1")
    assert (ended.status, ended.data["already"]) == (0, "live")
    assert shop.reader.latest() == latest
    assert "v1 is the first that went live" in shop.run("rollback").error


def test_a_config_that_cannot_be_used_is_told_before_anything_is_done(shop: Shop) -> None:
    codedeploy = shop.aws.client("codedeploy")
    codedeploy.create_deployment_config(
        deploymentConfigName="half", minimumHealthyHosts={"type": "FLEET_PERCENT", "value": 50}
    )
    other = {"type": "TimeBasedLinear", "timeBasedLinear": {"linearPercentage": 9, "linearInterval": 7}}
    codedeploy.create_deployment_config(
        deploymentConfigName=f"{shop.target.group}-Linear50PercentEvery7Minutes",
        computePlatform="ECS",
        trafficRoutingConfig=other,
    )
    for strategy, status, sentence in (
        ("no-such", Exit.USAGE, "there is no deployment config no-such"),
        ("half", Exit.USAGE, "half is for Server, not for ECS"),
        ("linear 50% 7m", Exit.ERROR, "does not do what its name says"),
        ("linear 0% 90s", Exit.USAGE, "whole minutes, at least 1m, not '90s'"),
    ):
        ended = shop.run("release", "v7", "--strategy", strategy)
        assert (ended.status, ended.said) == (status, ""), ended
        assert sentence in ended.error


def test_a_stack_takes_its_configs_along_and_leaves_what_another_uses(shop: Shop) -> None:
    codedeploy, shop_group = shop.aws.client("codedeploy"), shop.target.group
    aws = Aws(stack="leaving-dev", region="us-east-1", clock=shop.clock)
    application = Application(name="leaving-dev")
    converge.provision(aws, [application], lambda progress: None)
    ways = [parse(text) for text in ("canary 20% 3m", "linear 20% 3m", "linear 30% 3m")]
    for way in ways:
        traffic.make(aws, way)
    used = ways[2].config("leaving-dev")
    group = {"applicationName": shop_group, "currentDeploymentGroupName": shop_group}
    codedeploy.update_deployment_group(**group, deploymentConfigName=used)
    converge.teardown(aws, [application], lambda progress: None)
    codedeploy.update_deployment_group(**group, deploymentConfigName=PREDEFINED[0])
    names = codedeploy.list_deployment_configs()["deploymentConfigsList"]
    assert [name for name in names if name.startswith("leaving-dev-")] == [used]


def test_what_is_on_its_way_already_is_followed_and_anything_else_is_in_the_way(shop: Shop) -> None:
    started = shop.run("release", "v2", "--detach")
    ended = shop.run("release", "v2")
    assert (ended.status, ended.data["already"], ended.data["kind"]) == (0, "in flight", "live"), ended
    assert ended.data["deployment"] == started.data["deployment"]
    busy = shop.run("release", "v1")
    assert (busy.status, busy.data["phase"]) == (Exit.ANOTHER_IS_ACTIVE, "shifted")
    left = shop.run("release", "v1", "--if-active", "wait", "--timeout", "1s")
    assert left.status == Exit.GAVE_UP_WAITING
    assert "nothing was started" in left.error


class Impatient(Spoken):
    """Somebody presses Ctrl-C when they read that they have to wait."""

    def say(self, line: str) -> None:
        super().say(line)
        if "waiting for its end" in line:
            raise KeyboardInterrupt


def test_ctrl_c_while_it_waits_starts_nothing(shop: Shop) -> None:
    active = shop.reader.active()
    ended = shop.run("release", "v1", "--if-active", "wait", by=shop.invocation(Impatient))
    assert (ended.status, ended.error) == (Exit.INTERRUPTED, "interrupted: nothing was started: ")
    assert shop.reader.active() == active


def test_replacing_what_only_keeps_the_old_version_ends_that_wait(shop: Shop) -> None:
    before = shop.reader.active()
    assert before
    ended = shop.run("release", "v3", "--if-active", "replace")
    assert (ended.status, shop.live()) == (0, "v3"), ended
    assert shop.info(before)["status"] == "Succeeded"


def test_going_back_while_the_old_version_is_kept_stops_the_deployment(shop: Shop) -> None:
    active = shop.reader.active()
    ended = shop.run("rollback")
    assert (ended.status, ended.data["how"], shop.live()) == (0, "stopped", "v2"), ended
    assert ended.data["headline"].endswith("production is on v2, verified")
    assert (ended.data["deployment"], ended.data["kind"]) == (active, "stopped")
    assert shop.reader.active() is None


def test_going_back_from_what_is_finished_releases_the_one_before_by_its_own_appspec(shop: Shop) -> None:
    with shop.trouble():
        ended = shop.run("rollback")
    assert "in ALARM: no alarm stops this deployment" in ended.said
    assert (ended.status, ended.data["how"], shop.live()) == (0, "released", "v1"), ended
    assert (ended.data["back_from"], ended.data["back_to"]) == ("v2", "v1")
    assert ended.data["checks"]["stage"] == "passed"
    info = shop.info(ended.data["deployment"])
    assert info["overrideAlarmConfiguration"]["enabled"] is False
    first = next(one for one in _deployments(shop) if "release v1 " in one.get("description", ""))
    assert info["revision"] == first["revision"]
    told = records.load(shop.aws, shop.target.bucket, key_of(info["description"]) or "")
    assert told is not None
    assert "release v2 " in shop.info(told.undoes)["description"]


def _deployments(shop: Shop) -> list[dict[str, Any]]:
    """Return all deployments, the oldest first."""
    codedeploy = shop.aws.client("codedeploy")
    idents = codedeploy.list_deployments(
        applicationName=shop.target.application, deploymentGroupName=shop.target.group
    )["deployments"]
    return sorted(map(shop.info, idents), key=lambda info: info["createTime"])


def test_a_release_waits_quietly_for_the_end_of_another(shop: Shop) -> None:
    by, end = shop.begin("release", "v2", "--if-active", "wait", "--detach")
    shop.await_(lambda: any("waiting for its end" in line for line in by.said))
    assert shop.run("promote").status == 0
    ended = end()
    assert (ended.status, ended.data["version"]) == (0, "v2"), ended
    assert "Install" not in ended.said


def test_replacing_what_has_not_shifted_stops_it_and_rolls_it_back(shop: Shop) -> None:
    before = shop.reader.active()
    assert before
    ended = shop.run("release", "v3", "--if-active", "replace", "--detach")
    assert (ended.status, shop.live()) == (0, "v1"), ended
    info = shop.info(before)
    assert (info["status"], info["errorInformation"]["code"]) == ("Stopped", "MANUAL_STOP")


def test_going_back_to_a_named_version_needs_nobodys_approval(shop: Shop) -> None:
    shop.approve_within(60)
    ended = shop.run("rollback", "--to", "v2")
    assert (ended.status, ended.data["back_to"], shop.live()) == (0, "v2", "v2"), ended
    assert ended.data["back_from"] == "v3"
    assert "it is stopped, and rolled back" in ended.said
    nowhere = shop.run("rollback", "--to", "v9")
    assert nowhere.status == 1
    assert "there is no v9 to go back to" in nowhere.error


def test_the_log_has_both_colours_by_time_and_who_wrote_each_line(shop: Shop) -> None:
    def both() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = shop.run("logs", "--since", "5m").data["lines"]
        who = {(line["side"], line["version"]) for line in found}
        return found if {("blue", "v1"), ("green", "v2")} <= who else []

    lines = shop.await_(both)
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
    green = shop.run("logs", "--since", "5m", "--side", "green").data["lines"]
    assert {(line["side"], line["version"]) for line in green} == {("green", "v2")}


@pytest.mark.parametrize("text", ["GET /?probe=grep", 'T /?probe=grep HTTP/1.1"'])
def test_only_lines_that_hold_a_text_are_shown(shop: Shop, text: str) -> None:
    _request(shop, "grep")
    lines = shop.await_(lambda: shop.run("logs", "--since", "5m", "--grep", text).data["lines"])
    assert all(text in line["message"] for line in lines)
    assert shop.run("logs", "--grep", text.replace("grep", "nothing")).data["lines"] == []


def _request(shop: Shop, probe: str) -> None:
    url = shop.target.urls[shop.target.production_listener]
    assert urllib3.request("GET", f"{url}/?probe={probe}", retries=False, timeout=5).status == 200


def test_following_the_log_shows_each_line_once_until_ctrl_c(shop: Shop) -> None:
    command = ["--sandbox", "--project", str(shop.project), "logs", "--follow", "--grep", "?probe=f"]
    with subprocess.Popen(
        [sys.executable, "-m", "bgdeploy", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        found = []
        for n in range(3):
            _request(shop, f"f{n}")
            found.append(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "")
    assert [re.findall(r"probe=f\d", line) for line in found] == [["probe=f0"], ["probe=f1"], ["probe=f2"]]
    assert re.match(r"\d\d:\d\d:\d\d\.\d{3}Z green v2     \S", found[0])


def test_a_line_that_arrives_after_younger_ones_is_shown_once(shop: Shop) -> None:
    logs, group = shop.aws.client("logs"), shop.target.log_group
    log = Log(shop.reader, timedelta(minutes=5))
    newest = int(list(log.lines())[-1].at.timestamp() * 1000)
    logs.create_log_stream(logGroupName=group, logStreamName="v2/web/late")
    late = [{"timestamp": newest - 4000, "message": "late"}]
    logs.put_log_events(logGroupName=group, logStreamName="v2/web/late", logEvents=late)
    looks = [[line for line in log.lines() if line.message == "late"] for _ in range(2)]
    assert [[(line.side, line.version) for line in look] for look in looks] == [[("green", "v2")], []]


def test_promote_ends_each_of_the_two_waits(shop: Shop) -> None:
    _, end = shop.begin("release", "v1", "--if-active", "replace")
    shop.await_(lambda: (active := shop.reader.active()) and phase(shop.reader.read(active)) is Phase.READY)
    assert shop.run("promote").data["phase"] == "ready"
    assert end().status == 0
    assert shop.live() == "v1"
    assert shop.run("promote").data["phase"] == "shifted"


def test_what_nobody_approves_in_time_never_reaches_production(shop: Shop) -> None:
    shop.approve_within(1)
    ended = shop.run("release", "v2", "--if-active", "wait")
    assert (ended.status, ended.data["kind"]) == (Exit.ROLLED_BACK, "approval expired"), ended
    assert shop.live() == "v1"


def test_a_release_that_somebody_else_started_is_told_too(shop: Shop) -> None:
    balancer = {"ContainerName": "no-such", "ContainerPort": 80}
    properties = {"TaskDefinition": live(shop.reader).task_definition, "LoadBalancerInfo": balancer}
    service = {"Type": "AWS::ECS::Service", "Properties": properties}
    content = json.dumps({"version": "0.0", "Resources": [{"TargetService": service}]})
    made = shop.aws.client("codedeploy").create_deployment(
        applicationName=shop.target.application,
        deploymentGroupName=shop.target.group,
        revision={"revisionType": "AppSpecContent", "appSpecContent": {"content": content}},
    )
    shop.await_(lambda: shop.reader.active() is None)
    (told,) = shop.run("history", "--limit", "1").data["releases"]
    assert (told["deployment"], told["version"], told["by"]) == (made["deploymentId"], "v1", "")
    assert (told["result"], told["error_code"]) == ("rolled back", "ECS_UPDATE_ERROR")


def test_the_history_tells_what_became_of_each_release_and_folds_rollbacks_into_it(shop: Shop) -> None:
    told = shop.run("history", "--limit", "100").data["releases"]
    ours = [info for info in reversed(_deployments(shop)) if info["creator"] == "user"]
    assert [one["deployment"] for one in told] == [info["deploymentId"] for info in ours]
    shown = [(one["version"], one["result"], one["why"], one["live"]) for one in told]
    assert shown[1:5] == [
        ("v2", "rolled back", "nobody approved it in time", False),
        ("v1", "went live", "", True),
        ("v2", "went live", "", False),
        ("v3", "rolled back", "stopped by hand", False),
    ]
    assert told[3]["undoes"] == told[4]["deployment"]
    assert [one["version"] for one in told if one["undoes"]] == ["v2", "v1"]
    assert not {one["rollback"] for one in told} & {one["deployment"] for one in told}
    assert all(one["by"] and one["seconds"] > 0 and "@sha256:" in one["image"] for one in told[1:])


def test_a_release_that_somebody_else_started_is_watched_like_any_other(shop: Shop) -> None:
    newest = next(info for info in reversed(_deployments(shop)) if info["status"] == "Succeeded")
    content = own_appspec(shop.aws, newest)
    shop.approve_within(60)
    made = shop.aws.client("codedeploy").create_deployment(
        applicationName=shop.target.application,
        deploymentGroupName=shop.target.group,
        revision={"revisionType": "AppSpecContent", "appSpecContent": {"content": content}},
    )
    _, end = shop.begin("watch", "--until", "shifted")
    shop.await_(lambda: phase(shop.reader.read(made["deploymentId"])) is Phase.READY)
    shop.run("promote")
    ended = end()
    assert (ended.status, ended.data["kind"]) == (0, "live"), ended
    assert (ended.data["deployment"], ended.data["version"]) == (made["deploymentId"], "v1")
    assert [(each["name"], each["passed"]) for each in ended.data["checks"]["results"]] == [("page", True)]
