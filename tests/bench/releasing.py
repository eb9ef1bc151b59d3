"""A release at AWS's own speed: how soon its changes are on the screen, and what memory the process takes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import boto3

from bgdeploy.clock import SystemClock
from bgdeploy.starter import write
from tests.bench.provisioning import sandbox
from tests.bench.table import Figure

_CONFIG = """\
deployment: {keep_blue: 1m}
load_balancer: {health_check: {interval: 5s, timeout: 2s}}
"""
_EVENT = re.compile(r"^\S+ . event +(\w+): (began|succeeded)")


def figures() -> Iterator[Figure]:
    """Release once in a sandbox in which an AWS second is a second."""
    with sandbox(speed=1.0) as running, tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        write(project)
        (project / "config/dev.yaml").write_text(_CONFIG, encoding="utf-8")
        environ = {**os.environ, **running.exports()}
        _run(project, environ, "provision")
        seen, peak = _release(project, environ)
        happened = _happened(running.exports())
    lags = [seen[key] - at for key, at in happened.items() if key in seen]
    yield Figure(
        "a lifecycle change is on the screen after", max(lag.total_seconds() for lag in lags), 3, "s"
    )
    yield Figure("memory of the releasing process", peak, 120, "MiB")


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "bgdeploy", *words]


def _run(project: Path, environ: dict[str, str], *words: str) -> None:
    subprocess.run(_command(*words), cwd=project, env=environ, check=True, stderr=subprocess.DEVNULL)


def _release(project: Path, environ: dict[str, str]) -> tuple[dict[tuple[str, str], datetime], float]:
    """Return when each change was said, by this machine's clock, and the most memory in MiB."""
    clock, seen = SystemClock(), {}
    with subprocess.Popen(
        _command("release", "v1"),
        cwd=project,
        env={**environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        for line in process.stderr or ():
            if match := _EVENT.match(line):
                seen[match.group(1), match.group(2)] = clock.now()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, process.returncode
    return seen, usage.ru_maxrss / 1024


def _happened(exports: dict[str, str]) -> dict[tuple[str, str], datetime]:
    """Return when CodeDeploy says that each event began and ended."""
    session: Any = boto3.Session(
        exports["AWS_ACCESS_KEY_ID"], exports["AWS_SECRET_ACCESS_KEY"], region_name=exports["AWS_REGION"]
    )
    codedeploy = session.client("codedeploy", endpoint_url=exports["AWS_ENDPOINT_URL"])
    ident = codedeploy.list_deployments()["deployments"][0]
    target = codedeploy.list_deployment_targets(deploymentId=ident)["targetIds"][0]
    found = codedeploy.get_deployment_target(deploymentId=ident, targetId=target)["deploymentTarget"]
    times = {}
    for event in found["ecsTarget"]["lifecycleEvents"]:
        name = event["lifecycleEventName"]
        times[name, "succeeded"] = event["endTime"].astimezone(timezone.utc)
    return times
