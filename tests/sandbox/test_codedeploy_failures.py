"""What goes wrong in the other services, and how a deployment tells it (aws-facts 4.3, 7.3)."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from bgdeploy.sandbox.world import RefusedError
from tests.sandbox.codedeploy_memory import BLUE, GREEN, PRODUCTION, TEST
from tests.sandbox.codedeploy_rig import Rig, appspec, make


@pytest.fixture
def rig() -> Rig:
    """CodeDeploy with an application and a deployment group that rolls back on everything and keeps blue 5 min."""
    return make()


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
        ("elasticloadbalancing:DescribeListeners", "AmazonElasticLoadBalancing", "Install"),
        ("ecs:CreateTaskSet", "AmazonECS", "Install"),
        ("iam:PassRole", "AmazonECS", "Install"),
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
