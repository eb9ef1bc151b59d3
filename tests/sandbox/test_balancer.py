"""The balancer's process, with real targets and real visitors."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest

from bgdeploy.clock import SystemClock
from bgdeploy.sandbox.elb.dataplane import DataPlane
from tests.sandbox.upstream import Upstream, nobody

FORWARD = {"blue": 1}
_rigs = count(1)
_HEALTH = {
    "path": "/health",
    "matcher": "200",
    "interval": 0.05,
    "timeout": 0.5,
    "healthy": 2,
    "unhealthy": 2,
}


@dataclass
class Rig:
    """A balancer with one listener, and what it has told so far."""

    plane: DataPlane
    port: int = field(default_factory=nobody)
    told: list[dict[str, Any]] = field(default_factory=list)
    groups: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    routes: list[dict[str, Any]] = field(default_factory=list)
    reachable: bool = True
    protocol: str = "HTTP"
    idle: float = 60.0
    sticky: float = 0.0
    number: int = field(default_factory=lambda: next(_rigs))

    def name(self, group: str) -> str:
        """Return what the balancer knows a group by: no other test's is called so."""
        return f"{group}-{self.number}"

    def target(self, group: str, upstream: Upstream | int, **more: Any) -> str:
        """Add a target to a group; return what it is called."""
        port = upstream if isinstance(upstream, int) else upstream.port
        told = {
            "id": f"{group}:{port}",
            "host": "127.0.0.1",
            "port": port,
            "draining": False,
            "reachable": True,
        }
        self.groups.setdefault(group, []).append({**told, **more})
        return str(told["id"])

    def become(self, action: Mapping[str, Any] | None = None) -> None:
        """Have the balancer do what the rig says now."""
        if action is not None:
            weights = {self.name(group): weight for group, weight in action.get("forward", {}).items()}
            self.routes = [{"conditions": [], "action": {**action, "forward": weights}}]
        listener = {"arn": self.name("listener"), "host": "127.0.0.1", "bind": self.port, "port": 80}
        settings = {"reachable": self.reachable, "protocol": self.protocol, "idle": self.idle}
        self.plane.send(
            {
                "listeners": [{**listener, **settings, "routes": self.routes}],
                "groups": {
                    self.name(name): {"health": _HEALTH, "sticky": self.sticky, "targets": each}
                    for name, each in self.groups.items()
                },
            }
        )

    def hears(self, true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until the balancer has told something of a kind, and return the last such."""
        found: list[dict[str, Any]] = []

        def heard() -> bool:
            self.told.extend(self.plane.received())
            found[:] = [each for each in self.told if true(each)]
            return bool(found)

        wait(heard)
        return found[-1]

    def healthy(self, *targets: str) -> None:
        for target in targets:
            self.state(target, "healthy")

    def state(self, target: str, state: str) -> dict[str, Any]:
        """Wait until a target is in a state, and return what was told of it."""

        def true(told: dict[str, Any]) -> bool:
            return told.get("target") == target and told["state"] == state

        return self.hears(true)

    def ask(self, path: str = "/", method: str = "GET", body: Any = None, **headers: str) -> Answer:
        """Make a request of a visitor's, on a connection of its own."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection:
            return ask(connection, path, method, body, **headers)


@dataclass(frozen=True)
class Answer:
    status: int
    body: str
    headers: list[tuple[str, str]]


def ask(
    connection: http.client.HTTPConnection,
    path: str = "/",
    method: str = "GET",
    body: Any = None,
    **headers: str,
) -> Answer:
    connection.request(method, path, body, headers, encode_chunked=isinstance(body, Iterator))
    answer = connection.getresponse()
    return Answer(answer.status, answer.read().decode(), answer.getheaders())


def wait(true: Callable[[], bool], patience: float = 8.0) -> None:
    clock = SystemClock()
    deadline = clock.monotonic() + patience
    while not true():
        assert clock.monotonic() < deadline, "it did not happen"
        clock.sleep(0.01)


@pytest.fixture(scope="module")
def plane() -> Iterator[DataPlane]:
    """One process for all tests that do not end it: it becomes what each test says."""
    plane = DataPlane()
    yield plane
    plane.close()


@pytest.fixture
def rig(plane: DataPlane) -> Rig:
    return Rig(plane)


@pytest.fixture
def other(blue: Upstream) -> Iterator[Rig]:
    """A balancer with a process of its own, that forwards to one healthy target."""
    plane = DataPlane()
    rig = Rig(plane)
    target = rig.target("blue", blue)
    rig.become({"forward": FORWARD})
    rig.healthy(target)
    yield rig
    plane.close()


@pytest.fixture
def blue() -> Iterator[Upstream]:
    with Upstream("blue").serving() as upstream:
        yield upstream


@pytest.fixture
def green() -> Iterator[Upstream]:
    with Upstream("green").serving() as upstream:
        yield upstream


@pytest.fixture
def one(rig: Rig, blue: Upstream) -> Rig:
    """A balancer that forwards to one healthy target."""
    target = rig.target("blue", blue)
    rig.become({"forward": FORWARD})
    rig.healthy(target)
    return rig


def test_a_request_is_answered_by_a_target(one: Rig) -> None:
    assert one.ask().body == "blue"


def test_all_headers_of_an_answer_come_through_also_equal_ones(one: Rig) -> None:
    assert [value for name, value in one.ask().headers if name == "Set-Cookie"] == ["a=1", "b=2"]


def test_a_target_learns_who_asked_by_which_port_and_for_which_host(one: Rig, blue: Upstream) -> None:
    one.ask("/a?b=%20c", Host="shop.example", **{"X-Forwarded-For": "10.1.1.1"})

    seen = blue.asked()[0]
    assert (seen.path, seen.headers["Host"]) == ("/a?b=%20c", "shop.example")
    assert seen.headers["X-Forwarded-For"] == "10.1.1.1, 127.0.0.1"
    assert (seen.headers["X-Forwarded-Proto"], seen.headers["X-Forwarded-Port"]) == ("http", "80")
    assert seen.headers["X-Amzn-Trace-Id"].startswith("Root=1-")


def test_a_target_learns_that_the_visitor_came_by_https(rig: Rig, blue: Upstream) -> None:
    rig.protocol = "HTTPS"
    target = rig.target("blue", blue)
    rig.become({"forward": {"blue": 1}})
    rig.healthy(target)
    rig.ask()
    assert blue.asked()[-1].headers["X-Forwarded-Proto"] == "https"


def test_a_target_that_says_nothing_for_the_idle_timeout_gives_504(rig: Rig, blue: Upstream) -> None:
    rig.idle = 0.2
    target = rig.target("blue", blue)
    rig.become({"forward": {"blue": 1}})
    rig.healthy(target)
    assert rig.ask("/hold").status == 504


def test_a_sticky_group_binds_a_visitor_to_a_target_by_a_cookie(
    rig: Rig, blue: Upstream, green: Upstream
) -> None:
    rig.sticky = 60.0
    targets = rig.target("both", blue), rig.target("both", green)
    rig.become({"forward": {"both": 1}})
    rig.healthy(*targets)
    first = rig.ask()
    cookies = [value for name, value in first.headers if name == "Set-Cookie" and "AWSALB=" in value]
    again = {rig.ask(Cookie=cookies[0].partition(";")[0]).body for _ in range(6)}
    assert again == {first.body}
    assert {rig.ask().body for _ in range(4)} == {"blue", "green"}


def test_nothing_is_added_that_changes_what_a_target_answers(one: Rig, blue: Upstream) -> None:
    with socket.create_connection(("127.0.0.1", one.port)) as visitor:
        visitor.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        while visitor.recv(4096):
            pass

    names = {name.lower() for name in blue.asked()[0].headers}
    assert not names & {"accept", "accept-encoding", "user-agent", "content-type"}


def test_a_body_reaches_the_target(one: Rig, blue: Upstream) -> None:
    one.ask(method="POST", body=b"x" * 300_000)
    assert blue.asked()[0].body == b"x" * 300_000


def test_a_body_without_a_length_reaches_the_target(one: Rig, blue: Upstream) -> None:
    one.ask(method="POST", body=iter([b"one ", b"two"]), **{"Transfer-Encoding": "chunked"})
    assert blue.asked()[0].body == b"one two"


def test_a_visitor_who_waits_to_be_told_to_send_is_told(one: Rig) -> None:
    with socket.create_connection(("127.0.0.1", one.port), timeout=5) as visitor:
        visitor.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert visitor.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        visitor.sendall(b"ok")
        assert visitor.recv(4096).startswith(b"HTTP/1.1 200")


def test_a_head_request_is_answered_without_a_body_and_with_its_length(one: Rig) -> None:
    answer = one.ask(method="HEAD")
    assert (answer.body, dict(answer.headers)["Content-Length"]) == ("", "4")


def test_an_answer_that_breaks_off_breaks_off_for_the_visitor_too(one: Rig) -> None:
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        one.ask("/break")


def test_without_targets_the_answer_is_503_in_the_words_of_aws(rig: Rig) -> None:
    rig.groups["blue"] = []
    rig.become({"forward": FORWARD})
    wait(lambda: _listens(rig.port))

    answer = rig.ask()
    assert answer.status == 503
    assert "<h1>503 Service Temporarily Unavailable</h1>" in answer.body
    assert dict(answer.headers)["Server"] == "awselb/2.0"


def test_a_target_that_nobody_answers_at_gives_502(rig: Rig) -> None:
    rig.target("blue", nobody())
    rig.become({"forward": FORWARD})
    wait(lambda: _listens(rig.port))
    assert rig.ask().status == 502


def test_a_target_whose_security_group_drops_packets_gives_504(rig: Rig, blue: Upstream) -> None:
    rig.target("blue", blue, reachable=False)
    rig.become({"forward": FORWARD})
    wait(lambda: _listens(rig.port))
    assert rig.ask().status == 504


def test_another_target_is_asked_when_one_refuses_the_connection(rig: Rig, blue: Upstream) -> None:
    rig.target("blue", nobody(), reachable=True)
    rig.target("blue", blue, id=rig.name("well"))
    rig.become({"forward": FORWARD})
    wait(lambda: _listens(rig.port))
    assert [rig.ask(method="POST", body=b"x").status for _ in range(4)] == [200] * 4


def test_a_request_that_may_have_had_an_effect_is_not_sent_twice(
    rig: Rig, blue: Upstream, green: Upstream
) -> None:
    rig.healthy(*_both_in_one_group(rig, blue, green))

    assert rig.ask("/drop", method="POST", body=b"x").status == 502
    assert len(blue.asked()) + len(green.asked()) == 1


def test_requests_go_to_the_healthy_targets_only(rig: Rig, blue: Upstream, green: Upstream) -> None:
    blue.health = 500
    sick, well = _both_in_one_group(rig, blue, green)
    rig.healthy(well)
    rig.state(sick, "unhealthy")

    assert {rig.ask().body for _ in range(6)} == {"green"}


def test_with_no_healthy_target_all_of_them_are_asked(rig: Rig, blue: Upstream) -> None:
    blue.health = 500
    target = rig.target("blue", blue)
    rig.become({"forward": FORWARD})
    rig.state(target, "unhealthy")

    assert rig.ask().body == "blue"


def test_an_unhealthy_target_says_which_status_it_answered(rig: Rig, blue: Upstream) -> None:
    blue.health = 500
    target = rig.target("blue", blue)
    rig.become({"forward": FORWARD})

    told = rig.state(target, "unhealthy")
    assert told["reason"] == "Target.ResponseCodeMismatch"
    assert told["detail"] == "Health checks failed with these codes: [500]"


def test_a_target_behind_a_closed_security_group_times_out(rig: Rig, blue: Upstream) -> None:
    target = rig.target("blue", blue, reachable=False)
    rig.become({"forward": FORWARD})

    told = rig.state(target, "unhealthy")
    assert (told["reason"], told["detail"]) == ("Target.Timeout", "Request timed out")


def test_weights_change_for_connections_that_are_open(one: Rig, green: Upstream) -> None:
    target = one.target("green", green)
    one.become({"forward": {"blue": 1, "green": 0}})
    one.healthy(target)
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", one.port, timeout=5)) as connection:
        assert ask(connection).body == "blue"
        one.become({"forward": {"blue": 0, "green": 1}})
        wait(lambda: ask(connection).body == "green")
        assert {ask(connection).body for _ in range(20)} == {"green"}


def test_weights_divide_the_requests(one: Rig, green: Upstream) -> None:
    target = one.target("green", green)
    one.become({"forward": {"blue": 3, "green": 1}})
    one.healthy(target)
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", one.port, timeout=5)) as connection:
        told = [ask(connection).body for _ in range(400)]

    assert 60 <= told.count("green") <= 140  # five standard deviations around 100


def test_no_request_is_lost_while_weights_move_and_targets_leave(one: Rig, green: Upstream) -> None:
    target = one.target("green", green)
    one.become({"forward": FORWARD})
    one.healthy(target)
    over = threading.Event()

    def visit() -> list[int]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", one.port, timeout=5)) as connection:
            found = []
            while not over.is_set():
                found.append(ask(connection).status)
            return found

    with ThreadPoolExecutor(4) as visitors:
        visiting = [visitors.submit(visit) for _ in range(4)]
        for weight in range(50):
            one.become({"forward": {"blue": weight % 3, "green": 2 - weight % 3}})
            SystemClock().sleep(0.02)
        one.groups["blue"][0]["draining"] = True
        one.become({"forward": {"blue": 0, "green": 1}})
        one.hears(lambda told: told.get("drained") == one.groups["blue"][0]["id"])
        over.set()
        statuses = [status for each in visiting for status in each.result()]

    assert set(statuses) == {200}
    assert len(statuses) > 100


def test_a_draining_target_gets_nothing_new_and_finishes_what_it_has(one: Rig, blue: Upstream) -> None:
    leaving = one.groups["blue"][0]["id"]
    with ThreadPoolExecutor(1) as visitors:
        waiting = visitors.submit(one.ask, "/hold")
        assert blue.held.wait(5)
        one.groups["blue"][0]["draining"] = True
        one.become()
        wait(lambda: one.ask().status == 503)
        assert not [told for told in (*one.told, *one.plane.received()) if told.get("drained") == leaving]
        blue.go.set()
        assert waiting.result().body == "blue"

    assert one.hears(lambda told: told.get("drained") == leaving)


def test_a_fixed_answer_needs_no_target(rig: Rig) -> None:
    rig.become({"fixed": {"status": 404, "body": "nothing here", "type": "text/plain"}})
    wait(lambda: _listens(rig.port))
    answer = rig.ask()
    assert (answer.status, answer.body, dict(answer.headers)["Content-Type"]) == (
        404,
        "nothing here",
        "text/plain",
    )


def test_a_redirect_says_where_to_go(rig: Rig) -> None:
    rig.become({"redirect": {"status": 301, "protocol": "HTTPS", "port": "443"}})
    wait(lambda: _listens(rig.port))
    answer = rig.ask("/a?b=c", Host="shop.example")
    assert (answer.status, dict(answer.headers)["Location"]) == (301, "https://shop.example:443/a?b=c")


def test_what_was_served_is_told(one: Rig) -> None:
    one.ask()
    one.ask("/status/404")

    told: dict[str, int] = {}

    def counted() -> bool:
        one.told.extend(one.plane.received())
        for each in [each for each in one.told if each.get("group") == one.name("blue")]:
            one.told.remove(each)
            told.update({code: told.get(code, 0) + count for code, count in each["codes"].items()})
        return sum(told.values()) >= 2

    wait(counted)
    assert told == {"2": 1, "4": 1}


def test_a_port_that_no_security_group_opens_answers_nothing_at_all(rig: Rig) -> None:
    rig.reachable = False
    rig.become({"fixed": {"status": 200, "body": "in", "type": "text/plain"}})
    wait(lambda: not _free(rig.port))

    with pytest.raises(TimeoutError):
        socket.create_connection(("127.0.0.1", rig.port), timeout=0.7)


def test_a_port_opens_when_its_security_group_does(rig: Rig) -> None:
    rig.reachable = False
    rig.become({"fixed": {"status": 200, "body": "in", "type": "text/plain"}})
    wait(lambda: not _free(rig.port))
    rig.reachable = True
    rig.become()

    wait(lambda: _listens(rig.port))
    assert rig.ask().body == "in"


def test_a_port_that_somebody_else_has_is_told(rig: Rig, blue: Upstream) -> None:
    rig.port = blue.port
    rig.become({"forward": {}})
    assert rig.hears(lambda told: "failed" in told)["failed"] == rig.name("listener")


def test_it_ends_when_its_input_does(other: Rig) -> None:
    other.plane.close()
    assert not _listens(other.port)


def test_it_is_started_again_when_it_dies(other: Rig) -> None:
    os.kill(other.plane.pid, signal.SIGKILL)
    wait(lambda: other.plane.died)

    other.become()
    wait(lambda: _listens(other.port))
    assert other.ask().body == "blue"


def _both_in_one_group(rig: Rig, blue: Upstream, green: Upstream) -> tuple[str, str]:
    targets = rig.target("blue", blue), rig.target("blue", green)
    rig.become({"forward": FORWARD})
    return targets


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
    except OSError:
        return False
    return True


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
