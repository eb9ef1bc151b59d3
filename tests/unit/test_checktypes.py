"""What of a check fits together, and what cannot be meant."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import convert

from bgdeploy.checkrules import broken_check_rules
from bgdeploy.checktypes import Check


def _broken(**asked: Any) -> list[tuple[str, str]]:
    """Return key and sentence of everything that is wrong with a check."""
    made = convert({"name": "it", **asked}, Check, dec_hook=lambda kind, value: kind.parse(str(value)))
    return [(str(path[2]) if len(path) > 2 else "", text) for path, text in broken_check_rules((made,))]


GOOD: list[dict[str, Any]] = [
    {"get": "/", "below": "200ms"},
    {"get": "/", "count": 5, "interval": "1s", "failure_limit": 1},
    {"get": "/", "when": "after", "interval": "10s", "failure_limit": 2},
    {"load": "20 per second for 30s", "success": "99.5%", "p95": "200ms", "p99": "1s"},
    {"load": "20 per second for 30s", "get": "/cart", "when": "shift", "interval": "2m"},
    {"compare": "p95 1.3x", "get": "/cart", "samples": 100, "tolerance": "10ms"},
    {"command": "pytest tests/smoke", "within": "5m"},
    {"metric": "target_5xx_rate", "below": "1%"},
    {"metric": "latency p95", "below": "300ms", "when": "after"},
    {"metric": {"namespace": "Shop", "name": "Orders", "statistic": "Sum"}, "above": "1"},
]


@pytest.mark.parametrize("asked", GOOD)
def test_what_can_be_meant_is_taken(asked: dict[str, Any]) -> None:
    assert _broken(**asked) == []


@pytest.mark.parametrize(
    ("asked", "key", "told"),
    [
        ({}, "", "must have one of get, load, compare, command, metric"),
        ({"load": "1 per second for 9s", "command": "true"}, "", "load and command at once"),
        ({"command": "true", "status": 404}, "status", "means nothing to a command check"),
        ({"metric": "request_count", "above": "1", "get": "/"}, "get", "means nothing to a metric check"),
        ({"get": "/", "status": 99}, "status", "100 to 599"),
        ({"get": "/", "name": " "}, "name", "must not be empty"),
        ({"command": "  "}, "command", "must not be empty"),
        ({"get": "/", "timeout": "0s"}, "timeout", "at least 1s"),
        ({"get": "/", "interval": "0s"}, "interval", "at least 1s"),
        ({"load": "1 per second for 9s", "success": "101%"}, "success", "at most 100%"),
        ({"get": "/", "matches": "("}, "matches", "no regular expression"),
        ({"get": "/", "below": "1%"}, "below", "must be a response time such as 200ms, not 1%"),
        ({"load": "1 per second for 9s", "success": "200ms"}, "success", "must be a share such as 1%"),
        ({"load": "3000 per second for 9s"}, "load", "at most 2000 per second"),
        ({"load": "0 per second for 9s"}, "load", "more than 0"),
        ({"load": "1 per second for 2h"}, "load", "between 1s and 50m"),
        ({"metric": "target_5xx_rate", "below": "5"}, "below", "must be a share such as 1%, not 5"),
        ({"metric": "target_5xx_rate"}, "metric", "needs a limit"),
        ({"metric": "target_3xx_rate", "below": "1%"}, "metric", "must be one of target_5xx_rate"),
        ({"metric": "request_count", "above": "1", "when": "before"}, "when", "must be shift or after"),
        ({"metric": "request_count", "above": "1", "interval": "10s"}, "interval", "at least 1m"),
        ({"compare": "p95 2x", "when": "after"}, "when", "must be before"),
        ({"command": "true", "within": "1h"}, "within", "at most 50m"),
        ({"get": "/", "count": 3, "within": "9s"}, "within", "without a count"),
        ({"get": "/", "count": 3, "consecutive_success": 4}, "consecutive_success", "at most count, 3"),
        ({"get": "/", "count": 3, "failure_limit": 3}, "failure_limit", "nothing can fail the check"),
    ],
)
def test_what_cannot_be_meant_is_told(asked: dict[str, Any], key: str, told: str) -> None:
    ((path, sentence),) = _broken(**asked)
    assert (path, told in sentence) == (key, True), sentence


@pytest.mark.parametrize(
    "word", ["verison", "vesion", "verssion", "verzion", "Version", "VERSION", "versions", "version_"]
)
def test_a_misspelt_version_is_told(word: str) -> None:
    ((key, sentence),) = _broken(get="/", contains=f"Hello from {{{word}}}")
    assert key == "contains"
    assert sentence == (
        f"check 'it' holds {{{word}}}, which nothing replaces: the version that is released is written {{version}}"
    )


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ({"get": "/{verison}"}, ("get",)),
        ({"get": "/", "matches": "v{verison}"}, ("matches",)),
        ({"get": "/", "json": {"app.is": "{verison}"}}, ("json", "app.is")),
        ({"get": "/", "header": {"X-Is": "{verison}"}}, ("header", "X-Is")),
        ({"command": "smoke {verison}"}, ("command",)),
        (
            {"metric": {"namespace": "S", "name": "O", "dimensions": {"V": "{verison}"}}, "above": "1"},
            ("metric", "dimensions", "V"),
        ),
    ],
)
def test_a_misspelt_version_is_told_wherever_it_would_be_replaced(
    asked: dict[str, Any], path: tuple[str, ...]
) -> None:
    made = convert({"name": "it", **asked}, Check, dec_hook=lambda kind, value: kind.parse(str(value)))
    assert [found for found, _ in broken_check_rules((made,))] == [("checks", 0, *path)]


@pytest.mark.parametrize(
    "asked",
    [
        {"get": "/", "contains": "{version} {person} {session} {vision} {revision} {region} {name}"},
        {"get": "/", "contains": '{"verison": 1} {} {0} { verison }'},
        {"get": "/", "matches": r"v\d{1,3} \{verison\} [0-9]{2} {version}"},
        {"get": "/", "json": {"n": 3, "list": ["{verison}"]}},
        {"command": "smoke ${VERSION} ${verison} | jq '{versions}' | jq '{Version}'"},
    ],
)
def test_braces_around_anything_else_are_left_alone(asked: dict[str, Any]) -> None:
    assert _broken(**asked) == []


def test_two_checks_of_one_name_are_told_where_the_second_stands() -> None:
    once, twice = (Check(name="page", get=path) for path in ("/", "/cart"))
    assert list(broken_check_rules((once, twice))) == [
        (("checks", 1, "name"), "two checks are called 'page'")
    ]


def test_a_metric_runs_from_the_shift_on_and_anything_else_before_it() -> None:
    assert Check(name="a", metric="request_count").moment == "shift"
    assert Check(name="a", command="true").moment == "before"
