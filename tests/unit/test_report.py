"""The page of a report: what it says first, and that nothing in it can do any harm."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdeploy.release.records.report import Seen, compose
from bgdeploy.release.records.reported import Report
from bgdeploy.release.records.story import AlarmState
from bgdeploy.views.commands import parts
from bgdeploy.views.html import Html, joined, tag
from bgdeploy.views.report import page
from bgdeploy.views.report_course import at_the_end
from tests import deployments as d
from tests import stories as told


class Page(HTMLParser):
    """The elements of a page with their attributes, and the text in them."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(page(report))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in {"meta", "br"}:
            self._open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        for name in self._open:
            self.texts[name][-1] += data

    def all(self, name: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.elements if tag == name]

    @property
    def text(self) -> str:
        return self.texts["body"][0]


ALL = pytest.mark.parametrize(
    "report", [pytest.param(make(), id=name) for name, make in told.REPORTS.items()]
)


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("finished", "✓ v2 is live and verified after 16m19s."),
        (
            "alarmed",
            "✗ Rolled back: v2 was stopped by an alarm at AllowTraffic after 3m00s; production is on v1.",
        ),
        ("in-flight", "● v2 is on its way (shifting): 30% of production is on it."),
        ("foreign", "✓ The new version went live after 16m19s; v3 is live now."),
    ],
)
def test_the_verdict_is_the_first_sentence(name: str, verdict: str) -> None:
    shown = Page(told.REPORTS[name]())
    assert shown.texts["h1"] == [verdict]
    assert shown.text.index(verdict) < 100


@ALL
def test_every_page_is_well_formed_and_says_what_its_parts_are(report: Report) -> None:
    shown = Page(report)
    assert all(each.get("scope") in {"row", "col"} for each in shown.all("th"))
    images = [each for each in shown.all("svg") if each.get("role") == "img"]
    assert all(each["aria-label"] for each in images)
    assert all(
        "aria-hidden" in each for each in shown.all("svg") if "role" not in each and each["class"] != "at"
    )
    assert len(shown.all("h1")) == 1
    assert shown.all("html") == [{"lang": "en"}]


@ALL
def test_no_page_asks_for_anything_or_runs_anything(report: Report) -> None:
    shown = Page(report)
    assert not {"script", "img", "link", "iframe", "object", "form", "base", "image"} & {
        e for e, _ in shown.elements
    }
    names = {name for _, attributes in shown.elements for name in attributes}
    assert not {name for name in names if name.startswith("on")} | names & {
        "src",
        "href",
        "xlink:href",
        "style",
    }
    policy = next(each for each in shown.all("meta") if "http-equiv" in each)
    assert policy["http-equiv"] == "Content-Security-Policy"
    assert "default-src 'none'" in policy["content"]
    style = shown.texts["style"][0]
    assert set(re.findall(r"url\(([^)]*)\)", style)) == {"#hatch-blue", "#hatch-alarm", "#dots-gap"}
    assert "@import" not in style


def test_whatever_others_have_written_stays_text() -> None:
    shown = Page(told.hostile())
    for part in ("h1", "title", "pre", "caption", "li"):
        assert part in shown.texts
    assert shown.text.count("<script>document.title='owned'</script>") > 10
    assert "\u202e" not in page(told.hostile())
    assert "\x00" not in page(told.hostile())


@given(st.text())
def test_what_is_not_ours_is_never_markup(text: str) -> None:
    element = tag("p", text, title=text)
    assert element.count("<") == element.count(">") == 2
    assert element.count('"') == 2


def test_markup_that_is_put_together_is_not_escaped_again() -> None:
    assert joined(tag("b", "1 < 2"), " & ") == Html("<b>1 &lt; 2</b> &amp; ")
    assert tag("td", None, class_=None, hidden=True, aria_label="x") == Html(
        '<td hidden aria-label="x"></td>'
    )


def test_the_page_tells_who_what_and_from_where() -> None:
    text = Page(told.finished()).text
    for part in (
        "ann@laptop",
        "linear 10% 1m",
        "4f4f4f4f",
        "0123456789abcdef",
        "not committed",
        "shop-dev:2",
    ):
        assert part in text


def test_every_measurement_has_its_place_beside_its_limit() -> None:
    shown = Page(told.finished())
    dots = [each for each in shown.all("svg") if each["class"] == "at"]
    measured = {each.name: len(each.measurements) for each in told.finished().story.checks}
    assert len(dots) == sum(count for count in measured.values() if count > 1)
    assert "response time: 5 measurements, 120 ms to 400 ms, last 120 ms, at most 300 ms" in shown.text
    assert "p95 180 ms, at most 250 ms" in shown.text


def test_traffic_has_every_step_of_the_way() -> None:
    shares = Page(told.finished()).texts["td"]
    assert [f"blue v1 {100 - part}%, green v2 {part}%" for part in range(10, 100, 10)] == [
        each for each in shares if each.startswith("blue v1") and "green" in each
    ]


def test_the_time_in_which_nobody_watched_is_marked() -> None:
    frames = [told.frame(d.linear(at)) for at in (1, 118, 145)]
    later = [told.frame(d.linear(at)) for at in (500, 700, 980)]
    whole = told.told(later, "ben@elsewhere", told.told(frames))
    text = Page(compose("shop-dev", "us-east-1", Seen(d.linear(980)), whole, told.RECORD)).text
    assert "nobody watched from 19:32:25Z to 19:38:20Z" in text
    assert "nobody watched" not in Page(told.finished()).text


def test_an_alarm_is_told_with_what_was_measured_and_its_limit() -> None:
    assert "2 (alarm when >= 1)" in Page(told.alarmed()).text


def _state(seconds: float, state: str) -> AlarmState:
    return AlarmState(d.moment(seconds), "errors", state)


def test_an_alarm_of_after_the_end_is_told_as_that() -> None:
    states = (_state(0, "OK"), _state(143, "ALARM"))
    assert at_the_end(states, d.moment(100)) == ("OK", "after its end: ALARM from 19:32:23Z")


def test_an_alarm_that_was_on_at_the_end_is_told_with_what_became_of_it() -> None:
    states = (_state(0, "OK"), _state(90, "ALARM"), _state(143, "OK"))
    assert at_the_end(states, d.moment(100)) == ("ALARM", "after its end: OK from 19:32:23Z")


def test_of_an_alarm_that_was_seen_after_the_end_alone_its_state_then_is_not_known() -> None:
    assert at_the_end((_state(143, "OK"),), d.moment(100)) == (
        "not known",
        "after its end: OK from 19:32:23Z",
    )


def test_while_something_goes_on_an_alarm_has_the_state_that_was_seen_last() -> None:
    assert at_the_end((_state(0, "OK"), _state(143, "ALARM")), None) == ("ALARM", "")


def test_an_alarm_of_after_the_end_is_on_the_page() -> None:
    report = told.finished()
    assert report.story.facts
    assert report.story.facts.end
    late = report.story.facts.end + timedelta(seconds=43)
    seen = (_state(0, "OK"), AlarmState(late, "errors", "ALARM"))
    shown = Page(replace(report, story=replace(report.story, alarms=seen)))
    assert f"OKafter its end: ALARM from {late:%H:%M:%SZ}" in shown.texts["td"]


def test_an_alarm_that_was_seen_long_after_the_end_is_not_drawn_within_its_time() -> None:
    report = told.finished()
    assert report.story.facts
    assert report.story.facts.end
    late = AlarmState(report.story.facts.end + timedelta(minutes=4), "errors", "ALARM")
    shown = Page(replace(report, story=replace(report.story, alarms=(late,))))
    assert not [each for each in shown.all("rect") if each.get("class") == "state alarm"]


@pytest.mark.parametrize(
    ("step", "found"),
    [
        ("bgdeploy watch d-1", [("bgdeploy watch d-1", True)]),
        ("aws logs tail /x", [("aws logs tail /x", True)]),
        (
            "mend the check, then bgdeploy release v2",
            [("mend the check, then ", False), ("bgdeploy release v2", True)],
        ),
        (
            "look; `bgdeploy plan` shows it",
            [("look; ", False), ("bgdeploy plan", True), (" shows it", False)],
        ),
        ("or mend the application", [("or mend the application", False)]),
        ("a sign ` alone", [("a sign ` alone", False)]),
    ],
)
def test_the_commands_of_a_step_are_told_from_its_words(step: str, found: list[tuple[str, bool]]) -> None:
    assert list(parts(step)) == found


def test_the_page_shows_a_steps_commands_without_their_backticks() -> None:
    steps = ("`bgdeploy plan` shows which, `bgdeploy provision` gives it back",)
    shown = Page(replace(told.finished(), next=steps))
    assert {"bgdeploy plan", "bgdeploy provision"} <= set(shown.texts["code"])
    assert "bgdeploy plan shows which, bgdeploy provision gives it back" in shown.texts["li"]


def test_an_alarm_that_went_off_shows_its_numbers_and_a_task_its_last_words() -> None:
    text = Page(told.alarmed()).text
    assert "shop-dev-not-found: what it measured, every 1m00s" in text
    assert "2 at 19:32" in text
    assert "alarm when >= 1" in text
    assert "config: no such file\nbye" in text


def test_without_a_story_the_page_says_that_nobody_followed() -> None:
    text = Page(told.foreign()).text
    assert "Nobody followed this deployment with bgdeploy" in text
    assert "not by bgdeploy" in text
    assert "AllowTraffic" in text
