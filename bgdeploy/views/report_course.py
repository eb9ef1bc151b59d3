"""The parts of a report that go by time: phases, lifecycle events, traffic, alarms. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from bgdeploy.release.evidence import Series
from bgdeploy.release.phase import Phase, length
from bgdeploy.release.records.reported import Bound
from bgdeploy.release.records.story import AlarmState, Facts, Part, Step, Story, Traffic, shared, spans
from bgdeploy.views import report_plots as plots
from bgdeploy.views.html import Html, tag
from bgdeploy.views.report_plots import Axis, Dot

_TOO_LATE = 99.0  # per cent of the time: what is seen first then is told by what is live
_BEYOND = 0.03
_KINDS = {str(Phase.SHIFTED): "kept", str(Phase.ROLLING_BACK): "bad"}
_WORDS = {
    str(Phase.READY): "waiting for approval",
    str(Phase.SHIFTED): "old version kept",
}


def day(moment: datetime) -> str:
    """Return a moment with its day."""
    return f"{moment:%Y-%m-%d %H:%M:%SZ}"


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Html:
    """Return a table whose rows begin with what they are about."""
    head = tag("tr", *(tag("th", each, scope="col") for each in heads))
    body = (tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:])) for row in rows)
    whole = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *body))
    return tag("div", whole, class_="scroll")


def axis_of(facts: Facts, written: datetime) -> Axis:
    """Return the time from the deployment's start to its end, or to now."""
    end = facts.end or max(written, facts.created)
    # A little beyond the end: what became of traffic and alarms then is part of it.
    return Axis(facts.created, end + (end - facts.created) * _BEYOND if facts.end else end)


def scale(axis: Axis) -> Html:
    """Return the begin, the middle and the end of a plot's time in words."""
    middle = axis.start + (axis.end - axis.start) / 2
    marks = (tag("span", f"{each:%H:%M:%S}") for each in (axis.start, middle, axis.end))
    return tag("div", *marks, class_="axis", aria_hidden="true")


def _figure(caption: str, *inside: str | None) -> Html:
    return tag("figure", *inside, tag("figcaption", caption) if caption else None)


# Phases and lifecycle events


def phases(story: Story) -> Html | None:
    """Return how long each phase took."""
    found = [
        tag(
            "li",
            tag("strong", _WORDS.get(each.phase, each.phase)),
            tag("span", length(each.seconds) if each.seconds is not None else "goes on", class_="soft"),
            class_=_KINDS.get(each.phase),
        )
        for each in spans(story)
    ]
    return tag("section", tag("h2", "Course"), tag("ol", *found, class_="phases")) if found else None


def timeline(story: Story, written: datetime) -> Html | None:
    """Return the lifecycle events, each with a bar of its time."""
    facts = story.facts
    if facts is None or not story.steps:
        return None
    axis = axis_of(facts, written)
    # The rollback's events come after the deployment's own.
    steps = sorted(story.steps, key=lambda step: (step.deployment != story.deployment, step.place))
    rows = (_row(axis, step, step.deployment != story.deployment, facts, written) for step in steps)
    heads = ("Lifecycle event", "Status", "Began", "Took")
    head = tag(
        "tr",
        *(tag("th", each, scope="col", class_="began" if each == "Began" else None) for each in heads),
        tag("th", scale(axis), scope="col", aria_label="When"),
    )
    whole = tag(
        "table",
        tag("caption", f"Lifecycle events from {day(facts.created)} to {day(facts.end or written)}"),
        tag("thead", head),
        tag("tbody", *rows),
    )
    return tag("section", tag("div", whole, class_="scroll"), aria_label="Lifecycle events")


def _row(axis: Axis, step: Step, undoing: bool, facts: Facts, written: datetime) -> Html:
    end = step.end or facts.end or written
    took = length(end - step.start) if step.start else ""
    began = f"+{length(step.start - facts.created)}" if step.start else ""
    name = f"{step.name} (rollback)" if undoing else step.name
    words = f"{step.status}: {step.message}" if step.message else step.status
    bar = ""
    if step.start:
        bar = plots.bar(axis, step.start, end, step.status, f"{name}: {began}, for {took or '0s'}")
    return tag(
        "tr",
        tag("th", name, scope="row"),
        tag("td", words, class_="bad" if step.status == "Failed" else None),
        tag("td", began, class_="number began"),
        tag("td", took, class_="number"),
        tag("td", bar, class_="bars"),
        class_="bad" if step.status == "Failed" else None,
    )


# Traffic


def traffic(story: Story, written: datetime) -> Html | None:
    """Return who got how much of the production and the test listener's requests."""
    facts = story.facts
    if facts is None or not story.traffic:
        return None
    axis = axis_of(facts, written)
    end = facts.end or written
    found = [_listener(story, axis, end, name) for name in ("production", "test")]
    return tag("section", tag("h2", "Traffic"), *found) if any(found) else None


def _listener(story: Story, axis: Axis, end: datetime, name: str) -> Html | None:
    changes = shared(story, name)
    if not changes or axis.place(changes[0].at) > _TOO_LATE:
        return None
    title = f"{name.capitalize()} listener: " + "; then ".join(
        f"{_told(each)} from {each.at:%H:%M:%S}" for each in changes[:12]
    )
    unseen = list(plots.unwatched(changes[0].at, min(end, axis.end), story.watched))
    rows = [(f"{each.at:%H:%M:%SZ}", _told(each)) for each in changes]
    told = tag("details", tag("summary", "As a table"), table("", ("From", "Shares"), rows))
    return tag(
        "figure",
        tag("h3", f"{name.capitalize()} listener"),
        tag("ul", *_legend(changes, gaps=bool(unseen)), class_="legend"),
        plots.traffic(axis, changes, unseen, title, plots.TALL if name == "production" else plots.LOW),
        scale(axis),
        told,
    )


def _told(each: Traffic) -> str:
    return ", ".join(f"{_who(part)} {part.percent}%" for part in each.parts) or "nobody"


def _who(part: Part) -> str:
    return f"{part.side} {part.version}".strip() or "a target group without tasks of this release"


def _legend(changes: Sequence[Traffic], *, gaps: bool) -> Iterator[Html]:
    parts = dict.fromkeys((part.side, _who(part)) for each in changes for part in each.parts)
    for side, who in sorted(parts):
        yield tag("li", plots.swatch(f"side-{side or 'other'}"), who)
    if gaps:
        yield tag("li", plots.swatch("gap"), "nobody watched")


# Alarms and trouble


def alarms(story: Story, written: datetime) -> Html | None:
    """Return the states of each alarm, with what was measured when it changed."""
    facts, numbers = story.facts, story.ending.series if story.ending else ()
    if facts is None or not (story.alarms or numbers):
        return None
    states = _states(story.alarms, axis_of(facts, written), facts.end) if story.alarms else ()
    return tag("section", tag("h2", "Alarms"), *states, *map(_numbers, numbers))


def _states(found: Sequence[AlarmState], axis: Axis, end: datetime | None) -> Iterator[Html]:
    changes = {name: _changes(found, name) for name in dict.fromkeys(each.name for each in found)}
    head = tag(
        "tr",
        tag("th", "Alarm", scope="col"),
        tag("th", "At the end" if end else "Last seen", scope="col"),
        tag("th", scale(axis), scope="col", aria_label="When"),
    )
    rows = (_alarm(axis, name, states, end) for name, states in changes.items())
    strips = tag("table", tag("caption", "The higher, the worse"), tag("thead", head), tag("tbody", *rows))
    yield tag("div", strips, class_="scroll")
    yield _history(sorted((each for one in changes.values() for each in one), key=lambda each: each.at))


def _numbers(series: Series) -> Html | None:
    """Return what an alarm that went off had measured, period by period."""
    if not series.points:
        return None
    limit = f"{series.limit:g}" if series.limit is not None else ""
    bound = _Alarming("", series.operator, series.limit, "", limit) if series.limit is not None else None
    dots = [
        Dot(at, value, "fail" if series.breaches(value) else "pass", f"{value:g} at {at:%H:%M}")
        for at, value in series.points
    ]
    caption = f"{series.alarm}: what it measured, every {length(series.period)}"
    axis = Axis(series.points[0][0], series.points[-1][0])
    return _figure(caption, plots.dots(axis, dots, bound, caption), scale(axis))


class _Alarming(Bound):
    """A limit beyond which an alarm goes off."""

    @property
    def said(self) -> str:
        return f"alarm when {self.sign} {self.shown}"


def _changes(found: Sequence[AlarmState], name: str) -> list[AlarmState]:
    """Return the states of one alarm, each change once."""
    states: list[AlarmState] = []
    for each in found:
        if each.name == name and (not states or states[-1].state != each.state):
            states.append(each)
    return states


def at_the_end(states: Sequence[AlarmState], end: datetime | None) -> tuple[str, str]:
    """Return the state that an alarm had when all was over, or has now, and in words what came after the end."""
    before = [each for each in states if end is None or each.at <= end]
    after = [f"{each.state} from {each.at:%H:%M:%SZ}" for each in states[len(before) :]]
    return before[-1].state if before else "not known", f"after its end: {', '.join(after)}" if after else ""


def _alarm(axis: Axis, name: str, states: Sequence[AlarmState], end: datetime | None) -> Html:
    state, after = at_the_end(states, end)
    drawn = [each for each in states if each.at <= axis.end]
    title = f"{name}: " + "; then ".join(f"{each.state} from {each.at:%H:%M:%S}" for each in states[:12])
    return tag(
        "tr",
        tag("th", name, scope="row"),
        tag("td", tag("span", state, class_="fail-word" if state == "ALARM" else None), _below(after)),
        tag("td", plots.states(axis, drawn, title), class_="bars"),
    )


def _below(text: str) -> Html | None:
    return tag("div", text, class_="soft") if text else None


def _history(states: Sequence[AlarmState]) -> Html:
    rows = [(f"{each.at:%H:%M:%SZ}", each.name, each.state, _measured(each), each.reason) for each in states]
    return table("What they said", ("From", "Alarm", "State", "Measured", "Reason"), rows)


def _measured(each: AlarmState) -> str:
    if each.value is None or each.limit is None or not each.operator:
        return ""
    # The operator is the alarm's: without an alarm the comparison did not hold.
    return f"{each.value:g} (alarm when {each.operator} {each.limit:g})"


def trouble(story: Story) -> Html | None:
    """Return what was heard of tasks that did not come up, and their last words."""
    log = story.ending.log if story.ending else ()
    if not story.trouble and not log:
        return None
    rows = [(f"{each.at:%H:%M:%SZ}", each.subject, each.text) for each in story.trouble]
    return tag(
        "section",
        tag("h2", "Tasks"),
        table("What went wrong", ("At", "Tasks", "Why"), rows) if rows else None,
        tag("h3", "Last words of a task that stopped") if log else None,
        tag("pre", "\n".join(log)) if log else None,
    )
