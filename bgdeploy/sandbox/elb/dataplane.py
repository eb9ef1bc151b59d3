"""The balancer's process, seen from the sandbox: told what to be, asked what it found out, started again if it dies."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_PACKAGE = str(Path(__file__).resolve().parents[3])


class DataPlane:
    """One balancer process, once it is needed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._told: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._reader: threading.Thread | None = None

    @property
    def died(self) -> bool:
        """Tell whether it has ended without being told to."""
        return self._process is not None and self._process.poll() is not None

    @property
    def pid(self) -> int:
        """The process; 0 before there is one."""
        return self._process.pid if self._process is not None else 0

    @property
    def running(self) -> bool:
        return self._process is not None and not self.died

    def send(self, document: Mapping[str, Any]) -> None:
        """Tell the balancer what to be, starting it when it does not run. It has listened to nothing before that."""
        if not self.running:
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it just died: whoever ticks next finds out
            self._process.stdin.write(json.dumps(document) + "\n")
            self._process.stdin.flush()

    def received(self) -> Iterator[dict[str, Any]]:
        """Yield what it has told since the last time."""
        with contextlib.suppress(queue.Empty):
            while True:
                yield self._told.get_nowait()

    def close(self) -> None:
        """Have it end, by force when it does not want to."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._finish_reading()

    def _start(self) -> None:
        self._finish_reading()
        path = os.pathsep.join(filter(None, [_PACKAGE, os.environ.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bgdeploy.sandbox.balancer"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            cwd="/",  # whatever lies where the sandbox was started must not be imported
            env={**os.environ, "PYTHONPATH": path},
        )
        self._reader = threading.Thread(
            target=self._read, args=(self._process,), name="balancer", daemon=True
        )
        self._reader.start()

    def _finish_reading(self) -> None:
        if self._process is None or self._reader is None:
            return
        self._reader.join(timeout=5)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._told.put(json.loads(line))
