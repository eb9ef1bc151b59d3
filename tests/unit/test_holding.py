"""Checks that are inconclusive: who is asked, how the answer comes, and what becomes of the hook meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bgdeploy.checktypes import Check
from bgdeploy.release.attending import hook
from bgdeploy.release.attending.attendant import Attendant
from tests.attending import BUCKET, DEPLOYMENT, ELSEWHERE, Rig, rigged, until

UNSURE = Check(name="smoke", command="echo no baseline; exit 2")


@pytest.fixture
def rig() -> Iterator[Rig]:
    with rigged() as made:
        made.recorded(checks=(UNSURE,))
        made.call()
        yield made


def _asking(rig: Rig) -> Attendant:
    attendant = rig.attendant(interactive=True)
    until(lambda: attendant.state.stage == "asking", seconds=10)
    return attendant


def test_without_anybody_to_ask_inconclusive_checks_fail(rig: Rig) -> None:
    attendant = rig.attendant()
    until(lambda: rig.answers, seconds=10)
    assert (rig.answers, attendant.state.stage) == (["Failed"], "inconclusive")
    (smoke,) = attendant.state.results
    assert (smoke.verdict, smoke.got, smoke.output) == (
        "inconclusive",
        "exit 2: no baseline",
        ("no baseline",),
    )


@pytest.mark.parametrize(
    ("decision", "answer", "stage"), [("pass", "Succeeded", "accepted"), ("fail", "Failed", "declined")]
)
def test_somebody_who_is_there_decides_and_is_heard_within_a_second(
    rig: Rig, decision: hook.Decision, answer: str, stage: str
) -> None:
    attendant = _asking(rig)
    assert rig.answers == []
    decided_at = time.monotonic()
    attendant.decide(decision)
    until(lambda: rig.answers)
    assert rig.answers == [answer]
    assert rig.aws.codedeploy.answers[0][1] - decided_at < 1
    until(lambda: attendant.state.stage == stage)


def test_while_somebody_is_asked_the_claim_is_renewed_and_says_so(rig: Rig) -> None:
    _asking(rig)
    until(lambda: rig.claim()["asking"])
    beat = rig.claim()["beat"]
    until(lambda: rig.claim()["beat"] > beat + 2)


def test_a_command_elsewhere_decides_as_well(rig: Rig) -> None:
    attendant = _asking(rig)
    until(lambda: rig.claim()["asking"])
    assert "count as passed now" in hook.accept(rig.aws, BUCKET, DEPLOYMENT)
    until(lambda: attendant.state.stage == "accepted")
    assert rig.answers == ["Succeeded"]


def test_where_nobody_asks_there_is_nothing_to_decide(rig: Rig) -> None:
    assert hook.accept(rig.aws, BUCKET, DEPLOYMENT) == ""
    attendant = rig.attendant()
    attendant.decide("pass")
    until(lambda: rig.answers, seconds=10)
    assert rig.answers == ["Failed"]


def test_whoever_leaves_without_deciding_lets_another_ask(rig: Rig) -> None:
    leaving = _asking(rig)
    leaving.close()
    assert rig.claim()["abandoned"]
    other = rig.attendant(ELSEWHERE, interactive=True)
    until(lambda: other.state.stage == "asking", seconds=10)
    assert rig.answers == []


def test_a_deployment_that_is_stopped_meanwhile_ends_the_question(rig: Rig) -> None:
    attendant = _asking(rig)
    attendant.attend(rig.snapshot("Failed"))
    until(lambda: attendant.state.stage == "idle")
    assert rig.answers == []


def test_what_has_failed_is_known_to_who_watches_elsewhere(rig: Rig) -> None:
    rig.recorded(checks=(Check(name="smoke", command="echo broken; exit 1"),))
    rig.attendant(ELSEWHERE)
    until(lambda: rig.answers == ["Failed"], seconds=10)
    until(lambda: rig.claim()["why"])
    watching = rig.attendant()
    until(lambda: watching.state.stage == "elsewhere")
    assert watching.state.why[0].startswith('check "smoke": wanted exit 0, got exit 1: broken')


def test_what_has_failed_is_still_known_when_all_is_over(rig: Rig) -> None:
    rig.recorded(checks=(Check(name="smoke", command="echo broken; exit 1"),))
    rig.attendant(ELSEWHERE)
    until(lambda: rig.answers == ["Failed"], seconds=10)
    until(lambda: rig.claim()["why"])
    over = rig.snapshot("Failed")
    later = rig.attendant(at=replace(over, deployment=replace(over.deployment, status="Failed")))
    assert (later.state.stage, later.state.owner) == ("elsewhere", "ben@elsewhere")
    assert later.state.why[0].startswith('check "smoke"')


def test_a_command_knows_what_it_is_to_test(rig: Rig, tmp_path: Path) -> None:
    rig.recorded(
        checks=(
            Check(
                name="smoke",
                command="echo $BGDEPLOY_CHECK_URL $BGDEPLOY_CHECK_VERSION $BGDEPLOY_CHECK_DEPLOYMENT >told",
            ),
        )
    )
    rig.attendant(folder=tmp_path)
    until(lambda: rig.answers == ["Succeeded"], seconds=10)
    assert (tmp_path / "told").read_text() == f"http://t:8080 v2 {DEPLOYMENT}\n"


def test_a_command_ends_with_the_deployment_it_was_to_test(rig: Rig, tmp_path: Path) -> None:
    rig.recorded(checks=(Check(name="smoke", command="echo $$ >pid; sleep 60"),))
    attendant = rig.attendant(folder=tmp_path)
    until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    attendant.attend(rig.snapshot("Failed"))
    pid = (tmp_path / "pid").read_text().strip()
    until(lambda: not Path(f"/proc/{pid}").exists())
    assert threading.active_count() < 20
