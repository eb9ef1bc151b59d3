"""CodeDeploy as boto3 meets it: every answer passes botocore's model, and the role is a real one in IAM."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bgdeploy.sandbox.codedeploy import CodeDeploy
from bgdeploy.sandbox.gateway import Gateway
from bgdeploy.sandbox.inprocess import InProcess
from bgdeploy.sandbox.server import build_world
from bgdeploy.sandbox.world import Settings, World
from tests.clocks import HandClock
from tests.sandbox.codedeploy_memory import MemoryAlarms, MemoryEcs, MemoryElb, MemoryFunctions
from tests.sandbox.codedeploy_rig import REGION, ROLE, appspec, group

KEY = "AKIATESTTESTTESTTEST"
FULL = "arn:aws:iam::aws:policy/AWSCodeDeployRoleForECS"
LIMITED = "arn:aws:iam::aws:policy/AWSCodeDeployRoleForECSLimited"


class Account:
    """A world in which CodeDeploy and moto's IAM and S3 are real, with services in memory around them."""

    def __init__(self, world: World, clock: HandClock) -> None:
        self.world = world
        self.clock = clock
        self.functions = MemoryFunctions()
        self.ecs = MemoryEcs(clock)
        memory = {
            "ecs": self.ecs,
            "elb": MemoryElb(clock),
            "functions": self.functions,
            "alarms": MemoryAlarms(),
        }
        for name, part in memory.items():
            setattr(world, name, part)
        world.codedeploy = CodeDeploy(world)
        world.client = InProcess(Gateway(world, KEY), KEY)
        self.client = world.client("codedeploy", region=REGION)

    def make_role(self, policy: str, service: str = "codedeploy.amazonaws.com") -> None:
        iam = self.world.client("iam", region=REGION)
        trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        iam.create_role(RoleName="codedeploy", AssumeRolePolicyDocument=document)
        iam.attach_role_policy(RoleName="codedeploy", PolicyArn=policy)
        self.clock.advance(self.world.settings.role_delay)

    def make_group(self, **changes: Any) -> None:
        self.client.create_application(applicationName="shop", computePlatform="ECS")
        self.client.create_deployment_group(**group(**changes))

    def deploy(self, revision: dict[str, Any] | None = None, **hooks: str) -> str:
        revision = revision or {
            "revisionType": "AppSpecContent",
            "appSpecContent": {"content": appspec(hooks)},
        }
        answer = self.client.create_deployment(
            applicationName="shop", deploymentGroupName="web", revision=revision
        )
        return str(answer["deploymentId"])

    def pass_time(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(1)
            with self.world.lock:
                self.world.codedeploy.tick()

    def info(self, deployment: str) -> dict[str, Any]:
        told: dict[str, Any] = self.client.get_deployment(deploymentId=deployment)["deploymentInfo"]
        return told

    def forget_role(self) -> None:
        iam = self.world.client("iam", region=REGION)
        for role in iam.list_roles()["Roles"]:
            for policy in iam.list_attached_role_policies(RoleName=role["RoleName"])["AttachedPolicies"]:
                iam.detach_role_policy(RoleName=role["RoleName"], PolicyArn=policy["PolicyArn"])
            iam.delete_role(RoleName=role["RoleName"])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world with nothing but moto in it, made once: loading IAM's managed policies takes its time."""
    home = tmp_path_factory.mktemp("codedeploy")
    world, _gateway = build_world(Settings(home=home), KEY, HandClock(), parts=())
    yield world
    world.reaper.close()
    world.moto.reset()


@pytest.fixture
def account(world: World) -> Iterator[Account]:
    """An account with nothing in it yet."""
    assert isinstance(world.clock, HandClock)
    account = Account(world, world.clock)
    yield account
    account.forget_role()


def test_a_whole_release_and_its_rollback_are_told_within_the_model(account: Account) -> None:
    account.make_role(FULL)
    account.make_group()
    client = account.client
    good = account.deploy()
    account.pass_time(400)
    assert account.info(good)["status"] == "Succeeded"
    account.ecs.web.task_sets = [one for one in account.ecs.web.task_sets if one.status == "PRIMARY"]
    bad = account.deploy(AfterAllowTestTraffic="CodeDeployHook_check")
    account.pass_time(80)
    payload = account.functions.invoked[0][1]
    client.put_lifecycle_event_hook_execution_status(
        deploymentId=payload["DeploymentId"],
        lifecycleEventHookExecutionId=payload["LifecycleEventHookExecutionId"],
        status="Failed",
    )
    account.pass_time(10)
    rollback = account.info(bad)["rollbackInfo"]["rollbackDeploymentId"]
    told = client.batch_get_deployments(deploymentIds=[bad, rollback])["deploymentsInfo"]
    assert [one["status"] for one in told] == ["Failed", "Succeeded"]
    target = client.batch_get_deployment_targets(deploymentId=bad, targetIds=["shop:web"])
    assert len(target["deploymentTargets"][0]["ecsTarget"]["lifecycleEvents"]) == 8
    last = client.get_deployment_group(applicationName="shop", deploymentGroupName="web")
    assert last["deploymentGroupInfo"]["lastSuccessfulDeployment"]["deploymentId"] == rollback
    assert told[1]["revision"] == account.info(good)["revision"]


def test_every_reading_operation_answers_within_the_model(account: Account) -> None:
    account.make_role(FULL)
    account.make_group(tags=[{"Key": "team", "Value": "web"}])
    deployment = account.deploy()
    account.pass_time(5)
    client = account.client
    client.register_application_revision(
        applicationName="shop",
        revision={"revisionType": "S3", "s3Location": {"bucket": "b", "key": "k", "bundleType": "JSON"}},
    )
    revision = account.info(deployment)["revision"]
    arn = "arn:aws:codedeploy:us-east-1:123456789012:deploymentgroup:shop/web"
    config = "CodeDeployDefault.ECSLinear10PercentEvery1Minutes"
    answers = [
        client.list_applications()["applications"],
        client.batch_get_applications(applicationNames=["shop"])["applicationsInfo"],
        client.list_deployment_groups(applicationName="shop")["deploymentGroups"],
        client.batch_get_deployment_groups(applicationName="shop", deploymentGroupNames=["web"])[
            "deploymentGroupsInfo"
        ],
        client.get_deployment_config(deploymentConfigName=config)["deploymentConfigInfo"],
        client.list_deployments()["deployments"],
        client.list_deployment_targets(deploymentId=deployment)["targetIds"],
        client.get_application_revision(applicationName="shop", revision=revision)["revisionInfo"],
        client.batch_get_application_revisions(applicationName="shop", revisions=[revision])["revisions"],
        client.list_application_revisions(applicationName="shop", sortBy="registerTime")["revisions"],
        client.list_tags_for_resource(ResourceArn=arn)["Tags"],
        client.get_paginator("list_deployments").paginate().build_full_result()["deployments"],
    ]
    assert all(answers)


def test_a_refusal_is_the_exception_that_boto3_has_for_it(account: Account) -> None:
    account.make_role(FULL)
    account.make_group()
    deployment = account.deploy()
    with pytest.raises(account.client.exceptions.DeploymentLimitExceededException, match=deployment):
        account.deploy()
    with pytest.raises(account.client.exceptions.DeploymentNotStartedException):
        account.client.list_deployment_targets(deploymentId=deployment)


def test_the_waiter_of_boto3_sees_a_deployment_succeed(account: Account) -> None:
    account.make_role(FULL)
    account.make_group()
    deployment = account.deploy()
    account.pass_time(500)
    account.client.get_waiter("deployment_successful").wait(
        deploymentId=deployment, WaiterConfig={"Delay": 0, "MaxAttempts": 1}
    )


def test_a_role_that_trusts_somebody_else_is_refused(account: Account) -> None:
    account.make_role(FULL, service="ecs-tasks.amazonaws.com")
    with pytest.raises(account.client.exceptions.InvalidRoleException, match=ROLE):
        account.make_group()


def test_a_role_that_does_not_exist_is_refused(account: Account) -> None:
    with pytest.raises(account.client.exceptions.InvalidRoleException):
        account.make_group()


@pytest.mark.parametrize(
    ("policy", "function", "invoked"),
    [(FULL, "check", True), (LIMITED, "check", False), (LIMITED, "CodeDeployHook_check", True)],
)
def test_the_limited_policy_invokes_only_hooks_that_are_named_so(
    account: Account, policy: str, function: str, invoked: bool
) -> None:
    account.make_role(policy)
    account.make_group(alarmConfiguration=None)
    deployment = account.deploy(BeforeInstall=function)
    account.pass_time(4)
    assert bool(account.functions.invoked) is invoked
    error = account.info(deployment).get("errorInformation", {})
    assert error.get("code") == (None if invoked else "IAM_ROLE_PERMISSIONS")


@pytest.mark.parametrize(
    ("policy", "tagging", "code"),
    [
        (FULL, "", None),
        (LIMITED, "", "IAM_ROLE_PERMISSIONS"),
        (LIMITED, "UseWithCodeDeploy=true", None),
    ],
)
def test_the_limited_policy_reads_only_revisions_that_are_tagged_so(
    account: Account, policy: str, tagging: str, code: str | None
) -> None:
    account.make_role(policy)
    account.make_group(alarmConfiguration=None)
    s3 = account.world.client("s3", region=REGION)
    s3.create_bucket(Bucket="revisions")
    s3.put_object(Bucket="revisions", Key="appspec.json", Body=appspec().encode(), Tagging=tagging)
    place = {"bucket": "revisions", "key": "appspec.json", "bundleType": "JSON"}
    deployment = account.deploy({"revisionType": "S3", "s3Location": place})
    account.pass_time(4)
    assert account.info(deployment).get("errorInformation", {}).get("code") == code


def test_a_revision_that_is_not_in_s3_fails_the_deployment(account: Account) -> None:
    account.make_role(FULL)
    account.make_group()
    account.world.client("s3", region=REGION).create_bucket(Bucket="revisions")
    place = {"bucket": "revisions", "key": "gone.yaml", "bundleType": "YAML"}
    deployment = account.deploy({"revisionType": "S3", "s3Location": place})
    account.pass_time(4)
    assert account.info(deployment)["errorInformation"]["code"] == "REVISION_MISSING"
