"""The walk: each node the moment its own dependencies are done, failures as results, and Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdeploy.provision.walk import walk

PATIENCE = 10.0  # real seconds, of what must happen anyhow


def _graphs() -> st.SearchStrategy[dict[int, set[int]]]:
    """Graphs without circles: a node needs only smaller ones; some of those it needs are not in the graph."""
    nodes = st.sets(st.integers(0, 9))
    return nodes.flatmap(
        lambda found: st.fixed_dictionaries(
            {node: st.sets(st.integers(0, node - 1)) if node else st.just(set()) for node in found}
        )
    )


@given(_graphs())
def test_every_node_is_visited_once_and_after_those_it_needs(graph: dict[int, set[int]]) -> None:
    order: list[int] = []
    lock = threading.Lock()

    def visit(node: int) -> int:
        with lock:
            assert graph[node] & graph.keys() <= set(order)
            order.append(node)
        return node * 2

    done = walk(graph, visit)
    assert sorted(order) == sorted(graph)
    assert done.results == {node: node * 2 for node in graph}
    assert (done.errors, done.blocked, done.interrupted) == ({}, {}, False)


@given(_graphs(), st.sets(st.integers(0, 9)))
def test_every_node_is_a_result_an_error_or_blocked_by_one_it_needs(
    graph: dict[int, set[int]], failing: set[int]
) -> None:
    def visit(node: int) -> int:
        if node in failing:
            raise ValueError(node)
        return node

    done = walk(graph, visit)
    assert sorted([*done.results, *done.errors, *done.blocked]) == sorted(graph)
    for node, culprit in done.blocked.items():
        assert culprit in graph[node] & (done.errors.keys() | done.blocked.keys())
    for node in done.results:
        assert graph[node] & graph.keys() <= done.results.keys()


def test_a_node_starts_when_its_own_dependencies_are_done_and_not_when_a_wave_is() -> None:
    quick_is_through = threading.Event()

    def visit(node: str) -> bool:
        if node == "slow":  # of the same depth as "quick", and still running when "after quick" is visited
            return quick_is_through.wait(PATIENCE)
        if node == "after quick":
            quick_is_through.set()
        return True

    done = walk({"quick": (), "slow": (), "after quick": ("quick",)}, visit)
    assert done.results["slow"]


def test_nodes_that_do_not_need_each_other_are_visited_at_the_same_time() -> None:
    together = threading.Barrier(8)
    done = walk(dict.fromkeys(range(8), ()), lambda node: together.wait(PATIENCE))
    assert sorted(done.results.values()) == list(range(8))


@pytest.mark.parametrize("graph", [{"a": ("a",)}, {"a": ("b",), "b": ("c",), "c": ("a",)}])
def test_a_circle_is_refused_before_any_visit(graph: Mapping[str, tuple[str, ...]]) -> None:
    visited: list[str] = []
    with pytest.raises(ValueError, match="need each other in a circle"):
        walk({**graph, "beside": ()}, visited.append)
    assert visited == []


def test_an_empty_graph_is_walked() -> None:
    assert walk({}, lambda node: node).results == {}


# Ctrl-C


def _press_ctrl_c() -> None:
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, signal.SIGINT)


def _interrupted() -> tuple[list[str], threading.Event]:
    """Walk a chain, press Ctrl-C in the visit of its first node; return what was visited, and what `interrupt` set."""
    visited: list[str] = []
    leaving = threading.Event()

    def visit(node: str) -> str:
        visited.append(f"began {node}")
        if node == "first":
            _press_ctrl_c()
            assert leaving.wait(PATIENCE), "nobody was told"
        visited.append(f"ended {node}")
        return node

    done = walk({"first": (), "second": ("first",), "third": ("second",)}, visit, leaving.set)
    assert done.interrupted
    assert done.results == {"first": "first"}
    assert (done.errors, done.blocked) == ({}, {})
    return visited, leaving


def test_ctrl_c_lets_visits_under_way_finish_and_begins_no_other() -> None:
    visited, _ = _interrupted()
    assert visited == ["began first", "ended first"]


def test_ctrl_c_tells_the_visits_under_way_so_that_they_may_cut_their_waits_short() -> None:
    _, leaving = _interrupted()
    assert leaving.is_set()


def test_what_fails_after_ctrl_c_blocks_what_needs_it() -> None:
    leaving = threading.Event()

    def visit(node: str) -> None:
        _press_ctrl_c()
        assert leaving.wait(PATIENCE)
        raise TimeoutError("cut short")

    done = walk({"first": (), "second": ("first",)}, visit, leaving.set)
    assert (done.interrupted, list(done.errors), done.blocked) == (True, ["first"], {"second": "first"})
