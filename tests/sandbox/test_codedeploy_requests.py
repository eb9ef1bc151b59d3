"""Deployment configs and requests for deployments: what is taken, what is refused (aws-facts 1, 3, 5.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdeploy.sandbox.codedeploy import configs
from bgdeploy.sandbox.world import Call, RefusedError
from tests.sandbox.codedeploy_memory import PRODUCTION
from tests.sandbox.codedeploy_rig import Rig, appspec, empty, group, refusal


@pytest.fixture
def rig() -> Rig:
    """CodeDeploy with an ECS application and no deployment group yet."""
    return empty()


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
