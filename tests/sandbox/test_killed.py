"""A sandbox that is killed, with everything it started."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import boto3
import pytest

from bgdeploy.clock import SystemClock
from bgdeploy.sandbox import control
from bgdeploy.sandbox.control import Running
from bgdeploy.sandbox.world import World
from tests.clocks import HandClock
from tests.sandbox.fleet import Fleet

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Outside:
    """A running sandbox, as a fleet sees it: something that makes clients."""

    running: Running

    def client(self, service: str, region: str) -> Any:
        session = boto3.Session(self.running.access_key, self.running.secret_key, region_name=region)
        create: Any = session.client
        return create(service, endpoint_url=self.running.endpoint)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    yield control.start(tmp_path, speed=60.0)
    control.stop(tmp_path)


def test_no_process_of_a_sandbox_outlives_it_when_it_is_killed(running: Running) -> None:
    fleet = Fleet(cast(World, Outside(running)), HandClock(), "us-east-1")
    fleet.client("ecs").create_service(**fleet.service_settings(desiredCount=2))
    _wait(lambda: fleet.describe()["runningCount"] == 2)
    started = _descendants(running.pid)
    os.kill(running.pid, signal.SIGKILL)

    _wait(lambda: not any(_alive(pid) for pid in started))
    assert len(started) >= 4  # two tasks, the balancer, the reaper


def _wait(true: Any) -> None:
    clock = SystemClock()
    deadline = clock.monotonic() + 15
    while not true():
        assert clock.monotonic() < deadline, "it did not happen"
        clock.sleep(0.05)


def _descendants(pid: int) -> set[int]:
    """Return the processes that descend from `pid`, as /proc tells them."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            fields = _fields(int(folder.name))
            parents[int(folder.name)] = int(fields[1]) if fields else 0
    found: set[int] = set()
    fresh = {pid}
    while fresh:
        fresh = {child for child, parent in parents.items() if parent in fresh} - found
        found |= fresh
    return found


def _alive(pid: int) -> bool:
    return (_fields(pid) or ["Z"])[0] != "Z"


def _fields(pid: int) -> list[str]:
    """Return a process's state, its parent and so on; nothing when there is none such."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
