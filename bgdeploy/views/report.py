"""A release as one HTML page that needs nothing else: the verdict first, then how it came to it. Pure.

It is what people attach to a ticket: it works without JavaScript and without a network, in print, in the dark, for
those who see no colours, and whatever AWS or an application has written into it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from bgdeploy.release.phase import length
from bgdeploy.release.records.reported import Report, Source
from bgdeploy.release.records.story import Facts, Standing
from bgdeploy.views import report_checks, report_course
from bgdeploy.views.commands import parts
from bgdeploy.views.html import Html, joined, tag
from bgdeploy.views.report_course import day, table
from bgdeploy.views.report_plots import patterns
from bgdeploy.views.report_style import STYLE

# No script, no request to anywhere: also if something in it should ever get past the escaping.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_TONES = {True: ("good", "✓", "good"), False: ("bad", "✗", "bad"), None: ("open", "●", "not over")}


def page(report: Report) -> str:
    """Return the page."""
    tone, sign, word = _TONES[report.good]
    name = _name(report)
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{sign} {name}: {report.verdict}"),
        tag("style", Html(STYLE)),
    )
    body = tag(
        "body",
        patterns(),
        tag(
            "main",
            _verdict(report, tone, sign, word),
            _facts(report),
            _live(report.live, report.written),
            report_course.phases(report.story),
            report_course.timeline(report.story, report.written),
            report_course.traffic(report.story, report.written),
            report_checks.checks(report.story, report.source.bounds),
            report_course.alarms(report.story, report.written),
            report_course.trouble(report.story),
            _footer(report),
        ),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _name(report: Report) -> str:
    facts = report.story.facts
    return f"{facts.version if facts and facts.version else 'a release'} on {report.stack}"


def _verdict(report: Report, tone: str, sign: str, word: str) -> Html:
    facts = report.story.facts
    version = facts.version if facts else ""
    # A sentence begins with a capital, but a version is written as it is.
    begins = (
        report.verdict[:1] if version and report.verdict.startswith(version) else report.verdict[:1].upper()
    )
    said = f"{begins}{report.verdict[1:]}."
    why = tag("ul", *(tag("li", line) for line in report.why)) if report.why else None
    following = None
    if report.next:
        steps = (tag("li", *map(_part, parts(step))) for step in report.next)
        following = tag(
            "div", tag("span", "What to do next:", class_="soft"), tag("ul", *steps), class_="next"
        )
    return tag(
        "header",
        tag("p", f"Release of {_name(report)} · {report.story.deployment}", class_="eyebrow"),
        tag("h1", tag("span", sign, class_="mark", role="img", aria_label=word), " ", said),
        why,
        following,
        class_=f"verdict {tone}",
    )


def _part(part: tuple[str, bool]) -> str:
    text, command = part
    return tag("code", text) if command else text


def _facts(report: Report) -> Html:
    found = [*_who(report), *_what(report.source)]
    if report.story.facts and report.story.facts.error_code:
        facts = report.story.facts
        found.append(("CodeDeploy says", f"{facts.error_code}: {facts.error_message}", True))
    entries = (
        tag("div", tag("dt", name), tag("dd", value), class_="wide" if wide else None)
        for name, value, wide in found
        if value
    )
    return tag("section", tag("dl", *entries), aria_label="The release")


Entry = tuple[str, str, bool]  # what, its value, whether that is long


def _who(report: Report) -> Iterator[Entry]:
    facts, source = report.story.facts, report.source
    if facts is None:
        return
    yield "Version", facts.version + (f" (before: {facts.before})" if facts.before else ""), False
    yield "Started by", source.by or "not by bgdeploy", False
    yield "Started", day(facts.created), False
    yield "Took", _took(facts, report.written), False
    yield "Strategy", source.strategy or facts.config, False
    yield "Checks", {"observe": "observed only", "none": "not run, as asked"}.get(source.checks, ""), False
    yield "Rolled back by", " ".join(filter(None, (facts.rollback, facts.rollback_status))), False
    yield "Goes back from", source.undoes, False


def _took(facts: Facts, written: datetime) -> str:
    end = facts.end
    return length((end or written) - facts.created) + ("" if end else ", and goes on")


def _what(source: Source) -> Iterator[Entry]:
    yield "Commit", _commit(source), True
    yield "Image", tag("code", source.image) if source.image else "", True
    definition = source.task_definition
    yield "Task definition", tag("code", definition) if definition else "", True


def _commit(source: Source) -> str:
    if not source.commit:
        return ""
    dirty = " and changes that were not committed" if source.dirty else ""
    return joined(tag("code", source.commit), dirty)


def _live(live: tuple[Standing, ...], written: datetime) -> Html | None:
    if not live:
        return None
    rows = [
        (
            each.listener,
            each.version or "?",
            each.side or "a later release",
            f"{each.percent}%",
            tag("code", each.url),
        )
        for each in live
    ]
    return tag(
        "section",
        tag("h2", "What is live"),
        table(
            f"When this was written, {day(written)}:",
            ("Listener", "Version", "Side", "Share", "URL"),
            rows,
        ),
    )


def _footer(report: Report) -> Html:
    story = report.story
    seen = "; ".join(
        f"{each.by} from {each.since:%H:%M:%S} to {each.until:%H:%M:%SZ}" for each in story.watched
    )
    if not report.kept:
        seen = "Nobody followed this deployment with bgdeploy: checks, traffic and alarms of the time are not known"
    elif seen:
        seen = f"Followed by {seen}"
    return tag(
        "footer",
        tag("p", f"{seen or 'Followed'}. All times are UTC, by AWS's clock."),
        tag(
            "p",
            f"Written by bgdeploy report at {day(report.written)}, stack {report.stack}, {report.region}.",
        ),
    )
