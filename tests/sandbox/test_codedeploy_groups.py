"""What making and changing a deployment group does, and what is told of it (aws-facts 5.5, 7.2)."""

from __future__ import annotations

import pytest

from tests.sandbox.codedeploy_memory import BLUE, GREEN, PRODUCTION, TEST
from tests.sandbox.codedeploy_rig import Rig, blue_green, empty, group, refusal


@pytest.fixture
def rig() -> Rig:
    """CodeDeploy with an ECS application and no deployment group yet."""
    return empty()


def test_creating_a_group_brings_the_production_listener_into_the_two_entry_form(rig: Rig) -> None:
    rig.elb.listeners[PRODUCTION].append({BLUE: 1})
    rig.call("CreateDeploymentGroup", **group())
    assert rig.elb.listeners[PRODUCTION] == [{BLUE: 100, GREEN: 0}] * 2
    assert rig.elb.listeners[TEST] == [{GREEN: 1}]


def test_creating_a_group_leaves_a_listener_alone_that_is_elsewhere(rig: Rig) -> None:
    rig.elb.listeners[PRODUCTION] = [{BLUE: 1, GREEN: 1}]
    rig.call("CreateDeploymentGroup", **group())
    assert rig.elb.changes == []


def test_a_group_is_told_with_everything_that_aws_fills_in(rig: Rig) -> None:
    bare = {"deploymentReadyOption": {}, "terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE"}}
    bare["deploymentReadyOption"]["actionOnTimeout"] = "CONTINUE_DEPLOYMENT"
    rig.call(
        "CreateDeploymentGroup",
        **group(blueGreenDeploymentConfiguration=bare, alarmConfiguration=None, deploymentConfigName=None),
    )
    told = rig.call("GetDeploymentGroup", applicationName="shop", deploymentGroupName="web")
    info = told["deploymentGroupInfo"]
    assert info["computePlatform"] == "ECS"
    assert info["deploymentConfigName"] == "CodeDeployDefault.ECSAllAtOnce"
    assert info["blueGreenDeploymentConfiguration"] == blue_green(keep=0)
    assert info["alarmConfiguration"] == {"enabled": False, "ignorePollAlarmFailure": False, "alarms": []}
    assert info["autoRollbackConfiguration"]["events"] == [
        "DEPLOYMENT_FAILURE",
        "DEPLOYMENT_STOP_ON_ALARM",
        "DEPLOYMENT_STOP_ON_REQUEST",
    ]
    assert "lastAttemptedDeployment" not in info


def test_a_group_tells_its_last_deployments(rig: Rig) -> None:
    rig.call("CreateDeploymentGroup", **group())
    good = rig.deploy()
    rig.finish(good)
    running = rig.deploy()
    told = rig.call("GetDeploymentGroup", applicationName="shop", deploymentGroupName="web")
    info = told["deploymentGroupInfo"]
    assert info["lastSuccessfulDeployment"]["deploymentId"] == good
    assert info["lastSuccessfulDeployment"]["status"] == "Succeeded"
    assert info["lastAttemptedDeployment"]["deploymentId"] == running
    assert info["targetRevision"] == rig.info(good)["revision"]


def test_an_update_keeps_the_members_that_it_leaves_out(rig: Rig) -> None:
    rig.call("CreateDeploymentGroup", **group())
    names = {"applicationName": "shop", "deploymentGroupName": "web"}
    before = rig.call("GetDeploymentGroup", **names)["deploymentGroupInfo"]
    off = {"enabled": False, "alarms": []}
    rig.call(
        "UpdateDeploymentGroup",
        applicationName="shop",
        currentDeploymentGroupName="web",
        alarmConfiguration=off,
    )
    after = rig.call("GetDeploymentGroup", **names)["deploymentGroupInfo"]
    changed = {key for key in after if after[key] != before[key]}
    assert changed == {"alarmConfiguration"}
    assert after["alarmConfiguration"]["alarms"] == []


def test_an_update_is_checked_like_a_creation_and_changes_nothing_when_refused(rig: Rig) -> None:
    rig.call("CreateDeploymentGroup", **group())
    names = {"applicationName": "shop", "currentDeploymentGroupName": "web"}
    code, _ = refusal(
        rig,
        "UpdateDeploymentGroup",
        **names,
        blueGreenDeploymentConfiguration=blue_green(keep=2881),
        outdatedInstancesStrategy="IGNORE",
    )
    assert code == "InvalidBlueGreenDeploymentConfigurationException"
    told = rig.call("GetDeploymentGroup", applicationName="shop", deploymentGroupName="web")
    assert told["deploymentGroupInfo"]["outdatedInstancesStrategy"] == "UPDATE"


def test_a_running_deployment_keeps_the_settings_it_began_with(rig: Rig) -> None:
    rig.call("CreateDeploymentGroup", **group())
    deployment = rig.deploy()
    rig.call(
        "UpdateDeploymentGroup",
        applicationName="shop",
        currentDeploymentGroupName="web",
        newDeploymentGroupName="renamed",
        blueGreenDeploymentConfiguration=blue_green(keep=60),
    )
    assert rig.info(deployment)["blueGreenDeploymentConfiguration"] == blue_green(keep=5)
    assert rig.info(deployment)["deploymentGroupName"] == "renamed"
    rig.pass_time(500)
    assert rig.info(deployment)["status"] == "Succeeded"


@pytest.mark.parametrize("operation", ["DeleteDeploymentGroup", "DeleteApplication"])
def test_deleting_what_is_not_there_is_no_error(rig: Rig, operation: str) -> None:
    params = {"applicationName": "never"}
    if operation == "DeleteDeploymentGroup":
        params["deploymentGroupName"] = "never"
    assert rig.call(operation, **params) == ({"hooksNotCleanedUp": []} if "Group" in operation else {})


def test_names_are_given_once(rig: Rig) -> None:
    rig.call("CreateDeploymentGroup", **group())
    assert refusal(rig, "CreateDeploymentGroup", **group())[0] == "DeploymentGroupAlreadyExistsException"
    assert refusal(rig, "CreateApplication", applicationName="shop")[0] == "ApplicationAlreadyExistsException"
