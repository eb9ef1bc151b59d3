"""How fast the command line starts, beside the AWS CLI's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bgdeploy.clock import Clock, SystemClock
from tests.bench.table import Figure

_TRIES = 11
BIN = Path(sys.executable).parent


def figures() -> Iterator[Figure]:
    """Measure `bgdeploy --help` by `aws --version`; the fastest of several, in turns."""
    clock = SystemClock()
    ours, theirs = zip(
        *((_run("bgdeploy", "--help", clock), _run("aws", "--version", clock)) for _ in range(_TRIES)),
        strict=True,
    )
    yield Figure("bgdeploy --help, by aws --version", min(ours) / min(theirs), 0.2, "x")


def _run(program: str, option: str, clock: Clock) -> float:
    began = clock.monotonic()
    subprocess.run([BIN / program, option], check=True, stdout=subprocess.DEVNULL)
    return clock.monotonic() - began
