"""The plots of a report, as SVG inside the page: places along the time in per cent, so that they fit any width. Pure.

Nothing is told by colour alone: blue is hatched, what failed is a cross, an alarm that is on stands higher.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bgdeploy.release.records.reported import Bound
from bgdeploy.release.records.story import AlarmState, Traffic, Watched
from bgdeploy.views.html import Html, joined, tag

TALL, LOW = 132, 56
_DOTS, _STRIP, _BAR, _BULLET = 104, 22, 14, 16  # heights in pixels
_TICK = 0.4  # per cent that is always to be seen
_HEADROOM = 1.25  # of a plot above its highest value
_GAP = timedelta(seconds=30)  # for which nobody may watch without being missed


Gap = tuple[datetime, datetime]


@dataclass(frozen=True)
class Axis:
    """The time that a plot is about."""

    start: datetime
    end: datetime

    def place(self, at: datetime) -> float:
        """Return where a moment is, in per cent."""
        whole = max((self.end - self.start).total_seconds(), 0.001)
        return min(max(100 * (at - self.start).total_seconds() / whole, 0.0), 100.0)


@dataclass(frozen=True)
class Dot:
    """One measured value."""

    at: datetime
    value: float
    verdict: str
    shown: str  # with what it is, for whoever points at it


def _pct(value: float) -> str:
    return f"{value:.3f}%"


def _svg(height: int, title: str, *inside: str, class_: str) -> Html:
    """An image without a view box: nothing in it is stretched, and its text has the page's size."""
    return tag(
        "svg",
        tag("title", title),
        *inside,
        class_=class_,
        role="img",
        aria_label=title,
        width="100%",
        height=height,
    )


def _rect(left: float, right: float, top: float, height: float, class_: str, title: str = "") -> Html:
    width = max(right - left, 0.0)
    told = tag("title", title) if title else None
    return tag(
        "rect", told, x=_pct(left), y=float(top), width=_pct(width), height=float(height), class_=class_
    )


def _line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Html:
    return tag("line", x1=_pct(x1), y1=y1, x2=_pct(x2), y2=y2, class_=class_)


def patterns() -> Html:
    """Return what other images are filled with: it has no size itself, and must not be taken out of the page."""

    def hatch(ident: str, path: str, size: int) -> Html:
        return tag(
            "pattern",
            tag("rect", width=size, height=size, class_="ground"),
            tag("path", d=path, class_="ink"),
            id=ident,
            class_=ident,
            width=size,
            height=size,
            patternUnits="userSpaceOnUse",
        )

    return tag(
        "svg",
        tag(
            "defs",
            hatch("hatch-blue", "M-2 2l4 -4M0 8l8 -8M6 10l4 -4", 8),
            hatch("hatch-alarm", "M-2 6l4 4M0 0l8 8M6 -2l4 4", 8),
            hatch("dots-gap", "M2 2h1.5", 6),
        ),
        class_="patterns",
        width=0,
        height=0,
        aria_hidden="true",
    )


def bar(axis: Axis, start: datetime, end: datetime, status: str, title: str) -> Html:
    """Return one event's bar along the whole time; what is short is a tick at least."""
    left, right = min(axis.place(start), 100 - _TICK), axis.place(end)
    kind = {"Failed": "bad", "InProgress": "busy"}.get(status, "done")
    return _svg(
        _BAR,
        title,
        _line(0, _BAR / 2, 100, _BAR / 2, "rail"),
        _rect(left, max(right, left + _TICK), 2, _BAR - 4, f"span {kind}"),
        class_="bar",
    )


# Traffic


def traffic(axis: Axis, found: Sequence[Traffic], gaps: Sequence[Gap], title: str, height: int) -> Html:
    """Return who got how much of a listener's requests: green from below, blue above it."""
    ends = [*(each.at for each in found[1:]), axis.end]
    areas = [area for each, end in zip(found, ends, strict=True) for area in _shared(axis, each, end, height)]
    grid = [_line(0, height * part, 100, height * part, "grid") for part in (0.25, 0.5, 0.75)]
    scale = [
        tag("text", label, x=6, y=y, class_="scale") for label, y in (("100%", 15.0), ("0%", height - 6.0))
    ]
    unseen = [_hidden(axis, start, end, height) for start, end in gaps]
    return _svg(height, title, *areas, *unseen, *grid, *scale, class_="plot traffic")


def _shared(axis: Axis, each: Traffic, end: datetime, height: int) -> Iterator[Html]:
    top = float(height)
    order = {"green": 0, "blue": 1}
    left, right = axis.place(each.at), axis.place(end)
    for part in sorted(each.parts, key=lambda part: order.get(part.side, 2)):
        tall = height * part.percent / 100
        top -= tall
        who = f"{part.side} {part.version}".strip() or "no tasks"
        said = f"{who} {part.percent}% from {each.at:%H:%M:%SZ} to {end:%H:%M:%SZ}"
        yield _rect(left, right, top, tall, f"side-{part.side or 'other'}", said)


def _hidden(axis: Axis, start: datetime, end: datetime, height: int) -> Html:
    said = f"nobody watched from {start:%H:%M:%SZ} to {end:%H:%M:%SZ}"
    return _rect(axis.place(start), axis.place(end), 0, height, "gap", said)


def unwatched(since: datetime, to: datetime, watched: Sequence[Watched]) -> Iterator[Gap]:
    """Yield the times from `since` on in which nobody watched: what is shown there is what was seen last."""
    until = since
    for each in sorted(watched, key=lambda each: each.since):
        if each.since - until > _GAP:
            yield until, each.since
        until = max(until, each.until)
    if to - until > _GAP:
        yield until, to


# Checks


def dots(axis: Axis, found: Sequence[Dot], bound: Bound | None, title: str) -> Html:
    """Return each measurement at its time and height, and the limit as a dashed line."""
    values = [dot.value for dot in found]
    highest = max([*values, bound.limit if bound else 0.0]) * _HEADROOM or 1.0
    floor, room = _DOTS - 8.0, _DOTS - 16.0

    def height(value: float) -> float:
        return floor - room * value / highest

    inside = [_line(0, floor, 100, floor, "rail")]
    if bound:
        inside += _limit(bound, height(bound.limit))
    inside += [_mark(2 + 0.96 * axis.place(dot.at), height(dot.value), dot) for dot in found]
    return _svg(_DOTS, title, *inside, class_="plot dots")


def _limit(bound: Bound, y: float) -> list[Html]:
    label_y = y - 5 if y > 18 else y + 14
    text = tag("text", bound.said, x="100%", y=label_y, dx=-6, class_="limit end")
    return [_line(0, y, 100, y, "limit"), text]


_SIGNS = {
    "pass": tag("circle", r=4, class_="pass"),
    "fail": tag("path", d="M-4 -4L4 4M-4 4L4 -4", class_="fail"),
}
_UNSURE = tag("path", d="M0 -5L5 0L0 5L-5 0Z", class_="unsure")


def _mark(x: float, y: float, dot: Dot) -> Html:
    sign = _SIGNS.get(dot.verdict, _UNSURE)
    # An image in the image: only that way has a shape a place in per cent.
    said = tag("title", dot.shown)
    return tag("svg", tag("g", said, sign, class_="mark"), x=_pct(x), y=float(y), class_="at")


def bullet(value: float, bound: Bound, verdict: str, title: str) -> Html:
    """Return one value as a bar beside its limit."""
    highest = max(value, bound.limit) * _HEADROOM or 1.0
    kind = {"pass": "done", "fail": "bad"}.get(verdict, "busy")
    limit = 100 * bound.limit / highest
    return _svg(
        _BULLET,
        title,
        _rect(0, 100, 4, _BULLET - 8, "track"),
        _rect(0, 100 * value / highest, 4, _BULLET - 8, f"span {kind}"),
        _line(limit, 0, limit, _BULLET, "limit tick"),
        class_="bullet",
    )


# Alarms


_STATES = {"OK": (15, 4), "ALARM": (2, 18), "MISSING": (2, 18)}  # top and height


def states(axis: Axis, found: Sequence[AlarmState], title: str) -> Html:
    """Return the states of one alarm along the time; the higher, the worse."""
    ends = [*(each.at for each in found[1:]), axis.end][: len(found)]
    inside = [_line(0, _STRIP - 3, 100, _STRIP - 3, "rail")]
    for each, end in zip(found, ends, strict=True):
        top, height = _STATES.get(each.state, (11, 8))
        left, right = min(axis.place(each.at), 100 - _TICK), axis.place(end)
        said = f"{each.state} from {each.at:%H:%M:%SZ} to {end:%H:%M:%SZ}"
        kind = f"state {each.state.lower().replace('_', '-')}"
        inside.append(_rect(left, max(right, left + _TICK), top, height, kind, said))
    return _svg(_STRIP, title, *inside, class_="bar states")


def swatch(class_: str) -> Html:
    """Return a small field that looks like what a legend explains."""
    inside = tag("rect", x=0, y=0, width=14, height=12, class_=class_)
    return tag("svg", inside, class_="swatch", width=14, height=12, aria_hidden="true")


def sign(verdict: str) -> Html:
    """Return the sign that measurements of a verdict have."""
    inside = tag("g", _SIGNS.get(verdict, _UNSURE), class_="mark", transform="translate(7 6)")
    return tag("svg", joined(inside), class_="swatch", width=14, height=12, aria_hidden="true")
