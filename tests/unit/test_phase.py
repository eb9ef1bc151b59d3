"""The recorded runs of aws-facts, replayed: where they stand, what happened, what is awaited."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from bgdeploy.release.changes import changes
from bgdeploy.release.phase import (
    Phase,
    described,
    length,
    new_version,
    old_version,
    phase,
    rollback_awaited,
    settled,
    shares,
    shifted,
    wait,
)
from bgdeploy.release.snapshot import Deployment, Snapshot
from tests import deployments as d


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (1, Phase.CREATED),
        (26, Phase.INSTALLING),
        (112, Phase.TEST_TRAFFIC),
        (130, Phase.CHECKING),
        (140, Phase.SHIFTING),
        (691, Phase.SHIFTING),
        (761, Phase.SHIFTED),
        (979, Phase.FINISHED),
    ],
)
def test_a_linear_run_passes_through_the_phases_in_order(seconds: float, expected: Phase) -> None:
    assert phase(d.linear(seconds)) is expected


def test_all_traffic_has_moved_when_every_event_passed_even_before_the_flag_says_so() -> None:
    snapshot = d.linear(761)
    late = replace(snapshot, deployment=replace(snapshot.deployment, termination_wait_started=False))
    assert shifted(late)


def test_ready_is_a_phase_that_ends_with_the_approval() -> None:
    snapshot = d.linear(139.4)
    waiting = replace(
        snapshot,
        deployment=replace(snapshot.deployment, status="Ready", approval=timedelta(minutes=30)),
    )
    assert phase(waiting) is Phase.READY
    found = wait(waiting)
    assert found is not None
    assert found.until == d.moment(139.4 + 1800)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (139.4, None),
        (150, "the next 10% move in about 50s"),
        (210, "the next 10% move in about 50s"),
        (640, "the rest moves in about 40s"),
        (685, "the rest moves any moment"),
        (692.4, "blue is kept, a rollback is instant, 5m00s more at most"),
    ],
)
def test_the_next_step_of_a_linear_shift_is_counted_down_to(seconds: float, told: str | None) -> None:
    snapshot = d.linear(seconds)
    found = wait(snapshot)
    assert (found and found.text(snapshot.at)) == told


def test_a_canary_waits_once_for_the_rest() -> None:
    linear = d.linear(150)
    canary = replace(
        linear, deployment=replace(linear.deployment, config="shop-dev-Canary10Percent45Minutes")
    )
    found = wait(canary)
    assert found is not None
    assert found.text(d.moment(140)) == "the rest moves in about 45m00s"


@pytest.mark.parametrize("config", ["CodeDeployDefault.ECSAllAtOnce", "made-by-others"])
def test_a_shift_of_which_the_name_tells_no_steps_has_no_countdown(config: str) -> None:
    linear = d.linear(150)
    assert wait(replace(linear, deployment=replace(linear.deployment, config=config))) is None


def test_a_held_hook_ends_after_an_hour_at_the_latest() -> None:
    found = wait(d.linear(130))
    assert found is not None
    assert found.until == d.moment(117 + 3600)


def test_blue_is_kept_from_the_last_event_on() -> None:
    found = wait(d.linear(761))
    assert found is not None
    assert found.until == d.moment(692.4 + 300)


def test_the_linear_run_tells_each_change_once_and_in_order() -> None:
    snapshots = [d.linear(second) for second in range(0, 985, 3)]
    told = [
        c
        for before, after in zip([None, *snapshots], snapshots, strict=False)
        for c in changes(before, after)
    ]
    production = [c.text for c in told if c.subject == "production"]
    assert production[0] == "blue v1 100%"
    steps = [f"blue v1 {100 - n}% · green v2 {n}%" for n in range(10, 101, 10)]
    assert production[1:] == steps
    done = [c.subject for c in told if c.kind == "event" and c.text.startswith("succeeded")]
    assert done == list(d.EVENTS)
    assert [c.text for c in told if c.kind == "deployment"] == [
        "Created",
        "InProgress",
        "all traffic has moved; blue is kept until 19:46:32Z",
        "Succeeded",
    ]
    assert not [c for c in told if c.good is False]


def test_nothing_is_told_twice() -> None:
    assert changes(d.linear(200), d.linear(200)) == ()


def test_an_alarm_run_goes_back_to_blue() -> None:
    run = d.alarm_run()
    assert [phase(snapshot) for snapshot in run] == [
        Phase.SHIFTING,
        Phase.SHIFTING,
        Phase.STOPPED,
        Phase.ROLLING_BACK,
        Phase.ROLLED_BACK,
    ]
    told = [change for before, after in pairwise(run) for change in changes(before, after)]
    texts = [(change.kind, change.subject, change.text) for change in told]
    assert ("alarm", "shop-dev-not-found", "OK to ALARM: 2 >= 1") in texts
    assert ("event", "AfterAllowTraffic", "skipped") in texts
    assert ("traffic", "production", "blue v1 100% · green v2 0%") in texts
    assert ("rollback", d.ROLLBACK_ID, f"deployment {d.ROLLBACK_ID} rolls {d.ID} back") in texts
    assert ("rollback", d.ROLLBACK_ID, "Succeeded") in texts
    failed = next(c for c in told if c.subject == "AllowTraffic")
    assert failed.text == "failed after 40s"
    assert failed.good is False


def test_a_stopped_deployment_is_not_settled_while_its_rollback_is_awaited() -> None:
    _, _, stopped, rolling_back, back = d.alarm_run()
    assert rollback_awaited(stopped)
    assert [settled(s, "finished") for s in (stopped, rolling_back, back)] == [False, False, True]
    assert settled(stopped, "finished", overdue=True)


@pytest.mark.parametrize(
    ("code", "rollback_on", "awaited"),
    [
        ("ALARM_ACTIVE", ("DEPLOYMENT_STOP_ON_ALARM",), True),
        ("ALARM_ACTIVE", ("DEPLOYMENT_FAILURE",), False),
        ("HOOK_EXECUTION_FAILURE", ("DEPLOYMENT_FAILURE",), True),
        ("ECS_UPDATE_ERROR", (), False),
        ("MANUAL_STOP", (), True),
    ],
)
def test_a_rollback_is_awaited_when_it_was_on_for_what_happened(
    code: str, rollback_on: tuple[str, ...], awaited: bool
) -> None:
    failed = replace(_deployment("Stopped"), error_code=code, rollback_on=rollback_on)
    assert rollback_awaited(Snapshot(d.T0, d.TARGET, failed)) is awaited


def test_a_failed_rollback_is_not_rolled_back_itself() -> None:
    failed = replace(_deployment("Failed"), creator="codeDeployRollback")
    assert not rollback_awaited(Snapshot(d.T0, d.TARGET, failed))


def test_shifted_settles_only_who_asked_for_no_more() -> None:
    assert settled(d.linear(761), "shifted")
    assert not settled(d.linear(761), "finished")
    assert settled(d.linear(980), "finished")


def test_a_target_group_without_tasks_is_named_when_it_gets_traffic() -> None:
    snapshot = d.linear(5)
    astray = replace(snapshot, production=d.listener("prod", 0, 100))
    assert astray.production is not None
    assert [described(share) for share in shares(astray.production, astray)] == [
        "blue v1 0%",
        "shop-dev-green (no tasks) 100%",
    ]


def test_the_new_version_is_known_before_green_is_there() -> None:
    early = d.linear(1)
    assert (old_version(early), new_version(early)) == ("v1", "v2")
    assert new_version(replace(early, deployment=replace(early.deployment, description="by hand"))) == ""


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (59.9, "59s"), (72, "1m12s"), (7500, "2h05m")])
def test_spans_are_short_words(seconds: float, text: str) -> None:
    assert length(seconds) == text


def _deployment(status: str) -> Deployment:
    return d.deployment(status)
