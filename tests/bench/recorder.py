"""An Aws that remembers its calls: which, when, and for which resource; and the longest chain of them."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bgdeploy.aws import Aws
from bgdeploy.provision.plan import Progress, State
from bgdeploy.provision.resource import Look, Resource


@dataclass(frozen=True)
class Call:
    """One call, from before it was sent to after it was answered, retries included. Seconds of the Aws's clock."""

    operation: str
    thread: int
    start: float
    end: float


@dataclass
class Recorder:
    """Listens to the clients of an Aws, and to what a walk tells."""

    aws: Aws
    calls: list[Call] = field(default_factory=list)
    spans: dict[str, list[tuple[int, float, float]]] = field(default_factory=lambda: defaultdict(list))
    _began: dict[tuple[int, str], float] = field(default_factory=dict)
    _pending: dict[int, tuple[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        make = self.aws._make

        def listened(service: str) -> Any:
            client = make(service)
            client.meta.events.register("before-call", self._before)
            client.meta.events.register("after-call", self._after)
            return client

        self.aws._make = listened  # type: ignore[method-assign]

    def _before(self, model: Any, **_: Any) -> None:
        self._pending[threading.get_ident()] = (model.name, self.aws.clock.monotonic())

    def _after(self, **_: Any) -> None:
        name, began = self._pending.pop(threading.get_ident())
        self.calls.append(Call(name, threading.get_ident(), began, self.aws.clock.monotonic()))

    def tell(self, progress: Progress) -> None:
        """Hear of a resource: what its thread calls between its beginning and its end is for it."""
        thread, now = threading.get_ident(), self.aws.clock.monotonic()
        key = (thread, progress.change.address)
        if progress.state is State.STARTED:
            self._began[key] = now
        elif key in self._began:
            self.spans[progress.change.address].append((thread, self._began.pop(key), now))

    def per_resource(self) -> Mapping[str, int]:
        """Return how many calls each resource's change took, one after the other."""
        return {
            address: sum(
                thread == call.thread and start <= call.start and call.end <= end
                for call in self.calls
                for thread, start, end in spans
            )
            for address, spans in self.spans.items()
        }


def longest_chain(resources: Sequence[Resource], weight: Callable[[Resource], float]) -> float:
    """Return the weight of the heaviest chain of resources that wait for each other."""
    total: dict[Resource, float] = {}
    for resource in resources:  # each comes after those it needs
        before = max((total[needed] for needed in resource.depends_on), default=0)
        total[resource] = before + weight(resource)
    return max(total.values())


def longest_look(recorder: Recorder, resources: Sequence[Resource]) -> int:
    """Return the most calls that one resource needs, one after the other, to be looked up."""
    counts = []
    for resource in resources:
        before = len(recorder.calls)
        look = Look(recorder.aws)
        resource.find(look)
        counts.append(len(recorder.calls) - before)
    return max(counts)
