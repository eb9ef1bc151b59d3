"""Containers as processes, and that none of them outlives the sandbox."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bgdeploy.clock import SystemClock
from bgdeploy.sandbox.images import Image
from bgdeploy.sandbox.reaper import Reaper
from bgdeploy.sandbox.tasks import Process, Spec, StartError, discard, start


@pytest.fixture
def reaper() -> Iterator[Reaper]:
    reaper = Reaper()
    yield reaper
    reaper.close()


@pytest.fixture
def image(tmp_path: Path) -> Image:
    rootfs = tmp_path / "image"
    (rootfs / "srv").mkdir(parents=True)
    (rootfs / "srv" / "page").write_text("as built")
    return Image("sha256:0", rootfs, {"COLOUR": "blue"}, "/srv")


def wait(true: Callable[[], bool]) -> None:
    clock = SystemClock()
    deadline = clock.monotonic() + 5
    while not true():
        assert clock.monotonic() < deadline, "it did not happen"
        clock.sleep(0.01)


def run(image: Image, reaper: Reaper, script: str) -> Process:
    folder = image.rootfs.parent / "container"
    return start(Spec(image, folder, ["sh", "-c", script], {"SIZE": "small"}), reaper)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_container_works_in_a_copy_of_its_image(image: Image, reaper: Reaper) -> None:
    process = run(image, reaper, "cat page; echo changed > page")
    wait(lambda: process.over)
    assert process.output() == ["as built"]
    assert (image.rootfs / "srv" / "page").read_text() == "as built"
    discard(process, reaper)


def test_its_environment_is_the_images_and_the_tasks(image: Image, reaper: Reaper) -> None:
    process = run(image, reaper, 'echo $COLOUR $SIZE $HOST; test "$PORT" -gt 1024; echo $PYTHONPATH')
    wait(lambda: process.over)
    assert process.output() == ["blue small 127.0.0.1", ""]
    discard(process, reaper)


def test_an_exit_code_is_told_as_a_shell_tells_it(image: Image, reaper: Reaper) -> None:
    process = run(image, reaper, "kill -TERM $$")
    wait(lambda: process.over)
    assert process.exit_code == 143
    discard(process, reaper)


def test_what_a_container_leaves_behind_ends_with_it(image: Image, reaper: Reaper) -> None:
    process = run(image, reaper, "sleep 60 & echo $!")
    wait(lambda: process.over)
    left = int(process.output()[0])
    wait(lambda: not alive(left))
    discard(process, reaper)
    assert not process.folder.exists()


def test_a_program_that_is_not_there_is_told(image: Image, reaper: Reaper) -> None:
    with pytest.raises(StartError, match="CannotStartContainerError: nope: No such file or directory"):
        start(Spec(image, image.rootfs.parent / "container", ["nope"], {}), reaper)


def test_an_image_without_a_command_is_told(image: Image, reaper: Reaper) -> None:
    with pytest.raises(StartError, match="no command specified"):
        start(Spec(image, image.rootfs.parent / "container", [], {}), reaper)


def test_the_reaper_leaves_alone_what_has_been_forgotten(reaper: Reaper) -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        reaper.watch(process.pid)
        reaper.forget(process.pid)
        reaper.close()
        assert process.poll() is None
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_child_outlives_a_sandbox_however_it_ends(number: signal.Signals) -> None:
    script = (
        "import subprocess; from bgdeploy.sandbox.reaper import Reaper; reaper = Reaper();"
        "child = subprocess.Popen(['sleep', '60'], start_new_session=True); reaper.watch(child.pid);"
        "print(child.pid, flush=True); child.wait()"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as sandbox:
        assert sandbox.stdout is not None
        child = int(sandbox.stdout.readline())
        assert alive(child)
        os.kill(sandbox.pid, number)
    wait(lambda: not alive(child))
