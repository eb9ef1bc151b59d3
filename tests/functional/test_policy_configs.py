"""The policies of stacks that are built otherwise: private networks, a network that exists, HTTPS, auto scaling."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bgdeploy.permissions.kinds import KINDS
from bgdeploy.permissions.policy import Place, Use, document
from bgdeploy.provision.resource import Resource
from bgdeploy.resources.codedeploy import DeploymentConfig
from bgdeploy.resources.endpoints import Endpoint
from bgdeploy.resources.existing import ExistingSubnets, ExistingVpc
from bgdeploy.resources.network import Subnet, Vpc
from bgdeploy.resources.routing import Address, NatGateway, RouteTable
from bgdeploy.resources.scaling import ScalableTarget, ScalingPolicy
from bgdeploy.sandbox.control import Running
from tests.functional.recorded import Stack

pytestmark = pytest.mark.bench

COMMON = """\
app: {app}
load_balancer:
  production: {{port: {port}1}}
  test: {{port: {port}2}}
"""
NAT = """\
network: {create: {private: nat}}
service: {scale: {min: 1, max: 3, cpu: 60}}
deployment: {strategy: canary 25% 7m}
"""
ENDPOINTS = "network: {create: {private: endpoints}}\n"
USES: tuple[Use, ...] = ("provision", "teardown", "ci")


def _leave_nat_behind(stack: Stack) -> None:
    """Make a NAT gateway and its address that the config does not ask for any more, and lose tags and a policy."""
    ec2, subnet = stack("ec2"), stack.found(Subnet, "1")["SubnetId"]

    def tagged(kind: str) -> dict[str, Any]:
        return {"TagSpecifications": [{"ResourceType": kind, "Tags": stack.tags(f"{kind}/old")}]}

    address = ec2.allocate_address(Domain="vpc", **tagged("elastic-ip"))["AllocationId"]
    ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address, **tagged("natgateway"))
    target = stack.found(ScalableTarget)
    scaling = stack("application-autoscaling")
    scaling.untag_resource(ResourceARN=target["ScalableTargetARN"], TagKeys=["Name"])
    tracking = {"PredefinedMetricType": "ECSServiceAverageMemoryUtilization"}
    scaling.put_scaling_policy(
        PolicyName=f"{stack.settings.names.plain}-old",
        ServiceNamespace="ecs",
        ResourceId=target["ResourceId"],
        ScalableDimension="ecs:service:DesiredCount",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 50.0,
            "PredefinedMetricSpecification": tracking,
        },
    )


def _turn_endpoints(stack: Stack) -> None:
    """Give an endpoint other subnets, the VPC no names and the private subnets a way out; leave one behind."""
    ec2, vpc = stack("ec2"), stack.found(Vpc)["VpcId"]
    endpoint = stack.found(Endpoint, "logs")
    ec2.modify_vpc_endpoint(
        VpcEndpointId=endpoint["VpcEndpointId"], RemoveSubnetIds=[sorted(endpoint["SubnetIds"])[0]]
    )
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": False})
    table = stack.found(RouteTable, "private")["RouteTableId"]
    gateways = [{"Name": "attachment.vpc-id", "Values": [vpc]}]
    (gateway,) = ec2.describe_internet_gateways(Filters=gateways)["InternetGateways"]
    ec2.create_route(
        RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway["InternetGatewayId"]
    )
    old = ec2.create_vpc(
        CidrBlock="10.97.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": stack.tags("vpc/old")}]
    )["Vpc"]["VpcId"]
    ec2.create_vpc_endpoint(
        VpcId=old,
        ServiceName="com.amazonaws.us-east-1.s3",
        VpcEndpointType="Gateway",
        TagSpecifications=[{"ResourceType": "vpc-endpoint", "Tags": stack.tags("endpoint/old")}],
    )


@pytest.fixture(scope="module")
def make(sandbox: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Stack]]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sandbox.exports().items():
            patch.setenv(name, value)
        patch.setenv("CI", "1")

        def build(app: str, port: int, config: str, breaking: Callable[[Stack], None] | None = None) -> Stack:
            text = COMMON.format(app=app, port=port) + config
            lived = Stack(sandbox, tmp_path_factory.mktemp(app), text)
            lived.run("provision", "provision")
            lived.run("ci", "plan")
            if breaking:
                breaking(lived)
                lived.run("provision", "provision", "--yes")
            lived.run("teardown", "teardown", "--yes")
            return lived

        yield build


@pytest.fixture(scope="module")
def nat(make: Callable[..., Stack]) -> Stack:
    return make("by-nat", 870, NAT, _leave_nat_behind)


@pytest.fixture(scope="module")
def endpoints(make: Callable[..., Stack]) -> Stack:
    return make("by-endpoints", 871, ENDPOINTS, _turn_endpoints)


@pytest.fixture(scope="module")
def used(make: Callable[..., Stack], sandbox: Running, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """A stack in somebody else's network, which another project made."""
    host = Stack(sandbox, tmp_path_factory.mktemp("host"), COMMON.format(app="host", port=872))
    host.run("provision", "provision")
    subnets = ", ".join(host.found(Subnet, label)["SubnetId"] for label in ("0", "1"))
    network = f"{{vpc: {{Name: host-dev}}, load_balancer_subnets: [{subnets}], task_subnets: [{subnets}]}}"
    lived = make("guest", 873, f"network: {{use: {network}}}\n")
    host.run("teardown", "teardown", "--yes")
    return lived


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("name", ["nat", "endpoints", "used"])
def test_a_policy_allows_all_that_was_called(name: str, use: Use, request: pytest.FixtureRequest) -> None:
    stack: Stack = request.getfixturevalue(name)
    assert stack.recorded[use] - stack.allowed(use) == set()


def operations(cls: type[Resource]) -> set[str]:
    kind = KINDS[cls]
    return {call.operation for call in (*kind.look, *kind.survey, *kind.make, *kind.drop)}


def test_the_kinds_that_a_plain_stack_has_not_are_allowed_what_they_have_been_seen_to_call_and_no_more(
    nat: Stack, endpoints: Stack, used: Stack
) -> None:
    stacks = (nat, endpoints, used)
    there = {cls for cls in KINDS for stack in stacks if any(isinstance(e, cls) for e in stack.resources)}
    special = {Address, NatGateway, Endpoint, ScalableTarget, ScalingPolicy, DeploymentConfig}
    special |= {ExistingVpc, ExistingSubnets}
    assert special <= there
    # What the others call, the test of a plain stack holds to account.
    plain = set().union(*(operations(cls) for cls in there - special))
    called = set().union(*(stack.recorded[use] for stack in stacks for use in USES))
    assert set().union(*(operations(cls) for cls in special)) - plain - called == set()


def test_an_existing_network_is_named_by_the_tags_that_the_config_finds_it_by(used: Stack) -> None:
    place = Place(used.settings, used.resources, "123456789012", "us-east-1")
    statements = {each["Sid"]: each for each in document("provision", place)["Statement"]}
    vpc = statements["ExistingVpc"]
    assert vpc["Action"] == "ec2:CreateSecurityGroup"
    assert vpc["Condition"] == {"StringEquals": {"aws:ResourceTag/Name": "host-dev"}}
    assert "MakeVpc" not in statements
