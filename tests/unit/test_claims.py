"""Claims on the checks of a deployment, in a bucket as moto keeps it."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from bgdeploy.aws import Aws
from bgdeploy.clock import SystemClock
from bgdeploy.release.attending import hook
from bgdeploy.release.attending.claimant import Claimant, dead, start_token
from bgdeploy.release.attending.hook import BEAT, LAPSE, Claims, HookCall, Lapse
from tests.clocks import HandClock

BUCKET, DEPLOYMENT = "shop-dev-bucket", "d-A7YW3F91L"


@pytest.fixture
def aws() -> Iterator[Aws]:
    with mock_aws():
        aws = Aws(stack="shop-dev", region="us-east-1", clock=SystemClock())
        aws.client("s3").create_bucket(Bucket=BUCKET)
        yield aws


def _claimant(owner: str = "ben@elsewhere") -> Claimant:
    return Claimant(owner, "elsewhere", 4711, "boot.namespace/99")


def _claims(aws: Aws, me: Claimant | None = None) -> Claims:
    return Claims(aws, BUCKET, DEPLOYMENT, me or Claimant.me())


def _put(aws: Aws, key: str, content: Any) -> None:
    aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=json.dumps(content).encode())


def test_the_hooks_word_is_read_once_it_is_there(aws: Aws) -> None:
    assert hook.read_call(aws, BUCKET, DEPLOYMENT) is None
    told = {"schema": 1, "deploymentId": DEPLOYMENT, "executionId": "eyJl", "lease": 300}
    _put(aws, f"hooks/{DEPLOYMENT}.json", told)
    assert hook.read_call(aws, BUCKET, DEPLOYMENT) == HookCall(DEPLOYMENT, "eyJl", 300)


def test_a_claim_says_who_holds_it_and_how(aws: Aws) -> None:
    mine = _claims(aws).take(None)
    assert mine is not None
    body = aws.client("s3").get_object(Bucket=BUCKET, Key=f"hooks/{DEPLOYMENT}.claim.json")["Body"].read()
    told = json.loads(body)
    assert (told["schema"], told["pid"], told["beat"], told["answer"]) == (1, os.getpid(), 0, None)
    assert told["owner"].endswith(f"@{told['host']}")


def test_of_two_who_claim_at_once_exactly_one_wins(aws: Aws) -> None:
    one, other = _claims(aws), _claims(aws, _claimant())
    assert one.read() is other.read() is None
    assert one.take(None) is not None
    assert other.take(None) is None


def test_of_two_who_take_a_lapsed_claim_over_exactly_one_wins(aws: Aws) -> None:
    _claims(aws, _claimant("gone@host")).take(None)
    one, other = _claims(aws), _claims(aws, _claimant())
    lapsed = one.read()
    assert lapsed == other.read()
    assert other.take(lapsed) is not None
    assert one.take(lapsed) is None
    now = one.read()
    assert now is not None
    assert now.owner == "ben@elsewhere"


def test_a_claim_that_was_taken_over_cannot_be_renewed(aws: Aws) -> None:
    one, other = _claims(aws), _claims(aws, _claimant())
    mine = one.take(None)
    assert mine is not None
    other.take(mine)
    assert one.renew(mine) is None


def test_every_renewal_is_another_object(aws: Aws) -> None:
    claims = _claims(aws)
    mine = claims.take(None)
    assert mine is not None
    again = claims.renew(mine)
    assert again is not None
    assert (again.beat, again.etag != mine.etag) == (1, True)


def test_an_answer_and_a_farewell_are_told(aws: Aws) -> None:
    claims = _claims(aws)
    mine = claims.take(None)
    assert mine is not None
    given_up = claims.abandon(mine)
    assert given_up is not None
    answered = claims.close(given_up, "Failed")
    assert answered == claims.read()
    assert answered is not None
    assert (given_up.abandoned, answered.answer) == (True, "Failed")


class Echo:
    """An S3 whose answer to the first write gets lost, so that botocore sends the write again."""

    def __init__(self, aws: Aws) -> None:
        self._s3 = aws.client("s3")
        self._lost = True

    def client(self, service: str) -> Any:
        return self

    def get_object(self, **params: Any) -> Any:
        return self._s3.get_object(**params)

    def put_object(self, **params: Any) -> Any:
        if self._lost:
            self._lost = False
            self._s3.put_object(**params)
        return self._s3.put_object(**params)


def test_a_write_that_meets_itself_has_won(aws: Aws) -> None:
    claims = Claims(Echo(aws), BUCKET, DEPLOYMENT)  # type: ignore[arg-type]
    mine = claims.take(None)
    assert mine is not None
    assert mine == claims.read()


def test_other_refusals_of_s3_pass_through(aws: Aws) -> None:
    with pytest.raises(ClientError, match="NoSuchBucket"):
        Claims(aws, "no-such-bucket", DEPLOYMENT).take(None)


def test_a_claim_lapses_by_the_takers_own_clock(aws: Aws) -> None:
    theirs = _claims(aws, _claimant())
    claim = theirs.take(None)
    clock = HandClock()
    lapse = Lapse(Claimant.me(), clock)
    assert claim is not None
    assert not lapse.over(claim)
    clock.advance(LAPSE - 0.1)
    assert not lapse.over(claim)
    clock.advance(0.2)
    assert lapse.over(claim)


def test_a_claim_that_is_renewed_does_not_lapse(aws: Aws) -> None:
    theirs = _claims(aws, _claimant())
    claim = theirs.take(None)
    clock = HandClock()
    lapse = Lapse(Claimant.me(), clock)
    for _ in range(60):
        assert claim is not None
        assert not lapse.over(claim)
        clock.advance(BEAT)
        claim = theirs.renew(claim)


def test_an_abandoned_claim_is_anybodys_at_once(aws: Aws) -> None:
    theirs = _claims(aws, _claimant())
    claim = theirs.take(None)
    assert claim is not None
    given_up = theirs.abandon(claim)
    assert given_up is not None
    assert Lapse(Claimant.me(), HandClock()).over(given_up)


def test_the_claim_of_a_dead_process_of_this_host_is_anybodys_at_once() -> None:
    program = (
        "import sys; from bgdeploy.release.attending.claimant import Claimant; "
        "print(vars(Claimant.me())); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        told = ast.literal_eval(process.stdout.readline())
        other, me = Claimant(**told), Claimant.me()
        assert not dead(other, me)
        process.kill()
    assert dead(other, me)


def test_a_process_of_another_host_or_container_is_never_taken_for_dead() -> None:
    me = Claimant("me", "host", 1, "boot.ns/10")

    def gone(pid: int) -> str | None:
        return None

    assert dead(Claimant("other", "host", 2, "boot.ns/20"), me, gone)
    assert not dead(Claimant("other", "elsewhere", 2, "boot.ns/20"), me, gone)
    assert not dead(Claimant("other", "host", 2, "boot.container/20"), me, gone)
    assert not dead(Claimant("other", "host", 2, ""), me, gone)


def test_a_pid_that_is_somebody_elses_by_now_is_a_dead_process() -> None:
    me = Claimant("me", "host", 1, "boot.ns/10")
    assert dead(Claimant("other", "host", 2, "boot.ns/20"), me, lambda pid: "boot.ns/21")
    assert not dead(Claimant("other", "host", 2, "boot.ns/20"), me, lambda pid: "boot.ns/20")


def test_a_process_has_the_same_token_whenever_it_is_asked_for() -> None:
    assert start_token(os.getpid()) == start_token(os.getpid()) != start_token(1)
