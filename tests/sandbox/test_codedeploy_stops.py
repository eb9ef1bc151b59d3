"""Stopping a deployment, continuing one that waits, and one at a time (aws-facts 2.2, 2.3, 5.6)."""

from __future__ import annotations

import re
from typing import Any

import pytest

from bgdeploy.sandbox.codedeploy import Unverified
from bgdeploy.sandbox.world import RefusedError
from tests.sandbox.codedeploy_memory import BLUE, GREEN, PRODUCTION, TEST
from tests.sandbox.codedeploy_rig import LINEAR, Rig, blue_green, make


@pytest.fixture
def rig() -> Rig:
    """CodeDeploy with an application and a deployment group that rolls back on everything and keeps blue 5 min."""
    return make()


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
