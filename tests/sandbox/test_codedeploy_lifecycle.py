"""Deployments that succeed, walked on a clock that tests advance (aws-facts 1.4, 2.1, 2.2)."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from bgdeploy.sandbox.world import RefusedError
from tests.sandbox.codedeploy_memory import BLUE, GREEN, PRODUCTION, TEST
from tests.sandbox.codedeploy_rig import LINEAR, Rig, appspec, make, pair

ALL_EVENTS = [
    "BeforeInstall",
    "Install",
    "AfterInstall",
    "AllowTestTraffic",
    "AfterAllowTestTraffic",
    "BeforeAllowTraffic",
    "AllowTraffic",
    "AfterAllowTraffic",
]


@pytest.fixture
def rig() -> Rig:
    """CodeDeploy with an application and a deployment group that rolls back on everything and keeps blue 5 min."""
    return make()


def test_a_deployment_ends_with_green_alone_in_production(rig: Rig) -> None:
    deployment = rig.deploy()
    rig.finish(deployment)
    assert rig.info(deployment)["status"] == "Succeeded"
    assert rig.elb.listeners[PRODUCTION] == [{BLUE: 0, GREEN: 100}]
    assert [(one.id, one.status) for one in rig.ecs.web.task_sets] == [
        ("ecs-svc/1", "DRAINING"),
        ("ecs-svc/2", "PRIMARY"),
    ]


def test_the_eight_events_pass_in_order_and_are_listed_from_the_start(rig: Rig) -> None:
    deployment = rig.deploy()
    rig.pass_time(10)
    assert list(rig.events(deployment)) == ALL_EVENTS
    assert list(rig.events(deployment).values()) == ["Succeeded", "InProgress", *["Pending"] * 6]
    rig.finish(deployment)
    listed = rig.target(deployment)["lifecycleEvents"]
    times = [time for event in listed for time in (event["startTime"], event["endTime"])]
    assert times == sorted(times)
    assert {event["status"] for event in listed} == {"Succeeded"}


def test_pending_events_have_no_times(rig: Rig) -> None:
    deployment = rig.deploy()
    rig.pass_time(10)
    pending = rig.target(deployment)["lifecycleEvents"][2:]
    assert all("startTime" not in event and "endTime" not in event for event in pending)


def test_without_a_test_listener_there_are_six_events() -> None:
    rig = make(loadBalancerInfo=pair(test=None))
    deployment = rig.deploy(hooks={"AfterAllowTestTraffic": "never"})
    rig.finish(deployment)
    assert list(rig.events(deployment)) == [name for name in ALL_EVENTS if "TestTraffic" not in name]
    assert rig.functions.invoked == []
    assert rig.elb.listeners[TEST] == [{GREEN: 1}]


def test_a_deployment_is_created_for_two_to_three_seconds(rig: Rig) -> None:
    deployment = rig.deploy()
    rig.pass_time(2)
    assert rig.info(deployment)["status"] == "Created"
    with pytest.raises(RefusedError, match="DeploymentNotStartedException"):
        rig.target(deployment)
    rig.pass_time(1)
    assert rig.info(deployment)["status"] == "InProgress"


def test_events_without_a_hook_pass_in_well_under_a_second_even_when_steps_are_rare(rig: Rig) -> None:
    deployment = rig.deploy()
    rig.pass_time(1200, tick=6)
    for event in rig.target(deployment)["lifecycleEvents"]:
        if event["lifecycleEventName"] != "Install":
            assert event["endTime"] - event["startTime"] < timedelta(seconds=1)


def test_install_makes_green_of_what_the_appspec_says(rig: Rig) -> None:
    network = {
        "AwsvpcConfiguration": {"Subnets": ["s"], "SecurityGroups": ["g"], "AssignPublicIp": "ENABLED"}
    }
    text = appspec(PlatformVersion="1.4.0", NetworkConfiguration=network)
    deployment = rig.deploy(revision={"revisionType": "String", "string": {"content": text}})
    rig.pass_until(lambda: rig.running(deployment, "Install"))
    assert rig.ecs.web.task_sets[1].made_of == {
        "external_id": deployment,
        "task_definition": "arn:aws:ecs:us-east-1:123456789012:task-definition/web:2",
        "target_group_arn": GREEN,
        "container_name": "web",
        "container_port": 80,
        "network": {
            "awsvpcConfiguration": {"subnets": ["s"], "securityGroups": ["g"], "assignPublicIp": "ENABLED"}
        },
        "platform_version": "1.4.0",
    }


def test_test_traffic_moves_to_green_before_production_does(rig: Rig) -> None:
    deployment = rig.deploy(hooks={"AfterAllowTestTraffic": "check"})
    rig.pass_until(lambda: rig.running(deployment, "AfterAllowTestTraffic"))
    assert rig.elb.listeners == {PRODUCTION: [{BLUE: 100, GREEN: 0}], TEST: [{BLUE: 0, GREEN: 100}]}
    assert rig.ecs.web.primary is not None
    assert rig.ecs.web.primary.id == "ecs-svc/1"


def test_blue_is_kept_in_progress_until_the_termination_wait_is_over(rig: Rig) -> None:
    deployment = rig.deploy()
    rig.pass_until(lambda: rig.waits_to_terminate(deployment))
    shifted = rig.clock.now()
    assert rig.info(deployment)["status"] == "InProgress"
    assert "deploymentOverview" not in rig.info(deployment)
    assert set(rig.events(deployment).values()) == {"Succeeded"}
    assert [one.status for one in rig.ecs.web.task_sets] == ["ACTIVE", "PRIMARY"]
    rig.finish(deployment)
    info = rig.info(deployment)
    assert abs(info["completeTime"] - shifted - timedelta(minutes=5)) <= timedelta(seconds=2)
    assert info["deploymentOverview"] == {
        "Pending": 0,
        "InProgress": 0,
        "Succeeded": 1,
        "Failed": 0,
        "Skipped": 0,
        "Ready": 0,
    }


@pytest.mark.parametrize("operation", ["ContinueDeployment", "SkipWaitTimeForInstanceTermination"])
def test_the_termination_wait_can_be_ended(rig: Rig, operation: str) -> None:
    deployment = rig.deploy()
    rig.pass_until(lambda: rig.waits_to_terminate(deployment))
    extra = {"deploymentWaitType": "TERMINATION_WAIT"} if operation == "ContinueDeployment" else {}
    rig.call(operation, deploymentId=deployment, **extra)
    rig.pass_time(1)
    assert rig.info(deployment)["status"] == "Succeeded"


def test_the_task_sets_are_labelled_and_weighed_while_both_run(rig: Rig) -> None:
    deployment = rig.deploy(deploymentConfigName="CodeDeployDefault.ECSCanary10Percent5Minutes")
    rig.pass_until(lambda: rig.running(deployment, "AllowTraffic"))
    assert rig.target(deployment)["taskSetsInfo"] == [
        {
            "identifer": "ecs-svc/1",
            "desiredCount": 1,
            "pendingCount": 0,
            "runningCount": 1,
            "status": "PRIMARY",
            "trafficWeight": 90.0,
            "taskSetLabel": "Blue",
            "targetGroup": {"name": "blue"},
        },
        {
            "identifer": "ecs-svc/2",
            "desiredCount": 1,
            "pendingCount": 0,
            "runningCount": 1,
            "status": "ACTIVE",
            "trafficWeight": 10.0,
            "taskSetLabel": "Green",
            "targetGroup": {"name": "green"},
        },
    ]


def test_a_second_deployment_goes_the_other_way(rig: Rig) -> None:
    first = rig.deploy()
    rig.finish(first)
    rig.ecs.web.task_sets = [one for one in rig.ecs.web.task_sets if one.status == "PRIMARY"]
    second = rig.deploy()
    rig.finish(second)
    assert rig.info(second)["status"] == "Succeeded"
    assert rig.elb.listeners[PRODUCTION] == [{BLUE: 100, GREEN: 0}]
    assert rig.info(second)["previousRevision"] == rig.info(first)["revision"]


def test_a_linear_shift_has_ten_steps_and_nine_waits(rig: Rig) -> None:
    """The timeline of aws-facts 2.1, at the pace at which a fast sandbox ticks."""
    rig.elb.changes.clear()
    deployment = rig.deploy(deploymentConfigName=LINEAR)
    rig.pass_time(1200, tick=6)
    shift = [(time, weight) for time, listener, weight in rig.elb.changes if listener == PRODUCTION]
    assert [weight for _, weight in shift] == [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]
    assert shift[-1][0] - shift[0][0] == pytest.approx(9 * 60, abs=6)
    assert all(
        later[0] - earlier[0] == pytest.approx(60, abs=6) for earlier, later in itertools.pairwise(shift)
    )
    info = rig.info(deployment)
    assert info["completeTime"] - info["startTime"] == pytest.approx(
        timedelta(seconds=60 + 9 * 60 + 5 * 60), abs=timedelta(seconds=15)
    )


def test_a_canary_shift_has_two_steps(rig: Rig) -> None:
    rig.elb.changes.clear()
    deployment = rig.deploy(deploymentConfigName="CodeDeployDefault.ECSCanary10Percent5Minutes")
    rig.finish(deployment)
    shift = [(time, weight) for time, listener, weight in rig.elb.changes if listener == PRODUCTION]
    assert [weight for _, weight in shift] == [10, 100]
    assert shift[1][0] - shift[0][0] == pytest.approx(300, abs=2)


def test_green_becomes_primary_only_when_it_has_all_the_traffic(rig: Rig) -> None:
    deployment = rig.deploy(deploymentConfigName=LINEAR)
    rig.pass_until(lambda: (rig.clock.monotonic(), PRODUCTION, 90) in rig.elb.changes[-1:])
    assert rig.running(deployment, "AllowTraffic")
    assert rig.ecs.web.task_sets[0].status == "PRIMARY"
    rig.pass_until(lambda: rig.events(deployment)["AllowTraffic"] == "Succeeded")
    assert rig.ecs.web.task_sets[1].status == "PRIMARY"


def test_a_stall_does_not_bunch_up_a_shift(rig: Rig) -> None:
    rig.deploy(deploymentConfigName=LINEAR)
    rig.pass_until(lambda: rig.elb.changes[-1][2] == 20)
    rig.clock.advance(600)
    rig.pass_time(30)
    assert rig.elb.changes[-1][2] == 30
