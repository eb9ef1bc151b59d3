"""How plan and provision grow with the stack: one service's worth of groups, doors and alarms, and twenty."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from bgdeploy.provision import converge
from bgdeploy.provision.resource import Resource
from bgdeploy.resources.alarms import LogAlarm
from bgdeploy.resources.listeners import Listener
from bgdeploy.resources.load_balancer import TargetGroup
from tests.bench.provisioning import LATENCY, aws_and_stack, memory, sandbox, stack
from tests.bench.recorder import Recorder
from tests.bench.table import Figure

SERVICES = 20


@dataclass(frozen=True)
class Run:
    """What a plan without changes took."""

    resources: int
    calls: int
    seconds: float


def figures() -> Iterator[Figure]:
    """Plan one service's worth, then twenty, and compare."""
    with sandbox(speed=60.0, latency=LATENCY) as running:
        recorder, resources = stack(running)
        one = _planned(recorder, resources)
        many = _planned(recorder, [*resources, *_more(resources)])
        taken = memory(running, __name__)
    added = (many.calls - one.calls) / (many.resources - one.resources)
    print(f"plan: {one.calls} calls for {one.resources} resources, {many.calls} for {many.resources}")
    yield Figure("a plan's calls for each resource more", added, 1.0)
    yield Figure(f"plan of {SERVICES} services' worth, calls a resource", many.calls / many.resources, 1.0)
    yield Figure(f"plan of {SERVICES} services' worth, 100 ms a call", many.seconds, 2.5, "s")
    yield Figure(f"memory of a plan of {SERVICES} services' worth", taken, 120, "MiB")


def _planned(recorder: Recorder, resources: list[Resource]) -> Run:
    """Provide the resources, and measure a plan that finds nothing to do."""
    outcome = converge.provision(recorder.aws, resources, recorder.tell)
    assert not outcome.failed, outcome.failed
    before, began = len(recorder.calls), recorder.aws.clock.monotonic()
    plan = converge.examine(recorder.aws, resources)
    took = recorder.aws.clock.monotonic() - began
    assert not plan.pending, plan.pending
    calls = len(recorder.calls) - before
    return Run(len(resources), calls, took)


def _more(resources: list[Resource]) -> Iterator[Resource]:
    """Yield what more services behind the same load balancer would have of their own."""

    def of(kind: type[Any]) -> list[Any]:
        return [each for each in resources if isinstance(each, kind)]

    for number in range(2, SERVICES + 1):
        groups = [_renamed(each, number) for each in of(TargetGroup)]
        blue, green = groups
        doors = [
            replace(_renamed(each, number), port=each.port + number, blue=blue, green=green)
            for each in of(Listener)
        ]
        alarms = [_renamed(each, number) for each in of(LogAlarm)]
        filters = [_renamed(alarm.metric, number) for alarm in of(LogAlarm)]
        alarms = [replace(alarm, metric=metric) for alarm, metric in zip(alarms, filters, strict=True)]
        yield from (*groups, *doors, *filters, *alarms)


def _renamed(resource: Any, number: int) -> Any:
    return replace(resource, name=f"{resource.name}-{number}", label=f"{resource.label}-{number}")


def main() -> None:
    """Plan the grown stack in the sandbox that the environment names."""
    aws, resources = aws_and_stack()
    assert not converge.examine(aws, [*resources, *_more(resources)]).pending


if __name__ == "__main__":
    main()
