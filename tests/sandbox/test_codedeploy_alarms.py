"""Alarms stop a deployment in every phase, and the rollback gives the traffic back (aws-facts 4)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bgdeploy.sandbox.codedeploy import Unverified
from tests.sandbox.codedeploy_memory import BLUE, GREEN, PRODUCTION, TEST
from tests.sandbox.codedeploy_rig import LINEAR, Rig, make


@pytest.fixture
def rig() -> Rig:
    """CodeDeploy with an application and a deployment group that rolls back on everything and keeps blue 5 min."""
    return make()


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
