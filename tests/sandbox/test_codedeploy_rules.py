"""What CodeDeploy refuses, with its own sentences (aws-facts 1, 2.2, 4.1, 5.2, 5.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdeploy.sandbox.codedeploy import configs
from bgdeploy.sandbox.world import Call, RefusedError
from tests.sandbox.codedeploy_rig import (
    BLUE,
    GREEN,
    PRODUCTION,
    ROLE,
    TEST,
    Rig,
    appspec,
    blue_green,
    group,
    pair,
)

ECS = "For ECS deployment group, "


@pytest.fixture
def rig() -> Rig:
    """CodeDeploy with an ECS application and no deployment group yet."""
    rig = Rig()
    rig.call("CreateApplication", applicationName="shop", computePlatform="ECS")
    return rig


def refusal(rig: Rig, operation: str, **params: Any) -> tuple[str, str]:
    """Return the code and the text with which an operation is refused."""
    with pytest.raises(RefusedError) as refused:
        rig.call(operation, **params)
    return refused.value.code, refused.value.message


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


# -- what making and changing a group does


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
    assert code == BLUE_GREEN_CLASS
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


# -- deployment configs


def routing(kind: str, **blocks: Any) -> dict[str, Any]:
    return {"computePlatform": "ECS", "trafficRoutingConfig": {"type": kind, **blocks}}


def canary(percentage: int, interval: int) -> dict[str, Any]:
    return {"timeBasedCanary": {"canaryPercentage": percentage, "canaryInterval": interval}}


def linear(percentage: int, interval: int) -> dict[str, Any]:
    return {"timeBasedLinear": {"linearPercentage": percentage, "linearInterval": interval}}


PERCENTAGE = "Valid traffic routing percentage is from 1 to 99"
TOTAL = "Total Traffic shifting intervals must be positive integers up to 2880 minutes (2 days)"
CANARY_INTERVAL = "Canary interval must be between 1 and 2880 minutes (2 days)"
EMPTY = (
    "Traffic routing configuration cannot be null nor empty for deployment configurations on this platform."
)


@pytest.mark.parametrize(
    ("params", "text"),
    [
        (routing("TimeBasedCanary", **canary(0, 5)), PERCENTAGE),
        (routing("TimeBasedCanary", **canary(100, 5)), PERCENTAGE),
        (routing("TimeBasedCanary", **canary(10, 0)), CANARY_INTERVAL),
        (routing("TimeBasedCanary", **canary(10, 2881)), CANARY_INTERVAL),
        (routing("TimeBasedLinear", **linear(10, 289)), TOTAL),
        (routing("TimeBasedLinear", **linear(10, 0)), TOTAL),
        (routing("TimeBasedLinear", **linear(100, 1)), PERCENTAGE),
        (
            routing("AllAtOnce", **canary(10, 5)),
            "TimeBasedCanaryConfiguration should be null for AllAtOnce type",
        ),
        (
            routing("TimeBasedCanary", **linear(10, 1), **canary(10, 1)),
            "TimeBasedLinearConfiguration should be null for TimeBasedCanary type",
        ),
        ({"computePlatform": "ECS"}, EMPTY),
        ({"computePlatform": "ECS", "trafficRoutingConfig": {}}, EMPTY),
        (
            {**routing("AllAtOnce"), "minimumHealthyHosts": {"type": "HOST_COUNT", "value": 1}},
            "minimum healthy hosts should be null for ECS deployment configuration",
        ),
        (
            {**routing("AllAtOnce"), "zonalConfig": {"monitorDurationInSeconds": 1}},
            "Zonal deployments are only supported with EC2 deployments.",
        ),
    ],
)
def test_a_config_is_refused_with_aws_own_sentence(rig: Rig, params: Mapping[str, Any], text: str) -> None:
    assert refusal(rig, "CreateDeploymentConfig", deploymentConfigName="mine", **params)[1] == text


def test_there_are_exactly_five_predefined_configs(rig: Rig) -> None:
    assert rig.call("ListDeploymentConfigs")["deploymentConfigsList"] == [
        "CodeDeployDefault.ECSAllAtOnce",
        "CodeDeployDefault.ECSCanary10Percent5Minutes",
        "CodeDeployDefault.ECSCanary10Percent15Minutes",
        "CodeDeployDefault.ECSLinear10PercentEvery1Minutes",
        "CodeDeployDefault.ECSLinear10PercentEvery3Minutes",
    ]


def test_a_config_of_ones_own_shifts_as_it_says(rig: Rig) -> None:
    params = routing("TimeBasedLinear", **linear(30, 2))
    rig.call("CreateDeploymentConfig", deploymentConfigName="thirds", **params)
    told = rig.call("GetDeploymentConfig", deploymentConfigName="thirds")["deploymentConfigInfo"]
    assert told["trafficRoutingConfig"] == params["trafficRoutingConfig"]
    rig.call("CreateDeploymentGroup", **group(deploymentConfigName="thirds"))
    rig.elb.changes.clear()
    deployment = rig.deploy()
    rig.finish(deployment)
    assert [weight for _, listener, weight in rig.elb.changes if listener == PRODUCTION] == [30, 60, 90, 100]


def test_reserved_used_and_known_names_of_configs_are_refused(rig: Rig) -> None:
    mine = {"deploymentConfigName": "mine", **routing("AllAtOnce")}
    rig.call("CreateDeploymentConfig", **mine)
    rig.call("CreateDeploymentGroup", **group(deploymentConfigName="mine"))
    reserved = {**mine, "deploymentConfigName": "CodeDeployDefault.Mine"}
    codes = [
        refusal(rig, "CreateDeploymentConfig", **reserved)[0],
        refusal(rig, "CreateDeploymentConfig", **mine)[0],
        refusal(rig, "DeleteDeploymentConfig", deploymentConfigName="mine")[0],
        refusal(rig, "DeleteDeploymentConfig", deploymentConfigName="CodeDeployDefault.ECSAllAtOnce")[0],
    ]
    assert codes == [
        "InvalidDeploymentConfigNameException",
        "DeploymentConfigAlreadyExistsException",
        "DeploymentConfigInUseException",
        "InvalidOperationException",
    ]


@given(st.integers(1, 99), st.integers(1, 30))
def test_every_linear_shift_ends_at_all_and_waits_no_longer_than_its_rule_counts(
    percent: int, minutes: int
) -> None:
    steps = configs.increments(linear(percent, minutes))
    weights = [step.percent for step in steps]
    assert weights == sorted(set(weights))
    assert weights[-1] == 100
    waited = sum(step.wait.total_seconds() for step in steps) / 60
    assert steps[-1].wait.total_seconds() == 0
    assert waited <= minutes * (100 // percent)


# -- deployments


def content(text: str, **extra: str) -> dict[str, Any]:
    return {"revisionType": "AppSpecContent", "appSpecContent": {"content": text, **extra}}


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"revision": None}, "RevisionRequiredException"),
        ({"revision": content("{")}, "InvalidRevisionException"),
        ({"revision": content(appspec(), sha256="0" * 64)}, "InvalidRevisionException"),
        ({"revision": {"revisionType": "AppSpecContent"}}, "InvalidRevisionException"),
        ({"revision": {"revisionType": "GitHub", "gitHubLocation": {}}}, "InvalidRevisionException"),
        (
            {
                "revision": {
                    "revisionType": "S3",
                    "s3Location": {"bucket": "b", "key": "k", "bundleType": "zip"},
                }
            },
            "InvalidRevisionException",
        ),
        ({"revision": {"revisionType": "S3", "s3Location": {"bucket": "b"}}}, "InvalidRevisionException"),
        ({"description": "x" * 257}, "DescriptionTooLongException"),
        ({"deploymentConfigName": "mine"}, "DeploymentConfigDoesNotExistException"),
        ({"deploymentGroupName": None}, "DeploymentGroupNameRequiredException"),
        ({"deploymentGroupName": "other"}, "DeploymentGroupDoesNotExistException"),
        ({"applicationName": "other"}, "ApplicationDoesNotExistException"),
        ({"autoRollbackConfiguration": {"enabled": True}}, "InvalidAutoRollbackConfigException"),
        ({"overrideAlarmConfiguration": {"enabled": True}}, "InvalidAlarmConfigException"),
    ],
)
def test_a_deployment_that_cannot_be_is_refused(rig: Rig, members: Mapping[str, Any], code: str) -> None:
    rig.call("CreateDeploymentGroup", **group())
    with pytest.raises(RefusedError) as refused:
        rig.deploy(**members)
    assert refused.value.code == code
    assert rig.call("ListDeployments")["deployments"] == []


def test_a_zip_in_s3_is_refused_with_aws_own_sentence(rig: Rig) -> None:
    revision = {"revisionType": "S3", "s3Location": {"bucket": "b", "key": "k", "bundleType": "zip"}}
    assert refusal(rig, "RegisterApplicationRevision", applicationName="shop", revision=revision)[1] == (
        "BundleType must be either YAML or JSON"
    )


def test_the_text_of_a_revision_is_hidden_in_the_deployment_and_told_by_the_application(rig: Rig) -> None:
    rig.call("CreateDeploymentGroup", **group())
    deployment = rig.deploy()
    revision = rig.info(deployment)["revision"]
    assert set(revision["appSpecContent"]) == {"sha256"}
    told = rig.call("GetApplicationRevision", applicationName="shop", revision=revision)
    assert told["revision"]["appSpecContent"]["content"] == appspec()
    assert told["revisionInfo"]["deploymentGroups"] == ["web"]


def test_deployments_are_listed_newest_first_and_by_status(rig: Rig) -> None:
    rig.call("CreateDeploymentGroup", **group())
    first = rig.deploy()
    rig.finish(first)
    second = rig.deploy()
    names = {"applicationName": "shop", "deploymentGroupName": "web"}
    assert rig.call("ListDeployments", **names)["deployments"] == [second, first]
    assert rig.call("ListDeployments", **names, includeOnlyStatuses=["Succeeded"]) == {"deployments": [first]}
    since = {"start": rig.info(second)["createTime"]}
    assert rig.call("ListDeployments", **names, createTimeRange=since)["deployments"] == [second]


@pytest.mark.parametrize(
    ("given_name", "code"),
    [
        ({"applicationName": "shop"}, "DeploymentGroupNameRequiredException"),
        ({"deploymentGroupName": "web"}, "ApplicationNameRequiredException"),
    ],
)
def test_application_and_group_go_together_in_a_list(
    rig: Rig, given_name: Mapping[str, str], code: str
) -> None:
    assert refusal(rig, "ListDeployments", **given_name)[0] == code


@pytest.mark.parametrize(
    ("targets", "code"),
    [
        (["shop:web", "shop:web"], "DeploymentTargetListSizeExceededException"),
        (["shop:other"], "DeploymentTargetDoesNotExistException"),
        ([], "DeploymentTargetIdRequiredException"),
    ],
)
def test_a_deployment_has_one_target(rig: Rig, targets: list[str], code: str) -> None:
    rig.call("CreateDeploymentGroup", **group())
    deployment = rig.deploy()
    rig.pass_time(5)
    assert rig.call("ListDeploymentTargets", deploymentId=deployment) == {"targetIds": ["shop:web"]}
    answer = refusal(rig, "BatchGetDeploymentTargets", deploymentId=deployment, targetIds=targets)
    assert answer[0] == code


@pytest.mark.parametrize(
    ("identity", "code"),
    [
        ("d-ABCDEFGHI", "DeploymentDoesNotExistException"),
        ("nonsense", "InvalidDeploymentIdException"),
        ("", "DeploymentIdRequiredException"),
    ],
)
def test_a_deployment_that_is_not_there_is_told_so(rig: Rig, identity: str, code: str) -> None:
    assert refusal(rig, "GetDeployment", deploymentId=identity)[0] == code


def test_regions_know_nothing_of_each_other(rig: Rig) -> None:
    elsewhere = Call("codedeploy", "ListApplications", {}, "eu-west-1")
    assert rig.service.operations["codedeploy", "ListApplications"](elsewhere) == {"applications": []}
    assert rig.call("ListApplications") == {"applications": ["shop"]}


def test_tags_stay_with_what_they_were_given(rig: Rig) -> None:
    rig.call("CreateDeploymentGroup", **group(tags=[{"Key": "a", "Value": "1"}]))
    arn = "arn:aws:codedeploy:us-east-1:123456789012:deploymentgroup:shop/web"
    rig.call("TagResource", ResourceArn=arn, Tags=[{"Key": "b", "Value": "2"}])
    rig.call("UntagResource", ResourceArn=arn, TagKeys=["a"])
    rig.call("UpdateApplication", applicationName="shop", newApplicationName="store")
    renamed = arn.replace("shop/", "store/")
    assert rig.call("ListTagsForResource", ResourceArn=renamed) == {"Tags": [{"Key": "b", "Value": "2"}]}
    assert refusal(rig, "ListTagsForResource", ResourceArn=arn)[0] == "ApplicationDoesNotExistException"


@pytest.mark.parametrize(
    ("arn", "code"),
    [
        ("not an arn", "InvalidArnException"),
        ("arn:aws:codedeploy:us-east-1:123456789012:instance:i-1", "ArnNotSupportedException"),
        ("arn:aws:s3:::bucket", "ArnNotSupportedException"),
    ],
)
def test_what_cannot_be_tagged_is_told_so(rig: Rig, arn: str, code: str) -> None:
    assert refusal(rig, "ListTagsForResource", ResourceArn=arn)[0] == code
