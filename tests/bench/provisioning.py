"""How long a provision takes beside its longest chain of calls, and how many calls a run makes that changes nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import structs

from bgdeploy.aws import Aws
from bgdeploy.clock import SystemClock
from bgdeploy.config import Settings
from bgdeploy.project import load
from bgdeploy.provision import converge
from bgdeploy.provision.resource import Resource
from bgdeploy.sandbox import control
from bgdeploy.sandbox.control import Running
from bgdeploy.stack import build
from tests.bench.recorder import Recorder, longest_chain, longest_look
from tests.bench.table import Figure

ROOT = Path(__file__).parents[2]
LATENCY = 0.1  # seconds, of every call


@contextmanager
def sandbox(**settings: Any) -> Iterator[Running]:
    """A sandbox in a process of its own, for one measurement."""
    with tempfile.TemporaryDirectory(prefix="bgdeploy-bench-") as home:
        running = control.start(Path(home), **settings)
        try:
            yield running
        finally:
            control.stop(Path(home))


def stack(running: Running, app: str = "") -> tuple[Recorder, list[Resource]]:
    """Return the story's stack, under another app's name if one is given, and an Aws that records."""
    os.environ.update(running.exports())
    aws, resources = aws_and_stack(app)
    return Recorder(aws), resources


def aws_and_stack(app: str = "") -> tuple[Aws, list[Resource]]:
    """The same in the sandbox that the environment names, without a record."""
    settings = load(ROOT, "dev")
    if app:
        settings = Settings(settings.env, structs.replace(settings.config, app=app))
    aws = Aws(stack=settings.names.stack, region="us-east-1", clock=SystemClock())
    return aws, build(settings, ROOT, aws.account, aws.region)


def figures() -> Iterator[Figure]:
    """Measure the provision of the story's stack."""
    with sandbox(speed=60.0, latency=LATENCY) as running:
        # moto loads a service's code with its first call, which AWS does not.
        warm, others = stack(running, "warm")
        looked = longest_look(warm, others)
        converge.provision(warm.aws, others, warm.tell)
        recorder, resources = stack(running)
        for service in _SERVICES:  # and boto3 its models, which is measured where commands start
            recorder.aws.client(service)
        began = recorder.aws.clock.monotonic()
        outcome = converge.provision(recorder.aws, resources, recorder.tell)
        took = recorder.aws.clock.monotonic() - began
        assert not outcome.failed, outcome.failed
        counts = recorder.per_resource()
        chain = looked + longest_chain(resources, lambda each: counts.get(each.address, 0))
        print(f"provision: {took:.2f} s; its longest chain is {chain:.0f} calls of {len(recorder.calls)}")
        yield Figure("provision, by its critical path", took / (chain * LATENCY), 1.15, "x")
        yield from _no_change(running, recorder, resources)


def _no_change(running: Running, recorder: Recorder, resources: list[Resource]) -> Iterator[Figure]:
    before, began = len(recorder.calls), recorder.aws.clock.monotonic()
    plan = converge.examine(recorder.aws, resources)
    took = recorder.aws.clock.monotonic() - began
    assert not plan.pending, plan.pending
    yield Figure("plan without changes, 100 ms a call", took, 2.5, "s")
    calls = len(recorder.calls) - before
    # Roles and the bucket tell of themselves one thing a call; `growing` shows that nothing else does.
    yield Figure("plan without changes, calls a resource", calls / len(resources), 1.35)
    control.calls(running)
    yield Figure("memory of a provision", memory(running, "bgdeploy", "provision"), 120, "MiB")
    yield Figure("second provision, calls a resource", len(control.calls(running)) / len(resources), 1.5)


# In a small process between: what is measured of a child begins with the memory of whoever started it.
_MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def memory(running: Running, *words: str) -> float:
    """Run a module with these arguments, and return the most memory that it took, in MiB."""
    measured = subprocess.run(
        [sys.executable, "-c", _MEASURE, sys.executable, "-m", *words],
        cwd=ROOT,
        env={**os.environ, **running.exports()},
        check=True,
        capture_output=True,
        text=True,
    )
    return int(measured.stdout) / 1024


_SERVICES = ("ec2", "elbv2", "iam", "s3", "ecs", "codedeploy", "lambda", "logs", "cloudwatch", "ecr", "sts")
