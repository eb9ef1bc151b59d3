"""Filter patterns mean what CloudWatch Logs says they mean (aws-facts 9.1)."""

from __future__ import annotations

import json
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdeploy.sandbox.patterns import PatternError, compiled, value_of

COMMON = '127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /apache_pb.gif HTTP/1.0" 404 1534'


def matches(pattern: str, line: str) -> bool:
    return compiled(pattern)(line) is not None


# Words


@pytest.mark.parametrize(
    ("pattern", "line", "expected"),
    [
        ("", "anything", True),
        (" ", "anything", True),
        ("ERROR", "an ERROR here", True),
        ("ERROR", "an error here", False),  # the case counts
        ("ERROR memory", "memory ERROR", True),
        ("ERROR memory", "ERROR only", False),
        ("?ERROR ?WARN", "a WARN", True),
        ("?ERROR ?WARN", "an INFO", False),
        ("ERROR -timeout", "ERROR disk", True),
        ("ERROR -timeout", "ERROR timeout", False),
        ("-INFO", "WARN", True),
        ("-INFO", "INFO", False),
        ('ERROR -"time out"', "ERROR time out", False),
        ("ERROR ?WARN", "ERROR", True),  # beside a plain word the optional one is ignored
        ("ERROR ?WARN", "WARN", False),
        ("-INFO ?WARN", "DEBUG", True),
        ('" 404 "', COMMON, True),
        ('" 404 "', "took 1404 ms", False),
        ('" 404 "', "ends with 404", False),
        (r'"say \"hi\""', 'they say "hi"', True),
        ('""', "anything", True),
        (r"%5\d\d%", "status 503", True),
        (r"%5\d\d%", "status 404", False),
        (r"-%5\d\d%", "status 503", False),
    ],
)
def test_words_match_as_the_guide_says(pattern: str, line: str, expected: bool) -> None:
    assert matches(pattern, line) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        "half-quoted",
        '"open',
        "[a",
        "{ $.a = 1",
        "[]",
        "[a, ..., b, ...]",
        "[status >< 4]",
        "[status > abc]",
        "[a = 1 && b = 2]",
        "[a b]",
        "[a,, b]",
        '[a, "b]',
        "{}",
        "{ }",
        "{ status = 1 }",
        "{ $.a = 1 && }",
        "{ ($.a = 1 }",
        "{ $.a = 1) }",
        "{ $.a ~ 1 }",
        '{ $.a > "x" }',
        "{ $.a IS 1 }",
        "{ $.*.* = 1 }",
        "{ $.*.a = 1 || $.*.b = 1 || $.*.c = 1 || $.*.d = 1 }",
        "%(a)%",
        "%a!%",
        "%[%",
        "%a% %b% %c%",
        "{ " + "(" * 400 + "$.a = 1" + ")" * 400 + " }",
        "a" * 1025,
    ],
)
def test_what_cloudwatch_would_refuse_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        compiled(pattern)


_PHRASES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters='"\\'), max_size=40)


@given(phrase=_PHRASES, line=st.text(max_size=200))
def test_a_quoted_phrase_is_an_exact_substring(phrase: str, line: str) -> None:
    assert matches(f'"{phrase}"', line) == (phrase in line)


@given(
    words=st.lists(st.text(string.ascii_letters, min_size=1, max_size=3), min_size=1, max_size=4),
    line=st.text("abAB ", max_size=20),
)
def test_optional_words_are_the_opposite_of_excluding_each(words: list[str], line: str) -> None:
    some = matches(" ".join(f"?{word}" for word in words), line)
    none = matches(" ".join(f"-{word}" for word in words), line)
    assert some != none


_NEARLY = st.text('[]{}().,=!<>&|"%*$ab01 \\-?', max_size=40)


@given(st.text(max_size=60) | _NEARLY | _NEARLY.map("[{}]".format) | _NEARLY.map(lambda text: f"{{{text}}}"))
def test_any_pattern_is_taken_or_refused_and_never_fails(pattern: str) -> None:
    try:
        match = compiled(pattern)
    except PatternError:
        return
    for line in (pattern, COMMON, '{"a": [1, {"b": null}]}', "", "[" * 5000):
        match(line)


# Fields


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("[ip, id, user, timestamp, request, status, size]", True),
        ("[ip, id, user, timestamp, request, status=404, size]", True),
        ("[ip, id, user, timestamp, request, status=4*, size]", True),
        ("[ip, id, user, timestamp, request, status=5*, size]", False),
        ("[ip, id, user, timestamp, request, status!=404, size]", False),
        ("[ip, id, user, timestamp, request, status=500 || status = 404, size]", True),
        ("[ip, id, user, timestamp, request, status>=400 && status<500, size>1000]", True),
        ("[ip, id, user, timestamp, request, status>=400 && status<500, size>2000]", False),
        ("[ip, id, user, timestamp, request=*pb.gif*, status, size]", True),
        ('[ip, id, user, timestamp, request="GET /apache_pb.gif HTTP/1.0", status, size]', True),
        ('[ip, id, user, timestamp, request="a && b", status, size]', False),
        (r"[ip=%^127\.0\.0\.[0-9]{1,3}$%, ...]", True),
        (r"[ip=%^10\.%, ...]", False),
        ("[..., status=404, size]", True),
        ("[ip, ..., size=1534]", True),
        ("[...]", True),
        ("[ip, id, user, timestamp, request, status=404]", False),  # a field is left over
        ("[ip, id, user, timestamp, request, status=404, size, referer, agent]", False),  # two are missing
        ("[ip, id, user, timestamp, request, status=404, size, ...]", True),
    ],
)
def test_fields_match_an_access_log_line(pattern: str, expected: bool) -> None:
    assert matches(pattern, COMMON) is expected


def test_text_in_brackets_or_quotes_is_one_field_without_them() -> None:
    fields = compiled("[ip, id, user, timestamp, request, status, size]")(COMMON)
    assert fields is not None
    assert fields["timestamp"] == "10/Oct/2000:13:25:15 -0700"
    assert fields["request"] == "GET /apache_pb.gif HTTP/1.0"


def test_a_field_that_only_begins_with_a_bracket_is_left_whole() -> None:
    assert compiled("[word]")("[oops") == {"word": "[oops"}


def test_fields_under_the_dots_are_numbered() -> None:
    pattern = compiled("[..., status, size]")
    fields = pattern(COMMON)
    assert fields is not None
    assert pattern.values(fields)["$1"] == "127.0.0.1"
    assert pattern.values(fields)["$size"] == "1534"


_WORDS = st.text(string.ascii_letters + string.digits + "-./:", min_size=1, max_size=8)


@given(st.lists(_WORDS, min_size=1, max_size=8))
def test_a_pattern_of_as_many_names_as_words_matches_and_returns_them(words: list[str]) -> None:
    names = [f"f{number}" for number in range(len(words))]
    assert compiled(f"[{', '.join(names)}]")(" ".join(words)) == dict(zip(names, words, strict=True))


@given(st.integers(-10_000, 10_000), st.integers(-10_000, 10_000))
def test_numbers_are_compared_as_numbers(left: int, right: int) -> None:
    line = f"x {left}.0"
    assert matches(f"[x, n < {right}]", line) == (left < right)
    assert matches(f"[x, n >= {right}]", line) == (left >= right)
    assert matches(f"[x, n = {right}]", line) == (left == right)


@given(st.text("ab*.?[", min_size=1, max_size=6), st.text("ab.?[", max_size=6))
def test_a_star_is_the_only_wildcard(pattern: str, text: str) -> None:
    expected = re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), text) is not None
    assert matches(f'{{ $.v = "{pattern}" }}', json.dumps({"v": text})) == expected


# JSON

EVENT = json.dumps(
    {
        "status": 404,
        "path": "/missing",
        "ok": False,
        "error": None,
        "latency": 12.5,
        "user": {"id": 7, "tags": ["a", "b"]},
        "hops": [{"ms": 1}, {"ms": 90}],
    }
)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("{ $.status = 404 }", True),
        ("{ $.status = 4* }", True),
        ("{$.status=404}", True),
        ("{ $.status != 404 }", False),
        ("{ $.latency > 12 }", True),
        ("{ $.latency <= 1.2e1 }", False),
        ('{ $.path = "/miss*" }', True),
        ("{ $.path = * }", True),
        (r"{ $.path = %^/m[a-z]+$% }", True),
        ("{ $.status = 404 && $.path = /x }", False),
        ("{ $.status = 500 || ($.status = 404 && $.user.id = 7) }", True),
        ("{ ($.status = 500 || $.status = 404) && $.user.id = 8 }", False),
        ('{ $.user.tags[1] = "b" }', True),
        ('{ $.user.tags[2] = "b" }', False),
        ("{ $.hops[*].ms > 50 }", True),
        ("{ $.hops[*].ms > 100 }", False),
        ("{ $.error IS NULL }", True),
        ("{ $.status IS NULL }", False),
        ("{ $.ok IS FALSE }", True),
        ("{ $.ok IS TRUE }", False),
        ("{ $.nothing NOT EXISTS }", True),
        ("{ $.error NOT EXISTS }", False),
        ("{ $.nothing IS NULL }", False),
        ("{ $.nothing != 1 }", False),  # what is not there is not compared
    ],
)
def test_a_json_selector_is_held_against_the_document(pattern: str, expected: bool) -> None:
    assert matches(pattern, EVENT) is expected


def test_a_line_that_is_no_json_matches_no_selector() -> None:
    assert not matches("{ $.a NOT EXISTS }", "plain text")


def test_a_document_nested_beyond_reason_matches_nothing() -> None:
    assert not matches("{ $.a NOT EXISTS }", "[" * 200_000)


def test_a_selectors_value_is_shown() -> None:
    pattern = compiled("{ $.status = 404 && $.user.id = 7 }")
    fields = pattern(EVENT)
    assert fields is not None
    assert pattern.values(fields) == {"$.status": "404", "$.user.id": "7"}


# Values


@pytest.mark.parametrize(
    ("reference", "pattern", "line", "value"),
    [
        ("1", "ERROR", "ERROR", 1.0),
        ("2.5", "ERROR", "ERROR", 2.5),
        ("$size", "[..., size]", COMMON, 1534.0),
        ("$user", "[ip, id, user, ...]", COMMON, None),  # no number, nothing is published
        ("$.latency", "{ $.status = 404 }", EVENT, 12.5),
        ("$.nothing", "{ $.status = 404 }", EVENT, None),
        ("$.hops[*].ms", "{ $.status = 404 }", EVENT, None),  # which of them?
        ("$.n", "{ $.n > 1 }", '{"n": 1' + "0" * 400 + "}", None),
        ("abc", "ERROR", "ERROR", None),
    ],
)
def test_a_transformation_publishes_a_constant_or_a_field(
    reference: str, pattern: str, line: str, value: float | None
) -> None:
    fields = compiled(pattern)(line)
    assert fields is not None
    assert value_of(reference, fields) == value
