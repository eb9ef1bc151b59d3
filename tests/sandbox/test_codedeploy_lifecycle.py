"""Deployments walked from their start to their end, on a clock that tests advance (aws-facts 1.4, 2, 4)."""

from __future__ import annotations

import base64
import itertools
import re
from datetime import timedelta
from typing import Any

import pytest

from bgdeploy.sandbox.codedeploy import Unverified
from bgdeploy.sandbox.world import RefusedError
from tests.sandbox.codedeploy_rig import (
    BLUE,
    GREEN,
    PRODUCTION,
    TEST,
    MemoryOutcome,
    Rig,
    appspec,
    blue_green,
    pair,
)

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
LINEAR = "CodeDeployDefault.ECSLinear10PercentEvery1Minutes"


@pytest.fixture
def rig() -> Rig:
    """CodeDeploy with an application and a deployment group that rolls back on everything and keeps blue 5 min."""
    rig = Rig()
    rig.set_up()
    return rig


def make(unverified: Unverified | None = None, **changes: Any) -> Rig:
    rig = Rig(unverified)
    rig.set_up(**changes)
    return rig


# -- success


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
        "network": {"subnets": ["s"], "securityGroups": ["g"], "assignPublicIp": "ENABLED"},
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


# -- shifting


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


# -- hooks


def test_a_hook_gets_the_two_ids_and_nothing_else(rig: Rig) -> None:
    deployment = rig.deploy(hooks={"AfterAllowTestTraffic": "check"})
    rig.pass_until(lambda: bool(rig.functions.invoked))
    name, payload = rig.functions.invoked[0]
    assert name == "check"
    assert set(payload) == {"DeploymentId", "LifecycleEventHookExecutionId"}
    assert payload["DeploymentId"] == deployment
    opaque = base64.b64decode(payload["LifecycleEventHookExecutionId"], validate=True)
    assert opaque.startswith(b'{"encryptedData":"')


def test_a_hook_that_answers_succeeded_lets_the_deployment_go_on(rig: Rig) -> None:
    deployment = rig.deploy(hooks={"BeforeAllowTraffic": "check"})
    rig.pass_until(lambda: rig.running(deployment, "BeforeAllowTraffic"))
    rig.pass_time(600)
    assert rig.running(deployment, "BeforeAllowTraffic")
    rig.answer("Succeeded")
    rig.finish(deployment)
    assert rig.info(deployment)["status"] == "Succeeded"


def test_a_failed_hook_rolls_back_to_blue(rig: Rig) -> None:
    deployment = rig.deploy(hooks={"AfterAllowTestTraffic": "check"})
    rig.pass_until(lambda: rig.running(deployment, "AfterAllowTestTraffic"))
    rig.answer("Failed")
    rollback = rig.rollback_of(deployment)
    info = rig.info(deployment)
    assert info["status"] == "Failed"
    assert info["errorInformation"] == {
        "code": "HOOK_EXECUTION_FAILURE",
        "message": "The deployment failed because one or more of the lifecycle event validation functions failed.",
    }
    assert list(rig.events(deployment).values()) == [*["Succeeded"] * 4, "Failed", *["Skipped"] * 3]
    assert rollback["status"] == "Succeeded"
    assert rig.elb.listeners == {PRODUCTION: [{BLUE: 100, GREEN: 0}], TEST: [{BLUE: 100, GREEN: 0}]}
    assert all(weight == 0 for _, listener, weight in rig.elb.changes if listener == PRODUCTION)


def test_a_hook_after_the_shift_that_fails_gives_production_back(rig: Rig) -> None:
    deployment = rig.deploy(hooks={"AfterAllowTraffic": "check"})
    rig.pass_until(lambda: rig.running(deployment, "AfterAllowTraffic"))
    assert rig.ecs.web.task_sets[1].status == "PRIMARY"
    rig.answer("Failed")
    rig.rollback_of(deployment)
    assert rig.elb.listeners[PRODUCTION] == [{BLUE: 100, GREEN: 0}]
    assert [one.status for one in rig.ecs.web.task_sets] == ["PRIMARY", "DRAINING"]


def test_a_hook_that_is_silent_for_an_hour_fails_the_deployment(rig: Rig) -> None:
    deployment = rig.deploy(hooks={"AfterInstall": "check"})
    rig.pass_until(lambda: rig.running(deployment, "AfterInstall"))
    rig.pass_time(3590)
    assert rig.running(deployment, "AfterInstall")
    rig.pass_time(11)
    info = rig.info(deployment)
    assert info["status"] == "Failed"
    assert info["errorInformation"]["message"] == (
        "The deployment timed out while waiting for a status callback. CodeDeploy expects a status callback within "
        "one hour after a deployment hook is invoked."
    )


def test_a_crash_of_the_function_is_no_answer(rig: Rig) -> None:
    deployment = rig.deploy(hooks={"AfterInstall": "check"})
    rig.pass_until(lambda: rig.running(deployment, "AfterInstall"))
    rig.functions.done[0](MemoryOutcome("Unhandled"))
    rig.pass_time(60)
    assert rig.running(deployment, "AfterInstall")


def test_a_crash_of_the_function_may_be_made_to_fail_at_once() -> None:
    rig = make(Unverified(hook_error_fails_at_once=True))
    deployment = rig.deploy(hooks={"AfterInstall": "check"})
    rig.pass_until(lambda: rig.running(deployment, "AfterInstall"))
    rig.functions.done[0](MemoryOutcome("Unhandled"))
    rig.pass_time(1)
    assert rig.info(deployment)["status"] == "Failed"


def test_a_hook_answers_only_once(rig: Rig) -> None:
    deployment = rig.deploy(hooks={"AfterInstall": "check"})
    rig.pass_until(lambda: rig.running(deployment, "AfterInstall"))
    rig.answer("Succeeded")
    with pytest.raises(RefusedError, match="LifecycleEventAlreadyCompletedException"):
        rig.answer("Failed")
    rig.finish(deployment)
    with pytest.raises(RefusedError, match="LifecycleEventAlreadyCompletedException"):
        rig.answer("Succeeded")
    assert rig.info(deployment)["status"] == "Succeeded"


def test_an_answer_after_a_stop_is_too_late(rig: Rig) -> None:
    deployment = rig.deploy(hooks={"AfterInstall": "check"})
    rig.pass_until(lambda: rig.running(deployment, "AfterInstall"))
    rig.call("StopDeployment", deploymentId=deployment)
    rig.pass_time(1)
    with pytest.raises(RefusedError, match="LifecycleEventAlreadyCompletedException"):
        rig.answer("Succeeded")


@pytest.mark.parametrize("status", ["Pending", "InProgress", "Skipped", "Unknown"])
def test_a_hook_can_only_succeed_or_fail(rig: Rig, status: str) -> None:
    deployment = rig.deploy(hooks={"AfterInstall": "check"})
    rig.pass_until(lambda: rig.running(deployment, "AfterInstall"))
    with pytest.raises(RefusedError, match="InvalidLifecycleEventHookExecutionStatusException"):
        rig.answer(status)


def test_an_answer_with_an_unknown_execution_id_is_refused(rig: Rig) -> None:
    deployment = rig.deploy(hooks={"AfterInstall": "check"})
    rig.pass_until(lambda: rig.running(deployment, "AfterInstall"))
    with pytest.raises(RefusedError, match="InvalidLifecycleEventHookExecutionIdException"):
        rig.call(
            "PutLifecycleEventHookExecutionStatus",
            deploymentId=deployment,
            lifecycleEventHookExecutionId="guessed",
            status="Succeeded",
        )


def test_a_role_that_may_not_invoke_the_hook_fails_the_deployment(rig: Rig) -> None:
    rig.identity.denied.add("lambda:InvokeFunction")
    deployment = rig.deploy(hooks={"AfterInstall": "check"})
    rig.finish(deployment)
    assert rig.info(deployment)["errorInformation"] == {
        "code": "IAM_ROLE_PERMISSIONS",
        "message": "The IAM role arn:aws:iam::123456789012:role/codedeploy does not give you permission to perform "
        "operations in the following AWS service: AWSLambda.",
    }
    assert rig.functions.invoked == []


def test_a_hook_function_that_does_not_exist_fails_the_deployment(rig: Rig) -> None:
    rig.functions.missing.add("gone")
    deployment = rig.deploy(hooks={"AfterInstall": "gone"})
    rig.finish(deployment)
    assert rig.info(deployment)["errorInformation"]["code"] == "INVALID_LAMBDA_FUNCTION"


# -- alarms


def test_an_alarm_during_the_shift_stops_and_rolls_back(rig: Rig) -> None:
    """Field by field what was seen live (aws-facts 4.2)."""
    deployment = rig.deploy(deploymentConfigName=LINEAR)
    rig.pass_until(lambda: rig.running(deployment, "AllowTraffic"))
    rig.alarms.states["errors"] = "ALARM"
    rang = rig.clock.monotonic()
    rollback = rig.rollback_of(deployment)
    assert rig.clock.monotonic() - rang <= 23
    info = rig.info(deployment)
    assert info["status"] == "Stopped"
    assert info["errorInformation"] == {
        "code": "ALARM_ACTIVE",
        "message": "One or more alarms have been activated according to the Amazon CloudWatch metrics you selected, "
        "and the affected deployments have been stopped. Activated alarms: <errors>",
    }
    assert info["rollbackInfo"] == {
        "rollbackDeploymentId": rollback["deploymentId"],
        "rollbackMessage": f"Deployment {deployment} terminated. Automatic rollback is triggered with a DeploymentId "
        f"{rollback['deploymentId']}.",
    }
    assert list(rig.events(deployment).values()) == [*["Succeeded"] * 6, "Failed", "Skipped"]
    assert rig.elb.listeners[PRODUCTION] == [{BLUE: 100, GREEN: 0}]
    assert [(one.status, one.computed_desired) for one in rig.ecs.web.task_sets] == [
        ("PRIMARY", 1),
        ("DRAINING", 0),
    ]


def test_the_rollback_is_a_deployment_of_its_own(rig: Rig) -> None:
    deployment = rig.deploy(hooks={"AfterInstall": "check"}, deploymentConfigName=LINEAR)
    rig.pass_until(lambda: rig.running(deployment, "AfterInstall"))
    rig.alarms.states["errors"] = "ALARM"
    rollback = rig.rollback_of(deployment)
    assert rollback["creator"] == "codeDeployRollback"
    assert rollback["deploymentConfigName"] == "CodeDeployDefault.ECSAllAtOnce"
    assert rollback["status"] == "Succeeded"
    assert rollback["rollbackInfo"] == {
        "rollbackTriggeringDeploymentId": deployment,
        "rollbackMessage": f"Deployment {rollback['deploymentId']} is triggered to roll back deployment {deployment}.",
    }
    assert set(rig.events(rollback["deploymentId"]).values()) == {"Succeeded"}
    assert len(rig.functions.invoked) == 1
    assert rig.call("ListDeployments", applicationName="shop", deploymentGroupName="web") == {
        "deployments": [rollback["deploymentId"], deployment]
    }


def test_several_alarms_are_all_named(rig: Rig) -> None:
    deployment = rig.deploy()
    rig.alarms.states.update(errors="ALARM", latency="ALARM")
    rig.finish(deployment)
    assert rig.info(deployment)["errorInformation"]["message"].endswith(
        "Activated alarms: <errors> <latency>"
    )


def test_an_alarm_that_is_active_at_the_start_stops_at_once(rig: Rig) -> None:
    rig.alarms.states["errors"] = "ALARM"
    deployment = rig.deploy()
    rollback = rig.rollback_of(deployment)
    info = rig.info(deployment)
    assert info["status"] == "Stopped"
    assert info["completeTime"] - info["startTime"] < timedelta(seconds=1)
    assert set(rig.events(deployment).values()) == {"Skipped"}
    assert rollback["status"] == "Succeeded"
    assert len(rig.ecs.web.task_sets) == 1


def test_an_alarm_during_the_termination_wait_still_rolls_back(rig: Rig) -> None:
    deployment = rig.deploy()
    rig.pass_until(lambda: rig.waits_to_terminate(deployment))
    rig.alarms.states["errors"] = "ALARM"
    rig.rollback_of(deployment)
    assert rig.info(deployment)["status"] == "Stopped"
    assert set(rig.events(deployment).values()) == {"Succeeded"}
    assert rig.elb.listeners == {PRODUCTION: [{BLUE: 100, GREEN: 0}], TEST: [{BLUE: 100, GREEN: 0}]}
    assert [one.status for one in rig.ecs.web.task_sets] == ["PRIMARY", "DRAINING"]


def test_alarms_may_be_left_unwatched_during_the_termination_wait() -> None:
    rig = make(Unverified(alarms_stop_the_termination_wait=False))
    deployment = rig.deploy()
    rig.pass_until(lambda: rig.waits_to_terminate(deployment))
    rig.alarms.states["errors"] = "ALARM"
    rig.finish(deployment)
    assert rig.info(deployment)["status"] == "Succeeded"


@pytest.mark.parametrize("state", ["INSUFFICIENT_DATA", "OK"])
def test_only_the_state_alarm_stops(rig: Rig, state: str) -> None:
    rig.alarms.states["errors"] = state
    deployment = rig.deploy()
    rig.finish(deployment)
    assert rig.info(deployment)["status"] == "Succeeded"


def test_an_alarm_that_does_not_exist_stops_nothing_unless_told_so() -> None:
    results = []
    for unverified in (Unverified(), Unverified(missing_alarm_stops=True)):
        rig = make(unverified)
        del rig.alarms.states["latency"]
        deployment = rig.deploy()
        rig.finish(deployment)
        results.append(rig.info(deployment)["status"])
    assert results == ["Succeeded", "Stopped"]


def test_the_override_of_a_deployment_switches_its_alarms_off(rig: Rig) -> None:
    rig.alarms.states["errors"] = "ALARM"
    deployment = rig.deploy(overrideAlarmConfiguration={"enabled": False, "alarms": []})
    rig.finish(deployment)
    assert rig.info(deployment)["status"] == "Succeeded"


def test_alarms_that_the_role_may_not_read_stop_a_deployment_that_does_not_ignore_it() -> None:
    statuses = {}
    for ignore in (False, True):
        alarms = {"enabled": True, "ignorePollAlarmFailure": ignore, "alarms": [{"name": "errors"}]}
        rig = make(alarmConfiguration=alarms)
        rig.identity.denied.add("cloudwatch:DescribeAlarms")
        deployment = rig.deploy()
        rig.finish(deployment)
        statuses[ignore] = rig.info(deployment)["status"]
    assert statuses == {False: "Stopped", True: "Succeeded"}


# -- stops


def test_a_stop_while_an_event_runs_is_pending_first(rig: Rig) -> None:
    deployment = rig.deploy()
    rig.pass_until(lambda: rig.running(deployment, "Install"))
    assert rig.call("StopDeployment", deploymentId=deployment)["status"] == "Pending"
    rig.pass_time(1)
    info = rig.info(deployment)
    assert (info["status"], info["errorInformation"]["code"]) == ("Stopped", "MANUAL_STOP")
    assert list(rig.events(deployment).values()) == ["Succeeded", "Failed", *["Skipped"] * 6]
    assert rig.call("StopDeployment", deploymentId=deployment)["status"] == "Succeeded"


def test_a_stop_in_a_wait_succeeds_at_once(rig: Rig) -> None:
    deployment = rig.deploy()
    rig.pass_until(lambda: rig.waits_to_terminate(deployment))
    assert rig.call("StopDeployment", deploymentId=deployment)["status"] == "Succeeded"
    assert rig.info(deployment)["status"] == "Stopped"


@pytest.mark.parametrize("asked", [None, True])
@pytest.mark.parametrize("phase", ["Created", "Install", "AfterAllowTestTraffic", "AllowTraffic", "wait"])
def test_a_stop_rolls_back_in_every_phase(rig: Rig, phase: str, asked: bool | None) -> None:
    deployment = _stopped_in(rig, phase, asked)
    assert rig.rollback_of(deployment)["status"] == "Succeeded"
    assert rig.elb.listeners[PRODUCTION] == [{BLUE: 100, GREEN: 0}]
    assert rig.ecs.web.task_sets[0].status == "PRIMARY"
    assert {one.status for one in rig.ecs.web.task_sets[1:]} <= {"DRAINING"}


@pytest.mark.parametrize(
    ("phase", "green", "primary"),
    [
        ("AfterAllowTestTraffic", 0, "ecs-svc/1"),
        ("AllowTraffic", 10, "ecs-svc/1"),
        ("wait", 100, "ecs-svc/2"),
    ],
)
def test_a_stop_without_rollback_leaves_everything_where_it_is(
    rig: Rig, phase: str, green: int, primary: str
) -> None:
    deployment = _stopped_in(rig, phase, False)
    rig.pass_time(120)
    assert "rollbackInfo" not in rig.info(deployment)
    assert rig.elb.listeners == {
        PRODUCTION: [{BLUE: 100 - green, GREEN: green}],
        TEST: [{BLUE: 0, GREEN: 100}],
    }
    assert rig.ecs.web.primary is not None
    assert rig.ecs.web.primary.id == primary
    assert [one.computed_desired for one in rig.ecs.web.task_sets] == [1, 1]


def _stopped_in(rig: Rig, phase: str, asked: bool | None) -> str:
    """Start a deployment, stop it in `phase` and return its id."""
    deployment = rig.deploy(hooks={"AfterAllowTestTraffic": "check"}, deploymentConfigName=LINEAR)
    if phase not in {"Created", "Install"}:
        rig.pass_until(lambda: rig.running(deployment, "AfterAllowTestTraffic"))
        if phase != "AfterAllowTestTraffic":
            rig.answer("Succeeded")
    if phase == "wait":
        rig.pass_until(lambda: rig.waits_to_terminate(deployment))
    elif phase != "Created":
        rig.pass_until(lambda: rig.running(deployment, phase))
    rig.call(
        "StopDeployment",
        deploymentId=deployment,
        **({} if asked is None else {"autoRollbackEnabled": asked}),
    )
    rig.pass_time(1)
    return deployment


def test_a_stop_may_ask_for_a_rollback_that_the_group_has_not() -> None:
    rig = make(autoRollbackConfiguration={"enabled": False})
    deployment = _stopped_in(rig, "AllowTraffic", True)
    assert rig.rollback_of(deployment)["status"] == "Succeeded"


def test_a_failure_without_automatic_rollback_leaves_everything_where_it_is() -> None:
    rig = make(autoRollbackConfiguration={"enabled": True, "events": ["DEPLOYMENT_STOP_ON_ALARM"]})
    deployment = rig.deploy(hooks={"AfterAllowTraffic": "check"})
    rig.pass_until(lambda: rig.running(deployment, "AfterAllowTraffic"))
    rig.answer("Failed")
    rig.pass_time(120)
    assert rig.info(deployment)["status"] == "Failed"
    assert "rollbackInfo" not in rig.info(deployment)
    assert rig.elb.listeners[PRODUCTION] == [{BLUE: 0, GREEN: 100}]
    assert [one.status for one in rig.ecs.web.task_sets] == ["ACTIVE", "PRIMARY"]


@pytest.mark.parametrize(
    ("operation", "extra"),
    [
        ("StopDeployment", {}),
        ("ContinueDeployment", {"deploymentWaitType": "TERMINATION_WAIT"}),
        ("ContinueDeployment", {"deploymentWaitType": "READY_WAIT"}),
        ("SkipWaitTimeForInstanceTermination", {}),
    ],
)
def test_a_deployment_that_is_over_cannot_be_moved(rig: Rig, operation: str, extra: dict[str, Any]) -> None:
    deployment = rig.deploy()
    rig.finish(deployment)
    with pytest.raises(RefusedError, match="DeploymentAlreadyCompletedException"):
        rig.call(operation, deploymentId=deployment, **extra)


def test_rollback_info_comes_a_moment_after_the_status(rig: Rig) -> None:
    deployment = rig.deploy()
    rig.pass_until(lambda: rig.waits_to_terminate(deployment))
    rig.call("StopDeployment", deploymentId=deployment)
    assert "rollbackInfo" not in rig.info(deployment)
    rig.pass_time(1)
    assert "rollbackInfo" in rig.info(deployment)


# -- Ready


def test_ready_waits_after_the_test_hook_for_somebody_to_continue() -> None:
    rig = make(blueGreenDeploymentConfiguration=blue_green(ready=60))
    deployment = rig.deploy()
    rig.pass_until(lambda: rig.info(deployment)["status"] == "Ready")
    assert rig.events(deployment)["AfterAllowTestTraffic"] == "Succeeded"
    assert rig.events(deployment)["BeforeAllowTraffic"] == "Pending"
    assert rig.target(deployment)["status"] == "Ready"
    rig.pass_time(600)
    rig.call("ContinueDeployment", deploymentId=deployment, deploymentWaitType="READY_WAIT")
    rig.finish(deployment)
    assert rig.info(deployment)["status"] == "Succeeded"


def test_ready_expires_as_stopped_and_rolls_back() -> None:
    rig = make(blueGreenDeploymentConfiguration=blue_green(ready=7))
    deployment = rig.deploy()
    rig.pass_until(lambda: rig.info(deployment)["status"] == "Ready")
    rig.pass_time(7 * 60 + 1)
    info = rig.info(deployment)
    assert info["status"] == "Stopped"
    assert info["errorInformation"]["message"] == (
        "The deployment timed out while waiting for a notification to continue. This time out period is 7 minutes."
    )
    assert rig.rollback_of(deployment)["status"] == "Succeeded"


def test_an_alarm_stops_a_ready_deployment() -> None:
    rig = make(blueGreenDeploymentConfiguration=blue_green(ready=60))
    deployment = rig.deploy()
    rig.pass_until(lambda: rig.info(deployment)["status"] == "Ready")
    rig.alarms.states["errors"] = "ALARM"
    rig.pass_time(11)
    assert rig.info(deployment)["status"] == "Stopped"


def test_a_rollback_does_not_pause_in_ready() -> None:
    rig = make(blueGreenDeploymentConfiguration=blue_green(ready=60))
    deployment = rig.deploy()
    rig.pass_until(lambda: rig.info(deployment)["status"] == "Ready")
    rig.call("StopDeployment", deploymentId=deployment)
    assert rig.rollback_of(deployment)["status"] == "Succeeded"


def test_a_rollback_may_be_made_to_pause_in_ready_and_to_invoke_hooks() -> None:
    rig = make(
        Unverified(rollback_waits_in_ready=True, rollback_invokes_hooks=True),
        blueGreenDeploymentConfiguration=blue_green(ready=60),
    )
    deployment = rig.deploy(hooks={"AfterInstall": "check"})
    rig.pass_until(lambda: rig.running(deployment, "AfterInstall"))
    rig.answer("Failed")
    rig.pass_until(lambda: len(rig.functions.invoked) == 2)
    rollback = rig.functions.invoked[1][1]["DeploymentId"]
    rig.answer("Succeeded")
    rig.pass_until(lambda: rig.info(rollback)["status"] == "Ready")
    rig.call("ContinueDeployment", deploymentId=rollback, deploymentWaitType="READY_WAIT")
    rig.finish(rollback)
    assert rig.info(rollback)["status"] == "Succeeded"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("READY_WAIT", "DeploymentIsNotInReadyStateException"),
        ("TERMINATION_WAIT", "InvalidDeploymentStatusException"),
        ("COFFEE", "InvalidDeploymentWaitTypeException"),
    ],
)
def test_only_a_wait_that_is_on_can_be_ended(rig: Rig, kind: str, code: str) -> None:
    deployment = rig.deploy()
    rig.pass_until(lambda: rig.running(deployment, "Install"))
    with pytest.raises(RefusedError, match=code):
        rig.call("ContinueDeployment", deploymentId=deployment, deploymentWaitType=kind)


# -- what goes wrong with the other services


def test_green_that_is_not_steady_in_an_hour_fails_the_deployment(rig: Rig) -> None:
    rig.ecs.boot = 4000
    deployment = rig.deploy()
    rig.finish(deployment)
    info = rig.info(deployment)
    assert info["status"] == "Failed"
    assert info["errorInformation"]["message"] == (
        "The deployment timed out while waiting for the replacement task set to become healthy. "
        "This time out period is 60 minutes."
    )
    assert info["completeTime"] - info["startTime"] == pytest.approx(
        timedelta(hours=1), abs=timedelta(seconds=2)
    )
    assert rig.rollback_of(deployment)["status"] == "Succeeded"


def test_what_ecs_refuses_is_a_late_error_with_its_own_words(rig: Rig) -> None:
    text = "The container web did not have a container port 443 defined."
    rig.ecs.refuses = RefusedError("InvalidParameterException", text)
    deployment = rig.deploy()
    rig.finish(deployment)
    error = rig.info(deployment)["errorInformation"]
    assert error["code"] == "ECS_UPDATE_ERROR"
    assert re.fullmatch(
        rf"The ECS service cannot be updated due to an unexpected error: {re.escape(text)} \(Service: AmazonECS; "
        r"Status Code: 400; Error Code: InvalidParameterException; Request ID: [0-9a-f-]{36}; Proxy: null\)\. "
        r"Check your ECS service status\.",
        error["message"],
    )


@pytest.mark.parametrize("weights", [{GREEN: 100}, {GREEN: 100, BLUE: 0}, {BLUE: 50, GREEN: 50}])
def test_a_listener_that_does_not_stand_by_blue_fails_install(rig: Rig, weights: dict[str, int]) -> None:
    rig.elb.listeners[PRODUCTION] = [weights]
    deployment = rig.deploy()
    rig.finish(deployment)
    start = "The ELB could not be updated due to the following error: "
    expected = (
        "Green taskset target group cannot have non-zero weight prior to traffic shifting"
        if BLUE in weights
        else f"Primary taskset target group must be behind listener {PRODUCTION}"
    )
    assert rig.info(deployment)["errorInformation"] == {
        "code": "ELASTIC_LOAD_BALANCING_INVALID",
        "message": start + expected,
    }
    assert rig.elb.listeners[PRODUCTION] == [weights]
    assert len(rig.ecs.web.task_sets) == 1


def test_rules_that_disagree_with_the_default_action_fail_install(rig: Rig) -> None:
    rig.elb.listeners[PRODUCTION] = [{BLUE: 100, GREEN: 0}, {GREEN: 1}]
    deployment = rig.deploy()
    rig.finish(deployment)
    assert "must be behind listener" in rig.info(deployment)["errorInformation"]["message"]


def test_a_test_listener_that_forwards_to_neither_group_fails_install(rig: Rig) -> None:
    rig.elb.listeners[TEST] = [{"another": 1}]
    deployment = rig.deploy()
    rig.finish(deployment)
    assert rig.info(deployment)["errorInformation"]["message"].endswith(f"must be behind listener {TEST}")


@pytest.mark.parametrize(
    ("denied", "service", "event"),
    [
        ("ecs:CreateTaskSet", "AmazonECS", "Install"),
        ("elasticloadbalancing:ModifyListener", "AmazonElasticLoadBalancing", "AllowTestTraffic"),
        ("ecs:UpdateServicePrimaryTaskSet", "AmazonECS", "AllowTraffic"),
    ],
)
def test_a_role_without_a_permission_fails_the_event_that_needs_it(
    rig: Rig, denied: str, service: str, event: str
) -> None:
    rig.identity.denied.add(denied)
    deployment = rig.deploy()
    rig.finish(deployment)
    error = rig.info(deployment)["errorInformation"]
    assert error["code"] == "IAM_ROLE_PERMISSIONS"
    assert error["message"].endswith(f"in the following AWS service: {service}.")
    assert rig.events(deployment)[event] == "Failed"


def test_a_role_that_is_gone_fails_the_deployment(rig: Rig) -> None:
    rig.identity.trusted = False
    deployment = rig.deploy()
    rig.finish(deployment)
    assert rig.info(deployment)["errorInformation"]["code"] == "IAM_ROLE_MISSING"


def test_a_service_that_is_deleted_fails_the_deployment_and_its_rollback(rig: Rig) -> None:
    deployment = rig.deploy()
    rig.pass_until(lambda: rig.running(deployment, "Install"))
    rig.ecs.services.clear()
    assert rig.rollback_of(deployment)["errorInformation"]["code"] == "INVALID_ECS_SERVICE"
    assert rig.info(deployment)["errorInformation"]["code"] == "INVALID_ECS_SERVICE"


def test_deleting_the_group_fails_a_deployment_that_has_not_begun(rig: Rig) -> None:
    deployment = rig.deploy()
    rig.call("DeleteDeploymentGroup", applicationName="shop", deploymentGroupName="web")
    rig.pass_time(1)
    assert rig.info(deployment)["errorInformation"]["code"] == "DEPLOYMENT_GROUP_MISSING"


def test_a_deployment_under_way_outlives_its_application(rig: Rig) -> None:
    deployment = rig.deploy()
    rig.pass_until(lambda: rig.running(deployment, "Install"))
    rig.call("DeleteApplication", applicationName="shop")
    rig.finish(deployment)
    assert rig.info(deployment)["status"] == "Succeeded"


def test_an_appspec_in_s3_is_read_when_the_deployment_begins(rig: Rig) -> None:
    place = {"bucket": "b", "key": "appspec.yaml", "bundleType": "YAML"}
    statuses = []
    for text in (appspec(), "Resources: nothing"):
        rig.revisions.texts["appspec.yaml"] = text
        deployment = rig.deploy(revision={"revisionType": "S3", "s3Location": place})
        rig.finish(deployment)
        statuses.append(
            (rig.info(deployment)["status"], rig.info(deployment).get("errorInformation", {}).get("code"))
        )
    assert statuses == [("Succeeded", None), ("Failed", "INVALID_REVISION")]


def test_a_mistake_of_the_sandbox_ends_the_deployment_and_is_not_hidden(rig: Rig) -> None:
    deployment = rig.deploy()
    rig.pass_until(lambda: rig.running(deployment, "Install"))
    rig.ecs.web.task_sets[1].steady_at = "soon"  # type: ignore[assignment]
    with pytest.raises(TypeError):
        rig.pass_time(1)
    assert rig.info(deployment)["errorInformation"]["code"] == "INTERNAL_ERROR"


# -- one at a time


@pytest.mark.parametrize("phase", ["Created", "Install", "wait"])
def test_a_group_has_one_active_deployment_until_the_very_end(rig: Rig, phase: str) -> None:
    deployment = rig.deploy()
    if phase == "Install":
        rig.pass_until(lambda: rig.running(deployment, "Install"))
    elif phase == "wait":
        rig.pass_until(lambda: rig.waits_to_terminate(deployment))
    with pytest.raises(RefusedError) as refused:
        rig.deploy()
    assert refused.value.code == "DeploymentLimitExceededException"
    assert (
        refused.value.message == f"The Deployment Group 'web' already has an active Deployment '{deployment}'"
    )


def test_a_rollback_keeps_the_group_busy(rig: Rig) -> None:
    deployment = rig.deploy()
    rig.pass_until(lambda: rig.waits_to_terminate(deployment))
    rig.call("StopDeployment", deploymentId=deployment)
    with pytest.raises(RefusedError, match="DeploymentLimitExceededException"):
        rig.deploy()
    rig.rollback_of(deployment)
    assert re.fullmatch(r"d-[A-Z0-9]{9}", rig.deploy())
