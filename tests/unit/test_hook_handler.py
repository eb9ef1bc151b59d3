"""The hook's function, in every way an invocation can go."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from hook_lambda.handler import ENOUGH_TO_ANSWER, Hook

EVENT = {"DeploymentId": "d-A7YW3F91L", "LifecycleEventHookExecutionId": "eyJlbmNyeXB0ZWREYXRhIjoi"}
ENVIRON = {"BUCKET": "shop", "LEASE_SECONDS": "300"}
DESCRIPTION = "bgdeploy release v2 [k3y] by ann@laptop"


def _error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "Operation")


class Lambda:
    """An invocation's time: it passes while the function sleeps, and things happen meanwhile."""

    def __init__(self, seconds: float = 900) -> None:
        self.left = seconds
        self.slept = 0.0
        self.events: list[tuple[float, Callable[[], None]]] = []

    def get_remaining_time_in_millis(self) -> int:
        return int(self.left * 1000)

    def sleep(self, seconds: float) -> None:
        self.left -= seconds
        self.slept += seconds
        assert self.left > 0, "Lambda has ended the function"
        while self.events and self.events[0][0] <= self.slept:
            self.events.pop(0)[1]()

    def at(self, seconds: float, event: Callable[[], None]) -> None:
        self.events = sorted([*self.events, (seconds, event)], key=lambda pair: pair[0])


class Bucket:
    """The stack's bucket, as S3 answers."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.failure: Exception | None = None
        self.failures: list[Exception] = []  # that come first

    def put_object(self, **params: Any) -> dict[str, Any]:
        assert params["Bucket"] == "shop"
        self._fail()
        self.objects[params["Key"]] = params["Body"]
        return {}

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.pop(0)
        if self.failure:
            raise self.failure

    def get_object(self, **params: Any) -> dict[str, Any]:
        self._fail()
        if params["Key"] not in self.objects:
            raise _error("NoSuchKey")
        body = self.objects[params["Key"]]
        return {"Body": io.BytesIO(body), "ETag": f'"{hash(body)}"'}


class CodeDeploy:
    """Knows one deployment, and takes its answers; `failures` come first."""

    def __init__(self, **info: Any) -> None:
        self.info = {"creator": "user", "description": DESCRIPTION, **info}
        self.answers: list[str] = []
        self.failures: list[Exception] = []

    def get_deployment(self, **params: Any) -> dict[str, Any]:
        assert params == {"deploymentId": EVENT["DeploymentId"]}
        return {"deploymentInfo": self.info}

    def put_lifecycle_event_hook_execution_status(self, **params: Any) -> None:
        assert params["deploymentId"] == EVENT["DeploymentId"]
        assert params["lifecycleEventHookExecutionId"] == EVENT["LifecycleEventHookExecutionId"]
        if self.failures:
            raise self.failures.pop(0)
        self.answers.append(params["status"])


class Call:
    """One invocation and all that it deals with."""

    def __init__(self, seconds: float = 900, **info: Any) -> None:
        self.time = Lambda(seconds)
        self.bucket = Bucket()
        self.codedeploy = CodeDeploy(**info)
        self.environ = dict(ENVIRON)
        self.questions: Any = None

    def claim(self, **content: Any) -> None:
        told = {"schema": 1, "owner": "ann@laptop", "beat": 0, "answer": None, **content}
        self.bucket.objects["hooks/d-A7YW3F91L.claim.json"] = json.dumps(told).encode()

    def beat(self, every: float, until: float) -> None:
        """Let a claimant renew its claim for a while."""
        for number in range(int(until / every)):
            self.time.at(number * every, partial(self.claim, beat=number))

    def run(self) -> list[str]:
        Hook(
            EVENT, self.time, self.codedeploy, self.bucket, self.environ, self.time.sleep, self.questions
        ).run()
        return self.codedeploy.answers


def test_it_tells_bgdeploy_which_answer_is_wanted() -> None:
    call = Call()
    call.run()
    assert json.loads(call.bucket.objects["hooks/d-A7YW3F91L.json"]) == {
        "schema": 1,
        "deploymentId": EVENT["DeploymentId"],
        "executionId": EVENT["LifecycleEventHookExecutionId"],
        "lease": 300,
    }


def test_without_a_claim_it_fails_closed_at_its_lease(capsys: pytest.CaptureFixture[str]) -> None:
    call = Call()
    assert call.run() == ["Failed"]
    assert 300 <= call.time.slept <= 302
    assert "nobody claimed the checks for 300 s: failing closed" in capsys.readouterr().out


def test_a_claim_that_is_answered_ends_it_quietly(capsys: pytest.CaptureFixture[str]) -> None:
    call = Call()
    call.time.at(3, call.claim)
    call.time.at(9, lambda: call.claim(beat=1, answer="Succeeded"))
    assert call.run() == []
    assert 9 <= call.time.slept <= 11
    assert "ann@laptop answered Succeeded" in capsys.readouterr().out


def test_a_claim_that_is_renewed_is_waited_for_longer_than_the_lease() -> None:
    call = Call()
    call.beat(every=5, until=700)
    call.time.at(700, lambda: call.claim(beat=999, answer="Failed"))
    assert call.run() == []
    assert call.time.slept >= 700


def test_a_claim_whose_beat_stops_fails_closed_a_lease_later(capsys: pytest.CaptureFixture[str]) -> None:
    call = Call()
    call.beat(every=5, until=60)
    assert call.run() == ["Failed"]
    assert 355 <= call.time.slept <= 357
    assert "ann@laptop has not renewed its claim for 300 s" in capsys.readouterr().out


def test_at_the_end_of_its_time_a_held_claim_owns_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    call = Call()
    call.beat(every=5, until=2000)
    assert call.run() == []
    assert "no time is left here; ann@laptop owns the answer" in capsys.readouterr().out


def test_at_the_end_of_its_time_an_abandoned_claim_owns_nothing() -> None:
    call = Call()
    call.beat(every=5, until=835)
    call.time.at(834, lambda: call.claim(beat=999, abandoned=True))
    assert call.run() == ["Failed"]


def test_a_lease_longer_than_its_own_time_does_not_leave_codedeploy_waiting() -> None:
    call = Call(seconds=200)
    assert call.run() == ["Failed"]
    assert call.time.left * 1000 >= ENOUGH_TO_ANSWER - 1000


@pytest.mark.parametrize(
    "trouble",
    [_error("AccessDenied"), OSError("no route"), ValueError("no JSON")],
    ids=["denied", "network", "content"],
)
def test_whatever_goes_wrong_is_answered_with_failed(
    trouble: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    call = Call()
    call.bucket.failure = trouble
    assert call.run() == ["Failed"]
    assert f"the hook broke: {type(trouble).__name__}" in capsys.readouterr().out


def _throttle(call: Call) -> None:
    call.bucket.failures = [_error("SlowDown"), _trouble(503)]


def _trouble(status: int) -> ClientError:
    response: Any = {"Error": {"Code": "InternalError"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "GetObject")


@pytest.mark.parametrize("second", [0, 3])
def test_an_aws_that_wants_a_call_later_fails_no_release(second: int) -> None:
    """Neither while the hook tells that it waits, nor while it looks at the claim."""
    call = Call()
    call.time.at(2, call.claim)
    call.time.at(9, lambda: call.claim(beat=1, answer="Succeeded"))
    if second:
        call.time.at(second, lambda: _throttle(call))
    else:
        _throttle(call)
    assert call.run() == []
    assert call.time.slept <= 12


def test_an_aws_that_is_never_ready_is_answered_with_failed_while_there_is_time() -> None:
    call = Call()
    call.bucket.failure = _error("SlowDown")
    assert call.run() == ["Failed"]
    assert call.time.left * 1000 >= ENOUGH_TO_ANSWER - 1000


def test_a_claim_that_is_no_json_is_answered_with_failed() -> None:
    call = Call()
    call.bucket.objects["hooks/d-A7YW3F91L.claim.json"] = b"<html>"
    assert call.run() == ["Failed"]


def test_without_its_environment_it_answers_failed() -> None:
    call = Call()
    del call.environ["LEASE_SECONDS"]
    assert call.run() == ["Failed"]


def test_a_rollback_is_let_through_at_once() -> None:
    call = Call(creator="codeDeployRollback", description="")
    assert (call.run(), call.time.slept) == (["Succeeded"], 0)


@pytest.mark.parametrize("description", ["", "from the console", "my bgdeploy release "])
def test_a_deployment_that_bgdeploy_did_not_start_may_be_claimed_as_well(description: str) -> None:
    call = Call(description=description)
    call.time.at(10, lambda: call.claim(answer="Succeeded"))
    assert (call.run(), call.time.slept) == ([], 10)


def test_a_deployment_that_nobody_knows_fails_closed_like_any_other() -> None:
    assert Call(description="from the console").run() == ["Failed"]


def test_an_answer_that_somebody_gave_before_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    call = Call()
    call.codedeploy.failures = [_error("LifecycleEventAlreadyCompletedException")]
    assert call.run() == []
    assert "it was answered for already" in capsys.readouterr().out


def test_an_answer_that_is_not_taken_is_given_again() -> None:
    call = Call()
    call.codedeploy.failures = [_error("ThrottlingException"), _error("InternalFailure")]
    assert call.run() == ["Failed"]


def test_an_answer_that_is_never_taken_fails_the_function_itself() -> None:
    call = Call(seconds=200)
    call.codedeploy.failures = [_error("AccessDeniedException")] * 1000
    with pytest.raises(ClientError, match="AccessDenied"):
        call.run()
    assert call.time.left > 0


# With checks of its own


class Questions:
    """Stands for the checks: they come to what they are told to."""

    comes_to = "passed"
    record: dict[str, Any]

    def __init__(
        self, record: dict[str, Any], now: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        type(self).record = record

    def ask(self, save: Callable[[dict[str, Any]], None], enough: Callable[[], bool]) -> str:
        save({"schema": 1, "stage": self.comes_to, "results": []})
        return self.comes_to


def _asking(comes_to: str, record: dict[str, Any] | None = None) -> Call:
    call = Call()
    call.environ["CHECKS_FROM"] = "hook"
    call.questions = type("Told", (Questions,), {"comes_to": comes_to})
    told = {"door": {"url": "http://shop"}} if record is None else record
    call.bucket.objects["releases/k3y.json"] = json.dumps(told).encode()
    return call


@pytest.mark.parametrize(
    ("comes_to", "answer"),
    [
        ("passed", "Succeeded"),
        ("observed", "Succeeded"),
        ("skipped", "Succeeded"),
        ("failed", "Failed"),
        ("unreachable", "Failed"),
    ],
)
def test_it_answers_by_what_its_own_checks_come_to(comes_to: str, answer: str) -> None:
    call = _asking(comes_to)
    assert call.run() == [answer]
    assert call.questions.record == {"door": {"url": "http://shop"}}
    saved = json.loads(call.bucket.objects["hooks/d-A7YW3F91L.results.json"])
    assert (saved["stage"], saved["deploymentId"]) == (comes_to, "d-A7YW3F91L")


def test_a_release_that_does_not_want_it_to_check_is_waited_for() -> None:
    call = _asking("passed", {"door": None})
    call.time.at(3, lambda: call.claim(answer="Succeeded"))
    assert call.run() == []
    assert "hooks/d-A7YW3F91L.json" in call.bucket.objects


def test_without_the_releases_record_it_answers_failed() -> None:
    call = _asking("passed")
    del call.bucket.objects["releases/k3y.json"]
    assert call.run() == ["Failed"]
