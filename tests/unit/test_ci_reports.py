"""What CI systems are told of a release: GitHub's summary, outputs and annotation, and JUnit XML."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from xml.etree import ElementTree as Xml

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdeploy.errors import Exit
from bgdeploy.release.checks import CheckResult, ChecksState, Measurement
from bgdeploy.release.ending import Ending, detached, ending
from bgdeploy.views.finished import Finished
from bgdeploy.views.github import annotation, output_lines, output_values, refusal, summary
from bgdeploy.views.junit import junit
from tests.deployments import alarm_run, linear, moment

PAGE = CheckResult("page", "GET http://t/", "pass", "status 200", "status 200", 1, 0.4)
SLOW = CheckResult(
    "slow | `page`",
    "GET http://t/<b>",
    "fail",
    "p95 <= 200 ms",
    "p95 212 ms",
    3,
    2.5,
    count=3,
    failures=3,
    measurements=(Measurement("fail", "p95 <= 200 ms", "p95 212 ms", {"p95": 0.212}, at=moment(120)),),
)
CHECKS = ChecksState(
    "failed",
    "ann@laptop",
    (
        PAGE,
        SLOW,
        replace(SLOW, name="watched", observed=True),
        replace(PAGE, name="unsure", verdict="inconclusive", got="no data"),
        replace(PAGE, name="later", verdict=None, got="", attempts=0, seconds=0),
    ),
    after=ChecksState("passed", "ann@laptop", (replace(PAGE, name="errors"),)),
)


def stopped() -> Finished:
    snapshot = alarm_run()[-1]
    return Finished(ending(snapshot), snapshot, CHECKS)


# The summary


def test_an_alarm_that_is_off_is_not_said_to_be_past_its_limit() -> None:
    over = stopped()
    snapshot = alarm_run()[-1]
    quiet = tuple(replace(alarm, state="OK", value=0.0) for alarm in snapshot.alarms)
    told = summary(replace(over, snapshot=replace(snapshot, alarms=quiet)))
    assert "| OK | 0 (alarm when &gt;= 1) |" in told


def test_the_summary_tells_verdict_reasons_phases_checks_alarms_and_next_steps() -> None:
    told = summary(stopped())
    assert told.startswith("### ❌ rolled back: v2 was stopped by an alarm at AllowTraffic")
    assert "- alarm shop-dev-not-found went off: 2 &gt;= 1" in told
    assert "| production | blue v1 | 100% | http://shop.example |" in told
    assert "| Install | Succeeded | 1m46s |" in told
    assert "| ✅ | page | status 200 | status 200 | 1 attempt, 0.4 s |" in told
    assert "| · | later | status 200 | GET http://t/ | not run |" in told
    assert "| ❌ | watched (observed) | p95 &lt;= 200 ms | p95 212 ms | 3/3 measurements, 2.5 s |" in told
    assert "**Checks after the shift: all passed**" in told
    assert "| ❌ | shop-dev-not-found | ALARM: 2 &gt;= 1 | 2 &gt;= 1 |" in told
    assert told.rstrip().endswith("bgdeploy release v2</pre>")


def test_text_makes_no_markup_in_the_summary() -> None:
    told = summary(stopped())
    assert "| slow \\| \\`page\\` |" in told
    nasty = replace(stopped().ending, headline="a | b\n# c `d` <img src=x> [e](f)", next=("</pre><script>",))
    told = summary(Finished(nasty))
    assert told.splitlines()[0] == "### ❌ a \\| b \\# c \\`d\\` &lt;img src=x&gt; \\[e\\](f)"
    assert "<pre>&lt;/pre&gt;&lt;script&gt;</pre>" in told


def test_a_job_that_leaves_says_how_to_attach() -> None:
    told = summary(Finished(detached(None, "d-1")))
    assert told.startswith("### ⚠️ stopped watching; deployment d-1 goes on")
    assert "<pre>bgdeploy watch d-1</pre>" in told


def test_a_refusal_is_a_summary_too() -> None:
    assert refusal("release", "d-1 is active", "wait") == "### ❌ bgdeploy release: d-1 is active\n\nwait\n\n"


# Outputs


def parsed(lines: str) -> Iterator[tuple[str, str]]:
    """Yield the outputs as GitHub's runner reads them."""
    rest = lines.split("\n")
    while rest[0]:
        name, _, delimiter = rest[0].partition("<<")
        end = rest.index(delimiter, 1)
        yield name, "\n".join(rest[1:end])
        rest = rest[end + 1 :]


@given(st.text(), st.text())
def test_no_value_makes_an_output_of_its_own(version: str, image: str) -> None:
    values = {"version": version.replace("\r", ""), "image": image + "\nevil<<x\n1\nx"}
    assert dict(parsed(output_lines(values, "bgdeploy-d4c3"))) == values


def test_the_outputs_of_a_release_say_what_is_live() -> None:
    ended: Ending = stopped().ending
    data = {**ended.as_dict(), "image": "shop@sha256:1", "task_definition": "arn:td"}
    assert output_values(data, ended.exit) == {
        "deployment": "d-BDS7SUA1L",
        "version": "v2",
        "image": "shop@sha256:1",
        "task-definition": "arn:td",
        "result": "alarm",
        "exit-status": "4",
        "live-version": "v1",
        "production-url": "http://shop.example",
    }


@pytest.mark.parametrize(
    ("data", "status", "result"),
    [
        ({"already": "live"}, Exit.DONE, "already live"),
        ({}, Exit.ANOTHER_IS_ACTIVE, "another is active"),
    ],
)
def test_a_result_has_a_word_without_an_ending_too(data: dict[str, str], status: Exit, result: str) -> None:
    told = output_values(data, status)
    assert (told["result"], told["live-version"], told["deployment"]) == (result, "", "")


def test_an_annotation_is_one_line_and_one_command() -> None:
    assert annotation("a: b, c", "50%\r\n::set-env::x") == (
        "::error title=a%3A b%2C c::50%25%0D%0A::set-env::x"
    )


# JUnit


def cases(finished: Finished) -> dict[str, Xml.Element]:
    return {case.get("name", ""): case for case in Xml.fromstring(junit(finished)).iter("testcase")}


def outcomes(case: Xml.Element) -> list[str]:
    return [child.tag for child in case if child.tag in {"failure", "error", "skipped"}]


def test_each_check_is_a_case_and_so_is_the_release() -> None:
    found = cases(stopped())
    assert {name: outcomes(case) for name, case in found.items()} == {
        "v2 goes live": ["failure"],
        "page": [],
        "slow | `page`": ["failure"],
        "watched": [],
        "unsure": ["error"],
        "later": ["skipped"],
        "errors": [],
    }
    failure = found["slow | `page`"].find("failure")
    assert failure is not None
    assert failure.get("message") == "wanted p95 <= 200 ms, got p95 212 ms"
    said = found["slow | `page`"].findtext("system-out", "")
    assert "19:32:00Z fail: wanted p95 <= 200 ms, got p95 212 ms p95=0.212" in said
    mode = found["watched"].find("properties/property[@name='mode']")
    assert mode is not None
    assert mode.get("value") == "observe"


def test_a_check_that_was_left_out_says_why_and_one_that_passed_wants_nothing() -> None:
    passed = Measurement("pass", "status 200", "status 200", at=moment(120))
    left_out = replace(PAGE, name="load", verdict=None, got="not run: page had failed", attempts=0)
    results = (replace(PAGE, measurements=(passed,)), left_out)
    report = Xml.fromstring(junit(replace(stopped(), checks=ChecksState("failed", "ann@laptop", results))))
    cases = {case.get("name"): case for case in report.iter("testcase")}
    assert "19:32:00Z pass: got status 200" in (cases["page"].findtext("system-out") or "").splitlines()
    skipped = cases["load"].find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "not run: page had failed"


def test_the_suites_count_their_cases() -> None:
    root = Xml.fromstring(junit(stopped()))
    keys = ("name", "tests", "failures", "errors", "skipped", "time")
    assert [tuple(suite.get(key) for key in keys) for suite in root][1:] == [
        ("checks before the shift", "5", "1", "1", "1", "5.800"),
        ("checks after the shift", "1", "0", "0", "0", "0.400"),
    ]
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("7", "2", "1")


def test_a_release_that_is_live_fails_nothing_and_one_that_was_left_is_an_error() -> None:
    snapshot = linear(979)
    assert outcomes(cases(Finished(ending(snapshot), snapshot))["v2 goes live"]) == []
    left = Finished(detached(snapshot, "d-1"), snapshot)
    assert outcomes(cases(left)["v2 goes live"]) == ["error"]


@given(st.text(st.characters(codec=None), max_size=20))
def test_whatever_a_check_says_the_report_is_xml(text: str) -> None:
    result = replace(SLOW, name=f"page {text}", got=text, output=(text,))
    root = Xml.fromstring(
        junit(Finished(detached(None, "d-1"), None, ChecksState("failed", text, (result,))))
    )
    assert len(list(root.iter("testcase"))) == 2
