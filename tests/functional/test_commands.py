"""The program as people run it, in a sandbox of its own: exit statuses, what is printed where, and Ctrl-C."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator

import pytest

from bgdeploy.cli import run
from bgdeploy.cli.invocation import Invocation
from bgdeploy.sandbox import control
from tests.functional.shells import PROGRAM, Shop, await_line, environ, last_line


@pytest.fixture(scope="module")
def hopeless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """Commands that cannot succeed. They run beside the other tests: it takes botocore a while to lose patience."""
    folder = tmp_path_factory.mktemp("hopeless")
    subprocess.run([*PROGRAM, "--project", folder, "init"], env=environ(), check=True, capture_output=True)
    broken = tmp_path_factory.mktemp("broken") / "config"
    broken.mkdir()
    (broken / "base.yaml").write_text("app: shop\n  region: [\n", encoding="utf-8")
    (broken / "dev.yaml").touch()
    keys = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "hunter2"}
    nowhere = ["--endpoint-url", "http://127.0.0.1:9"]
    commands: dict[str, tuple[list[str], dict[str, str]]] = {
        "unreachable": ([*nowhere, "release", "v1"], environ(**keys)),
        "no credentials": (["status"], environ()),
        "unknown environment": (["--env", "pord", "watch"], environ()),
        "broken YAML": (["--project", str(broken.parent), "stop"], environ()),
    }
    processes = {
        name: subprocess.Popen(
            [*PROGRAM, *argv],
            cwd=folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, (argv, env) in commands.items()
    }
    yield processes
    for process in processes.values():
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, hopeless: object) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("commands")
    control.start(folder / "sandbox", speed=60.0)
    try:
        yield Shop(folder, 8391)
    finally:
        control.stop(folder / "sandbox")


def test_before_the_first_release_there_is_nothing_to_watch_promote_or_stop(shop: Shop) -> None:
    assert shop.provisioned.returncode == 0, shop.provisioned.stderr
    watched = shop.run("watch")
    assert (watched.returncode, watched.stdout) == (1, "")
    assert "nothing was ever deployed to my-shop-dev" in watched.stderr
    for verb in ("promote", "stop"):
        done = shop.run(verb)
        assert done.returncode == 1
        assert f"there is nothing to {verb}" in done.stderr


def test_the_appspec_is_that_of_the_newest_task_definition(shop: Shop) -> None:
    told = shop.ask("appspec")["result"]
    assert re.search(r":task-definition/my-shop-dev:\d+$", told["task_definition"])
    assert f"TaskDefinition: {told['task_definition']}\n" in told["content"]


def test_ctrl_c_before_the_deployment_exists_leaves_none_behind(shop: Shop) -> None:
    with shop.begin("release", "v0") as process:
        await_line(process, "^building ")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out) == (130, "")
    assert "interrupted: no deployment was started, production is untouched" in err
    assert "Traceback" not in err
    assert shop.ask("status")["result"]["active"] is None


def test_a_release_goes_live_and_its_envelope_says_so(shop: Shop) -> None:
    told = shop.ask("release", "v1", "--until", "finished")
    assert (told["schema"], told["command"], told["exit_status"], told["error"]) == (1, "release", 0, None)
    result = told["result"]
    assert (result["kind"], result["version"], result["verified"]) == ("live", "v1", True)
    assert [(one["name"], one["passed"]) for one in result["checks"]["results"]] == [("home page", True)]
    assert "@sha256:" in result["image"]
    assert "Hello from v1" in shop.page()


def test_a_failed_check_is_told_by_the_card_alone(shop: Shop) -> None:
    shop.edit("Hello from", "Good morning from")
    done = shop.run("release", "v2")
    assert done.returncode == 4, done.stderr
    card = " ".join(done.stdout.split())
    assert 'check "home page": wanted body contains "Hello from v2", got' in card
    assert "Good morning from v2" in card
    assert "bgdeploy: " not in done.stderr
    assert "Hello from v1" in shop.page()


def test_the_history_tells_which_check_failed(shop: Shop) -> None:
    newest, before = shop.ask("history")["result"]["releases"]
    assert (newest["version"], newest["result"], before["result"]) == ("v2", "rolled back", "went live")
    assert newest["why"].startswith('check "home page": wanted body contains "Hello from v2", got')


def test_watching_what_is_over_tells_how_it_ended_and_exits_as_it_did(shop: Shop) -> None:
    told = shop.ask("watch")
    assert told["exit_status"] == 4
    assert told["error"]["message"].startswith("rolled back: v2 failed at AfterAllowTestTraffic")
    again = f"bgdeploy --sandbox --project {shlex.quote(str(shop.project))} release v2"
    assert again in told["error"]["hint"]
    assert told["result"]["next"] != []


def test_what_is_active_is_in_the_way_and_can_be_stopped(shop: Shop) -> None:
    started = shop.ask("release", "v1", "--force", "--detach")["result"]
    busy = shop.ask("release", "v3")
    assert (busy["exit_status"], busy["result"]["deployment"]) == (7, started["deployment"])
    assert (
        f"{started['deployment']} of v1 is active: it is {busy['result']['phase']}"
        in busy["error"]["message"]
    )
    stopped = shop.run("stop")
    assert stopped.returncode == 0, stopped.stderr
    assert "CodeDeploy says: " in stopped.stdout
    followed = shop.ask("watch", started["deployment"])
    assert (followed["exit_status"], followed["result"]["kind"]) == (4, "stopped")


def test_after_ctrl_c_the_last_line_attaches_again(shop: Shop) -> None:
    with shop.begin("release", "v1", "--force", "--until", "finished") as process:
        await_line(process, "Install: began")
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)  # as impatient people do
        out, err = process.communicate()
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert re.search(r"stopped watching; deployment d-\w+ goes on", " ".join(out.split()))
    attached = shop.type(last_line(out))
    assert attached.returncode == 0, attached.stderr
    assert "v1 is live and verified" in attached.stdout


class Interrupted(Invocation):
    """Somebody presses Ctrl-C the moment they read that the deployment is there."""

    def say(self, line: str) -> None:
        if line.startswith("deployment d-"):
            os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_between_the_start_and_the_following_loses_nothing(
    shop: Shop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.enter(monkeypatch)
    invocation = Interrupted()
    invocation.interrupts.install()
    status = run(shop.argv("release", "v1", "--force")[len(PROGRAM) :], invocation)
    invocation.interrupts.restore()
    assert status == 130
    attached = shop.type(last_line(capsys.readouterr().out))
    assert attached.returncode == 0, attached.stderr


def test_a_watch_elsewhere_finishes_the_checks_of_a_release_that_was_killed(shop: Shop) -> None:
    with shop.begin("release", "v2") as process:
        await_line(process, "checks: running")
        process.kill()
    told = shop.ask("watch")
    assert (told["exit_status"], told["result"]["kind"]) == (4, "check failed"), told
    assert told["result"]["checks"]["results"][0]["wanted"] == 'body contains "Hello from v2"'


def test_giving_up_waiting_leaves_the_deployment_alone(shop: Shop) -> None:
    left = shop.ask("release", "v1", "--force", "--timeout", "5s")
    assert left["exit_status"] == 6
    assert "goes on" in left["error"]["message"]
    ident = left["result"]["deployment"]
    assert left["error"]["hint"].endswith(f" watch {ident}")
    assert shop.ask("watch", ident)["exit_status"] == 0


def test_a_stop_that_leaves_everything_behind_wants_a_yes(shop: Shop) -> None:
    ident = shop.ask("release", "v1", "--force", "--detach")["result"]["deployment"]
    refused = shop.run("stop", "--no-rollback")
    assert refused.returncode == 2
    assert "without a rollback this stays as it is" in refused.stderr
    assert shop.ask("status")["result"]["active"]["id"] == ident
    assert shop.run("stop").returncode == 0


@pytest.mark.parametrize(
    ("name", "status", "sentence", "way"),
    [
        ("no credentials", 1, "no AWS credentials were found", "--sandbox"),
        ("unknown environment", 2, "there is no environment 'pord'", "dev, prod"),
        ("broken YAML", 2, "config/base.yaml:2: is not YAML", "config schema"),
        ("unreachable", 1, "AWS could not be reached", "--endpoint-url"),
    ],
)
def test_what_cannot_work_is_one_sentence_with_a_way_out(
    hopeless: dict[str, subprocess.Popen[str]], name: str, status: int, sentence: str, way: str
) -> None:
    out, err = hopeless[name].communicate(timeout=60)
    assert (hopeless[name].returncode, out) == (status, "")
    assert sentence in err
    assert way in err
    assert not {"Traceback", "hunter2"} & set(err.split())
