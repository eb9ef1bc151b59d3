"""Bad days: an AWS that throttles, breaks and loses answers, and commands that come through all the same."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bgdeploy.sandbox import control
from bgdeploy.starter import write
from tests.functional.shells import PROGRAM, environ
from tests.functional.terminals import Terminal

pytestmark = pytest.mark.bench
SPEED = 10.0
FAULTS = {"throttle": 0.3, "error": 0.05, "reset": 0.02}


class Shop:
    """A starter project, and an account on a bad day."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.home = folder / "sandbox"
        write(self.folder)
        # No faster, and patient: who is throttled waits real seconds, and the hook's lease must not be over meanwhile.
        (self.folder / "config/dev.yaml").write_text("hook: {lease: 14m}\n", encoding="utf-8")
        self.running = control.start(self.home, speed=SPEED, faults=FAULTS, seed=7)

    @property
    def environ(self) -> dict[str, str]:
        return environ(BGDEPLOY_SANDBOX_HOME=str(self.home))

    def argv(self, *command: str) -> list[str]:
        return [*PROGRAM, "--sandbox", *command]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.argv(*command),
            cwd=self.folder,
            env=self.environ,
            check=False,
            capture_output=True,
            text=True,
        )


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    made = Shop(tmp_path_factory.mktemp("faults"))
    yield made
    control.stop(made.home)


@pytest.mark.parametrize("command", [("provision",), ("release", "v1")])
def test_a_command_comes_through_a_bad_day(shop: Shop, command: tuple[str, ...]) -> None:
    done = shop.run(*command)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^AWS is throttling us: \d+ calls were sent again", done.stderr, re.M), done.stderr


def test_the_board_of_a_release_that_is_throttled_goes_on_and_says_so(shop: Shop) -> None:
    terminal = Terminal(shop, "release", "v2")
    assert terminal.close(patience=300) == 0, terminal.said
    told = re.findall(r"AWS is throttling us: \d+ calls? w\w+ sent again in the last minute", terminal.said)
    assert len(told) >= 5, "the board is drawn again and again meanwhile"
    drawn = [int(m or 0) * 60 + int(s) for m, s in re.findall(r"AllAtOnce  (?:(\d+)m)?(\d+)s", terminal.said)]
    still = max(late - early for early, late in itertools.pairwise(drawn))
    assert still <= 2 * SPEED, f"the board stood still for {still / SPEED:.0f} s"
    assert "v2 is live and verified" in terminal.said


def test_a_job_whose_release_is_throttled_is_told_so(shop: Shop) -> None:
    done = shop.run("release", "v3", "--if-active", "replace")
    assert done.returncode == 0, done.stderr
    assert re.search(r"AWS is throttling us: \d+ calls? w\w+ sent again in the last minute", done.stderr)


def test_a_second_provision_changes_nothing_on_a_bad_day_either(shop: Shop) -> None:
    done = shop.run("--output", "json", "provision")
    assert json.loads(done.stdout)["result"]["changed"] == [], done.stderr


def test_a_teardown_leaves_nothing_on_a_bad_day(shop: Shop) -> None:
    done = shop.run("teardown", "--yes")
    assert done.returncode == 0, done.stderr
    # Each is left out by the sandbox when there is none.
    assert not any(control.status(shop.running)["holds"].values()), control.status(shop.running)
