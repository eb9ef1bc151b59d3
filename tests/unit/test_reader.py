"""Reading a deployment: what the snapshot holds, and how few calls it takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from bgdeploy.aws import Aws
from bgdeploy.errors import BgdeployError
from bgdeploy.release.phase import Phase, phase
from bgdeploy.release.reader import Reader
from bgdeploy.release.snapshot import Snapshot
from tests import deployments as d
from tests.account import Account
from tests.clocks import HandClock


def _reader(account: Account) -> Reader:
    return Reader(cast(Aws, account), d.TARGET)


@pytest.mark.parametrize("seconds", [1, 26, 105, 130, 201, 500, 761, 985])
def test_a_first_look_sees_everything_at_once(seconds: float) -> None:
    clock = HandClock(d.T0)
    clock.advance(seconds)
    read = _reader(Account(clock, d.linear)).read(d.ID)
    expected = d.linear(seconds)
    assert read.deployment == expected.deployment
    assert read.events == expected.events
    assert [(s.side, s.version, s.status, s.healthy) for s in read.task_sets] == [
        (s.side, s.version, s.status, s.healthy) for s in expected.task_sets
    ]
    assert (read.production, read.test) == (expected.production, expected.test)
    assert [(alarm.name, alarm.state) for alarm in read.alarms] == [("shop-dev-not-found", "OK")]
    assert read.at == expected.at


def _watch(account: Account, clock: HandClock, until: float) -> list[Snapshot]:
    reader, found = _reader(account), []
    while clock.monotonic() < until:
        found.append(reader.read(d.ID))
        clock.advance(2.5)
    return found


@pytest.mark.parametrize("tasks", [1, 500])
def test_a_minute_of_watching_makes_at_most_40_calls_however_many_tasks_run(tasks: int) -> None:
    clock = HandClock(d.T0)
    account = Account(clock, d.linear, tasks)
    _watch(account, clock, 1000)
    times = [when for when, _ in account.calls]
    busiest = max(sum(start <= when < start + 60 for when in times) for start in times)
    assert busiest <= 40


def test_even_a_story_told_sixty_times_as_fast_keeps_to_the_ceiling_but_for_its_end() -> None:
    clock = HandClock(d.T0)
    account = Account(clock, lambda seconds: d.linear(seconds * 20))
    _watch(account, clock, 60)
    assert len(account.calls) <= 44


def test_a_lifecycle_change_is_seen_by_the_next_poll() -> None:
    clock = HandClock(d.T0)
    polls = _watch(Account(clock, d.linear), clock, 1000)
    late = [n for n, poll in enumerate(polls) if poll.events != d.linear(n * 2.5).events]
    assert late == []
    assert [phase(poll) for poll in polls] == [phase(d.linear(n * 2.5)) for n in range(len(polls))]


def test_a_rollback_is_read_by_its_id() -> None:
    clock = HandClock(d.T0)
    run = d.alarm_run()
    account = Account(clock, lambda seconds: run[min(int(seconds), len(run) - 1)])
    reader = _reader(account)
    seen = []
    for _ in run:
        seen.append(reader.read(d.ID))
        clock.advance(1)
    assert [phase(snapshot) for snapshot in seen][2:] == [
        Phase.STOPPED,
        Phase.ROLLING_BACK,
        Phase.ROLLED_BACK,
    ]
    last = reader.read(d.ID, fresh=True)
    assert last.rollback is not None
    assert last.rollback.id == d.ROLLBACK_ID
    assert last.primary is not None
    assert last.primary.side == "blue"
    assert dict(last.production.weights if last.production else {}) == {
        "shop-dev-blue": 100,
        "shop-dev-green": 0,
    }


def _stopped_task(**more: Any) -> dict[str, Any]:
    return {
        "taskArn": "arn:aws:ecs:us-east-1:1:task/shop-dev/1",
        "startedBy": d.task_set("green", "ACTIVE").id,
        "stoppedReason": "Essential container in task exited",
        "containers": [{"name": "web", "exitCode": 1}],
        "stoppedAt": d.moment(20),
        **more,
    }


def test_tasks_that_do_not_come_up_are_asked_why() -> None:
    clock = HandClock(d.T0)
    account = Account(clock, d.linear)
    account.stopped = [_stopped_task(), _stopped_task(startedBy="ecs-svc/9", stoppedReason="of another")]
    clock.advance(26)
    reader = _reader(account)
    assert reader.read(d.ID).trouble == (), "they get their time first"
    clock.advance(10)
    why = ("a task stopped: Essential container in task exited; web exited with 1",)
    assert reader.read(d.ID).trouble == why


def test_a_reason_that_comes_again_is_told_once_with_how_often() -> None:
    clock = HandClock(d.T0)
    account = Account(clock, d.linear)
    account.stopped = [_stopped_task()]
    clock.advance(36)
    reader = _reader(account)
    assert len(reader.read(d.ID).trouble) == 1
    account.stopped += [_stopped_task(taskArn="arn:aws:ecs:us-east-1:1:task/shop-dev/2")]
    clock.advance(20)
    why = ("a task stopped: Essential container in task exited; web exited with 1 (2 tasks)",)
    assert reader.read(d.ID).trouble == why


def test_the_reasons_outlive_the_tasks() -> None:
    clock = HandClock(d.T0)
    failed = d.ended(d.linear(50), "Failed", "Install", "ECS_UPDATE_ERROR", "never steady", 51)
    gone = replace(failed, task_sets=(d.task_set("blue", "PRIMARY"),))
    account = Account(clock, lambda seconds: failed if seconds < 20 else gone)
    account.stopped = [_stopped_task()]
    reader = _reader(account)
    before = reader.read(d.ID).trouble
    clock.advance(60)
    after = reader.read(d.ID, fresh=True)
    assert after.side("green") is None
    assert after.trouble == before != ()


def test_a_later_release_is_named_when_its_tasks_are_live() -> None:
    clock = HandClock(d.T0)
    green = d.task_set("green", "PRIMARY")
    later = replace(green, id="ecs-svc/3", deployment="d-LATER0000", task_definition="f:3", version="v3")
    account = Account(clock, lambda seconds: d.linear(985) if seconds < 5 else _with_service(later))
    reader = _reader(account)
    assert reader.read(d.ID).superseded_by == ""
    clock.advance(60)
    assert reader.read(d.ID).superseded_by == "v3"


def _with_service(only: Any) -> Snapshot:
    return replace(d.linear(985), task_sets=(only,))


def test_a_deployment_of_another_stack_is_refused() -> None:
    class Foreign(Account):
        def _get_deployment(self, params: dict[str, Any]) -> dict[str, Any]:
            found = super()._get_deployment(params)
            return {"deploymentInfo": {**found["deploymentInfo"], "applicationName": "shop-prod"}}

    with pytest.raises(BgdeployError, match="is one of shop-prod, not of shop-dev"):
        _reader(Foreign(HandClock(d.T0), d.linear)).read(d.ID)
