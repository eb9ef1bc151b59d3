"""Releases that get nowhere, in the sandbox: given up early, with the reason, and told the same from anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3

from bgdeploy.cli import run
from bgdeploy.cli.invocation import Invocation
from bgdeploy.sandbox.control import Running
from tests.functional.recorded import Stack

pytestmark = pytest.mark.slow

CONFIG = """\
app: early
load_balancer:
  production: {{port: 8691}}
  test: {{port: 8692}}
  health_check: {{interval: 5s, timeout: 2s, path: {path}}}
container: {{command: {command}}}
service: {{health_check_grace: 10s}}
deployment: {{keep_blue: 20m, early_fail: {{stopped_tasks: 2, no_progress: {no_progress}}}}}
hook: {{lease: 14m}}
alarms: [{{name: not-found, log_filter: '"GET /nobody"', threshold: 2}}]
"""


class Shop(Stack):
    """A stack on which v1 is live, and its config as a test wants it."""

    def configure(self, command: str = "[]", path: str = "/", no_progress: str = "10m") -> None:
        self.write(CONFIG.format(command=command, path=path, no_progress=no_progress))

    def told(self, capsys: pytest.CaptureFixture[str], *command: str) -> tuple[int, dict[str, Any]]:
        """Run a command, and return its exit status and what it tells programs."""
        capsys.readouterr()
        invocation = Invocation(clock=self.clock)
        status = run(["--project", str(self.folder), "--output", "json", *command], invocation)
        return status, json.loads(capsys.readouterr().out)["result"]


@pytest.fixture(scope="module")
def shop(sandbox: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sandbox.exports().items():
            patch.setenv(name, value)
        patch.setenv("CI", "1")
        made = Shop(
            sandbox,
            tmp_path_factory.mktemp("early"),
            CONFIG.format(command="[]", path="/", no_progress="10m"),
        )
        made.run("provision", "provision")
        made.run("release", "release", "v1", "--until", "finished")
        yield made
        made.configure()
        made.run("teardown", "teardown", "--yes")


def test_tasks_that_crash_end_a_release_in_minutes_with_their_last_words(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.configure(command='[sh, -c, "echo no database >&2; exit 3"]')
    status, ended = shop.told(capsys, "release", "v2")
    assert (status, ended["kind"]) == (4, "failed early")
    assert ended["seconds"] < 300
    assert "of its tasks stopped by themselves (early_fail.stopped_tasks: 2)" in ended["why"][0]
    assert "instead of waiting CodeDeploy's hour" in ended["why"][0]
    assert any("web exited with 3" in line for line in ended["why"])
    assert ended["log"] == ["no database"]
    assert next((live["version"], live["percent"]) for live in ended["live"]) == ("v1", 100)


def test_whoever_asks_later_is_told_the_same(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """After the test above: the note beside the deployment tells, and not what a process remembers."""
    status, ended = shop.told(capsys, "watch")
    assert (status, ended["kind"]) == (4, "failed early")
    assert "instead of waiting CodeDeploy's hour" in ended["why"][0]


def test_tasks_that_fail_their_health_checks_say_with_which_code(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.configure(path="/missing")
    live = shop("ecs").describe_services(cluster="early-dev", services=["early-dev"])["services"][0]
    (idle,) = {
        group["TargetGroupArn"]
        for group in shop("elbv2").describe_target_groups()["TargetGroups"]
        if group["TargetGroupName"] in {"early-dev-blue", "early-dev-green"}
    } - {live["loadBalancers"][0]["targetGroupArn"]}
    shop("elbv2").modify_target_group(TargetGroupArn=idle, HealthCheckPath="/missing")
    status, ended = shop.told(capsys, "release", "v3")
    shop("elbv2").modify_target_group(TargetGroupArn=idle, HealthCheckPath="/")
    assert (status, ended["kind"]) == (4, "failed early")
    assert any("Health checks failed with these codes: [404]" in line for line in ended["why"])
    assert any("load_balancer.health_check.path" in line for line in ended["next"])


def test_a_release_in_which_nothing_moves_is_given_up(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """The container runs and never listens; its grace period is longer than anybody's patience."""
    shop.configure(command='[sh, -c, "sleep 3600"]', no_progress="1m")
    shop("ecs").update_service(cluster="early-dev", service="early-dev", healthCheckGracePeriodSeconds=3600)
    status, ended = shop.told(capsys, "release", "v4")
    assert (status, ended["kind"]) == (4, "failed early")
    assert "(early_fail.no_progress: 1m)" in ended["why"][0]


def test_an_alarm_that_ended_a_release_shows_what_it_measured(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.configure()
    shop.run("release", "release", "v5")
    _, now = shop.told(capsys, "status")
    for _ in range(3):
        urllib3.request("GET", f"{now['production']['url']}/nobody", retries=False, timeout=5)
    status, ended = shop.told(capsys, "watch")
    assert (status, ended["kind"]) == (4, "alarm")
    (series,) = ended["series"]
    assert (series["alarm"], series["operator"], series["limit"]) == ("early-dev-not-found", ">=", 2.0)
    assert max(value for _, value in series["points"]) == 3.0


def test_who_stopped_a_release_is_told_to_whoever_watches(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.configure()
    while shop.told(capsys, "status")[1]["alarms"][0]["state"] != "OK":  # the test above has set it off
        shop.clock.sleep(5)
    shop.run("release", "release", "v6", "--detach")
    shop.run("release", "stop")
    status, ended = shop.told(capsys, "watch")
    assert (status, ended["kind"]) == (4, "stopped")
    assert ended["why"][0].startswith("stopped by ")
    assert ended["why"][0].endswith(" stop`")
