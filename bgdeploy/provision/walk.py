"""Runs a visitor over a graph with threads: each node the moment its own dependencies are done.

A node that fails makes those that need it blocked, which is a result like any other. Nothing here knows what a
resource is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Generic, TypeVar

N = TypeVar("N", bound=Hashable)
R = TypeVar("R")
WORKERS = 32  # calls wait for AWS, not for a processor


@dataclass
class Walk(Generic[N, R]):
    """What came of a walk: a result or an error for each node that was visited, and what blocked the others."""

    results: dict[N, R] = field(default_factory=dict)
    errors: dict[N, BaseException] = field(default_factory=dict)
    blocked: dict[N, N] = field(default_factory=dict)
    interrupted: bool = False


def walk(
    needs: Mapping[N, Iterable[N]], visit: Callable[[N], R], interrupt: Callable[[], None] = lambda: None
) -> Walk[N, R]:
    """Visit every node after those it needs; nodes that the graph does not have count as done.

    On Ctrl-C no new visit begins, `interrupt` is called so that visits may cut their waits short, and those under way
    are finished. Raises ValueError, before any visit, when nodes need each other in a circle.
    """
    waiting = {node: set(needed) & needs.keys() for node, needed in needs.items()}
    _refuse_circles(waiting)
    done: Walk[N, R] = Walk()
    leaving, over = threading.Event(), threading.Event()

    def conduct() -> None:
        try:
            _conduct(waiting, visit, done, leaving)
        finally:
            over.set()

    # Ctrl-C comes to the main thread, at any moment: what it must not break in on happens in another.
    conductor = threading.Thread(target=conduct, name="conductor")
    try:
        conductor.start()
        over.wait()  # a join that was interrupted takes the thread for one that has ended
    except KeyboardInterrupt:
        done.interrupted = True
        leaving.set()
        interrupt()
        if conductor.ident is not None:  # else it came before anything had begun
            over.wait()
    return done


def _conduct(
    waiting: dict[N, set[N]], visit: Callable[[N], R], done: Walk[N, R], leaving: threading.Event
) -> None:
    running: dict[Future[R], N] = {}
    with ThreadPoolExecutor(max_workers=WORKERS, thread_name_prefix="walk") as pool:
        while True:
            if not leaving.is_set():
                _submit(pool, waiting, visit, running)
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                _take(running.pop(future), future, waiting, done)


def _refuse_circles(waiting: Mapping[N, set[N]]) -> None:
    from graphlib import CycleError, TopologicalSorter

    try:
        TopologicalSorter(waiting).prepare()
    except CycleError as error:
        raise ValueError(f"these need each other in a circle: {error.args[1]}") from error


def _submit(
    pool: ThreadPoolExecutor, waiting: dict[N, set[N]], visit: Callable[[N], R], running: dict[Future[R], N]
) -> None:
    """Start what is ready."""
    for node in [node for node, needed in waiting.items() if not needed]:
        del waiting[node]
        running[pool.submit(visit, node)] = node


def _take(node: N, future: Future[R], waiting: dict[N, set[N]], done: Walk[N, R]) -> None:
    error = future.exception()
    if error is None:
        done.results[node] = future.result()
        for needed in waiting.values():
            needed.discard(node)
    else:
        done.errors[node] = error
        _block(node, waiting, done)


def _block(culprit: N, waiting: dict[N, set[N]], done: Walk[N, R]) -> None:
    for node in [node for node, needed in waiting.items() if culprit in needed]:
        if waiting.pop(node, None) is not None:
            done.blocked[node] = culprit
            _block(node, waiting, done)
