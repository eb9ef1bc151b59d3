"""What an account has by itself: roles that services make, quotas, and addresses that run out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from bgdeploy.sandbox.server import build_world, close_world
from bgdeploy.sandbox.world import Settings, World
from tests.clocks import HandClock
from tests.sandbox.fleet import Fleet, fleets

ECS = "ecs.amazonaws.com"
QUOTA = {"ServiceCode": "fargate", "QuotaCode": "L-3032A538"}


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An account that nobody has used."""
    home = tmp_path_factory.mktemp("sandbox")
    world, _gateway = build_world(Settings(home=home), "AKIATEST", HandClock(), ("elb", "ecs"))
    yield world
    close_world(world)
    world.moto.reset()


@pytest.fixture(scope="module")
def regions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iterator[Fleet]]:
    made = fleets(tmp_path_factory.mktemp("sandbox"))
    yield made
    made.close()


@pytest.fixture
def fleet(regions: Iterator[Fleet]) -> Iterator[Fleet]:
    fleet = next(regions)
    yield fleet
    fleet.end()


# Service-linked roles


def linked(world: World, service: str = ECS) -> list[str]:
    found = world.client("iam").list_roles(PathPrefix=f"/aws-service-role/{service}/")["Roles"]
    return [role["RoleName"] for role in found]


def test_ecs_makes_its_own_role_when_it_is_first_used(world: World) -> None:
    before = linked(world)
    world.client("ecs").create_cluster(clusterName="shop")
    world.client("ecs").create_cluster(clusterName="other")
    assert (before, linked(world)) == ([], ["AWSServiceRoleForECS"])


def test_a_services_own_role_can_be_made_once(world: World) -> None:
    iam = world.client("iam")
    made = iam.create_service_linked_role(AWSServiceName=ECS)["Role"]
    with pytest.raises(iam.exceptions.InvalidInputException, match="has been taken in this account"):
        iam.create_service_linked_role(AWSServiceName=ECS)
    assert made["Arn"].endswith(":role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS")
    assert world.roles.trusts(made["Arn"], ECS)


# What IAM says of a role


def test_a_role_is_asked_what_it_may_do(world: World) -> None:
    iam = world.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": ECS}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    arn = iam.create_role(RoleName="mine", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    own = {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::mine/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [own]})
    iam.put_role_policy(RoleName="mine", PolicyName="own", PolicyDocument=policy)
    told = iam.simulate_principal_policy(
        PolicySourceArn=arn,
        ActionNames=["s3:GetObject", "s3:PutObject"],
        ResourceArns=["arn:aws:s3:::mine/a", "arn:aws:s3:::other/a"],
    )["EvaluationResults"]
    assert [each["EvalDecision"] for each in told] == ["allowed", *["implicitDeny"] * 3]


def test_a_role_that_is_not_there_cannot_be_asked(world: World) -> None:
    iam = world.client("iam")
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.simulate_principal_policy(
            PolicySourceArn="arn:aws:iam::123456789012:role/nobody", ActionNames=["s3:GetObject"]
        )


# Quotas


def test_the_quota_of_fargate_is_told_with_what_is_used_of_it(fleet: Fleet) -> None:
    fleet.create(taskDefinition=fleet.definition(cpu="512", memory="1024"), desiredCount=2)
    fleet.until(lambda: len(fleet.tasks()) == 2)
    fleet.tick(60)
    quota = fleet.client("service-quotas").get_service_quota(**QUOTA)["Quota"]
    metric: dict[str, Any] = quota["UsageMetric"]
    points = fleet.client("cloudwatch").get_metric_statistics(
        Namespace=metric["MetricNamespace"],
        MetricName=metric["MetricName"],
        Dimensions=[{"Name": name, "Value": each} for name, each in metric["MetricDimensions"].items()],
        StartTime=fleet.clock.now() - timedelta(hours=1),
        EndTime=fleet.clock.now() + timedelta(minutes=1),
        Period=3600,
        Statistics=["Maximum"],
    )["Datapoints"]
    assert quota["Value"] == 6.0
    assert max(point["Maximum"] for point in points) == 1.0
    assert fleet.client("service-quotas").list_service_quotas(ServiceCode="fargate")["Quotas"] == [quota]


# Addresses


def _small(fleet: Fleet) -> str:
    """Make a subnet of eleven addresses, which leads out as the others do."""
    made = fleet.client("ec2").create_subnet(VpcId=fleet.vpc, CidrBlock="10.20.200.0/28")
    return str(made["Subnet"]["SubnetId"])


def _placed(fleet: Fleet, subnet: str, tasks: int) -> Any:
    network = {"subnets": [subnet], "securityGroups": [fleet.back], "assignPublicIp": "ENABLED"}
    return fleet.create(desiredCount=tasks, networkConfiguration={"awsvpcConfiguration": network})


def test_tasks_and_load_balancers_take_addresses_of_their_subnets(fleet: Fleet) -> None:
    def free(subnet: str) -> int:
        told = fleet.client("ec2").describe_subnets(SubnetIds=[subnet])["Subnets"][0]
        return int(told["AvailableIpAddressCount"])

    small = _small(fleet)
    before = free(small), free(fleet.subnets[0])
    _placed(fleet, small, 2)
    fleet.tick()
    assert (free(small), free(fleet.subnets[0])) == (before[0] - 2, before[1] - 1)


def test_a_service_gets_no_more_tasks_than_its_subnets_have_addresses(fleet: Fleet) -> None:
    service = _placed(fleet, _small(fleet), 12)
    fleet.tick()
    assert service.primary is not None
    assert len({task.ip for task in service.primary.tasks}) == 11
    assert "does not have enough free addresses" in fleet.events()[0]
