"""A job that is cancelled while it releases: real signals, sent to the program as CI systems send them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from bgdeploy.cli import run
from bgdeploy.cli.invocation import Invocation
from bgdeploy.sandbox import control
from tests.functional.shells import PROGRAM, Shop, await_line, last_line

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("cancelling")
    # Slow enough for a signal to come while something lasts.
    control.start(folder / "sandbox", speed=12.0)
    try:
        shop = Shop(folder, 9391)
        assert shop.run("release", "v1").returncode == 0
        yield shop
    finally:
        control.stop(folder / "sandbox")


def test_sigterm_detaches_as_ctrl_c_does(shop: Shop) -> None:
    with shop.begin("release", "v1", "--force") as process:
        await_line(process, "Install: began")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate()
    assert (process.returncode, "Traceback" in err) == (130, False)
    assert "stopped watching" in out
    attached = shop.type(last_line(out))
    assert (attached.returncode, "v1 is live and verified" in attached.stdout) == (0, True), attached.stderr


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_job_that_wants_it_stops_the_deployment_and_tells_what_is_live(
    shop: Shop, first: signal.Signals
) -> None:
    with shop.begin("release", "v2", "--on-cancel", "stop") as process:
        await_line(process, "Install: began")
        process.send_signal(first)
        out, err = process.communicate()
    card = " ".join(out.split())
    assert (process.returncode, "being stopped and rolled back" in err) == (4, True), err
    assert "production is on v1" in card
    assert "with --on-cancel stop: its job was cancelled" in card
    assert "Hello from v1" in shop.page()


def test_a_second_signal_leaves_the_rollback_to_codedeploy(shop: Shop) -> None:
    with shop.begin("release", "v2", "--on-cancel", "stop") as process:
        await_line(process, "Install: began")
        process.send_signal(signal.SIGINT)
        await_line(process, "is being stopped and rolled back")
        await_line(process, r" deployment d-\w+: ")  # it follows the rollback
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate()
    assert (process.returncode, "Traceback" in err) == (130, False), err
    assert "cancelled: deployment d-" in out
    attached = shop.type(last_line(out))
    assert attached.returncode == 4, attached.stderr
    assert "its job was cancelled" in " ".join(attached.stdout.split())


def test_a_cancelled_job_starts_nothing_when_nothing_is_started(shop: Shop) -> None:
    with shop.begin("release", "v3", "--on-cancel", "stop") as process:
        await_line(process, "^building ")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate()
    assert (process.returncode, out) == (130, "")
    assert "no deployment was started, production is untouched" in err
    assert shop.ask("status")["result"]["active"] is None


def test_a_watch_can_be_what_is_cancelled(shop: Shop) -> None:
    started = shop.ask("release", "v1", "--force", "--detach")["result"]["deployment"]
    with shop.begin("watch", "--on-cancel", "stop") as process:
        await_line(process, "AfterAllowTestTraffic: began|Install: began")
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate()
    assert process.returncode == 4, out
    assert shop.ask("watch", started)["result"]["kind"] == "stopped"


class Cancelled(Invocation):
    """A job that is cancelled the moment the deployment is there, and nobody follows it yet."""

    def say(self, line: str) -> None:
        if line.startswith("deployment d-"):
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_deployment_that_was_just_created_is_stopped_as_well(
    shop: Shop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.enter(monkeypatch)
    job = Cancelled()
    job.interrupts.install()
    command = shop.argv("release", "v1", "--force", "--if-active", "replace", "--on-cancel", "stop")
    status = run(command[len(PROGRAM) :], job)
    job.interrupts.restore()
    assert (status, "its job was cancelled" in " ".join(capsys.readouterr().out.split())) == (4, True)
