"""The processes of a task: one for each container, in a copy of its image's files, on a loopback port of its own."""

from __future__ import annotations

import contextlib
import os
import queue
import random
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from bgdeploy.sandbox.images import Image, inside, program
from bgdeploy.sandbox.reaper import Reaper

_PACKAGE = str(Path(__file__).resolve().parents[2])
_OURS = "bgdeploy.sandbox."  # what an image's program is called that the sandbox itself provides
_PORTS = range(
    20_000, 32_000
)  # below those that systems give to outgoing connections: nobody takes one in between
_MOST_LINES = 10_000  # shipped at once


class StartError(Exception):
    """A container's process could not be started; the text says why."""


@dataclass(frozen=True)
class Spec:
    """What a container is made of."""

    image: Image
    folder: Path  # its own: a copy of the image's files goes into it
    command: Sequence[str]
    environment: Mapping[str, str]


@dataclass
class Process:
    """One container, running or ended."""

    popen: subprocess.Popen[bytes]
    folder: Path
    port: int
    lines: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)
    _reader: threading.Thread | None = None

    @property
    def exit_code(self) -> int | None:
        """The exit code, None while it runs; a signal's as the shell tells it."""
        code = self.popen.poll()
        return 128 - code if code is not None and code < 0 else code

    @property
    def over(self) -> bool:
        """Tell whether it has ended and all it wrote has been read. What it left behind is killed."""
        if self.exit_code is None:
            return False
        self.signal(signal.SIGKILL)  # a grandchild would keep the output open
        return self._reader is None or not self._reader.is_alive()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the container's whole process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, number)

    def output(self) -> list[str]:
        """Return the lines written since the last call."""
        found: list[str] = []
        with contextlib.suppress(queue.Empty):
            while len(found) < _MOST_LINES:
                found.append(self.lines.get_nowait())
        return found

    def begin_reading(self) -> None:
        """Read the output until it ends, in a thread of its own."""
        self._reader = threading.Thread(target=self._read, name=f"output-{self.popen.pid}", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.popen.stdout is not None
        with self.popen.stdout as output:
            for line in output:
                self.lines.put(line.decode("utf-8", "replace").rstrip("\r\n"))


class Processes:
    """Starts and ends containers in threads of its own: an image may be large, and nobody shall wait for its copy."""

    def __init__(self, reaper: Reaper) -> None:
        self._reaper = reaper
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="containers")

    def start(self, spec: Spec) -> Future[Process]:
        """Return a container to be; its future raises StartError when it cannot be started."""
        return self._threads.submit(start, spec, self._reaper)

    def discard(self, process: Process) -> None:
        """End a container, if it has not ended, and remove its files."""
        self._threads.submit(discard, process, self._reaper)

    def close(self) -> None:
        """Finish what has been begun."""
        self._threads.shutdown()


def start(spec: Spec, reaper: Reaper) -> Process:
    """Start a container. Raises StartError.

    It is told to listen on $PORT of $HOST; where it honours neither, it cannot be reached.
    """
    rootfs = spec.folder / "rootfs"
    try:
        shutil.copytree(spec.image.rootfs, rootfs, symlinks=True, dirs_exist_ok=True)
        cwd = inside(rootfs, spec.image.workdir)
        cwd.mkdir(parents=True, exist_ok=True)
        argv = program(rootfs, spec.command)
    except (OSError, ValueError) as error:  # shutil.Error is an OSError
        raise StartError(f"CannotCreateContainerError: {error}") from error
    if not argv:
        raise StartError("CannotStartContainerError: no command specified")
    port = _free_port()
    try:
        popen = subprocess.Popen(
            argv,
            cwd=cwd,
            env=_environment(spec, argv, port),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise StartError(f"CannotStartContainerError: {argv[0]}: {error.strerror}") from error
    reaper.watch(popen.pid)
    process = Process(popen, spec.folder, port)
    process.begin_reading()
    return process


def discard(process: Process, reaper: Reaper) -> None:
    """End a container, if it has not ended, and remove its files."""
    process.signal(signal.SIGKILL)
    process.popen.wait()
    reaper.forget(process.popen.pid)
    shutil.rmtree(process.folder, ignore_errors=True)


def _environment(spec: Spec, argv: Sequence[str], port: int) -> dict[str, str]:
    """Return what a container finds in its environment: nothing of the person's who started the sandbox."""
    ours = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(spec.folder),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
    }
    if any(word.startswith(_OURS) for word in argv[:3]):
        ours["PYTHONPATH"] = _PACKAGE
    return {
        **ours,
        **spec.image.environment,
        **spec.environment,
        "PORT": str(port),
        "HOST": "127.0.0.1",
    }


def _free_port() -> int:
    for port in random.sample(_PORTS, 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise StartError("CannotStartContainerError: this machine has no free port for it")
