"""What is asked of CloudWatch Logs, and how a line is shown."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdeploy.release.logs import pattern
from bgdeploy.release.records.told import Line
from bgdeploy.sandbox.patterns import compiled
from bgdeploy.views.logs import head, shown

AT = datetime(2026, 1, 5, 12, 0, 1, 7000, tzinfo=timezone.utc)


@given(st.text(st.characters(codec="utf-8"), max_size=12), st.text("abc GET/404[]{}*?-", max_size=30))
def test_a_pattern_finds_the_lines_that_hold_the_very_text(text: str, line: str) -> None:
    wanted = pattern(text)
    if wanted is not None:
        matches = compiled(wanted)
        assert matches(f"{line}{text}{line}") is not None
        assert (matches(line) is not None) == (text in line)


@pytest.mark.parametrize("text", ["", "  ", 'say "hi"', "a\\b", "100%", "tab\there", "x" * 1023])
def test_what_a_pattern_cannot_say_is_looked_for_here(text: str) -> None:
    assert pattern(text) is None


@pytest.mark.parametrize("text", ["GET /", " 404 ", "[error]", "ä", "x" * 1022])
def test_what_a_pattern_can_say_is_looked_for_there(text: str) -> None:
    assert pattern(text) == f'"{text}"'


@pytest.mark.parametrize(
    ("line", "dated", "start"),
    [
        (Line(AT, "blue", "v1", "web", "hello"), False, "12:00:01.007Z blue  v1     "),
        (Line(AT, "green", "v2", "envoy", "hello"), False, "12:00:01.007Z green v2/envoy "),
        (Line(AT, None, "1.4.0-rc1", "web", "hello"), True, "2026-01-05 12:00:01.007Z ?     1.4.0-rc1 "),
    ],
)
def test_a_line_begins_with_time_side_and_version(line: Line, dated: bool, start: str) -> None:
    assert head(line, "web", dated=dated) == start


def test_a_terminal_does_not_obey_what_applications_write() -> None:
    line = Line(AT, "blue", "v1", "web", "\x1b[2Jgone\ta\rb")
    assert shown(line, "> ").plain == ">  [2Jgone        a b"
