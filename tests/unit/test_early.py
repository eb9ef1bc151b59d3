"""When a deployment is given up early: what counts, what does not, and that it is stopped once."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import cast

import pytest
from botocore.exceptions import ClientError

from bgdeploy.aws import Aws
from bgdeploy.config import EarlyFail
from bgdeploy.quantities import Duration
from bgdeploy.release.attending.early import Stillness, doomed, watched
from bgdeploy.release.attending.giving_up import GivingUp
from bgdeploy.release.snapshot import Snapshot, StoppedTask
from tests import deployments as d
from tests.account import Account
from tests.clocks import HandClock

LIMITS = EarlyFail()
STILL = 10 * 60


def _stopped(*tasks: StoppedTask, at: float = 60) -> Snapshot:
    return replace(d.linear(at), stopped=tasks)


def _task(number: int, *, failed: bool = True) -> StoppedTask:
    return StoppedTask(str(number), "a task stopped: web exited with 1", failed, "web")


def _still(seconds: float, step: float = 3.0) -> tuple[Snapshot, Stillness]:
    """Return what somebody has seen who watched an install stand still for so long."""
    now, still = replace(d.linear(60), at=d.moment(60)), Stillness()
    elapsed = 0.0
    while elapsed <= seconds:
        now = replace(now, at=d.moment(60 + elapsed))
        still = watched(still, now)
        elapsed += step
    return now, still


def test_two_tasks_that_stopped_are_enough() -> None:
    assert doomed(_stopped(_task(1)), Stillness(), LIMITS) == ""
    assert doomed(_stopped(_task(1), _task(2)), Stillness(), LIMITS) == (
        "2 of its tasks stopped by themselves (early_fail.stopped_tasks: 2)"
    )


def test_how_many_may_stop_is_for_the_config_to_say() -> None:
    assert doomed(_stopped(_task(1)), Stillness(), EarlyFail(stopped_tasks=1))
    never = EarlyFail(stopped_tasks="none")
    assert doomed(_stopped(*(_task(n) for n in range(9))), Stillness(), never) == ""


def test_a_spot_task_that_was_taken_back_has_not_failed() -> None:
    assert doomed(_stopped(_task(1), _task(2, failed=False)), Stillness(), LIMITS) == ""


@pytest.mark.parametrize(
    ("at", "given_up"), [(60, True), (112, True), (130, True), (300, False), (761, False)]
)
def test_tasks_that_stop_count_until_users_are_on_them(at: float, given_up: bool) -> None:
    """Installing, test traffic, checking; then the shift, and blue that is kept."""
    assert bool(doomed(_stopped(_task(1), _task(2), at=at), Stillness(), LIMITS)) is given_up


def test_an_install_in_which_nothing_moves_is_given_up() -> None:
    assert doomed(*_still(STILL - 30), LIMITS) == ""
    assert doomed(*_still(STILL), LIMITS) == "nothing has moved for 10m (early_fail.no_progress: 10m)"


def test_standing_still_can_be_allowed() -> None:
    assert doomed(*_still(STILL), EarlyFail(no_progress=None)) == ""
    assert doomed(*_still(STILL), EarlyFail(no_progress=Duration(1200))) == ""


def test_anything_that_moves_begins_the_time_anew() -> None:
    now, still = _still(STILL - 30)
    moved = replace(now, task_sets=(d.task_set("blue", "PRIMARY"), d.task_set("green", "ACTIVE", healthy=1)))
    assert watched(still, moved).span.total_seconds() == 0


def test_time_that_nobody_watched_does_not_count() -> None:
    now, still = _still(30)
    later = replace(now, at=d.moment(4000))
    assert watched(still, later).span == still.span
    assert doomed(later, watched(still, later), LIMITS) == ""


def test_a_hook_that_holds_it_is_not_standing_still() -> None:
    held, still = d.linear(130), Stillness()
    for minute in range(40):
        still = watched(still, replace(held, at=d.moment(130 + minute * 50)))
    assert doomed(held, still, LIMITS) == ""


def _account() -> tuple[Account, GivingUp]:
    account = Account(HandClock(d.T0), d.linear)
    return account, GivingUp(cast(Aws, account), LIMITS)


def _stops(account: Account) -> int:
    return [operation for _, operation in account.calls].count("stop_deployment")


def test_it_is_stopped_once_and_who_did_it_stands_beside_it() -> None:
    account, giving_up = _account()
    for second in (60, 63, 66):
        giving_up.look(_stopped(_task(1), _task(2), at=second))
    assert _stops(account) == 1
    told = json.loads(account.objects[f"hooks/{d.ID}.stop.json"])
    assert told["early"] is True
    assert told["why"].startswith("2 of its tasks stopped")


def test_a_stop_that_aws_throttled_is_tried_again_with_the_next_snapshot() -> None:
    account, giving_up = _account()
    throttled = ClientError({"Error": {"Code": "ThrottlingException", "Message": "no"}}, "StopDeployment")
    account.failures.extend([throttled, throttled])  # neither the note nor the stop gets through
    giving_up.look(_stopped(_task(1), _task(2), at=60))
    giving_up.look(_stopped(_task(1), _task(2), at=63))
    assert _stops(account) == 2
    assert f"hooks/{d.ID}.stop.json" in account.objects


def test_a_rollback_is_never_given_up() -> None:
    account, giving_up = _account()
    back = _stopped(_task(1), _task(2))
    giving_up.look(replace(back, deployment=replace(back.deployment, rolls_back="d-OTHER")))
    assert _stops(account) == 0
