"""Has many requests sent by a process of its own, and counts what comes back. `prober` is the other end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bgdeploy import __version__
from bgdeploy.release.reach import BY_NAME
from bgdeploy.release.snapshot import Reach

_PACKAGE = str(Path(__file__).resolve().parents[2])
Reports = Generator[Mapping[str, Any], None, None]

_GRACE = 2.0  # seconds in which the process ends by itself


class ProbeError(Exception):
    """The requests could not be sent."""


def load(url: str, rate: float, seconds: float, timeout: float, reach: Reach = BY_NAME) -> Reports:
    """Yield what came of `rate` requests a second, a few times a second, until `seconds` are over.

    Each report holds what `Samples.of` reads, and `elapsed` seconds. Close the iterator to stop it. Raises ProbeError.
    """
    return _reports({"urls": [url], "rate": rate, "seconds": seconds, "timeout": timeout, **asdict(reach)})


def take_turns(urls: tuple[str, ...], rounds: int, timeout: float, reach: Reach = BY_NAME) -> Reports:
    """Yield the `answers` of all URLs to one request each, round by round. Raises ProbeError."""
    return _reports({"urls": list(urls), "rounds": rounds, "timeout": timeout, **asdict(reach)})


def _reports(task: Mapping[str, Any]) -> Reports:
    with tempfile.TemporaryFile("w+", encoding="utf-8") as trouble, _started(trouble) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):  # its exit status says so
            process.stdin.write(json.dumps({**task, "agent": f"bgdeploy/{__version__}"}) + "\n")
            process.stdin.flush()
        yield from map(json.loads, process.stdout)
        if process.wait():
            trouble.seek(0)
            raise ProbeError(trouble.read().strip().rpartition("\n")[2] or f"exit {process.returncode}")


@contextmanager
def _started(trouble: Any) -> Iterator[subprocess.Popen[str]]:
    """Yield the process, which ends with us: when we die, its stdin does."""
    path = os.pathsep.join(filter(None, [_PACKAGE, os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        [sys.executable, "-m", "bgdeploy.release.analysis.prober"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=trouble,
        text=True,
        start_new_session=True,  # Ctrl-C is for us
        cwd="/",  # whatever lies in the project must not be imported
        env={**os.environ, "PYTHONPATH": path},
    )
    try:
        yield process
    finally:
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with suppress(OSError):
                pipe.close()
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
