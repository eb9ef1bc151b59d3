"""The processes of a task: one for each container, in a copy of its image's files, on a loopback port of its own."""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bgdeploy.sandbox.images import Image, inside, program
from bgdeploy.sandbox.reaper import Reaper

_PACKAGE = str(Path(__file__).resolve().parents[2])


class StartError(Exception):
    """A container's process could not be started; the text says why."""


@dataclass
class Process:
    """One container, running."""

    popen: subprocess.Popen[bytes]
    folder: Path
    port: int
    lines: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)

    @property
    def exit_code(self) -> int | None:
        """The exit code, None while it runs; a signal's as the shell tells it."""
        code = self.popen.poll()
        return 128 - code if code is not None and code < 0 else code

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the container's whole process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, number)

    def output(self) -> list[str]:
        """Return the lines written since the last call."""
        found: list[str] = []
        with contextlib.suppress(queue.Empty):
            while len(found) < 10_000:
                found.append(self.lines.get_nowait())
        return found

    def read(self) -> None:
        """Read the output until it ends, in a thread of its own."""
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            self.lines.put(line.decode("utf-8", "replace").rstrip("\n"))


def start(
    image: Image, folder: Path, command: Sequence[str], environment: Mapping[str, str], reaper: Reaper
) -> Process:
    """Start a container of `image` in a copy of its files under `folder`. Raises StartError.

    It is told to listen on $PORT of $HOST; where it honours neither, it cannot be reached.
    """
    port = _free_port()
    rootfs = folder / "rootfs"
    shutil.copytree(image.rootfs, rootfs, symlinks=True, dirs_exist_ok=True)
    ours = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "PYTHONPATH": _PACKAGE,
        "PYTHONUNBUFFERED": "1",
    }
    cwd = inside(rootfs, image.workdir)
    cwd.mkdir(parents=True, exist_ok=True)
    argv = program(rootfs, command)
    if not argv:
        raise StartError("CannotStartContainerError: no command specified")
    try:
        popen = subprocess.Popen(
            argv,
            cwd=cwd,
            env={**ours, **image.environment, **environment, "PORT": str(port), "HOST": "127.0.0.1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise StartError(f"CannotStartContainerError: {argv[0]}: {error.strerror}") from error
    reaper.watch(popen.pid)
    process = Process(popen, folder, port)
    threading.Thread(target=process.read, name=f"output-{popen.pid}", daemon=True).start()
    return process


def discard(process: Process, reaper: Reaper) -> None:
    """Forget an ended container and its files."""
    process.signal(signal.SIGKILL)  # what it may have left behind in its group
    process.popen.wait()
    reaper.forget(process.popen.pid)
    shutil.rmtree(process.folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
