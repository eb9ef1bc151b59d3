"""Releasing from a pipeline: what a job is told, and where it finds it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from bgdeploy.aws import Aws
from bgdeploy.clock import SystemClock
from bgdeploy.sandbox import control
from tests.functional.shells import Shop, await_line
from tests.servers import Server, say, serving

pytestmark = pytest.mark.slow

_TOPIC = "arn:aws:sns:us-east-1:123456789012:releases"
_NOTIFICATIONS = """
notifications:
  - sns: ${env:TOPIC:-}
    on: [end]
  - webhook: "${env:WEBHOOK:-}"
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("ci")
    control.start(folder / "sandbox", speed=60.0)
    try:
        yield Shop(folder, 9491, _NOTIFICATIONS)
    finally:
        control.stop(folder / "sandbox")


def test_quietly_a_release_says_only_how_it_ended_and_what_to_know(shop: Shop) -> None:
    first = shop.run("release", "v1", "--quiet")
    assert (first.returncode, first.stderr) == (0, "")
    assert "v1 is live and verified" in first.stdout
    shop.edit("<body", "<!-- changed --><body")
    again = shop.run("release", "v1", "--force", "--if-active", "replace", "-q")
    assert again.returncode == 0
    assert again.stderr.startswith("warning: container/ has changed since v1 was built")
    assert len(again.stderr.splitlines()) == 1


@pytest.fixture(scope="module")
def aws(shop: Shop) -> Iterator[Aws]:
    running = control.find(Path(shop.environ["BGDEPLOY_SANDBOX_HOME"]))
    assert running is not None
    with pytest.MonkeyPatch.context() as patch:
        for name, value in running.exports().items():
            patch.setenv(name, value)
        yield Aws(stack="somebody", region="us-east-1", clock=SystemClock())


@pytest.fixture(scope="module")
def inbox(aws: Aws) -> tuple[str, str]:
    """Return a topic, and the queue of somebody who has subscribed to it."""
    sns, sqs = aws.client("sns"), aws.client("sqs")
    topic = sns.create_topic(Name="releases")["TopicArn"]
    queue = sqs.create_queue(QueueName="inbox")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return topic, queue


def received(aws: Aws, queue: str) -> list[dict[str, str]]:
    sqs = aws.client("sqs")
    found = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
    for message in found:
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return [json.loads(message["Body"]) for message in found]


def said(server: Server) -> list[str]:
    return [json.loads(body)["text"] for body in server.bodies]


def test_a_topic_and_a_webhook_are_told_once_though_two_follow(
    shop: Shop, aws: Aws, inbox: tuple[str, str]
) -> None:
    topic, queue = inbox
    with serving(say(200, b"ok")) as server:
        env = {"TOPIC": topic, "WEBHOOK": f"{server.url}/services/s3cret"}
        with shop.begin("release", "v1", "--force", "--if-active", "replace", **env) as process:
            await_line(process, "Install: began")
            watched = shop.run("--output", "json", "watch", **env)
            out, err = process.communicate()
        assert (process.returncode, json.loads(watched.stdout)["exit_status"]) == (0, 0), err
        begun, ended = said(server)
    assert begun == "⏳ my-shop-dev: the release of v1 has begun, over v1"
    assert ended.startswith("✅ my-shop-dev: v1 is live and verified after ")
    told = received(aws, queue)
    assert len(told) == 1
    assert told[0]["Subject"].startswith("my-shop-dev: v1 is live and verified after ")
    assert "production: green v1 100%" in told[0]["Message"]
    assert "s3cret" not in out + err + watched.stdout + watched.stderr


def test_who_cannot_be_told_is_a_warning_and_no_failure(shop: Shop) -> None:
    env = {"TOPIC": _TOPIC.replace("releases", "nobody"), "WEBHOOK": "http://127.0.0.1:1/s3cret"}
    done = shop.run("release", "v1", "--force", "--if-active", "replace", "-q", **env)
    assert done.returncode == 0
    warnings = [line for line in done.stderr.splitlines() if line.startswith("warning: the ")]
    assert any("the webhook at 127.0.0.1 was not told: NewConnectionError" in line for line in warnings), (
        done.stderr
    )
    assert any(
        "the topic arn:aws:sns:us-east-1:123456789012:nobody was not told" in line for line in warnings
    )
    assert "s3cret" not in done.stderr


def test_the_config_is_shown_without_the_secret(shop: Shop) -> None:
    shown = shop.run("config", "show", WEBHOOK="https://hooks.example/T0/s3cret")
    assert "webhook: hooks.example/… (hidden)" in shown.stdout
    wrong = shop.run("config", "show", WEBHOOK="http://hooks.example/s3cret")
    assert "notifications[1].webhook: must be a URL that begins with https://" in wrong.stderr
    assert "s3cret" not in shown.stdout + wrong.stderr


def outputs(path: Path) -> dict[str, str]:
    """Return what a job's file of outputs holds, in which no value here has more than one line."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return {head.partition("<<")[0]: value for head, value in zip(lines[::3], lines[1::3], strict=True)}


def test_a_failed_release_is_told_to_github_and_as_junit(shop: Shop, tmp_path: Path) -> None:
    shop.edit("Hello from", "Good morning from")
    files = {name: tmp_path / name for name in ("summary", "outputs", "junit.xml")}
    env = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_STEP_SUMMARY": str(files["summary"]),
        "GITHUB_OUTPUT": str(files["outputs"]),
    }
    done = shop.run(
        "release", "v9", "--if-active", "replace", "--quiet", "--junit", str(files["junit.xml"]), **env
    )
    assert done.returncode == 4, done.stderr
    told = outputs(files["outputs"])
    assert (told["result"], told["exit-status"], told["version"]) == ("check failed", "4", "v9")
    assert (told["live-version"], "@sha256:" in told["image"]) == ("v1", True)
    assert told["production-url"].startswith("http://")
    page = files["summary"].read_text(encoding="utf-8")
    assert page.startswith("### ❌ rolled back: v9 failed at AfterAllowTestTraffic")
    assert "| ❌ | home page | body contains" in page
    cases = {case.get("name"): case for case in Xml.parse(files["junit.xml"]).iter("testcase")}
    assert sorted(map(str, cases)) == ["home page", "v9 goes live"]
    assert all(case.find("failure") is not None for case in cases.values())
    [line] = [line for line in done.stderr.splitlines() if line.startswith("::")]
    assert line.startswith("::error title=bgdeploy release::rolled back: v9 failed at AfterAllowTestTraffic")
    assert 'wanted body contains "Hello from v9"' in line


def test_what_is_refused_is_told_to_github_as_well(shop: Shop, tmp_path: Path) -> None:
    env = {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary"), "GITHUB_OUTPUT": str(tmp_path / "outputs")}
    done = shop.run("release", "v1 beta", **env)
    assert done.returncode == 2
    assert outputs(tmp_path / "outputs")["result"] == "usage"
    assert (tmp_path / "summary").read_text(encoding="utf-8").startswith("### ❌ bgdeploy release: ")
    assert "::error" not in done.stderr


def test_files_that_cannot_be_written_fail_no_release(shop: Shop, tmp_path: Path) -> None:
    shop.edit("Good morning from", "Hello from")
    nowhere = str(tmp_path / "missing" / "file")
    done = shop.run(
        "release",
        "v10",
        "-q",
        "--if-active",
        "replace",
        "--junit",
        nowhere,
        GITHUB_STEP_SUMMARY=nowhere,
        GITHUB_OUTPUT=str(tmp_path),
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(f"warning: {nowhere} could not be written: No such file or directory") == 2
    assert f"warning: {tmp_path} could not be written: Is a directory" in done.stderr


def test_the_doctor_knows_which_topics_there_are(shop: Shop, inbox: tuple[str, str]) -> None:
    topic, _ = inbox
    told = {}
    for arn in (topic, f"{topic}-gone"):
        found = json.loads(shop.run("--output", "json", "doctor", TOPIC=arn).stdout)["result"]["findings"]
        told[arn] = [one["state"] for one in found if one["check"] == "topics"]
    assert told == {topic: ["ok"], f"{topic}-gone": ["warning"]}


def test_each_is_told_once_though_the_one_who_told_is_killed(shop: Shop) -> None:
    with serving(say(200, b"ok")) as server:
        env = {"WEBHOOK": f"{server.url}/s3cret"}
        with shop.begin("release", "v10", "--force", "--if-active", "replace", **env) as process:
            while not server.bodies:
                assert process.poll() is None
            await_line(process, "checks: all passed")
            process.kill()
        assert shop.run("watch", **env).returncode == 0
        begun, ended = said(server)
    assert "the release of v10 has begun" in begun
    assert "v10 is live and verified" in ended
