"""Auto scaling while a release runs: suspended, remembered, and given back exactly. S3 and Auto Scaling are moto's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from moto import mock_aws

from bgdeploy.aws import Aws
from bgdeploy.clock import SystemClock
from bgdeploy.release import scaling
from bgdeploy.release.scaling import SUSPENDED, Suspension, restore, suspend, withdraw
from bgdeploy.release.snapshot import Target

BUCKET = "shop-dev-bucket"
SERVICE = {
    "ServiceNamespace": "ecs",
    "ScalableDimension": "ecs:service:DesiredCount",
    "ResourceId": "service/shop/web",
}
RUNNING = dict.fromkeys(SUSPENDED, False)
BY_HAND = {**RUNNING, "ScheduledScalingSuspended": True}
TARGET = Target(
    application="shop",
    group="shop",
    cluster="shop",
    service="web",
    container="web",
    port=80,
    production_listener="arn:production",
    test_listener=None,
    target_groups={},
    alarms=(),
    bucket=BUCKET,
    log_group="/ecs/shop",
)


@dataclass
class Watcher:
    """Somebody who follows deployments, and sees that one is active, or none."""

    aws: Aws
    deployment: str | None = None
    target: Target = TARGET

    def active(self) -> str | None:
        return self.deployment


@pytest.fixture(scope="module")
def account() -> Iterator[Aws]:
    with mock_aws():
        aws = Aws(stack="shop-dev", region="us-east-1", clock=SystemClock())
        aws.client("s3").create_bucket(Bucket=BUCKET)
        ecs = aws.client("ecs")
        ecs.create_cluster(clusterName="shop")
        container = {"name": "web", "image": "x", "memory": 64}
        ecs.register_task_definition(family="web", containerDefinitions=[container])
        ecs.create_service(cluster="shop", serviceName="web", taskDefinition="web", desiredCount=1)
        yield aws


@pytest.fixture
def aws(account: Aws) -> Aws:
    """An account in which nothing is remembered, and whose service scales but for what somebody has suspended."""
    account.client("s3").delete_object(Bucket=BUCKET, Key=scaling.OBJECT)
    account.client("application-autoscaling").register_scalable_target(
        **SERVICE, MinCapacity=1, MaxCapacity=4, SuspendedState=BY_HAND
    )
    return account


def switch(aws: Aws, state: dict[str, bool]) -> None:
    aws.client("application-autoscaling").register_scalable_target(**SERVICE, SuspendedState=state)


def state(aws: Aws) -> dict[str, bool]:
    found = aws.client("application-autoscaling").describe_scalable_targets(ServiceNamespace="ecs")
    told: dict[str, bool] = found["ScalableTargets"][0]["SuspendedState"]
    return told


def begin(aws: Aws, release: str = "k1") -> Suspension:
    made = suspend(aws, TARGET, release, "ann@laptop")
    assert made is not None
    return made


def once_before(aws: Aws, call: str, deed: Callable[[], object]) -> None:
    """Have something happen just before the next call of S3's."""
    events = aws.client("s3").meta.events
    done: list[bool] = []

    def happen(**_: Any) -> None:
        if not done:
            done.append(True)
            deed()

    events.register(f"before-call.s3.{call}", happen)


def remembered_long_ago(aws: Aws) -> None:
    """Have the suspension be older than a release that is about to begin could have made it."""
    seen = scaling._read(aws, TARGET.bucket)
    assert seen is not None
    old = seen.at - scaling.PATIENCE - timedelta(seconds=1)
    told = Suspension(seen.suspension.release, seen.suspension.by, old.isoformat(), seen.suspension.before)
    assert scaling._write(aws, TARGET, told, seen)


def test_scaling_is_suspended_whole_and_given_back_as_it_was(aws: Aws) -> None:
    begin(aws)
    during = state(aws)
    told = restore(Watcher(aws), "k1")
    assert (during, state(aws)) == (SUSPENDED, BY_HAND)
    assert told == "auto scaling is as it was before the release"


def test_it_is_given_back_once(aws: Aws) -> None:
    begin(aws)
    restore(Watcher(aws), "k1")
    switch(aws, SUSPENDED)
    assert restore(Watcher(aws), "k1") == ""
    assert state(aws) == SUSPENDED


def test_a_service_that_does_not_scale_is_left_alone(aws: Aws) -> None:
    aws.client("application-autoscaling").deregister_scalable_target(**SERVICE)
    assert suspend(aws, TARGET, "k1", "ann@laptop") is None
    assert restore(Watcher(aws), "k1") == ""


def test_what_somebody_suspended_whole_stays_so(aws: Aws) -> None:
    switch(aws, SUSPENDED)
    assert suspend(aws, TARGET, "k1", "ann@laptop") is None
    restore(Watcher(aws), "k1")
    assert state(aws) == SUSPENDED


def test_while_a_deployment_is_active_scaling_stays_suspended_and_that_is_told(aws: Aws) -> None:
    begin(aws)
    told = restore(Watcher(aws, "d-1"), "k1")
    assert state(aws) == SUSPENDED
    assert "until deployment d-1 is over" in told


def test_a_release_that_is_about_to_begin_is_not_disturbed(aws: Aws) -> None:
    begin(aws)
    told = restore(Watcher(aws))
    assert state(aws) == SUSPENDED
    assert "by ann@laptop for a release that has not begun" in told


def test_a_release_that_was_killed_before_it_began_is_given_up(aws: Aws) -> None:
    begin(aws)
    remembered_long_ago(aws)
    restore(Watcher(aws))
    assert state(aws) == BY_HAND


def test_a_release_killed_between_remembering_and_suspending_has_changed_nothing(aws: Aws) -> None:
    begin(aws)
    switch(aws, BY_HAND)
    remembered_long_ago(aws)
    assert restore(Watcher(aws)) == ""
    assert state(aws) == BY_HAND


def test_what_somebody_switches_meanwhile_is_theirs(aws: Aws) -> None:
    begin(aws)
    switch(aws, RUNNING)
    restore(Watcher(aws), "k1")
    assert state(aws) == RUNNING


def test_the_next_release_knows_what_a_killed_one_remembered(aws: Aws) -> None:
    begin(aws)
    assert begin(aws, "k2").before == BY_HAND
    assert "has not begun" in restore(Watcher(aws), "k1")
    restore(Watcher(aws), "k2")
    assert state(aws) == BY_HAND


def test_scaling_may_be_taken_away_meanwhile(aws: Aws) -> None:
    begin(aws)
    aws.client("application-autoscaling").deregister_scalable_target(**SERVICE)
    assert restore(Watcher(aws), "k1") == ""
    assert restore(Watcher(aws), "k1") == ""


def test_a_release_that_may_not_start_gives_back_what_it_suspended(aws: Aws) -> None:
    withdraw(Watcher(aws), begin(aws))
    assert state(aws) == BY_HAND


def test_a_release_that_finds_another_running_leaves_it_suspended_for_that_one(aws: Aws) -> None:
    mine = begin(aws)
    withdraw(Watcher(aws, "d-other"), mine)
    during = state(aws)
    restore(Watcher(aws), "other")
    assert (during, state(aws)) == (SUSPENDED, BY_HAND)


def test_of_two_who_suspend_at_once_both_remember_what_there_was(aws: Aws) -> None:
    once_before(aws, "PutObject", lambda: begin(aws, "faster"))
    assert begin(aws, "slower").before == BY_HAND
    restore(Watcher(aws), "slower")
    assert state(aws) == BY_HAND


def test_who_gives_back_too_late_does_not_wake_the_next_releases_scaling(aws: Aws) -> None:
    begin(aws)
    once_before(aws, "PutObject", lambda: begin(aws, "next"))
    restore(Watcher(aws), "k1")
    assert state(aws) == SUSPENDED
    restore(Watcher(aws), "next")
    assert state(aws) == BY_HAND


@pytest.mark.parametrize(
    ("suspended", "told"),
    [
        (RUNNING, "1 to 4 tasks"),
        (SUSPENDED, "1 to 4 tasks, suspended"),
        (BY_HAND, "1 to 4 tasks, suspended in part: by schedule"),
    ],
)
def test_how_a_service_scales_is_told_in_words(aws: Aws, suspended: dict[str, bool], told: str) -> None:
    switch(aws, suspended)
    assert scaling.standing(aws, TARGET) == told


def test_of_a_service_that_does_not_scale_there_is_nothing_to_tell(aws: Aws) -> None:
    aws.client("application-autoscaling").deregister_scalable_target(**SERVICE)
    assert scaling.standing(aws, TARGET) == ""
