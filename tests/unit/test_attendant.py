"""Attending the hook: claim, checks, answer. S3 is moto's; CodeDeploy's one operation, which moto lacks, is a fake."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from bgdeploy.aws import Aws
from bgdeploy.clock import FastClock, SystemClock
from bgdeploy.config import Check, Duration
from bgdeploy.release import record as records
from bgdeploy.release.attendant import Attendant
from bgdeploy.release.checks import Answer, Mode
from bgdeploy.release.claimant import Claimant
from bgdeploy.release.hook import Claims
from bgdeploy.release.record import Record
from bgdeploy.release.snapshot import Deployment, Event, Listener, Snapshot, Target

BUCKET, DEPLOYMENT = "shop-dev-bucket", "d-A7YW3F91L"
TARGET = Target(
    application="shop-dev",
    group="shop-dev",
    cluster="shop-dev",
    service="shop-dev",
    container="web",
    port=80,
    production_listener="arn:production",
    test_listener="arn:test",
    target_groups={},
    alarms=(),
    bucket=BUCKET,
    log_group="/ecs/shop-dev",
)
ELSEWHERE = Claimant("ben@elsewhere", "elsewhere", 1, "boot.ns/1")


class CodeDeploy:
    """Takes the hook's answers; `failures` come first."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, float]] = []
        self.failures: list[str] = []

    def put_lifecycle_event_hook_execution_status(self, **params: Any) -> None:
        assert params["lifecycleEventHookExecutionId"] == "eyJl"
        if self.failures:
            error = {"Error": {"Code": self.failures.pop(0), "Message": "no"}}
            raise ClientError(error, "PutLifecycleEventHookExecutionStatus")  # type: ignore[arg-type]
        self.answers.append((params["status"], time.monotonic()))


class Account(Aws):
    """An account whose seconds are short, and whose CodeDeploy is the fake."""

    def __init__(self, speed: float = 20) -> None:
        super().__init__(stack="shop-dev", region="us-east-1", clock=FastClock(speed, SystemClock()))
        self.codedeploy = CodeDeploy()

    def client(self, service: str) -> Any:
        return self.codedeploy if service == "codedeploy" else super().client(service)


class Application:
    """Answers checks: with 503 until it is let."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.asked = threading.Event()
        self.passed_at = 0.0

    def __call__(self, url: str, timeout: float) -> Answer:
        self.asked.set()
        if self.status == 200 and not self.passed_at:
            self.passed_at = time.monotonic()
        return Answer(self.status)


class Rig:
    """A deployment at its hook, and who attends it."""

    def __init__(self, aws: Account) -> None:
        self.aws = aws
        self.application = Application()
        self.attendants: list[Attendant] = []
        self.record = self.recorded()

    def recorded(self, mode: Mode = "all", within: int = 60) -> Record:
        check = Check(name="page", get="/", within=Duration(within))
        made = Record("v2", "dev", "image", "arn", (check,), mode, "ann@laptop", "2026-01-05T12:00:00+00:00")
        records.save(self.aws, BUCKET, made)
        self.record = made
        return made

    def call(self) -> None:
        """Let the hook say that it waits."""
        told = {"schema": 1, "deploymentId": DEPLOYMENT, "executionId": "eyJl", "lease": 300}
        self.aws.client("s3").put_object(
            Bucket=BUCKET, Key=f"hooks/{DEPLOYMENT}.json", Body=json.dumps(told).encode()
        )

    def snapshot(self, status: str = "InProgress", description: str | None = None) -> Snapshot:
        now = self.aws.clock.now()
        deployment = Deployment(
            DEPLOYMENT,
            "InProgress",
            "user",
            self.record.description if description is None else description,
            "CodeDeployDefault.ECSAllAtOnce",
            now - timedelta(minutes=2),
        )
        event = Event("AfterAllowTestTraffic", status, now)
        door = Listener("arn:test", "http://t:8080", {})
        return Snapshot(now, TARGET, deployment, (event,), test=door)

    def attendant(self, me: Claimant | None = None, *, remembers: bool = True) -> Attendant:
        record = self.record if remembers else None
        made = Attendant(self.aws, TARGET, record, ask=self.application, me=me)
        self.attendants.append(made)
        made.attend(self.snapshot())
        return made

    def claim(self) -> dict[str, Any]:
        found = self.aws.client("s3").get_object(Bucket=BUCKET, Key=f"hooks/{DEPLOYMENT}.claim.json")
        told: dict[str, Any] = json.loads(found["Body"].read())
        return told

    @property
    def answers(self) -> list[str]:
        return [answer for answer, _ in self.aws.codedeploy.answers]


def until(true: Callable[[], object], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        threading.Event().wait(0.01)


@pytest.fixture
def rig() -> Iterator[Rig]:
    with mock_aws():
        aws = Account()
        aws.client("s3").create_bucket(Bucket=BUCKET)
        made = Rig(aws)
        yield made
        for attendant in made.attendants:
            attendant.attend(made.snapshot("Succeeded"))
            attendant.close()


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
