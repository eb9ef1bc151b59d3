"""Releases whose checks the hook runs itself, from inside the VPC: nobody who follows them is let in."""

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

_CONFIG = """\
network: {{create: {{private: {private}}}}}
checks_from: hook
deployment: {{keep_blue: 1m}}
checks:
  - {{name: page, get: /, contains: "Hello from {{version}}", timeout: 60s, within: 5m}}
  - {{name: type, get: /, header: {{Content-Type: text/html}}, mode: observe, timeout: 60s, within: 1m}}
"""


class Shop:
    """A provisioned project whose tasks and hook stand in private subnets."""

    def __init__(self, folder: Path, private: str, port: int) -> None:
        self.folder = project(folder / "shop", f"in-{private}", port, _CONFIG.format(private=private))
        base = self.folder / "config/base.yaml"
        told = base.read_text(encoding="utf-8").replace(
            f"{{port: {port + 1}}}", f"{{port: {port + 1}, allow: [vpc]}}"
        )
        base.write_text(told, encoding="utf-8")
        self.environ = {k: v for k, v in os.environ.items() if k != "CI"}
        self.aws = Aws(stack=f"in-{private}-dev", region="us-east-1", clock=FastClock(60, SystemClock()))
        self.ask("provision")

    def ask(self, *command: str, exits: int = 0) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "bgdeploy", "--output", "json", *command],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == exits, done.stdout + done.stderr
        result: dict[str, Any] = json.loads(done.stdout)["result"]
        return result


@pytest.fixture(scope="module", params=[("nat", 8791), ("endpoints", 8793)], ids=["nat", "endpoints"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    private, port = request.param
    folder = tmp_path_factory.mktemp(private)
    running = control.start(folder / "sandbox", speed=60.0)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in running.exports().items():
            patch.setenv(name, value)
        yield Shop(folder, private, port)
    control.stop(folder / "sandbox")


def test_where_no_caller_is_let_in_nobody_looks_for_one(shop: Shop) -> None:
    shop.ask("release", "v0")
    running = control.find(shop.folder.parent / "sandbox")
    assert running is not None
    asked = {call.operation for call in control.calls(running) if not call.role}
    assert "CreateDeployment" in asked
    assert "DescribeSecurityGroupRules" not in asked


def test_what_passes_inside_goes_live_and_is_shown_to_who_follows(shop: Shop) -> None:
    told = shop.ask("release", "v1")
    assert (told["kind"], told["checks"]["stage"], told["checks"]["by"]) == ("live", "passed", "the hook")
    page, kind = told["checks"]["results"]
    assert (page["name"], page["verdict"], page["kind"]) == ("page", "pass", "get")
    assert kind["observed"]
    assert not shop.ask("plan")["pending"]


def test_what_fails_inside_never_reaches_production_and_says_what_it_got(shop: Shop) -> None:
    page = shop.folder / "container/htdocs/index.html"
    page.write_text(
        page.read_text(encoding="utf-8").replace("Hello from", "Good morning from"), encoding="utf-8"
    )
    told = shop.ask("release", "v2", exits=4)
    assert told["kind"] == "check failed"
    assert 'check "page": wanted body contains "Hello from v2", got "' in told["why"][0]
    assert "Good morning from v2" in told["why"][0]
    again = shop.ask("watch", exits=4)  # later, by somebody who has not seen it
    assert 'wanted body contains "Hello from v2"' in again["why"][0]


def test_nobody_has_to_follow(shop: Shop) -> None:
    page = shop.folder / "container/htdocs/index.html"
    page.write_text(
        page.read_text(encoding="utf-8").replace("Good morning from", "Hello from"), encoding="utf-8"
    )
    deployment = shop.ask("release", "v3", "--detach")["deployment"]
    codedeploy = shop.aws.client("codedeploy")

    def over() -> bool:
        found = codedeploy.get_deployment(deploymentId=deployment)["deploymentInfo"]
        return found["status"] in {"Succeeded", "Failed", "Stopped"}

    wait_until(shop.aws, over, patience=7200)
    assert codedeploy.get_deployment(deploymentId=deployment)["deploymentInfo"]["status"] == "Succeeded"


def test_it_is_all_removed_again(shop: Shop) -> None:
    shop.ask("teardown", "--yes")
    assert not shop.ask("plan")["exists"]
