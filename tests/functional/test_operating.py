"""Stepping in: other releases in the way, going back, approving, looking back; commands in a living sandbox."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bgdeploy.cli import run
from bgdeploy.cli.invocation import Invocation, Result
from bgdeploy.clock import FastClock, SystemClock
from bgdeploy.errors import Exit
from bgdeploy.release import record as records
from bgdeploy.release.back import live
from bgdeploy.release.phase import Phase, phase
from bgdeploy.release.reader import Reader, find_target
from bgdeploy.release.record import key_of
from bgdeploy.sandbox.control import Running

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
    """An invocation that keeps what it says and returns."""

    said: list[str] = field(default_factory=list)
    result: Result | None = None

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
        self.run("init")
        (project / "config/dev.yaml").write_text(_CONFIG, encoding="utf-8")
        assert self.run("provision").status == 0
        invocation = Invocation(clock=self.clock, project=project)
        self.settings = invocation.settings()
        self.aws = invocation.aws(self.settings)
        self.target = find_target(self.aws, self.settings.names)

    def invocation(self) -> Spoken:
        return Spoken(clock=self.clock)

    def run(self, *command: str, by: Spoken | None = None) -> Ended:
        by = by or self.invocation()
        status = run(["--project", str(self.project), "--output", "json", *command], by)
        result = by.result
        assert result is not None
        message = ": ".join(result.error) if result.error else ""
        return Ended(status, dict(result.data), message, "\n".join(by.said))

    def begin(self, *command: str) -> tuple[Spoken, Callable[[], Ended]]:
        """Run a command in a thread, and return what waits for its end."""
        by, ended = self.invocation(), list[Ended]()
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

    def approve_within(self, minutes: int | None) -> None:
        """Have the deployment group wait for approval; None: no longer."""
        group = self.aws.client("codedeploy").get_deployment_group(
            applicationName=self.target.application, deploymentGroupName=self.target.group
        )["deploymentGroupInfo"]["blueGreenDeploymentConfiguration"]
        action = "STOP_DEPLOYMENT" if minutes else "CONTINUE_DEPLOYMENT"
        ready = {"actionOnTimeout": action, "waitTimeInMinutes": minutes or 0}
        self.aws.client("codedeploy").update_deployment_group(
            applicationName=self.target.application,
            currentDeploymentGroupName=self.target.group,
            blueGreenDeploymentConfiguration={**group, "deploymentReadyOption": ready},
        )

    def await_(self, there: Callable[[], Any]) -> Any:
        """Return what `there` returns once it is something, within ten minutes of the sandbox's."""
        until = self.clock.monotonic() + 600
        while self.clock.monotonic() < until:
            if found := there():
                return found
            self.clock.sleep(3)
        raise AssertionError("it never came")


@pytest.fixture(scope="module")
def shop(sandbox: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sandbox.exports().items():
            patch.setenv(name, value)
        yield Shop(tmp_path_factory.mktemp("operating"))


def test_a_strategy_that_codedeploy_does_not_predefine_gets_a_config(shop: Shop) -> None:
    ended = shop.run("release", "v1", "--strategy", "canary 40% 1m")
    assert (ended.status, shop.live()) == (0, "v1"), ended
    name = "ecs-blue-green-demo-dev-Canary40Percent1Minutes"
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


def test_what_is_on_its_way_already_is_followed_and_anything_else_is_in_the_way(shop: Shop) -> None:
    started = shop.run("release", "v2", "--detach")
    ended = shop.run("release", "v2")
    assert (ended.status, ended.data["already"], ended.data["kind"]) == (0, "in flight", "live"), ended
    assert ended.data["deployment"] == started.data["deployment"]
    busy = shop.run("release", "v1")
    assert (busy.status, busy.data["phase"]) == (Exit.ANOTHER_IS_ACTIVE, "shifted")


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
    ended = shop.run("rollback")
    assert (ended.status, ended.data["how"], shop.live()) == (0, "released", "v1"), ended
    assert (ended.data["back_from"], ended.data["back_to"]) == ("v2", "v1")
    assert ended.data["checks"]["stage"] == "passed"
    info = shop.info(ended.data["deployment"])
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
    ended = shop.run("release", "v3", "--if-active", "replace")
    assert (ended.status, shop.live()) == (0, "v3"), ended
    assert (shop.info(before)["status"], shop.info(before)["errorInformation"]["code"]) == (
        "Stopped",
        "MANUAL_STOP",
    )


def test_going_back_to_a_named_version_needs_nobodys_approval(shop: Shop) -> None:
    shop.approve_within(60)
    ended = shop.run("rollback", "--to", "v2")
    assert (ended.status, ended.data["back_to"], shop.live()) == (0, "v2", "v2"), ended
    assert "is shifted: it is stopped, and rolled back" in ended.said
    nowhere = shop.run("rollback", "--to", "v9")
    assert nowhere.status == 1
    assert "there is no v9 to go back to" in nowhere.error


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
