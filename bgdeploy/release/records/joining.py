"""How the tellings of several who watched one deployment become one. Pure.

They may watch at once, or one after the other: whoever saves a story joins it with what is there. `joined` is
commutative, associative and idempotent, so neither the order nor a repetition matters, and nothing seen is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from bgdeploy.release.records.story import Checked, Story

T = TypeVar("T")

MOST_MEASUREMENTS = 1000  # of one check: the newest


def joined(one: Story, other: Story) -> Story:
    """Return what both tell of the same deployment."""
    assert one.deployment == other.deployment
    return Story(
        deployment=one.deployment,
        facts=_best((one.facts, other.facts), lambda facts: facts.at),
        steps=_keyed(
            (*one.steps, *other.steps),
            lambda step: (step.deployment, step.place, step.name),
            lambda step: _RANKS.get(step.status, 2),
        ),
        traffic=_all((*one.traffic, *other.traffic)),
        alarms=_all((*one.alarms, *other.alarms)),
        checks=_checks((*one.checks, *other.checks)),
        stages=_all((*one.stages, *other.stages)),
        trouble=_keyed(
            (*one.trouble, *other.trouble),
            lambda each: (each.subject, each.text),
            lambda each: -_time(each.at),
        ),
        watched=_keyed(
            (*one.watched, *other.watched), lambda each: (each.by, _time(each.since)), lambda each: each.until
        ),
        # The earliest that is final: what a later look found live may be another release's doing.
        ending=_best((one.ending, other.ending), lambda ended: (ended.over, -_time(ended.at))),
    )


_RANKS = {"Unknown": 0, "Pending": 0, "InProgress": 1}


def _time(moment: datetime) -> float:
    return moment.timestamp()


def _order(value: Any) -> bytes:
    """Any order will do between what is equally good, as long as everybody has the same."""
    return msgspec.json.encode(value)


def _best(found: Iterable[T | None], rank: Callable[[T], Any]) -> T | None:
    there = [each for each in found if each is not None]
    return max(there, key=lambda each: (rank(each), _order(each)), default=None)


def _keyed(found: Iterable[T], key: Callable[[T], Hashable], rank: Callable[[T], Any]) -> tuple[T, ...]:
    """Return the best of each key, by key."""
    groups: dict[Any, list[T]] = {}
    for each in found:
        groups.setdefault(key(each), []).append(each)
    best = {name: max(group, key=lambda each: (rank(each), _order(each))) for name, group in groups.items()}
    return tuple(best[name] for name in sorted(best))


def _all(found: Iterable[Any]) -> tuple[Any, ...]:
    """Return each of them once, by time."""
    return tuple(sorted(set(found), key=lambda each: (each.at, _order(each))))


def _checks(found: Iterable[Checked]) -> tuple[Checked, ...]:
    groups: dict[tuple[bool, str], list[Checked]] = {}
    for each in found:
        groups.setdefault((each.after, each.name), []).append(each)
    return tuple(sorted(map(_check, groups.values()), key=lambda each: (each.after, each.place, each.name)))


def _check(told: list[Checked]) -> Checked:
    """Return the newest telling of a check with everybody's measurements."""
    if len(told) == 1:
        return told[0]
    bare = (replace(each, measurements=()) for each in told)
    newest = max(bare, key=lambda each: (each.seen, _order(each)))
    measured = _all(one for each in told for one in each.measurements)
    return replace(newest, measurements=measured[-MOST_MEASUREMENTS:])
