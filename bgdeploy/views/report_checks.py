"""The checks of a report: what each wanted and got, and every measurement as a dot beside its limit. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from bgdeploy.quantities import Limit
from bgdeploy.release.records.reported import Bound
from bgdeploy.release.records.story import Checked, Measured, Stage, Story
from bgdeploy.views import report_plots as plots
from bgdeploy.views.html import Html, tag
from bgdeploy.views.report_course import scale, table
from bgdeploy.views.report_plots import Axis, Dot

_TONES = {"pass": ("good", "✓", "passed"), "fail": ("bad", "✗", "failed")}
_UNSURE = {"inconclusive": ("open", "?", "inconclusive"), None: ("open", "●", "no verdict")}
_MOMENTS = {False: "Checks before the shift", True: "Checks from the shift on"}
_MOST_ROWS = 200  # of a table of measurements: the newest

# What is drawn of a kind of check that limits nothing: the value, what it is called, its unit.
_DRAWN: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "get": (("latency", "response time", "s"),),
    "load": (("p95", "p95", "s"), ("success", "success", "%")),
    "compare": (("green", "green's response time", "s"), ("ratio", "green to blue", "")),
    "metric": (("value", "value", ""),),
    "command": (("", "time that it took", "s"),),
}


@dataclass(frozen=True)
class _Series:
    """One value of a check's measurements."""

    label: str
    unit: str
    dots: tuple[Dot, ...]
    bound: Bound | None


def checks(story: Story, bounds: Mapping[str, tuple[Bound, ...]]) -> Html | None:
    """Return all checks, those before the shift first."""
    found = [_moment(story, after, bounds) for after in (False, True)]
    return tag("div", *found) if any(found) else None


def _moment(story: Story, after: bool, bounds: Mapping[str, tuple[Bound, ...]]) -> Html | None:
    mine = [each for each in story.checks if each.after is after]
    stages = [each for each in story.stages if each.after is after]
    if not mine and not stages:
        return None
    measured = [one.at for each in mine for one in each.measurements]
    axis = Axis(min(measured), max(measured) + timedelta(seconds=1)) if measured else None
    return tag(
        "section",
        tag("h2", _MOMENTS[after]),
        tag("p", _course(stages), class_="soft") if stages else None,
        tag("ul", *_legend(mine), class_="legend"),
        *(_check(each, axis, bounds.get(each.name, ())) for each in mine),
    )


def _course(stages: Sequence[Stage]) -> str:
    return "; ".join(
        f"{each.stage} at {each.at:%H:%M:%SZ}" + (f" by {each.owner}" if each.owner else "")
        for each in stages
    )


def _legend(mine: Sequence[Checked]) -> Iterator[Html]:
    verdicts = {one.verdict for each in mine for one in each.measurements}
    for verdict, words in (("pass", "passed"), ("fail", "failed"), ("inconclusive", "inconclusive")):
        if verdict in verdicts:
            yield tag("li", plots.sign(verdict), words)


def _check(check: Checked, axis: Axis | None, bounds: tuple[Bound, ...]) -> Html:
    tone, sign, word = _TONES.get(check.verdict or "") or _UNSURE.get(check.verdict, _UNSURE[None])
    last = check.measurements[-1] if check.measurements else None
    wanted = last.wanted if last and check.verdict != "pass" and last.wanted else check.wanted
    output = next((one.output for one in reversed(check.measurements) if one.output), ())
    return tag(
        "article",
        tag(
            "h3",
            tag("span", sign, class_="mark", aria_hidden="true"),
            check.name,
            tag("span", f" · {word}{', observed only' if check.observed else ''}", class_="soft"),
        ),
        tag("p", tag("code", check.request)),
        tag("p", tag("span", "wanted ", class_="soft"), wanted) if wanted else None,
        tag("p", tag("span", "got ", class_="soft"), check.got)
        if check.got and check.got != wanted
        else None,
        tag("pre", "\n".join(output)) if output else None,
        tag("div", *(_plot(each, axis) for each in _series(check, bounds) if axis), class_="series"),
        _table(check),
        class_=f"check {tone}",
    )


def _series(check: Checked, bounds: tuple[Bound, ...]) -> Iterator[_Series]:
    """Yield what is drawn of a check: all that it limits, else what its kind measures."""
    names = {name: (label, unit) for name, label, unit in _DRAWN.get(check.kind, ())}
    limited = {bound.value: bound for bound in bounds}
    for name in limited or names:
        bound = limited.get(name)
        label, unit = names.get(name, (name, ""))
        unit = bound.unit if bound else unit
        dots = tuple(_dots(check.measurements, name, label, unit))
        if dots:
            yield _Series(label, unit, dots, bound)


def _dots(measured: Sequence[Measured], name: str, label: str, unit: str) -> Iterator[Dot]:
    for one in measured:
        value = dict(one.values).get(name) if name else one.seconds
        if value is not None:
            shown = f"{label} {_shown(value, unit)} at {one.at:%H:%M:%S}, {one.verdict}"
            yield Dot(one.at, value, one.verdict, shown)


def _shown(value: float, unit: str) -> str:
    return Limit.of(value, unit).shown


def _plot(series: _Series, axis: Axis | None) -> Html | None:
    values = [dot.value for dot in series.dots]
    newest = _shown(values[-1], series.unit)
    beside = f", {series.bound.said}" if series.bound else ""
    if len(values) == 1 or axis is None:
        caption = f"{series.label} {newest}{beside}"
        drawn = (
            plots.bullet(values[0], series.bound, series.dots[0].verdict, caption) if series.bound else None
        )
        return tag("figure", drawn, tag("figcaption", caption))
    caption = (
        f"{series.label}: {len(values)} measurements, {_shown(min(values), series.unit)} to "
        f"{_shown(max(values), series.unit)}, last {newest}{beside}"
    )
    return tag(
        "figure",
        plots.dots(axis, series.dots, series.bound, caption),
        scale(axis),
        tag("figcaption", caption),
    )


def _table(check: Checked) -> Html | None:
    if not check.measurements:
        return None
    newest = check.measurements[-_MOST_ROWS:]
    rows = [(f"{one.at:%H:%M:%SZ}", one.verdict, f"{one.seconds:.1f} s", _got(one)) for one in newest]
    count = len(check.measurements)
    summary = f"{count} measurement{'s' if count > 1 else ''}" + (
        f", the newest {_MOST_ROWS}" if count > _MOST_ROWS else ""
    )
    return tag("details", tag("summary", summary), table("", ("At", "Verdict", "Took", "Found"), rows))


def _got(one: Measured) -> str:
    return f"wanted {one.wanted}, got {one.got}" if one.wanted and one.verdict != "pass" else one.got
