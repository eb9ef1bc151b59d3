"""Checks from the shift on: who runs them, what they are asked of, and what their failing does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bgdeploy.checktypes import Check
from bgdeploy.quantities import Duration
from bgdeploy.release.analysis.expectations import Answer
from bgdeploy.release.attending.attendant import Attendant
from bgdeploy.release.attending.hook import Claims
from bgdeploy.release.checks import ChecksState
from bgdeploy.release.snapshot import Listener, Snapshot
from tests import deployments as d
from tests.attending import BUCKET, DEPLOYMENT, ELSEWHERE, Rig, rigged, until

pytestmark = pytest.mark.slow


class Production:
    """Answers at the production listener, and notes who was asked for what."""

    def __init__(self) -> None:
        self.status = 200
        self.asked: list[str] = []

    def __call__(self, url: str, timeout: float) -> Answer:
        self.asked.append(url)
        return Answer(self.status)


def _page(name: str = "page", **asked: Any) -> Check:
    return Check(name=name, get=f"/{name}", interval=Duration(1), **{"when": "after", **asked})


@pytest.fixture
def rig() -> Iterator[Rig]:
    with rigged() as made:
        made.application = Production()
        made.recorded(checks=(_page(),))
        yield made


def _at(rig: Rig, seconds: float, **changed: Any) -> Snapshot:
    """Return the linear run as it stood so many seconds in, as the rig's deployment."""
    story = d.linear(seconds)
    ours = replace(
        story.deployment, id=DEPLOYMENT, description=rig.record.description, **changed.pop("deployment", {})
    )
    return replace(story, at=rig.aws.clock.now(), deployment=ours, **changed)


SHIFTING, SHIFTED, FINISHED = 200, 750, 985


def _after(attendant: Attendant) -> ChecksState:
    return attendant.state.after or ChecksState()


def _guarded(rig: Rig, seconds: float = SHIFTED, **more: Any) -> Attendant:
    attendant = rig.attendant(at=_at(rig, seconds), **more)
    until(lambda: _after(attendant).stage == "running")
    return attendant


def test_after_the_shift_production_is_asked_again_and_again(rig: Rig) -> None:
    attendant = _guarded(rig)
    until(lambda: len(rig.application.asked) >= 3)
    assert set(rig.application.asked) == {"http://shop.example/page"}
    until(lambda: _after(attendant).results[0].attempts >= 3)
    assert _after(attendant).results[0].verdict is None
    assert rig.aws.codedeploy.stops == []


def test_a_check_that_fails_takes_production_back_and_says_why(rig: Rig) -> None:
    attendant = _guarded(rig)
    rig.application.status = 500
    until(lambda: rig.aws.codedeploy.stops)
    assert rig.aws.codedeploy.stops == [True]  # with a rollback
    until(lambda: _after(attendant).stage == "failed")
    assert _after(attendant).results[0].got == "status 500"
    until(lambda: rig.claim("after.claim")["answer"] == "Failed")
    assert rig.claim("after.claim")["why"][0].startswith('check "page": wanted status 200, got status 500')


def test_as_many_failures_as_may_be_take_nothing_back(rig: Rig) -> None:
    rig.recorded(checks=(_page(failure_limit=10_000),))
    attendant = _guarded(rig)
    rig.application.status = 500
    until(lambda: _after(attendant).results[0].failures >= 3)
    assert rig.aws.codedeploy.stops == []


def test_what_is_only_observed_takes_nothing_back(rig: Rig) -> None:
    rig.recorded(checks=(_page(mode="observe"),))
    rig.application.status = 500
    attendant = rig.attendant(at=_at(rig, SHIFTED))
    until(lambda: _after(attendant).stage == "passed")
    assert (_after(attendant).results[0].verdict, rig.aws.codedeploy.stops) == ("fail", [])


def test_while_traffic_moves_only_checks_from_the_shift_on_are_run(rig: Rig) -> None:
    rig.recorded(checks=(_page("early", when="shift"), _page("late")))
    attendant = _guarded(rig, SHIFTING)
    until(lambda: len(rig.application.asked) >= 3)
    assert set(rig.application.asked) == {"http://shop.example/early"}
    attendant.attend(_at(rig, SHIFTED))
    until(lambda: "http://shop.example/late" in rig.application.asked)


def test_before_the_first_request_has_moved_nobody_is_asked(rig: Rig) -> None:
    rig.recorded(checks=(_page(when="shift"),))
    attendant = rig.attendant(at=_at(rig, 139.5))
    assert attendant.state.after is None
    attendant.attend(_at(rig, 141))
    until(lambda: rig.application.asked)


def test_a_first_release_has_nothing_to_go_back_to(rig: Rig) -> None:
    shifted = _at(rig, SHIFTED)
    sets = tuple(
        replace(one, version="bootstrap") if one.side == "blue" else one for one in shifted.task_sets
    )
    attendant = rig.attendant(at=replace(shifted, task_sets=sets))
    assert attendant.state.after is None


@pytest.mark.parametrize("mode", ["none", "observe"])
def test_checks_that_are_not_to_count_do_not_count_after_the_shift_either(rig: Rig, mode: Any) -> None:
    rig.recorded(mode, checks=(_page(),))
    rig.application.status = 500
    attendant = rig.attendant(at=_at(rig, SHIFTED))
    until(lambda: mode == "none" or _after(attendant).stage == "passed")
    rig.aws.clock.sleep(5)
    assert rig.aws.codedeploy.stops == []


def test_when_the_deployment_is_over_what_was_found_is_concluded_at_once(rig: Rig) -> None:
    attendant = _guarded(rig)
    until(lambda: _after(attendant).results[0].attempts >= 2)
    attendant.attend(_at(rig, FINISHED))
    assert _after(attendant).stage == "passed"
    assert _after(attendant).results[0].verdict == "pass"


def test_a_deployment_that_was_taken_back_concludes_nothing(rig: Rig) -> None:
    attendant = _guarded(rig)
    stopped = _at(rig, SHIFTED, deployment={"status": "Stopped", "error_code": "ALARM_ACTIVE"})
    attendant.attend(stopped)
    assert _after(attendant).stage == "idle"
    assert _after(attendant).results[0].verdict is None


def test_checks_with_a_count_come_to_an_end_of_their_own(rig: Rig) -> None:
    rig.recorded(checks=(_page(count=2),))
    attendant = rig.attendant(at=_at(rig, SHIFTED))
    until(lambda: _after(attendant).stage == "passed")
    assert _after(attendant).results[0].attempts == 2
    until(lambda: rig.claim("after.claim")["answer"] == "Succeeded")


def test_of_two_watchers_one_runs_them_and_the_other_says_who(rig: Rig) -> None:
    first = _guarded(rig, me=ELSEWHERE)
    second = rig.attendant(at=_at(rig, SHIFTED))
    until(lambda: _after(second).stage == "elsewhere")
    assert _after(second).owner == "ben@elsewhere"
    first.close()
    until(lambda: _after(second).stage == "running")


def test_a_claim_that_nobody_renews_is_taken_over(rig: Rig) -> None:
    Claims(rig.aws, BUCKET, DEPLOYMENT, ELSEWHERE, after=True).take(None)
    attendant = rig.attendant(at=_at(rig, SHIFTED))
    until(lambda: _after(attendant).stage == "elsewhere")
    until(lambda: _after(attendant).stage == "running", seconds=8)


def test_why_it_was_taken_back_is_known_to_who_watches_elsewhere(rig: Rig) -> None:
    rig.application.status = 500
    rig.attendant(at=_at(rig, SHIFTED), me=ELSEWHERE)
    until(lambda: rig.aws.codedeploy.stops)
    watching = rig.attendant(at=_at(rig, SHIFTED))
    until(lambda: _after(watching).why, seconds=8)
    assert _after(watching).why[0].startswith('check "page"')


def test_why_it_was_taken_back_is_still_known_when_all_is_over(rig: Rig) -> None:
    rig.application.status = 500
    rig.attendant(at=_at(rig, SHIFTED), me=ELSEWHERE)
    until(lambda: rig.aws.codedeploy.stops and rig.claim("after.claim")["why"])
    stopped = _at(rig, SHIFTED, deployment={"status": "Stopped", "error_code": "MANUAL_STOP"})
    later = rig.attendant(at=stopped)
    assert _after(later).why[0].startswith('check "page"')
    assert (later.state.stage, _after(later).owner) == ("idle", "ben@elsewhere")


def test_a_stop_that_aws_does_not_take_is_asked_for_again(rig: Rig) -> None:
    rig.aws.codedeploy.failures = ["ThrottlingException", "InternalFailure"]
    rig.application.status = 500
    rig.attendant(at=_at(rig, SHIFTED))
    until(lambda: rig.aws.codedeploy.stops == [True])


def test_a_failure_that_comes_when_all_is_over_is_told_to_be_late(rig: Rig) -> None:
    rig.aws.codedeploy.failures = ["DeploymentAlreadyCompletedException"]
    rig.application.status = 500
    attendant = rig.attendant(at=_at(rig, SHIFTED))
    until(lambda: _after(attendant).stage == "late")


def test_it_costs_few_calls_however_long_blue_is_kept(rig: Rig) -> None:
    _guarded(rig)
    beat = rig.claim("after.claim")["beat"]
    rig.aws.clock.sleep(60)
    assert rig.claim("after.claim")["beat"] - beat <= 7


def test_a_target_without_a_test_listener_is_guarded_like_any_other(rig: Rig) -> None:
    moved = _at(rig, SHIFTED)
    door = Listener("arn:prod", "http://shop.example/", {"shop-dev-blue": 0, "shop-dev-green": 100})
    rig.attendant(at=replace(moved, production=door, test=None))
    until(lambda: "http://shop.example/page" in rig.application.asked)


def test_the_time_of_a_measurement_is_awss(rig: Rig) -> None:
    attendant = rig.attendant(at=replace(_at(rig, SHIFTED), at=d.T0))
    until(lambda: _after(attendant).results and _after(attendant).results[0].measurements)
    at = _after(attendant).results[0].measurements[0].at
    assert at is not None
    assert d.T0 <= at < d.T0 + timedelta(minutes=5)
