"""What CodeDeploy refuses of a deployment group, with its own sentences (aws-facts 2.2, 4.1, 5.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.sandbox.codedeploy_memory import BLUE, PRODUCTION, TEST
from tests.sandbox.codedeploy_rig import ROLE, Rig, blue_green, empty, group, pair, refusal

ECS = "For ECS deployment group, "


@pytest.fixture
def rig() -> Rig:
    """CodeDeploy with an ECS application and no deployment group yet."""
    return empty()


STYLE = (
    "InvalidDeploymentStyleException",
    "For ECS deployment, the deployment type must be BLUE_GREEN, and deployment option must be "
    "WITH_TRAFFIC_CONTROL.",
)
BALANCER, BLUE_GREEN_CLASS = (
    "InvalidLoadBalancerInfoException",
    "InvalidBlueGreenDeploymentConfigurationException",
)
PAIR, ROLLBACK, ALARM = (
    "InvalidTargetGroupPairException",
    "InvalidAutoRollbackConfigException",
    "InvalidAlarmConfigException",
)
NO_READY = {"terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE"}}
NO_TERMINATE = {"deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT"}}


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        ({"deploymentStyle": None}, *STYLE),
        (
            {"deploymentStyle": {"deploymentType": "IN_PLACE", "deploymentOption": "WITH_TRAFFIC_CONTROL"}},
            *STYLE,
        ),
        ({"deploymentStyle": {"deploymentType": "BLUE_GREEN"}}, *STYLE),
        ({"loadBalancerInfo": None}, BALANCER, ECS + "loadBalancerInfo must be specified"),
        (
            {"loadBalancerInfo": {"elbInfoList": [{"name": "x"}]}},
            BALANCER,
            ECS + "loadBalancerInfo must not contain elbInfo list",
        ),
        (
            {"loadBalancerInfo": {"targetGroupInfoList": [{"name": "x"}]}},
            BALANCER,
            ECS + "loadBalancerInfo must not contain targetGroupInfo list",
        ),
        (
            {"loadBalancerInfo": pair("blue", "blue")},
            PAIR,
            "Target group pair must have distinct target groups.",
        ),
        (
            {"loadBalancerInfo": pair("blue", "g" * 33)},
            BALANCER,
            f"The target group name {'g' * 33} exceeds the maximum allowed length of 32 characters.",
        ),
        (
            {"blueGreenDeploymentConfiguration": None},
            BLUE_GREEN_CLASS,
            ECS + "blueGreenDeploymentConfiguration must be specified",
        ),
        (
            {"blueGreenDeploymentConfiguration": NO_READY},
            BLUE_GREEN_CLASS,
            "Deployment ready option cannot be null for blue green deployment",
        ),
        (
            {"blueGreenDeploymentConfiguration": NO_TERMINATE},
            BLUE_GREEN_CLASS,
            "Terminate blue instances on deployment success behaviour cannot be set to null for Blue Green "
            "deployments",
        ),
        (
            {"blueGreenDeploymentConfiguration": blue_green(5, action="CONTINUE_DEPLOYMENT")},
            BLUE_GREEN_CLASS,
            "Deployment ready action cannot be set to 'CONTINUE_DEPLOYMENT' when timeout is specified",
        ),
        (
            {"blueGreenDeploymentConfiguration": blue_green(0, action="STOP_DEPLOYMENT")},
            BLUE_GREEN_CLASS,
            "Deployment ready action cannot be set to STOP_DEPLOYMENT when timeout is set to 0 minutes.",
        ),
        (
            {"blueGreenDeploymentConfiguration": blue_green(keep=2881)},
            BLUE_GREEN_CLASS,
            "Timeout for instance termination cannot be more than 2 days",
        ),
        (
            {"autoScalingGroups": ["asg"]},
            "InvalidAutoScalingGroupException",
            ECS + "autoScalingGroups can not be specified",
        ),
        (
            {"ec2TagFilters": [{"Key": "a"}]},
            "InvalidEC2TagException",
            ECS + "ec2TagFilters can not be specified",
        ),
        (
            {"ec2TagSet": {"ec2TagSetList": [[{"Key": "a"}]]}},
            "InvalidEC2TagCombinationException",
            ECS + "ec2TagSet can not be specified",
        ),
        (
            {"onPremisesInstanceTagFilters": [{"Key": "a"}]},
            "InvalidTagException",
            ECS + "onPremisesInstanceTagFilters can not be specified",
        ),
        (
            {"onPremisesTagSet": {"onPremisesTagSetList": [[{"Key": "a"}]]}},
            "InvalidOnPremisesTagCombinationException",
            ECS + "onPremisesTagSet can not be specified",
        ),
        (
            {"autoRollbackConfiguration": {"enabled": True, "events": []}},
            ROLLBACK,
            "Deployment Groups need to have at least one event specified when auto rollback is enabled",
        ),
        (
            {"alarmConfiguration": {"enabled": True, "alarms": []}},
            ALARM,
            "Deployment Groups need to have at least one alarms attached if they are monitored.",
        ),
        (
            {
                "triggerConfigurations": [
                    {"triggerName": "t", "triggerTargetArn": "a"},
                    {"triggerName": "t", "triggerTargetArn": "b"},
                ]
            },
            "InvalidTriggerConfigException",
            "Duplicate Trigger target name detected",
        ),
    ],
)
def test_a_group_is_refused_with_aws_own_sentence(
    rig: Rig, changes: Mapping[str, Any], code: str, text: str
) -> None:
    assert refusal(rig, "CreateDeploymentGroup", **group(**changes)) == (code, text)
    assert rig.call("ListDeploymentGroups", applicationName="shop")["deploymentGroups"] == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"loadBalancerInfo": pair("blue")}, PAIR),
        ({"loadBalancerInfo": pair("a", "b", "c")}, PAIR),
        ({"loadBalancerInfo": pair(production=())}, PAIR),
        ({"loadBalancerInfo": pair(production=(PRODUCTION, TEST))}, PAIR),
        (
            {"blueGreenDeploymentConfiguration": blue_green(terminate="KEEP_ALIVE")},
            "InvalidBlueGreenDeploymentConfigurationException",
        ),
        ({"ecsServices": None}, "InvalidECSServiceException"),
        (
            {"ecsServices": [{"clusterName": "shop", "serviceName": name} for name in ("web", "web-2")]},
            "InvalidECSServiceException",
        ),
        ({"ecsServices": [{"clusterName": "shop"}]}, "InvalidECSServiceException"),
        ({"autoRollbackConfiguration": {"enabled": True, "events": ["WHIM"]}}, ROLLBACK),
        (
            {"alarmConfiguration": {"alarms": [{"name": str(n)} for n in range(11)]}},
            "AlarmsLimitExceededException",
        ),
        ({"alarmConfiguration": {"alarms": [{"name": "a"}, {"name": "a"}]}}, ALARM),
        ({"alarmConfiguration": {"alarms": [{"name": "a" * 256}]}}, ALARM),
        (
            {
                "triggerConfigurations": [
                    {"triggerName": str(n), "triggerTargetArn": str(n)} for n in range(11)
                ]
            },
            "TriggerTargetsLimitExceededException",
        ),
        ({"deploymentGroupName": "no spaces"}, "InvalidDeploymentGroupNameException"),
        ({"deploymentConfigName": "mine"}, "DeploymentConfigDoesNotExistException"),
        ({"applicationName": "other"}, "ApplicationDoesNotExistException"),
        ({"loadBalancerInfo": pair("blue", "gone")}, BALANCER),
        ({"loadBalancerInfo": pair(test="arn:listener/app/lb/gone")}, BALANCER),
    ],
)
def test_a_group_that_cannot_work_is_refused(rig: Rig, changes: Mapping[str, Any], code: str) -> None:
    assert refusal(rig, "CreateDeploymentGroup", **group(**changes))[0] == code


def test_a_role_that_codedeploy_may_not_assume_is_refused(rig: Rig) -> None:
    rig.identity.trusted = False
    assert refusal(rig, "CreateDeploymentGroup", **group()) == (
        "InvalidRoleException",
        f"AWS CodeDeploy does not have the permissions required to assume the role {ROLE}.",
    )


def test_a_role_that_may_not_describe_the_service_is_refused(rig: Rig) -> None:
    rig.identity.denied.add("ecs:DescribeServices")
    code, text = refusal(rig, "CreateDeploymentGroup", **group())
    assert code == "InvalidECSServiceException"
    assert text.startswith(
        "Could not load ECS service information for cluster: shop, service: web. Cause: User: "
    )
    assert text.endswith(" is not authorized to perform: ecs:DescribeServices")


def test_a_service_under_another_controller_is_refused(rig: Rig) -> None:
    rig.ecs.web.controller = "ECS"
    assert refusal(rig, "CreateDeploymentGroup", **group()) == (
        "InvalidECSServiceException",
        "Deployment group's ECS service must be configured for a CODE_DEPLOY deployment controller.",
    )


def test_a_service_that_does_not_exist_is_refused(rig: Rig) -> None:
    rig.ecs.services.clear()
    code, text = refusal(rig, "CreateDeploymentGroup", **group())
    assert code == "InvalidECSServiceException"
    assert text.startswith("Could not load ECS service information for cluster: shop, service: web.")


def test_a_service_has_one_deployment_group_however_it_is_named(rig: Rig) -> None:
    rig.call("CreateDeploymentGroup", **group())
    by_arn = [{"clusterName": "shop", "serviceName": "arn:aws:ecs:us-east-1:123456789012:service/shop/web"}]
    again = group(deploymentGroupName="again", ecsServices=by_arn)
    assert refusal(rig, "CreateDeploymentGroup", **again)[0] == "ECSServiceMappingLimitExceededException"


def test_a_config_of_another_platform_is_refused(rig: Rig) -> None:
    rig.call("CreateDeploymentConfig", deploymentConfigName="instances", minimumHealthyHosts={"value": 1})
    assert refusal(rig, "CreateDeploymentGroup", **group(deploymentConfigName="instances"))[1] == (
        "Compute platform of deployment config instances does not match expected compute platform, correct compute "
        "platform should be ECS."
    )


def test_a_gradual_shift_on_a_network_load_balancer_is_refused(rig: Rig) -> None:
    listener = "arn:aws:elasticloadbalancing:us-east-1:1:listener/net/lb/1/2"
    rig.elb.listeners[listener] = [{BLUE: 1}]
    request = group(
        loadBalancerInfo=pair(production=(listener,)),
        deploymentConfigName="CodeDeployDefault.ECSCanary10Percent5Minutes",
    )
    assert refusal(rig, "CreateDeploymentGroup", **request)[1] == (
        "Only ALB supports gradual traffic routing, use AllAtOnce Traffic routing instead when you create/update "
        "Deployment group."
    )


def test_an_application_is_made_for_servers_unless_it_says_ecs() -> None:
    rig = Rig()
    rig.call("CreateApplication", applicationName="shop")
    application = rig.call("GetApplication", applicationName="shop")["application"]
    assert application["computePlatform"] == "Server"
    assert refusal(rig, "CreateDeploymentGroup", **group())[1] == (
        "Server Deployment Groups should not define a value for ecsServices, eksClusters, or targetGroupPairInfoList"
    )
