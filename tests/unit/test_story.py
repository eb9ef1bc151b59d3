"""How the tellings of several who watched become one story, and what it comes to."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bgdeploy.errors import Exit
from bgdeploy.release.back import undone
from bgdeploy.release.ending import detached, ending, gave_up
from bgdeploy.release.records import story as stories
from bgdeploy.release.records import telling
from bgdeploy.release.records.joining import joined
from bgdeploy.release.records.story import (
    AlarmState,
    Checked,
    Ended,
    Facts,
    Measured,
    Part,
    Stage,
    Step,
    Story,
    Traffic,
    Trouble,
    Watched,
    shared,
    spans,
)
from tests import deployments as d
from tests import stories as told

WORD = st.sampled_from(["a", "b"])
TIME = st.integers(0, 3).map(d.moment)
NUMBER = st.none() | st.sampled_from([0.5, 1.0])
FACTS = st.builds(
    Facts,
    at=TIME,
    version=WORD,
    before=WORD,
    status=WORD,
    description=WORD,
    config=WORD,
    created=TIME,
    completed=st.none() | TIME,
)
STEPS = st.builds(
    Step,
    deployment=WORD,
    place=st.integers(0, 1),
    name=WORD,
    status=st.sampled_from(["Pending", "InProgress", "Succeeded", "Failed"]),
    start=st.none() | TIME,
)
PARTS = st.builds(
    Part, side=st.sampled_from(["blue", "green"]), version=WORD, percent=st.sampled_from([0, 100])
)
TRAFFIC = st.builds(Traffic, at=TIME, listener=WORD, parts=st.tuples(PARTS))
ALARMS = st.builds(AlarmState, at=TIME, name=WORD, state=WORD, value=NUMBER)
MEASURED = st.builds(
    Measured, at=TIME, verdict=WORD, wanted=WORD, got=WORD, values=st.sampled_from([(), (("latency", 0.5),)])
)
CHECKS = st.builds(
    Checked,
    after=st.booleans(),
    place=st.integers(0, 1),
    name=WORD,
    kind=WORD,
    request=WORD,
    wanted=WORD,
    observed=st.booleans(),
    seen=TIME,
    verdict=st.none() | WORD,
    measurements=st.lists(MEASURED, max_size=3).map(tuple),
)
ENDED = st.builds(Ended, at=TIME, over=st.booleans(), kind=WORD, exit=st.integers(0, 5), headline=WORD)


def _several(values: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(values, max_size=3).map(tuple)


# Joined with itself, so that it is in the order in which stories are kept.
STORIES = st.builds(
    Story,
    deployment=st.just("d-1"),
    facts=st.none() | FACTS,
    steps=_several(STEPS),
    traffic=_several(TRAFFIC),
    alarms=_several(ALARMS),
    checks=_several(CHECKS),
    stages=_several(st.builds(Stage, at=TIME, after=st.booleans(), stage=WORD)),
    trouble=_several(st.builds(Trouble, subject=WORD, text=WORD, at=TIME)),
    watched=_several(st.builds(Watched, by=WORD, since=TIME, until=TIME)),
    ending=st.none() | ENDED,
).map(lambda story: joined(story, story))


@given(STORIES, STORIES)
def test_who_tells_first_does_not_matter(one: Story, other: Story) -> None:
    assert joined(one, other) == joined(other, one)


@given(STORIES, STORIES)
def test_telling_it_again_changes_nothing(one: Story, other: Story) -> None:
    both = joined(one, other)
    assert joined(both, one) == joined(both, other) == joined(both, both) == both


@settings(max_examples=50)
@given(STORIES, STORIES, STORIES)
def test_stories_are_joined_in_any_order(one: Story, other: Story, third: Story) -> None:
    orders = [joined(joined(a, b), c) for a, b, c in permutations((one, other, third))]
    assert all(each == orders[0] for each in orders)


@given(STORIES)
def test_a_story_is_read_as_it_was_written(story: Story) -> None:
    assert stories.decode(stories.encode(story)) == story


@pytest.mark.parametrize("body", [b"", b"[]", b'{"schema": 1}', b'{"deployment": "d-1", "steps": [1]}'])
def test_what_is_no_story_is_told(body: bytes) -> None:
    with pytest.raises(ValueError, match="no story"):
        stories.decode(body)


def test_a_later_bgdeploy_may_say_more() -> None:
    body = stories.encode(Story("d-1"))
    assert stories.decode(body.replace(b"{", b'{"weather": "fine", ', 1)) == Story("d-1")


def test_two_who_watch_one_after_the_other_tell_the_whole() -> None:
    frames = [told.frame(d.linear(at)) for at in (1, 118, 145, 220, 300, 400, 700, 980)]
    first, second = told.told(frames[:4]), told.told(frames[4:], by="ben@elsewhere")
    whole = joined(first, second)
    assert [each.parts[-1].percent for each in shared(whole, "production")] == [100, 10, 20, 30, 50, 100]
    assert [each.by for each in whole.watched] == ["ann@laptop", "ben@elsewhere"]
    assert whole.steps == told.told(frames).steps
    assert whole.facts is not None
    assert whole.facts.status == "Succeeded"


def test_a_share_that_stays_is_told_once() -> None:
    story = told.told(told.frame(d.linear(at)) for at in range(300, 360, 3))
    assert [each.at for each in shared(story, "production")] == [d.moment(300), d.moment(324)]


def test_measurements_of_two_who_ran_a_check_are_all_there() -> None:
    one = told.told([told.frame(d.linear(400), told.guarding(400))])
    late = told.guarding(600)
    assert late.after is not None
    newer = tuple(replace(each, measurements=each.measurements[30:]) for each in late.after.results)
    other = told.told([told.frame(d.linear(600), replace(late, after=replace(late.after, results=newer)))])
    counts = {each.name: len(each.measurements) for each in joined(one, other).checks if each.after}
    assert counts["front page stays up"] == 25 + 15


def test_frame_by_frame_each_measurement_is_told_once() -> None:
    frames = [told.frame(d.linear(at), told.guarding(at)) for at in range(200, 400, 5)]
    story = told.told(frames)
    found = next(each for each in story.checks if each.name == "front page stays up")
    assert len(found.measurements) == len({one.at for one in found.measurements}) == 25


def test_phases_take_as_long_as_their_events() -> None:
    story = told.told([told.frame(d.linear(980))])
    assert [(each.phase, round(each.seconds or 0)) for each in spans(story)] == [
        ("installing", 107),
        ("test traffic", 7),
        ("checking", 22),
        ("shifting", 553),
        ("shifted", 287),
    ]


def test_a_wait_between_the_checks_and_the_shift_is_one_for_approval() -> None:
    run = d.linear(980)
    late = tuple(
        replace(event, start=event.start + timedelta(minutes=5), end=event.end + timedelta(minutes=5))
        if event.start and event.end and event.start >= d.moment(139)
        else event
        for event in run.events
    )
    story = told.told([told.frame(replace(run, events=late))])
    assert [(each.phase, each.seconds) for each in spans(story)][3] == ("ready", 300.0)


def test_a_phase_that_goes_on_has_no_length() -> None:
    assert spans(told.told([told.frame(d.linear(300))]))[-1].seconds is None


def test_what_is_live_long_after_the_end_is_not_part_of_the_story() -> None:
    done = d.linear(980)
    late = told.frame(replace(done, at=done.at + timedelta(hours=1)))
    story = told.told([late])
    assert (story.traffic, story.alarms, story.watched) == ((), (), ())
    assert [step.name for step in story.steps] == list(d.EVENTS)


def test_an_alarm_goes_off_when_cloudwatch_says_it_did() -> None:
    story = told.told(map(told.frame, d.alarm_run()))
    assert [(each.state, each.at, each.value) for each in story.alarms] == [
        ("OK", d.moment(160), None),
        ("ALARM", d.moment(165), 2.0),
    ]


def test_that_somebody_stops_watching_is_no_ending() -> None:
    shown = told.frame(d.linear(300))
    story = telling.begun(shown)
    for left in (detached(shown.snapshot, d.ID), gave_up(shown.snapshot, d.ID, "10m00s are over")):
        assert telling.concluded(story, shown, left).ending is None


def test_a_release_that_somebody_took_back_has_failed_though_the_way_back_has_not() -> None:
    stopped = d.ended(d.linear(300), "Stopped", "AllowTraffic", "MANUAL_STOP", "stopped", 310)
    shown = told.frame(d.rolled_back(stopped))
    judged = undone(ending(shown.snapshot))
    found = telling.concluded(telling.begun(shown), shown, judged).ending
    assert judged.exit is Exit.DONE
    assert found is not None
    assert (found.exit, found.kind) == (Exit.ROLLED_BACK, "stopped")


def test_the_end_counts_more_than_that_production_was_on_it() -> None:
    shifted, over = told.frame(d.linear(700)), told.frame(d.linear(980))
    first = telling.concluded(told.told([shifted]), shifted, ending(shifted.snapshot))
    second = telling.concluded(told.told([over]), over, ending(over.snapshot))
    assert first.ending is not None
    assert not first.ending.over
    assert joined(first, second).ending == second.ending
