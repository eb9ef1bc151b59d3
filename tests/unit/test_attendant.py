"""Attending the hook: claim, checks, answer."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from moto import mock_aws

from bgdeploy.clock import SystemClock
from bgdeploy.release.analysis.expectations import Answer
from bgdeploy.release.attending.attendant import Attendant
from bgdeploy.release.attending.hook import Claims
from bgdeploy.release.records import record as records
from bgdeploy.release.records import stories
from bgdeploy.release.records.record import Door
from bgdeploy.release.records.story import Checked, Measured, Stage, Story
from bgdeploy.release.snapshot import Snapshot
from tests.attending import BUCKET, DEPLOYMENT, ELSEWHERE, TARGET, Account, Rig, rigged, until


@pytest.fixture
def rig() -> Iterator[Rig]:
    with rigged() as made:
        yield made


def test_it_waits_for_the_hook_then_checks_and_answers(rig: Rig) -> None:
    attendant = rig.attendant()
    until(lambda: attendant.state.stage == "waiting")
    assert rig.answers == []
    rig.call()
    until(lambda: attendant.state.stage == "passed")
    assert rig.answers == ["Succeeded"]
    assert [result.passed for result in attendant.state.results] == [True]
    until(lambda: rig.claim()["answer"] == "Succeeded")


def test_a_check_that_fails_is_answered_with_failed_and_stays_to_be_seen(rig: Rig) -> None:
    rig.application.status = 500
    rig.recorded(within=5)
    rig.call()
    attendant = rig.attendant()
    until(lambda: rig.answers)
    attendant.attend(rig.snapshot("Failed"))
    until(lambda: attendant.state.stage == "failed")
    assert rig.answers == ["Failed"]
    assert [result.got for result in attendant.state.results] == ["status 500"]


def test_a_listener_that_lets_nobody_in_fails_closed_and_says_so(rig: Rig) -> None:
    def shut_out(url: str, timeout: float) -> Answer:
        return Answer(None, error="no connection within 3 s", reached=False)

    rig.recorded(within=1)
    rig.call()
    attendant = Attendant(rig.aws, TARGET, rig.record, ask=shut_out)
    rig.attendants.append(attendant)
    attendant.attend(rig.snapshot())
    until(lambda: attendant.state.stage == "unreachable")
    assert rig.answers == ["Failed"]


def test_a_verdict_is_answered_within_a_second(rig: Rig) -> None:
    rig.aws.clock = SystemClock()
    rig.application.status = 503
    rig.call()
    rig.attendant()
    assert rig.application.asked.wait(5)
    rig.application.status = 200
    until(lambda: rig.answers)
    assert rig.aws.codedeploy.answers[0][1] - rig.application.passed_at < 1


def test_observing_reports_a_failure_and_lets_the_deployment_go_on(rig: Rig) -> None:
    rig.application.status = 500
    rig.recorded("observe", within=1)
    rig.call()
    attendant = rig.attendant()
    until(lambda: attendant.state.stage == "observed")
    assert rig.answers == ["Succeeded"]
    assert [result.passed for result in attendant.state.results] == [False]


def test_without_checks_the_hook_is_let_go_at_once(rig: Rig) -> None:
    rig.recorded("none")
    rig.call()
    attendant = rig.attendant()
    until(lambda: attendant.state.stage == "skipped")
    assert (rig.answers, rig.application.asked.is_set()) == (["Succeeded"], False)


def test_another_machine_needs_nothing_but_the_deployments_description(rig: Rig) -> None:
    rig.call()
    rig.attendant(remembers=False)
    until(lambda: rig.answers == ["Succeeded"])


@pytest.mark.parametrize("description", ["", "by hand", "bgdeploy release v2 [nosuchkey] by ann@laptop"])
def test_a_deployment_without_a_record_is_not_attended(rig: Rig, description: str) -> None:
    rig.call()
    attendant = Attendant(rig.aws, TARGET, ask=rig.application)
    rig.attendants.append(attendant)
    attendant.attend(rig.snapshot(description=description))
    threading.Event().wait(0.2)
    assert (attendant.state.stage, rig.answers) == ("idle", [])


def test_a_deployment_that_bgdeploy_did_not_start_is_asked_what_the_watchers_config_asks(rig: Rig) -> None:
    rig.call()
    attendant = rig.attendant(
        remembers=False, at=rig.snapshot(description="by hand"), otherwise=lambda snapshot: rig.record
    )
    until(lambda: attendant.state.stage == "passed")
    assert rig.answers == ["Succeeded"]


def test_who_holds_the_claim_elsewhere_is_told_and_left_alone(rig: Rig) -> None:
    theirs = Claims(rig.aws, BUCKET, DEPLOYMENT, ELSEWHERE)
    mine = theirs.take(None)
    rig.call()
    attendant = rig.attendant()
    for _ in range(20):  # 20 s of the attendant's clock, in which a silent claim would have lapsed
        assert mine is not None
        mine = theirs.renew(mine)
        rig.aws.clock.sleep(1)
    assert (attendant.state.stage, attendant.state.owner) == ("elsewhere", "ben@elsewhere")
    assert not rig.application.asked.is_set()


def test_a_claim_that_nobody_renews_is_taken_over(rig: Rig) -> None:
    Claims(rig.aws, BUCKET, DEPLOYMENT, ELSEWHERE).take(None)
    rig.call()
    attendant = rig.attendant()
    until(lambda: attendant.state.stage == "elsewhere")
    until(lambda: rig.answers == ["Succeeded"])
    assert rig.claim()["owner"] != "ben@elsewhere"


def test_of_two_watchers_one_runs_the_checks_and_the_other_says_who(rig: Rig) -> None:
    rig.application.status = 503
    one, other = rig.attendant(), rig.attendant(ELSEWHERE)
    rig.call()
    until(lambda: {one.state.stage, other.state.stage} == {"running", "elsewhere"})
    rig.application.status = 200
    until(lambda: rig.answers)
    assert rig.answers == ["Succeeded"]


def test_whoever_leaves_gives_the_claim_up_and_another_takes_it_at_once(rig: Rig) -> None:
    rig.application.status = 503
    rig.call()
    leaving = rig.attendant(ELSEWHERE)
    until(lambda: leaving.state.stage == "running")
    began = time.monotonic()
    leaving.close()
    assert time.monotonic() - began < 1
    assert (rig.claim()["abandoned"], rig.claim()["answer"]) == (True, None)
    rig.application.status = 200
    rig.attendant()
    until(lambda: rig.answers == ["Succeeded"], seconds=1)


def test_whoever_loses_the_claim_stops_and_does_not_answer(rig: Rig) -> None:
    rig.application.status = 503
    rig.call()
    attendant = rig.attendant()
    until(lambda: attendant.state.stage == "running")
    theirs = Claims(rig.aws, BUCKET, DEPLOYMENT, ELSEWHERE)
    until(lambda: theirs.take(theirs.read()))
    until(lambda: attendant.state.stage == "elsewhere")
    assert rig.answers == []


def test_an_answer_that_aws_does_not_take_is_given_again(rig: Rig) -> None:
    rig.aws.codedeploy.failures = ["ThrottlingException", "InternalFailure", "AccessDeniedException"]
    rig.call()
    attendant = rig.attendant()
    until(lambda: attendant.state.stage == "passed")
    assert (rig.answers, attendant.state.notice) == (["Succeeded"], "")


def test_an_answer_that_comes_too_late_is_told_to_be_that(rig: Rig) -> None:
    rig.aws.codedeploy.failures = ["LifecycleEventAlreadyCompletedException"]
    rig.call()
    attendant = rig.attendant()
    until(lambda: attendant.state.stage == "lapsed")


def test_a_deployment_that_is_stopped_meanwhile_ends_the_checks_without_an_answer(rig: Rig) -> None:
    rig.application.status = 503
    rig.call()
    attendant = rig.attendant()
    until(lambda: attendant.state.stage == "running")
    attendant.attend(rig.snapshot("Failed"))
    until(lambda: attendant.state.stage == "idle")
    assert rig.answers == []


class Unreachable(Account):
    """An account whose S3 cannot be reached for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.down = threading.Event()

    def client(self, service: str) -> Any:
        if self.down.is_set() and service == "s3":
            raise OSError("no route to host")
        return super().client(service)


def test_trouble_with_aws_is_told_and_outlasted() -> None:
    with mock_aws():
        aws = Unreachable()
        aws.client("s3").create_bucket(Bucket=BUCKET)
        rig = Rig(aws)
        rig.call()
        aws.down.set()
        attendant = rig.attendant()
        until(lambda: "no route to host" in attendant.state.notice)
        aws.down.clear()
        until(lambda: rig.answers == ["Succeeded"])
        attendant.attend(rig.snapshot("Succeeded"))
        attendant.close()


# A hook that runs the checks itself


def _found(rig: Rig, stage: str, verdict: str | None) -> None:
    result = {
        "name": "page",
        "request": "GET http://shop/",
        "wanted": "status 200",
        "verdict": verdict,
        "got": "status 503",
        "attempts": 3,
        "failures": 3,
        "seconds": 30.0,
        "reached": True,
        "observed": False,
        "count": None,
    }
    told = {"schema": 1, "stage": stage, "results": [result]}
    rig.aws.client("s3").put_object(
        Bucket=BUCKET, Key=f"hooks/{DEPLOYMENT}.results.json", Body=json.dumps(told).encode()
    )


def _inside(rig: Rig) -> None:
    rig.record = replace(rig.record, door=Door("http://shop", 8080, ("10.20.0.12",)))


def test_what_the_hook_finds_is_shown_and_nobody_claims_its_checks(rig: Rig) -> None:
    _inside(rig)
    attendant = rig.attendant()
    _found(rig, "running", None)
    until(lambda: attendant.state.stage == "running")
    assert attendant.state.owner == "the hook"
    _found(rig, "failed", "fail")
    until(lambda: attendant.state.stage == "failed")
    assert attendant.state.results[0].got == "status 503"
    assert (rig.answers, rig.application.asked.is_set()) == ([], False)


def test_what_the_hook_found_before_anybody_looked_is_shown_too(rig: Rig) -> None:
    _inside(rig)
    _found(rig, "passed", "pass")
    attendant = rig.attendant(at=rig.snapshot("Succeeded"))
    assert (attendant.state.stage, attendant.state.owner) == ("passed", "the hook")


def _story(rig: Rig, stage: str) -> None:
    at = rig.aws.clock.now()
    measured = (
        Measured(at, "fail", "status 200", "status 503", 0.5),
        Measured(at + timedelta(seconds=10), "pass", "status 200", "status 200", 1.5),
    )
    page = Checked(False, 0, "page", "get", "GET /", "status 200", False, at, "pass", "status 200", measured)
    cart = replace(page, after=True, name="cart")
    stages = (Stage(at, False, "running", "ben@elsewhere"), Stage(at, False, stage, "ben@elsewhere"))
    stories.save(rig.aws, BUCKET, Story(DEPLOYMENT, checks=(page, cart), stages=stages), None)


def test_what_others_found_before_anybody_looked_is_shown_too(rig: Rig) -> None:
    _story(rig, "accepted")
    attendant = rig.attendant(at=rig.snapshot("Succeeded"))
    assert (attendant.state.stage, attendant.state.owner) == ("accepted", "ben@elsewhere")
    (page,) = attendant.state.results
    assert (page.name, page.verdict, page.attempts, page.failures, page.seconds) == (
        "page",
        "pass",
        2,
        1,
        10.5,
    )


def test_who_watched_somebody_elses_checks_is_told_how_they_ended(rig: Rig) -> None:
    Claims(rig.aws, BUCKET, DEPLOYMENT, ELSEWHERE).take(None)
    rig.call()
    attendant = rig.attendant()
    until(lambda: attendant.state.stage == "elsewhere")
    over = rig.snapshot("Succeeded")
    attendant.attend(over)
    assert attendant.state.stage == "elsewhere"
    _story(rig, "passed")
    attendant.attend(over)
    assert (attendant.state.stage, len(attendant.state.results)) == ("passed", 1)


def test_what_others_found_is_told_with_it_when_the_deployment_has_failed(rig: Rig) -> None:
    _story(rig, "failed")
    after = Claims(rig.aws, BUCKET, DEPLOYMENT, ELSEWHERE, after=True)
    mine = after.take(None)
    assert mine is not None
    after.close(mine, "Failed", ('check "cart": wanted status 200, got status 500',))
    over = rig.snapshot("Failed")
    attendant = rig.attendant(at=replace(over, deployment=replace(over.deployment, status="Failed")))
    assert (attendant.state.stage, len(attendant.state.results)) == ("failed", 1)
    assert attendant.state.after is not None
    assert attendant.state.after.why[0].startswith('check "cart"')


def test_a_story_whose_teller_was_killed_says_nothing_of_how_the_checks_ended(rig: Rig) -> None:
    _story(rig, "running")
    attendant = rig.attendant(at=rig.snapshot("Succeeded"))
    assert attendant.state.stage == "idle"


def test_a_hook_that_does_not_check_after_all_has_its_checks_run_here(rig: Rig) -> None:
    _inside(rig)
    rig.call()
    attendant = rig.attendant()
    until(lambda: attendant.state.stage == "passed")
    assert rig.answers == ["Succeeded"]


def _ready(rig: Rig) -> Snapshot:
    """The deployment after its checks, waiting for approval."""
    snapshot = rig.snapshot("Succeeded")
    return replace(snapshot, deployment=replace(snapshot.deployment, status="Ready"))


def test_whoever_follows_a_way_back_approves_it_once(rig: Rig) -> None:
    records.save(rig.aws, BUCKET, replace(rig.record, undoes="d-BAD"))
    rig.aws.codedeploy.failures.append("ThrottlingException")
    attendant = rig.attendant(remembers=False, at=_ready(rig))
    assert rig.aws.codedeploy.approved == []
    for _ in range(2):
        attendant.attend(_ready(rig))
    assert rig.aws.codedeploy.approved == ["READY_WAIT"]


def test_a_release_waits_for_somebody_to_approve_it(rig: Rig) -> None:
    rig.attendant(remembers=False, at=_ready(rig))
    assert rig.aws.codedeploy.approved == []
