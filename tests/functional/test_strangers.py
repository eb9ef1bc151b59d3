"""What is not ours, and has our names or nearly so: never changed, never removed, and told in clear words."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bgdeploy.aws import STACK_TAG, Attrs, Aws
from bgdeploy.provision import converge
from bgdeploy.provision.plan import Outcome
from bgdeploy.provision.resource import Look, Resource
from bgdeploy.resources.network import Vpc
from bgdeploy.resources.storage import Bucket
from tests.functional.inventory import everything
from tests.functional.operators import Operator, project

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("account")]

NAME = "crowded-dev"
STRANGERS = (
    "repository",
    "security-group/tasks",
    "load-balancer",
    "target-group/green",
    "alarm/not-found",
    "role/codedeploy",
    "cluster",
    "task-definition",
    "function/hook",
    "application",
)


class Stranger:
    """Somebody who has nothing to do with the stack, and makes things with plain boto3."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws

    def __call__(self, service: str) -> Any:
        return self.aws.client(service)

    def make_all(self, name: str, vpc: str, **names: str) -> None:
        """Make one of everything that has a name, called like a stack's or as `names` says."""
        self("ecr").create_repository(repositoryName=names.get("repository", name))
        self("ecs").create_cluster(clusterName=name)
        self._definition(name)
        self("codedeploy").create_application(applicationName=name, computePlatform="ECS")
        self("cloudwatch").put_metric_alarm(
            AlarmName=f"{name}-not-found",
            Namespace="theirs",
            MetricName="theirs",
            Statistic="Maximum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=5.0,
            ComparisonOperator="GreaterThanThreshold",
        )
        self._function(f"CodeDeployHook_{name}", self._role(f"{name}-codedeploy"))
        self._balancing(name)
        self("ec2").create_security_group(GroupName=f"{name}-tasks", Description="theirs", VpcId=vpc)

    def _role(self, name: str) -> str:
        services = ["lambda.amazonaws.com", "ecs-tasks.amazonaws.com"]
        allow = {"Effect": "Allow", "Principal": {"Service": services}, "Action": "sts:AssumeRole"}
        trust = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        made = self("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]
        self.aws.clock.sleep(30)  # until the other services know it
        return str(made["Arn"])

    def _function(self, name: str, role: str) -> None:
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr("theirs.py", "def handler(event, context): pass\n")
        self("lambda").create_function(
            FunctionName=name,
            Role=role,
            Runtime="python3.12",
            Handler="theirs.handler",
            Code={"ZipFile": code.getvalue()},
        )
        self.aws.clock.sleep(10)  # until it is there

    def _definition(self, family: str) -> None:
        web = {"name": "theirs", "image": "public.ecr.aws/docker/library/httpd:2.4-alpine"}
        self("ecs").register_task_definition(
            family=family,
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory="512",
            containerDefinitions=[web],
        )

    def _balancing(self, name: str) -> None:
        ec2 = self("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.77.0.0/16")["Vpc"]["VpcId"]
        gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        zones = [each["ZoneName"] for each in ec2.describe_availability_zones()["AvailabilityZones"]]
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.77.{n}.0/24", AvailabilityZone=zone)["Subnet"][
                "SubnetId"
            ]
            for n, zone in enumerate(zones[:2])
        ]
        self("elbv2").create_load_balancer(Name=name, Subnets=subnets)
        group = {"Protocol": "HTTP", "Port": 80, "VpcId": vpc, "TargetType": "ip"}
        self("elbv2").create_target_group(Name=f"{name}-green", **group)


@dataclass(frozen=True)
class Crowd:
    """An account full of strangers, and what a provision and a teardown came to in it."""

    before: dict[str, Attrs]  # by the addresses that ours would have
    provisioned: Outcome
    between: dict[str, Attrs]
    removed: Outcome
    after: dict[str, Attrs]


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Operator:
    return Operator(project(tmp_path_factory.mktemp("crowded"), "crowded", 8691))


def found(aws: Aws, resources: list[Resource]) -> dict[str, Attrs]:
    """Return what there is of the strangers, in every detail."""
    look = Look(aws, for_removal=True)
    strange = (each for each in resources if each.address in STRANGERS)
    return {each.address: told for each in strange if (told := each.find(look))}


@pytest.fixture(scope="module")
def crowd(operator: Operator) -> Crowd:
    resources, aws = operator.resources, operator.aws
    begun = [each for each in resources if isinstance(each, (Bucket, Vpc))]
    assert not converge.provision(aws, begun, lambda progress: None).failed
    vpc = begun[1].find(Look(aws))
    assert vpc is not None
    Stranger(aws).make_all(NAME, vpc["VpcId"])
    before = found(aws, resources)
    provisioned = operator.provision()
    between = found(aws, resources)
    # As long as theirs is there, our VPC cannot go.
    aws.client("ec2").delete_security_group(GroupId=before["security-group/tasks"]["GroupId"])
    return Crowd(before, provisioned, between, operator.teardown(), found(aws, resources))


def test_there_is_a_stranger_for_every_name(crowd: Crowd) -> None:
    assert set(crowd.before) == set(STRANGERS)


@pytest.mark.parametrize("address", STRANGERS)
def test_a_provision_refuses_what_is_not_ours_and_tells_the_ways_out(crowd: Crowd, address: str) -> None:
    error = next(each.error for each in crowd.provisioned.failed if each.change.address == address)
    kind = address.partition("/")[0]
    assert error.startswith(f"{kind} '")
    assert f"does not carry the tag {STACK_TAG}={NAME}: it is not ours and is left alone" in error
    assert f"bgdeploy provision --adopt {address}" in error


def test_a_provision_fails_at_the_strangers_only_and_goes_on_beside_them(crowd: Crowd) -> None:
    assert {each.change.address for each in crowd.provisioned.failed} == set(STRANGERS)
    made = {each.change.address for each in crowd.provisioned.changed}
    assert {"subnet/0", "route-table", "target-group/blue", "log-group/hook", "role/hook"} <= made
    blocked = {each.change.address for each in crowd.provisioned.blocked}
    assert blocked == {"listener/production", "listener/test", "service", "deployment-group"}


@pytest.mark.parametrize("address", STRANGERS)
def test_a_provision_changes_nothing_about_what_is_not_ours(crowd: Crowd, address: str) -> None:
    assert crowd.between[address] == crowd.before[address]


@pytest.mark.parametrize("address", [each for each in STRANGERS if each != "security-group/tasks"])
def test_a_teardown_leaves_what_is_not_ours_as_it_was(crowd: Crowd, address: str) -> None:
    told = next(each for each in crowd.removed.left_alone if each.change.address == address)
    assert "it is not ours and is left alone" in told.change.reason
    assert crowd.after[address] == crowd.before[address]


def test_a_teardown_removes_what_is_ours_among_the_strangers(crowd: Crowd, operator: Operator) -> None:
    assert crowd.removed.failed == ()
    assert {each.change.address for each in operator.teardown().changed} == set()


# What much of the rest depends on


def test_a_bucket_and_a_log_of_somebody_elses_stop_what_needs_them_and_keep_what_they_hold(
    tmp_path: Path,
) -> None:
    operator = Operator(project(tmp_path, "poached", 8693))
    s3, logs = operator.aws.client("s3"), operator.aws.client("logs")
    bucket, group = f"poached-dev-{operator.aws.account}-us-east-1", "/ecs/poached-dev"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="elected/vpc", Body=b"theirs")
    logs.create_log_group(logGroupName=group)
    outcome = operator.provision()
    assert [each.change.address for each in outcome.failed] == ["bucket", "log-group/application"]
    assert "--adopt bucket" in outcome.failed[0].error
    assert {"vpc", "metric-filter/not-found"} <= {each.change.address for each in outcome.blocked}
    left = [each.change.address for each in operator.teardown().left_alone]
    assert left == ["bucket", "log-group/application"]
    assert s3.get_object(Bucket=bucket, Key="elected/vpc")["Body"].read() == b"theirs"
    assert s3.get_bucket_versioning(Bucket=bucket).get("Status") is None
    found = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]
    assert (found["logGroupName"], found.get("retentionInDays")) == (group, None)


# Names that are nearly ours


def test_what_is_only_called_alike_stands_after_a_teardown(tmp_path: Path) -> None:
    operator = Operator(project(tmp_path, "alike", 8695))
    stranger, name = Stranger(operator.aws), "alike-dev"
    ec2 = stranger("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]  # the addresses that ours takes, too
    ec2.create_tags(Resources=[vpc], Tags=[{"Key": "Name", "Value": name}])
    other = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
    ec2.create_tags(Resources=[other], Tags=[{"Key": STACK_TAG, "Value": f"{name}-2"}])
    stranger.make_all(f"{name}-2", vpc, repository=f"{name}/2")
    stranger("s3").create_bucket(Bucket=f"{name}-{operator.aws.account}-us-east-1-2")
    stranger("logs").create_log_group(logGroupName=f"/ecs/{name}-2")
    before = everything(operator.aws)
    assert not operator.provision().failed
    assert operator.plan().pending == ()
    assert not operator.teardown().failed
    assert everything(operator.aws) == before
