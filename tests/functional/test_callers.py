"""The test port and who runs the checks: opened for as long as they run, closed again, also after a SIGKILL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bgdeploy.aws import Aws, wait_until
from bgdeploy.clock import FastClock, SystemClock
from bgdeploy.sandbox import control
from tests.functional.operators import project

pytestmark = pytest.mark.slow

_ME = "203.0.113.7/32"  # as the sandbox has it
_CONFIG = """\
deployment: {keep_blue: 1m}
hook: {lease: 14m}  # some of our seconds
checks:
  - {name: page, get: /, timeout: 60s, within: 90s}
  - {name: patience, command: "while [ ! -f go ]; do sleep 0.1; done", within: 50m}
"""


class Shop:
    """A provisioned project in a sandbox that keeps out whoever no rule lets in."""

    def __init__(self, folder: Path) -> None:
        self.folder = project(folder / "shop", "calling", 8691, _CONFIG)
        self.environ = {k: v for k, v in os.environ.items() if k != "CI"}
        self.clock = FastClock(60, SystemClock())
        self.aws = Aws(stack="calling-dev", region="us-east-1", clock=self.clock)
        self.ask("provision")

    def begin(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "bgdeploy", "--output", "json", *command],
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ask(self, *command: str, exits: int = 0) -> dict[str, Any]:
        process = self.begin(*command)
        out, err = process.communicate(timeout=120)
        assert process.returncode == exits, out + err
        result: dict[str, Any] = json.loads(out)["result"]
        return result

    def let_go(self) -> None:
        (self.folder / "go").touch()

    def hold(self) -> None:
        (self.folder / "go").unlink(missing_ok=True)

    def let_in(self) -> list[str]:
        """Return whom the rules for callers let in."""
        filters = [{"Name": "tag-key", "Values": ["bgdeploy:caller"]}]
        found = self.aws.client("ec2").describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
        return [rule["CidrIpv4"] for rule in found]

    def until_let_in(self) -> None:
        wait_until(self.aws, lambda: self.let_in() == [_ME], patience=3600)

    def held(self, version: str) -> subprocess.Popen[str]:
        """Begin a release, and return it when its checks run."""
        self.hold()
        process = self.begin("release", version)
        self.until_let_in()
        return process


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("callers")
    running = control.start(folder / "sandbox", speed=60.0)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in running.exports().items():
            patch.setenv(name, value)
        yield Shop(folder)
    control.stop(folder / "sandbox")


def test_the_port_is_open_while_the_checks_run_and_that_is_no_drift(shop: Shop) -> None:
    process = shop.held("v1")
    assert not shop.ask("plan")["pending"]
    assert not shop.ask("provision")["changed"]
    assert shop.let_in() == [_ME]  # a session uses it
    shop.let_go()
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    assert f"the test port is open for {_ME} while the checks run" in err
    assert shop.let_in() == []
    assert not shop.ask("plan")["pending"]


def test_who_takes_the_checks_over_from_somebody_killed_closes_the_port_after_them(shop: Shop) -> None:
    process = shop.held("v2")
    process.kill()
    process.communicate()
    shop.let_go()
    assert shop.let_in() == [_ME]
    assert shop.ask("watch")["version"] == "v2"
    assert shop.let_in() == []


def test_what_nobody_takes_over_is_told_and_closed_by_the_next_provision(shop: Shop) -> None:
    process = shop.held("v3")
    process.kill()
    process.communicate()
    deployment = shop.ask("status")["active"]["id"]
    codedeploy = shop.aws.client("codedeploy")
    codedeploy.stop_deployment(deploymentId=deployment, autoRollbackEnabled=True)

    def stopped() -> bool:
        found = codedeploy.get_deployment(deploymentId=deployment)["deploymentInfo"]
        return bool(found["status"] == "Stopped")

    wait_until(shop.aws, stopped, patience=3600)
    told = {each["check"]: each for each in shop.ask("doctor", exits=0)["findings"]}
    assert (told["test port"]["state"], _ME in told["test port"]["text"]) == ("warning", True)
    shop.ask("provision")
    assert shop.let_in() == []


@pytest.mark.bench
def test_what_is_closed_for_good_stays_so_and_says_why(shop: Shop) -> None:
    config = shop.folder / "config/dev.yaml"
    config.write_text(
        "load_balancer: {test: {allow: [vpc]}}\nchecks: [{name: page, get: /}]\n", encoding="utf-8"
    )
    try:
        ended = shop.ask("release", "v4", exits=4)
    finally:
        config.write_text("", encoding="utf-8")
    assert ended["kind"] == "checks unreachable"
    assert any("load_balancer.test.allow" in step for step in ended["next"])
    assert shop.let_in() == []
