"""A sandbox in a process of its own: how it starts, is found, and ends."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import boto3
import pytest

from bgdeploy.clock import SystemClock
from bgdeploy.sandbox import control
from bgdeploy.sandbox.control import Running, SandboxError
from bgdeploy.sandbox.lock import FolderLock, holder
from tests.clocks import HandClock


def _client(running: Running, service: str) -> Any:
    create: Any = boto3.Session(running.access_key, running.secret_key, region_name=running.region).client
    return create(service, endpoint_url=running.endpoint)


def _until(true: Callable[[], bool]) -> bool:
    clock = SystemClock()
    deadline = clock.monotonic() + 10
    while clock.monotonic() < deadline and not true():
        clock.sleep(0.05)
    return true()


def _children(pid: int) -> list[int]:
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], check=False, capture_output=True, text=True
    )
    return [int(word) for word in listed.stdout.split()]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or ") Z " not in state.read_text(encoding="utf-8")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A folder for a sandbox that this test starts, and that ends with it."""
    yield tmp_path / "deep" / "home"
    control.stop(tmp_path / "deep" / "home")


# One that runs already (see conftest)


def test_its_state_can_be_read_by_its_owner_alone(sandbox: Running) -> None:
    home = Path(sandbox.home)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "sandbox.json").stat().st_mode) == 0o600


def test_it_is_found_by_its_folder_and_not_started_twice(sandbox: Running) -> None:
    assert control.find(Path(sandbox.home)) == sandbox
    assert control.start(Path(sandbox.home), speed=sandbox.speed) == sandbox


def test_its_exports_point_any_client_at_it_and_away_from_the_users_files(sandbox: Running) -> None:
    exports = sandbox.exports()
    told = subprocess.run(
        [sys.executable, "-c", "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"],
        env={"PATH": os.environ["PATH"], **exports},
        check=True,
        capture_output=True,
        text=True,
    )
    assert told.stdout.strip() == "123456789012"
    assert exports["AWS_CONFIG_FILE"] == exports["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull


def test_another_speed_than_that_of_the_running_one_is_refused(sandbox: Running) -> None:
    with pytest.raises(SandboxError, match="runs already, at speed 60, not 5") as caught:
        control.start(Path(sandbox.home), speed=5.0)
    assert "sandbox stop" in caught.value.hint


def test_its_status_tells_what_it_holds_and_a_reset_empties_it(sandbox: Running) -> None:
    ecs, ecr = _client(sandbox, "ecs"), _client(sandbox, "ecr")
    before = control.status(sandbox)["holds"]
    ecs.create_cluster(clusterName="mine")
    ecr.create_repository(repositoryName="mine")
    holds = control.status(sandbox)["holds"]
    assert (holds["clusters"], holds["repositories"]) == (before["clusters"] + 1, before["repositories"] + 1)
    control.reset(sandbox)
    assert not any(control.status(sandbox)["holds"].values())
    assert ecs.list_clusters()["clusterArns"] == []


def test_one_whose_state_file_is_lost_is_found_all_the_same(sandbox: Running) -> None:
    (Path(sandbox.home) / "sandbox.json").write_text("{", encoding="utf-8")
    assert control.start(Path(sandbox.home), speed=sandbox.speed) == sandbox


# Ones of our own


def test_two_starts_at_once_make_one_sandbox(home: Path) -> None:
    started: list[Running] = []
    threads = [threading.Thread(target=lambda: started.append(control.start(home))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(started) == 2
    assert started[0] == started[1]


def test_it_outlives_its_starter_and_stop_leaves_no_process(home: Path) -> None:
    script = (
        f"from pathlib import Path; from bgdeploy.sandbox import control; control.start(Path({str(home)!r}))"
    )
    root = str(Path(control.__file__).parents[2])
    subprocess.run(
        [sys.executable, "-c", script], check=True, env=os.environ | {"PYTHONPATH": root}, timeout=60
    )
    running = control.find(home)
    assert running is not None
    assert os.getsid(running.pid) == running.pid
    children = _children(running.pid)
    began = SystemClock().monotonic()
    assert control.stop(home)
    assert SystemClock().monotonic() - began < 5
    assert _until(lambda: not any(map(_alive, [running.pid, *children])))
    assert control.find(home) is None
    assert not (home / "sandbox.json").exists()


def test_what_it_started_dies_with_it_even_when_it_is_killed(home: Path) -> None:
    running = control.start(home)
    children = _children(running.pid)
    assert children
    os.kill(running.pid, signal.SIGKILL)
    assert _until(lambda: not any(map(_alive, children)))
    assert control.find(home) is None


def test_one_that_was_killed_does_not_hinder_the_next(home: Path) -> None:
    first = control.start(home)
    os.kill(first.pid, signal.SIGKILL)
    assert _until(lambda: not _alive(first.pid))
    second = control.start(home)
    assert second.pid != first.pid
    assert second.access_key != first.access_key


# What a running one looks after


def _running(home: Path) -> Running:
    return Running("http://127.0.0.1:1", "key", "secret", "us-east-1", os.getpid(), str(home), 60.0)


def test_a_state_file_that_somebody_changed_is_written_again(tmp_path: Path) -> None:
    running, lock = _running(tmp_path), FolderLock(tmp_path)
    (tmp_path / "sandbox.json").write_text("{}", encoding="utf-8")
    assert control.keep(running, lock)
    assert json.loads((tmp_path / "sandbox.json").read_text(encoding="utf-8")) == asdict(running)
    lock.release()


def test_a_lock_whose_file_somebody_removed_is_taken_again(tmp_path: Path) -> None:
    running, lock = _running(tmp_path), FolderLock(tmp_path)
    assert control.keep(running, lock)
    (tmp_path / "sandbox.lock").unlink()
    assert holder(tmp_path) is None
    assert control.keep(running, lock)
    assert holder(tmp_path) == os.getpid()
    lock.release()


def test_a_folder_that_another_one_has_is_not_kept(tmp_path: Path) -> None:
    others = FolderLock(tmp_path)
    assert others.take()
    assert not control.keep(_running(tmp_path), FolderLock(tmp_path), HandClock())
    assert not (tmp_path / "sandbox.json").exists()
    others.release()
    assert control.keep(_running(tmp_path), others, HandClock())
    others.release()


def test_a_folder_that_is_gone_is_not_kept(tmp_path: Path) -> None:
    assert not control.keep(_running(tmp_path / "gone"), FolderLock(tmp_path / "gone"), HandClock())


def test_one_that_runs_and_does_not_answer_is_no_reason_to_start_another(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    assert lock.take()
    with pytest.raises(SandboxError, match=r"a sandbox runs in .* and does not answer") as caught:
        control.start(tmp_path, clock=HandClock())
    assert f"`kill -9 {os.getpid()}` stops it" in caught.value.hint
    (tmp_path / "sandbox.lock").write_text("", encoding="utf-8")
    with pytest.raises(SandboxError) as caught:
        control.find(tmp_path, clock=HandClock())
    assert "ending the process that holds" in caught.value.hint
    lock.release()


# None


def test_stop_says_when_none_runs(tmp_path: Path) -> None:
    assert control.stop(tmp_path) is False


@pytest.mark.parametrize("state", ["", "{", "[]", '{"endpoint": "http://127.0.0.1:1"}'])
def test_a_state_file_that_says_nothing_is_as_none(tmp_path: Path, state: str) -> None:
    (tmp_path / "sandbox.json").write_text(state, encoding="utf-8")
    assert control.find(tmp_path) is None


def test_a_state_file_whose_sandbox_is_gone_is_as_none(tmp_path: Path) -> None:
    gone = {"endpoint": "http://127.0.0.1:1", "access_key": "k", "secret_key": "s", "region": "us-east-1"}
    text = json.dumps({**gone, "pid": 1, "home": str(tmp_path), "speed": 1.0})
    (tmp_path / "sandbox.json").write_text(text, encoding="utf-8")
    assert control.find(tmp_path) is None


def test_a_folder_that_cannot_be_made_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(SandboxError, match="cannot keep its files in") as caught:
        control.start(tmp_path / "file" / "home")
    assert "BGDEPLOY_SANDBOX_HOME" in caught.value.hint


def test_a_sandbox_that_does_not_come_up_says_why(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match=r"did not start: .*nonsense") as caught:
        control.start(tmp_path, nonsense=1)
    assert "sandbox.log" in caught.value.hint
