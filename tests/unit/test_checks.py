"""What checks make of answers."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdeploy.checktypes import Check, RawMetric
from bgdeploy.quantities import Limit
from bgdeploy.release.analysis.expectations import Answer, at, excerpt, judge, same
from bgdeploy.release.analysis.tally import Verdict
from bgdeploy.release.checks import CheckResult, fill, outcome

PAGE = "<html>\n  <body>\n    <h1>Good morning from v2</h1>\n  </body>\n</html>\n"


def _check(**asked: Any) -> Check:
    return Check(name="page", get="/", **asked)


def _judged(body: str = "", answered: int = 200, headers: dict[str, str] | None = None, **asked: Any) -> str:
    """Return what a check got, "" when it passed."""
    verdict = judge(_check(**asked), Answer(answered, body, headers or {}))
    return "" if verdict.passed else f"wanted {verdict.wanted}, got {verdict.got}"


def test_another_status_is_told_before_anything_else() -> None:
    assert _judged("", 503, contains="Hello") == "wanted status 200, got status 503"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("no database\n", 'status 500: "no database"'),
        ("<html><body><h1>No</h1> <p>database</p></body></html>", 'status 500: "No database"'),
        ("<br/>", "status 500"),
    ],
)
def test_another_status_is_told_with_what_the_answer_says_of_it(body: str, told: str) -> None:
    assert _judged(body, 500) == f"wanted status 200, got {told}"


def test_an_expected_error_status_passes() -> None:
    assert _judged("nothing here", 404, status=404) == ""


def test_a_missing_text_is_told_with_the_line_that_comes_nearest() -> None:
    told = _judged(PAGE, contains="Hello from v2")
    assert told == 'wanted body contains "Hello from v2", got "<h1>Good morning from v2</h1>"'


def test_a_body_with_nothing_like_it_is_told_by_its_beginning() -> None:
    told = _judged(PAGE, contains="404 page not found")
    assert told.endswith('got "<html> <body> <h1>Good morning from v2</h1> </body> </html>"')


def test_a_body_that_says_it_passes() -> None:
    assert _judged(PAGE, contains="Good morning", matches=r"from v\d") == ""


def test_a_pattern_that_matches_nowhere_fails() -> None:
    assert _judged("build 17", matches=r"build \d{3}") == r'wanted body matches /build \d{3}/, got "build 17"'


def test_an_empty_body_is_called_that() -> None:
    assert _judged(" \n", contains="x") == 'wanted body contains "x", got an empty body'


def test_a_long_body_is_shortened() -> None:
    assert len(excerpt("word " * 1000)) <= 82


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('{"version": "v1"}', 'wanted body.version = "v2", got "v1"'),
        ('{"name": "shop"}', 'wanted body.version = "v2", got no version in "{"name": "shop"}"'),
        ("Hullo", 'wanted body.version = "v2", got no JSON: "Hullo"'),
        ('{"version": "v2", "more": 1}', ""),
    ],
)
def test_a_json_value_is_found_by_its_path_and_compared(body: str, told: str) -> None:
    assert _judged(body, json={"version": "v2"}) == told


def test_a_header_is_found_however_it_is_cased() -> None:
    asked: dict[str, Any] = {"header": {"Cache-Control": "no-store"}}
    assert _judged(headers={"cache-control": "no-store"}, **asked) == ""
    assert (
        _judged(headers={"cache-control": "public"}, **asked)
        == 'wanted header Cache-Control "no-store", got "public"'
    )
    assert _judged(**asked) == 'wanted header Cache-Control "no-store", got no such header'


def test_without_an_answer_the_verdict_says_why() -> None:
    verdict = judge(_check(), Answer(None, error="no whole answer within 5 s"))
    assert (verdict.passed, verdict.got) == (False, "no whole answer within 5 s")


def test_what_passed_is_told_in_full() -> None:
    verdict = judge(_check(contains="Good"), Answer(200, PAGE))
    assert verdict.got == 'status 200, body contains "Good"'


def test_the_version_is_filled_in_wherever_it_may_stand() -> None:
    filled = fill(
        Check(
            name="all",
            get="/about/{version}",
            contains="Hello from {version}",
            matches="^{version}$",
            json={"version": "{version}", "count": 3},
            header={"X-Version": "{version}"},
        ),
        "1.2",
    )
    assert (filled.get, filled.contains) == ("/about/1.2", "Hello from 1.2")
    assert filled.json == {"version": "1.2", "count": 3}
    assert filled.header == {"X-Version": "1.2"}


@given(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True))
def test_in_a_pattern_the_version_stands_for_its_own_text_alone(version: str) -> None:
    pattern = fill(_check(matches="{version}"), version).matches
    assert pattern is not None
    assert re.fullmatch(pattern, version)
    assert not re.fullmatch(pattern, version.replace(".", "x") + ("" if "." in version else "x"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3)
    ),
    max_leaves=12,
)


def _paths(document: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """Return every path of a document and what stands there."""
    if isinstance(document, dict):
        steps = [(key, value) for key, value in document.items()]
    elif isinstance(document, list):
        steps = [(str(index), value) for index, value in enumerate(document)]
    else:
        return []
    return [
        found
        for step, value in steps
        for found in [(prefix + step, value), *_paths(value, f"{prefix}{step}.")]
    ]


@given(JSON)
def test_every_path_of_a_document_leads_to_what_stands_there(document: Any) -> None:
    for path, value in _paths(document):
        assert at(document, path) is value
        assert _judged(json.dumps(document), json={path: value}) == ""
        with pytest.raises(LookupError):
            at(document, f"{path}.nowhere")


@given(JSON, JSON)
def test_two_values_are_the_same_when_their_json_is(one: Any, other: Any) -> None:
    assert same(one, other) == (json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True))


def test_true_is_not_one_but_one_is_one_point_nought() -> None:
    assert not same(True, 1)
    assert same(1, 1.0)


def _result(verdict: Verdict, *, reached: bool = True, observed: bool = False) -> CheckResult:
    return CheckResult("page", "GET /", verdict, "", "", 1, 1.0, reached, observed=observed)


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ((), "passed"),
        ((_result("pass"),), "passed"),
        ((_result("pass"), _result("fail")), "failed"),
        ((_result("fail", reached=False), _result("fail", reached=False)), "unreachable"),
        ((_result("fail"), _result("fail", reached=False)), "failed"),
        ((_result("pass"), _result("inconclusive")), "inconclusive"),
        ((_result("fail"), _result("inconclusive")), "failed"),
        ((_result("pass"), _result("fail", observed=True)), "passed"),
        ((_result("inconclusive", observed=True),), "passed"),
    ],
)
def test_what_all_checks_that_decide_come_to(results: tuple[CheckResult, ...], expected: str) -> None:
    """One that was let in makes a failure the application's; those that are observed only say nothing."""
    assert outcome(results) == expected


def test_an_answer_that_takes_longer_than_it_may_is_told_with_both_times() -> None:
    verdict = judge(_check(below=Limit.parse("200ms")), Answer(200, seconds=0.2124))
    assert (verdict.wanted, verdict.got) == ("an answer within 200 ms", "212 ms > 200 ms")
    assert verdict.values == {"latency": 0.2124}


def test_an_answer_that_is_fast_enough_is_told_with_both_times_too() -> None:
    verdict = judge(_check(below=Limit.parse("200ms")), Answer(200, seconds=0.031))
    assert (verdict.passed, verdict.got) == (True, "status 200, 31 ms <= 200 ms")


def test_the_version_is_filled_into_commands_and_dimensions() -> None:
    metric = RawMetric(name="Orders", dimensions={"Version": "{version}"})
    filled = fill(Check(name="orders", metric=metric), "v2").metric
    assert isinstance(filled, RawMetric)
    assert filled.dimensions == {"Version": "v2"}
    assert fill(Check(name="k6", command="k6 run --tag v={version}"), "v2").command == "k6 run --tag v=v2"
