"""What releases leave behind in a living sandbox, and what `history` and `report` make of it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bgdeploy.aws import Aws
from bgdeploy.cli import run
from bgdeploy.cli.invocation import Invocation, Result
from bgdeploy.clock import FastClock, SystemClock
from bgdeploy.release import appspec
from bgdeploy.release.reader import Reader, find_target
from bgdeploy.release.records import past, stories
from bgdeploy.release.records.story import Story, shared, spans
from bgdeploy.sandbox.control import Running
from tests.clocks import awaited

pytestmark = pytest.mark.slow

_CONFIG = """\
app: recording
load_balancer:
  production: {port: 8791}
  test: {port: 8792}
  health_check: {interval: 5s, timeout: 2s}
deployment: {keep_blue: 2m, strategy: canary 40% 1m}
checks:
  - {name: page, get: /, contains: "Hello from {version}", timeout: 60s, within: 90s}
"""


class Heard(Invocation):
    """An invocation that keeps its result."""

    result: Result | None = None

    def say(self, line: str) -> None:
        pass

    def present(self, result: Result) -> None:
        self.result = result


class Shop:
    """A provisioned project in a git repository, and the commands that its owner types."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self.clock = FastClock(60, SystemClock())
        assert self.run("init")[0] == 0
        (project / "config/dev.yaml").write_text(_CONFIG, encoding="utf-8")
        self.commit = self._committed()
        invocation = Invocation(clock=self.clock, project=project)
        settings = invocation.settings()
        self.aws: Aws = invocation.aws(settings)
        assert self.run("provision")[0] == 0
        self.target = find_target(self.aws, settings.names)

    def _committed(self) -> str:
        identity = ["-c", "user.name=ann", "-c", "user.email=ann@example.com", "-c", "commit.gpgsign=false"]
        git = ["git", "-C", str(self.project), *identity]
        for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "shop"]):
            subprocess.run([*git, *words], check=True)
        head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
        return head.stdout.strip()

    def run(self, *words: str) -> tuple[int, dict[str, Any]]:
        """Return the exit status and the result of a command."""
        by = Heard(clock=self.clock)
        status = run(["--project", str(self.project), "--output", "json", *words], by)
        assert by.result is not None
        return status, {**by.result.data, "error": by.result.error}

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """Run a command in a process of its own, which may be killed."""
        command = [sys.executable, "-m", "bgdeploy", "--project", str(self.project), *words]
        return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)

    def story(self, deployment: str) -> Story | None:
        kept = stories.load(self.aws, self.target.bucket, deployment)
        return kept.story if kept else None

    @property
    def latest(self) -> str:
        found = Reader(self.aws, self.target).latest()
        assert found
        return found

    def await_(self, there: Callable[[], Any]) -> Any:
        return awaited(self.clock, there)


@pytest.fixture(scope="module")
def shop(account: Running, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("recording"))


def test_before_anything_is_released_there_is_nothing_to_report(shop: Shop) -> None:
    status, told = shop.run("report")
    assert (status, told["error"][0]) == (1, f"nothing was ever deployed to {shop.target.group}")


def test_a_release_leaves_its_whole_story(shop: Shop) -> None:
    assert shop.run("release", "v1")[0] == 0
    status, told = shop.run("release", "v2", "--until", "finished")
    assert status == 0
    story = shop.story(told["deployment"])
    assert story is not None
    assert story.ending is not None
    assert (story.ending.kind, story.ending.exit, story.ending.over) == ("live", 0, True)
    greens = [
        next((p.percent for p in each.parts if p.side == "green"), 0) for each in shared(story, "production")
    ]
    assert greens == [0, 40, 100]
    assert [each.name for each in story.checks] == ["page"]
    assert [one.verdict for one in story.checks[0].measurements][-1] == "pass"
    assert {step.status for step in story.steps} == {"Succeeded"}
    assert [each.phase for each in spans(story)] == [
        "installing",
        "test traffic",
        "checking",
        "shifting",
        "shifted",
    ]


def test_what_somebody_saw_who_was_killed_is_not_lost_to_who_goes_on(shop: Shop) -> None:
    process = shop.begin("--sandbox", "release", "v3")
    try:
        before = shop.latest
        deployment = shop.await_(lambda: shop.latest if shop.latest != before else None)

        def canary() -> bool:
            story = shop.story(deployment)
            return story is not None and any(
                part.percent == 40 for each in story.traffic for part in each.parts
            )

        shop.await_(canary)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    seen = shop.story(deployment)
    assert seen is not None
    assert shop.run("watch", deployment)[0] == 0
    whole = shop.story(deployment)
    assert whole is not None
    assert set(seen.traffic) <= set(whole.traffic)
    assert seen.checks[0].measurements == whole.checks[0].measurements
    assert len(whole.watched) == 2
    assert whole.ending is not None
    assert whole.ending.exit == 0


def test_history_tells_what_records_and_stories_know(shop: Shop) -> None:
    newest = shop.run("history")[1]["releases"][0]
    assert (newest["version"], newest["checks"]) == ("v3", {"page": "pass"})
    assert (newest["commit"], newest["dirty"]) == (shop.commit, False)
    assert newest["digest"].startswith("sha256:")
    assert newest["strategy"] == "canary 40% 1m"
    assert newest["phases"]["shifting"] >= 60


def test_a_deployment_that_bgdeploy_did_not_start_has_a_story_too(shop: Shop) -> None:
    codedeploy = shop.aws.client("codedeploy")
    info = codedeploy.get_deployment(deploymentId=shop.latest)["deploymentInfo"]
    started = codedeploy.create_deployment(
        applicationName=shop.target.application,
        deploymentGroupName=shop.target.group,
        deploymentConfigName="CodeDeployDefault.ECSAllAtOnce",
        revision=appspec.revision(past.own_appspec(shop.aws, info) or ""),
    )["deploymentId"]
    assert shop.run("watch", started)[0] == 0
    story = shop.story(started)
    assert story is not None
    assert story.facts is not None
    assert story.facts.key == ""
    assert story.ending is not None
    assert story.ending.exit == 0
    assert [each.name for each in story.checks] == ["page"]


def test_a_report_is_written_where_it_is_asked_for(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ident = shop.run("history")[1]["releases"][1]["deployment"]
    status, told = shop.run("report", ident)
    assert (status, told["path"], told["good"]) == (0, f"report-{ident}.html", True)
    written = (tmp_path / f"report-{ident}.html").read_text(encoding="utf-8")
    assert shop.run("report", ident, "--out", "-")[1]["html"].startswith("<!doctype html>")
    for part in (shop.commit, "canary 40% 1m", "v3 is live and verified", "AfterAllowTestTraffic", "page"):
        assert part in written
    assert "Nobody followed" not in written
    status, told = shop.run("report", "--out", str(tmp_path / "no" / "such.html"))
    assert (status, told["error"][1]) == (1, "--out names another file, - is stdout")


def test_a_report_without_a_story_has_what_codedeploy_knows(shop: Shop) -> None:
    ident = shop.run("history")[1]["releases"][0]["deployment"]
    shop.aws.client("s3").delete_object(Bucket=shop.target.bucket, Key=f"releases/{ident}.story.json")
    status, told = shop.run("report", "--out", "-")
    assert (status, told["story"], told["deployment"]) == (0, False, ident)
    assert "Nobody followed this deployment" in told["html"]
    assert "AfterAllowTestTraffic" in told["html"]


def test_a_report_of_no_deployment_says_so(shop: Shop) -> None:
    status, told = shop.run("report", "d-NOSUCH123")
    assert status == 1
    assert "d-NOSUCH123" in told["error"][0]


def test_the_story_is_readable_without_bgdeploy(shop: Shop) -> None:
    ident = shop.run("history")[1]["releases"][1]["deployment"]
    body = shop.aws.client("s3").get_object(Bucket=shop.target.bucket, Key=f"releases/{ident}.story.json")[
        "Body"
    ]
    told = json.loads(body.read())
    assert (told["schema"], told["deployment"], told["ending"]["exit"]) == (1, ident, 0)
    assert [each["phase"] for each in told["phases"]][-1] == "shifted"
