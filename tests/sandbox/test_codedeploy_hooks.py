"""Hooks hold a deployment until they have answered, an hour at most (aws-facts 1.5)."""

from __future__ import annotations

import base64

import pytest

from bgdeploy.sandbox.codedeploy import Unverified
from bgdeploy.sandbox.world import RefusedError
from tests.sandbox.codedeploy_memory import BLUE, GREEN, PRODUCTION, TEST, MemoryOutcome
from tests.sandbox.codedeploy_rig import Rig, make


@pytest.fixture
def rig() -> Rig:
    """CodeDeploy with an application and a deployment group that rolls back on everything and keeps blue 5 min."""
    return make()


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
