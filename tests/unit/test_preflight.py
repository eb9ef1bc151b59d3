"""What a release would fail on, by what it would begin on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bgdeploy.release.preflight import Standing, problems
from bgdeploy.release.snapshot import Alarm, Target

ARN = "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/{}/0123"
TARGET = Target(
    application="shop-dev",
    group="shop-dev",
    cluster="shop-dev",
    service="shop-dev",
    container="web",
    port=80,
    production_listener="arn:production",
    test_listener="arn:test",
    target_groups={name: ARN.format(name) for name in ("shop-dev-blue", "shop-dev-green")},
    alarms=("shop-dev-not-found",),
    bucket="b",
    log_group="/ecs/shop-dev",
)
WELL = Standing(
    target=TARGET,
    primary="shop-dev-green",
    production=({"shop-dev-blue": 0, "shop-dev-green": 100},),
    test=({"shop-dev-blue": 0, "shop-dev-green": 100},),
    alarms=(Alarm("shop-dev-not-found", "OK"),),
    hook="Active",
)


def _told(**changed: Any) -> list[str]:
    return [problem.text for problem in problems(replace(WELL, **changed))]


def test_where_all_is_well_nothing_is_told() -> None:
    assert _told() == []


def test_an_alarm_without_data_is_no_reason_to_wait() -> None:
    assert _told(alarms=(Alarm("a", "INSUFFICIENT_DATA"),)) == []


def test_the_test_listener_may_point_at_either_group() -> None:
    assert _told(test=({"shop-dev-blue": 100, "shop-dev-green": 0},)) == []


@pytest.mark.parametrize("weights", [{"shop-dev-blue": 100, "shop-dev-green": 0}, {"shop-dev-blue": 1}])
def test_a_production_listener_that_is_not_on_the_primary_is_told(weights: dict[str, int]) -> None:
    (told,) = _told(production=(weights,))
    assert "Primary taskset target group must be behind listener" in told


def test_a_production_listener_that_forwards_to_nobody_is_told() -> None:
    (told,) = _told(production=())
    assert "does not forward to shop-dev-green" in told


def test_a_split_listener_is_told_with_the_command_that_mends_it() -> None:
    (problem,) = problems(replace(WELL, production=({"shop-dev-blue": 10, "shop-dev-green": 90},)))
    assert "Green taskset target group cannot have non-zero weight" in problem.text
    assert "shop-dev-blue the weight 10" in problem.text
    assert problem.hint.startswith("`bgdeploy doctor --fix` gives all of production to shop-dev-green")


def test_every_rule_of_the_listener_counts() -> None:
    good, bad = WELL.production[0], {"shop-dev-blue": 100, "shop-dev-green": 0}
    assert len(_told(production=(good, bad))) == 1


def test_a_test_listener_without_the_pair_is_told() -> None:
    assert _told(test=()) == ["the test listener forwards to neither target group of the pair"]
    assert _told(test=None) == []


def test_a_service_without_a_primary_task_set_is_told() -> None:
    assert _told(primary=None) == ["the service has no PRIMARY task set"]


def test_a_primary_task_set_of_a_foreign_group_is_told() -> None:
    (told,) = _told(primary="other")
    assert "target group other, which the deployment group does not know" in told


def test_an_alarm_that_rings_already_is_told_with_its_reason() -> None:
    ringing = Alarm("shop-dev-not-found", "ALARM", "Threshold Crossed", value=2, operator=">=", limit=1)
    (told,) = _told(alarms=(ringing,))
    assert told == "alarm shop-dev-not-found is in ALARM (2 >= 1: Threshold Crossed)"
    assert list(problems(replace(WELL, alarms=(ringing,)), ignore_alarms=True)) == []


def test_an_alarm_that_is_gone_is_told() -> None:
    (told,) = _told(alarms=(Alarm("shop-dev-not-found", "MISSING"),))
    assert "does not exist" in told


@pytest.mark.parametrize(("state", "part"), [(None, "is missing"), ("Pending", "is Pending, not Active")])
def test_a_hook_that_could_not_be_called_is_told(state: str | None, part: str) -> None:
    (told,) = _told(hook=state)
    assert part in told


def test_everything_is_told_at_once() -> None:
    ringing = Alarm("a", "ALARM")
    assert len(_told(production=(), alarms=(ringing,), hook=None, test=())) == 4
