"""Commands of checks: their environment, their output, their end, and that nothing of them is left."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bgdeploy.clock import SystemClock
from bgdeploy.release.analysis import command
from bgdeploy.release.analysis.limits import Finished


def _run(
    text: str,
    folder: Path,
    limit: float = 20.0,
    over: Callable[[], bool] = lambda: False,
    told: Callable[[str, float], None] = lambda line, left: None,
) -> Finished | None:
    environ = {"BGDEPLOY_CHECK_URL": "http://t:8080"}
    return command.run(text, environ, folder, limit, SystemClock(), over, told)


@pytest.mark.parametrize("status", [0, 1, 2, 99])
def test_the_exit_status_is_told(status: int, tmp_path: Path) -> None:
    assert _run(f"exit {status}", tmp_path) == Finished(status)


def test_a_command_runs_in_the_project_and_knows_what_to_ask(tmp_path: Path) -> None:
    found = _run('pwd; echo "$BGDEPLOY_CHECK_URL"; echo "$HOME"', tmp_path)
    assert found == Finished(0, (str(tmp_path), "http://t:8080", os.environ["HOME"]))


def test_the_last_lines_of_both_outputs_are_kept(tmp_path: Path) -> None:
    found = _run("for n in $(seq 1 50); do echo line $n; done; echo oops >&2; exit 1", tmp_path)
    assert found is not None
    assert (len(found.output), found.output[0], found.output[-1]) == (20, "line 32", "oops")


def test_a_command_that_does_not_exist_says_so(tmp_path: Path) -> None:
    found = _run("no-such-program --at-all", tmp_path)
    assert found is not None
    assert found.status == 127
    assert "not found" in found.output[-1]


def test_a_command_that_is_killed_is_told_by_the_signal(tmp_path: Path) -> None:
    assert _run("kill -9 $$", tmp_path) == Finished(-9)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not Path(f"/proc/{pid}/stat").exists() or ") Z " not in Path(f"/proc/{pid}/stat").read_text()


def _gone(pids: list[int]) -> bool:
    deadline = time.monotonic() + 5
    while any(map(_alive, pids)) and time.monotonic() < deadline:
        threading.Event().wait(0.02)
    return not any(map(_alive, pids))


def test_when_its_time_is_over_the_whole_group_is_ended(tmp_path: Path) -> None:
    began = time.monotonic()
    found = _run("echo begun; sleep 60 & echo $! >pids; sleep 60 & echo $! >>pids; wait", tmp_path, limit=0.5)
    assert found == Finished(None, ("begun",))
    assert time.monotonic() - began < 4
    assert _gone([int(pid) for pid in (tmp_path / "pids").read_text().split()])


def test_one_that_ignores_the_polite_signal_is_killed(tmp_path: Path) -> None:
    found = _run("trap '' TERM; echo $$ >pids; while :; do sleep 0.1; done", tmp_path, limit=0.3)
    assert found == Finished(None)
    assert _gone([int((tmp_path / "pids").read_text())])


def test_what_a_command_leaves_behind_is_ended_and_does_not_hold_it_up(tmp_path: Path) -> None:
    began = time.monotonic()
    assert _run("sleep 60 & echo $! >pids; echo done", tmp_path) == Finished(0, ("done",))
    assert time.monotonic() - began < 3
    assert _gone([int((tmp_path / "pids").read_text())])


def test_when_nobody_waits_any_more_it_is_ended_without_a_verdict(tmp_path: Path) -> None:
    over = threading.Event()

    def told(line: str, left: float) -> None:
        if line == "begun":
            over.set()

    assert _run("echo $$ >pids; echo begun; sleep 60", tmp_path, over=over.is_set, told=told) is None
    assert _gone([int((tmp_path / "pids").read_text())])


def test_its_newest_line_is_told_while_it_runs(tmp_path: Path) -> None:
    lines: list[str] = []
    _run("echo one; sleep 0.4; echo two; sleep 0.4", tmp_path, told=lambda line, left: lines.append(line))
    assert list(dict.fromkeys(lines))[-2:] == ["one", "two"]
