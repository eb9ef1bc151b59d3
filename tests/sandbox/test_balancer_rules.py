"""Which action a request meets, and what health checks make of a target."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdeploy.sandbox.balancer import routes
from bgdeploy.sandbox.balancer.health import judge, matches
from bgdeploy.sandbox.balancer.model import Group, Target
from bgdeploy.sandbox.balancer.routes import Asked

HEALTH = {"healthy": 3, "unhealthy": 2}
SICK = ("Target.FailedHealthChecks", "Health checks failed")


def _asked(path: str = "/", query: str = "", **more: Any) -> Asked:
    told = {"method": "GET", "host": "shop.example:80", "headers": {}, "source": "127.0.0.1"}
    listener = {"port": 80, "protocol": "HTTP"}
    return Asked(path=path, query=query, **{**told, **listener, **more})


def _condition(field: str, *values: Any, header: str = "") -> dict[str, Any]:
    return {"field": field, "values": list(values), "header": header}


@pytest.mark.parametrize(
    ("condition", "asked", "holds"),
    [
        (_condition("path-pattern", "/img/*"), _asked("/img/a/b.png"), True),
        (_condition("path-pattern", "/img/*"), _asked("/IMG/a.png"), False),
        (_condition("path-pattern", "/a?c", "/x"), _asked("/abc"), True),
        (_condition("path-pattern", "/a.c"), _asked("/abc"), False),
        (_condition("host-header", "*.EXAMPLE"), _asked(), True),
        (_condition("host-header", "other.example"), _asked(), False),
        (
            _condition("http-header", "*chrome*", header="User-Agent"),
            _asked(headers={"User-Agent": "a Chrome"}),
            True,
        ),
        (_condition("http-header", "*", header="X-Canary"), _asked(), False),
        (_condition("http-request-method", "POST"), _asked(), False),
        (_condition("query-string", {"key": "v", "value": "2"}), _asked(query="a=b&V=2"), True),
        (_condition("query-string", {"value": "2"}), _asked(query="a=2"), True),
        (_condition("query-string", {"key": "v", "value": "2"}), _asked(query="w=2"), False),
        (_condition("source-ip", "10.0.0.0/8", "127.0.0.0/8"), _asked(), True),
        (_condition("source-ip", "10.0.0.0/8"), _asked(), False),
    ],
)
def test_a_condition_holds_as_aws_says(condition: dict[str, Any], asked: Asked, holds: bool) -> None:
    assert routes.holds(condition, asked) is holds


def test_the_first_route_whose_conditions_all_hold_decides() -> None:
    table: list[dict[str, Any]] = [
        {
            "conditions": [_condition("path-pattern", "/a*"), _condition("http-request-method", "PUT")],
            "action": {"n": 1},
        },
        {"conditions": [_condition("path-pattern", "/a*")], "action": {"n": 2}},
        {"conditions": [], "action": {"n": 3}},
    ]
    assert [routes.choose(table, _asked(path))["n"] for path in ("/abc", "/b")] == [2, 3]


def test_a_redirect_keeps_what_it_does_not_name() -> None:
    asked = _asked("/a/b", "c=d")
    assert routes.location({}, asked) == "http://shop.example:80/a/b?c=d"
    assert routes.location({"path": "/new/#{path}", "query": "from=#{host}"}, asked) == (
        "http://shop.example:80/new/a/b?from=shop.example"
    )


def test_a_redirect_to_https_keeps_the_rest_of_the_url() -> None:
    asked = _asked("/a/b", "c=d")
    assert routes.location({"protocol": "HTTPS", "port": "443"}, asked) == "https://shop.example:443/a/b?c=d"


def test_a_redirect_from_an_https_listener_stays_there() -> None:
    asked = _asked("/a", port=443, protocol="HTTPS")
    assert routes.location({"path": "/b"}, asked) == "https://shop.example:443/b"


@given(st.text(alphabet="a/.*?[]{}()^$+\\", max_size=8))
def test_a_pattern_without_wildcards_fits_itself_only(text: str) -> None:
    plain = text.replace("*", "").replace("?", "")
    assert routes.holds(_condition("path-pattern", plain), _asked(plain))
    assert not routes.holds(_condition("path-pattern", plain), _asked(plain + "x"))


@given(st.integers(200, 499), st.integers(200, 499), st.integers(200, 499))
def test_a_matcher_takes_what_lies_in_its_ranges(first: int, last: int, status: int) -> None:
    assert matches(status, f"{first}-{last}") == (first <= status <= last)
    assert matches(status, f"{first},{last}") == (status in {first, last})


def _judged(checks: str, state: str = "initial") -> str:
    """Return the state of a target after a row of health checks, + for good ones and - for bad ones."""
    group, target = Group("g", HEALTH), Target("t", "", 0, state=state)
    for each in checks:
        judge(group, target, None if each == "+" else SICK)
    return target.state


@pytest.mark.parametrize(
    ("checks", "state"),
    [("+", "healthy"), ("-", "initial"), ("-+", "healthy"), ("--", "unhealthy"), ("+-+-+-", "healthy")],
)
def test_a_new_target_is_healthy_after_one_good_check(checks: str, state: str) -> None:
    assert _judged(checks) == state


@pytest.mark.parametrize(
    ("checks", "state"), [("++", "unhealthy"), ("+++", "healthy"), ("++-++", "unhealthy")]
)
def test_an_unhealthy_target_needs_as_many_good_checks_in_a_row_as_the_group_says(
    checks: str, state: str
) -> None:
    assert _judged(checks, "unhealthy") == state


@given(st.integers(1, 5), st.integers(0, 5))
def test_every_healthy_target_has_its_turn(well: int, sick: int) -> None:
    targets = [Target(f"w{n}", "", n, state="healthy") for n in range(well)]
    targets += [Target(f"s{n}", "", n, state="unhealthy") for n in range(sick)]
    group = Group("g", HEALTH, {each.id: each for each in targets})

    assert {group.candidates()[0].id for _ in range(well)} == {f"w{n}" for n in range(well)}


def test_a_visitor_goes_to_the_target_that_the_cookie_names_while_that_is_well() -> None:
    targets = [Target(f"w{n}", "", n, state="healthy") for n in range(3)]
    group = Group("g", HEALTH, {each.id: each for each in targets}, sticky=60.0)
    bound = targets[1]
    assert {group.candidates(bound.token)[0].id for _ in range(6)} == {"w1"}
    bound.state = "unhealthy"
    assert {group.candidates(bound.token)[0].id for _ in range(6)} == {"w0", "w2"}


def test_a_cookie_binds_nobody_where_the_group_is_not_sticky() -> None:
    targets = [Target(f"w{n}", "", n, state="healthy") for n in range(2)]
    group = Group("g", HEALTH, {each.id: each for each in targets})
    assert {group.candidates(targets[0].token)[0].id for _ in range(4)} == {"w0", "w1"}
