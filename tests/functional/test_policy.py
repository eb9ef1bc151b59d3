"""The policies for operators, held to what the sandbox has seen called: all of that, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bgdeploy.aws import CALLER_MARK, CALLER_TAG, STACK_TAG, tag_list
from bgdeploy.cli import run
from bgdeploy.cli.invocation import Invocation
from bgdeploy.doctor import mend
from bgdeploy.doctor.finding import Mend
from bgdeploy.permissions.policy import Use
from bgdeploy.release import preflight
from bgdeploy.resources.ec2 import ADDRESS, NAT_GATEWAY
from bgdeploy.resources.ecs import Cluster, Service
from bgdeploy.resources.function import Function
from bgdeploy.resources.listeners import Listener
from bgdeploy.resources.load_balancer import LoadBalancer, TargetGroup
from bgdeploy.resources.network import Subnet, Vpc
from bgdeploy.resources.observe import LogGroup
from bgdeploy.resources.registry import Repository
from bgdeploy.resources.routing import RouteTable
from bgdeploy.resources.security import SecurityGroup
from bgdeploy.sandbox.control import Running
from tests.functional.recorded import Stack

pytestmark = pytest.mark.slow

_READ_ONLY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
CONFIG = f"""\
app: policed
load_balancer:
  production: {{port: 8591}}
  test: {{port: 8592}}
  health_check: {{interval: 5s, timeout: 2s}}
task_role: {{policies: ['{_READ_ONLY}']}}
deployment: {{keep_blue: 1h}}
hook: {{lease: 14m}}  # some of our seconds
checks:
  - {{name: page, get: /, contains: "Hello from {{version}}", timeout: 60s, within: 90s}}
alarms:
  - {{name: not-found, log_filter: '" 404 "', threshold: 1000}}
  - {{name: errors, target_5xx: {{rate: 100%}}}}
notifications: [{{sns: 'arn:aws:sns:us-east-1:123456789012:nobody'}}]
"""
USES: tuple[Use, ...] = ("provision", "release", "watch", "teardown", "ci")


def _break(stack: Stack) -> None:
    """Change everything that provision can put right, behind its back."""
    _break_network(stack)
    _break_balancing(stack)
    _break_deploying(stack)
    name = stack.settings.names.plain
    ecr, arn = stack("ecr"), stack.found(Repository)["repositoryArn"]
    ecr.put_image_tag_mutability(repositoryName=name, imageTagMutability="MUTABLE")
    ecr.put_image_scanning_configuration(
        repositoryName=name, imageScanningConfiguration={"scanOnPush": False}
    )
    ecr.untag_resource(resourceArn=arn, tagKeys=["Name"])
    bucket = stack.settings.names.bucket(stack.aws.account, stack.aws.region)
    stack("s3").put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": stack.tags("bucket")})
    _break_roles(stack)
    logs, group = stack("logs"), stack.found(LogGroup, "application")
    logs.untag_resource(resourceArn=group["arn"].removesuffix(":*"), tagKeys=["Name"])
    metric = {"metricName": "old", "metricNamespace": stack.settings.names.metric_namespace}
    logs.put_metric_filter(
        logGroupName=group["logGroupName"],
        filterName="old",
        filterPattern="old",
        metricTransformations=[{**metric, "metricValue": "1"}],
    )


def _break_network(stack: Stack) -> None:
    ec2, vpc = stack("ec2"), stack.found(Vpc)["VpcId"]
    table, group = stack.found(RouteTable), stack.found(SecurityGroup, "load-balancer")["GroupId"]
    ec2.delete_tags(Resources=[vpc], Tags=[{"Key": "Name"}])
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    subnet = stack.found(Subnet, "0")["SubnetId"]
    nat = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)["NatGateway"]["NatGatewayId"]
    ec2.get_waiter("nat_gateway_available").wait(NatGatewayIds=[nat], WaiterConfig={"Delay": 1})
    ec2.replace_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
    association = next(each for each in table["Associations"] if "SubnetId" in each)
    theirs = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.replace_route_table_association(
        AssociationId=association["RouteTableAssociationId"], RouteTableId=theirs
    )
    for way in ("ingress", "egress"):
        rule = {
            "IpProtocol": "tcp",
            "FromPort": 22,
            "ToPort": 22,
            "IpRanges": [{"CidrIp": "198.51.100.0/24"}],
        }
        getattr(ec2, f"authorize_security_group_{way}")(GroupId=group, IpPermissions=[rule])
    _leave_open(stack, group)
    _leave_network_behind(stack, vpc)


def _leave_open(stack: Stack, group: str) -> None:
    """Let somebody in on the test port, as who runs checks does, and is killed."""
    there = [{"CidrIp": "198.51.100.9/32", "Description": f"{CALLER_MARK}d-GONE00000"}]
    tags = {STACK_TAG: stack.aws.stack, CALLER_TAG: "d-GONE00000"}
    stack("ec2").authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[{"IpProtocol": "tcp", "FromPort": 8592, "ToPort": 8592, "IpRanges": there}],
        TagSpecifications=[{"ResourceType": "security-group-rule", "Tags": tag_list(tags)}],
    )


def _leave_network_behind(stack: Stack, vpc: str) -> None:
    """Make what the stack once had and the config does not ask for any more."""
    ec2 = stack("ec2")

    def tagged(kind: str) -> dict[str, Any]:
        return {"TagSpecifications": [{"ResourceType": kind, "Tags": stack.tags(f"{kind}/old")}]}

    old = ec2.create_vpc(CidrBlock="10.98.0.0/16", **tagged("vpc"))["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=old, CidrBlock="10.98.0.0/24", **tagged("subnet"))["Subnet"]["SubnetId"]
    gateway = ec2.create_internet_gateway(**tagged("internet-gateway"))["InternetGateway"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway["InternetGatewayId"], VpcId=old)
    table = ec2.create_route_table(VpcId=old, **tagged("route-table"))["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    ec2.create_security_group(GroupName="old", Description="old", VpcId=old, **tagged("security-group"))


def _tidy(stack: Stack) -> None:
    """Remove what whoever broke things has made for it, and nobody else would."""
    ec2 = stack("ec2")
    within = [{"Name": "vpc-id", "Values": [stack.found(Vpc)["VpcId"]]}]
    for nat in ec2.describe_nat_gateways(Filter=within)["NatGateways"]:
        NAT_GATEWAY.delete(stack.aws, nat["NatGatewayId"])
        ADDRESS.delete(stack.aws, nat["NatGatewayAddresses"][0]["AllocationId"])
    for table in ec2.describe_route_tables(Filters=within)["RouteTables"]:
        if not table["Tags"] and not table["Associations"]:
            ec2.delete_route_table(RouteTableId=table["RouteTableId"])
    for subnet in ec2.describe_subnets(Filters=within)["Subnets"]:
        if not subnet.get("Tags"):
            ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    for group in ec2.describe_security_groups(Filters=within)["SecurityGroups"]:
        if group["GroupName"] == "theirs":
            ec2.delete_security_group(GroupId=group["GroupId"])


def _break_balancing(stack: Stack) -> None:
    elbv2, ec2, vpc = stack("elbv2"), stack("ec2"), stack.found(Vpc)["VpcId"]
    balancer = stack.found(LoadBalancer)
    arn = balancer["LoadBalancerArn"]
    zone = ec2.describe_availability_zones()["AvailabilityZones"][2]["ZoneName"]
    third = ec2.create_subnet(VpcId=vpc, CidrBlock="10.20.240.0/20", AvailabilityZone=zone)["Subnet"]
    elbv2.set_subnets(LoadBalancerArn=arn, Subnets=[*sorted(balancer["Subnets"]), third["SubnetId"]])
    theirs = ec2.create_security_group(GroupName="theirs", Description="theirs", VpcId=vpc)["GroupId"]
    elbv2.set_security_groups(LoadBalancerArn=arn, SecurityGroups=[theirs])
    slow = [{"Key": "idle_timeout.timeout_seconds", "Value": "90"}]
    elbv2.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=slow)
    elbv2.remove_tags(ResourceArns=[arn], TagKeys=["Name"])
    group = stack.found(TargetGroup, "blue")["TargetGroupArn"]
    elbv2.modify_target_group(TargetGroupArn=group, HealthCheckPath="/elsewhere")
    test = stack.found(Listener, "test")["ListenerArn"]
    elbv2.modify_listener(ListenerArn=test, Port=8593)
    elbv2.add_tags(ResourceArns=[test], Tags=[{"Key": "bgdeploy:host", "Value": "old.example"}])
    elbv2.create_listener(
        LoadBalancerArn=arn,
        Protocol="HTTP",
        Port=8594,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
        Tags=stack.tags("listener/old"),
    )


def _break_deploying(stack: Stack) -> None:
    name, function = stack.settings.names.plain, stack.found(Function)
    lambda_ = stack("lambda")
    lambda_.update_function_configuration(FunctionName=function["FunctionName"], MemorySize=256)
    lambda_.untag_resource(Resource=function["FunctionArn"], TagKeys=["Name"])
    handler = stack.folder / "hook_lambda/handler.py"
    handler.write_text(handler.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    ecs = stack("ecs")
    ecs.update_service(cluster=name, service=name, desiredCount=2)
    ecs.untag_resource(resourceArn=stack.found(Cluster)["clusterArn"], tagKeys=["Name"])
    codedeploy = stack("codedeploy")
    codedeploy.untag_resource(
        ResourceArn=stack.aws.arn("codedeploy", f"application:{name}"), TagKeys=["Name"]
    )
    codedeploy.update_deployment_group(
        applicationName=name,
        currentDeploymentGroupName=name,
        alarmConfiguration={"enabled": False, "alarms": []},
    )
    scaling = {"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount"}
    stack("application-autoscaling").register_scalable_target(
        ResourceId=f"service/{name}/{name}",
        MinCapacity=1,
        MaxCapacity=2,
        Tags={each["Key"]: each["Value"] for each in stack.tags("scalable-target")},
        **scaling,
    )
    cloudwatch = stack("cloudwatch")
    alarm = cloudwatch.describe_alarms(AlarmNames=[f"{name}-not-found"])["MetricAlarms"][0]
    cloudwatch.untag_resource(ResourceARN=alarm["AlarmArn"], TagKeys=["Name"])
    cloudwatch.put_metric_alarm(
        AlarmName=f"{name}-old",
        Namespace="old",
        MetricName="old",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold",
        Tags=stack.tags("alarm/old"),
    )


def _break_roles(stack: Stack) -> None:
    iam, names = stack("iam"), stack.settings.names
    nobody = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [nobody]})
    iam.update_assume_role_policy(RoleName=names.role("task"), PolicyDocument=trust)
    iam.untag_role(RoleName=names.role("task"), TagKeys=["Name"])
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    iam.put_role_policy(RoleName=names.role("task"), PolicyName="bgdeploy", PolicyDocument=document)
    iam.detach_role_policy(RoleName=names.role("task"), PolicyArn=_READ_ONLY)
    iam.attach_role_policy(
        RoleName=names.role("task"), PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"
    )


@pytest.fixture(scope="module")
def stack(sandbox: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose whole life has been lived through, and recorded."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sandbox.exports().items():
            patch.setenv(name, value)
        patch.setenv("CI", "1")
        lived = Stack(sandbox, tmp_path_factory.mktemp("policed"), CONFIG)
        lived.run("ci", "plan")
        lived.run("provision", "provision")
        lived.run("ci", "plan")
        lived.run("watch", "status")
        _release(lived)
        _break(lived)
        lived.run("ci", "plan")
        lived.run("provision", "provision", "--yes")
        _tidy(lived)
        lived.run("release", "release", "v4", "--detach")
        lived.run("teardown", "teardown", "--yes")
        # Who releases may watch, and a pipeline may release.
        lived.recorded["release"] |= lived.recorded["watch"]
        lived.recorded["ci"] |= lived.recorded["release"]
        yield lived


def _release(stack: Stack) -> None:
    """Release, in all ways in which somebody else follows, promotes and stops."""
    stack.run("release", "release", "v1", "--detach")
    stack.run("watch", "watch", "--until", "finished")
    stack.run("release", "release", "v2", "--strategy", "linear 50% 1m")
    stack.run("release", "promote")
    stack.run("watch", "watch", "--until", "finished")
    stack.run("watch", "history")
    stack.run("watch", "logs")
    stack.run("release", "rollback")
    stack.run("release", "promote")
    stack.run("watch", "watch", "--until", "finished")
    # An alarm that stops it, and what it measured.
    stack.run("release", "release", "v3", "--strategy", "linear 50% 1m", "--detach")
    _allow_404s(stack, 0)
    stack.run("watch", "watch", exits=4)
    _allow_404s(stack, 1000)
    # Tasks that do not come up: whoever watches asks why, and gives it up.
    _ask_idle_group_for(stack, "/missing")
    stack.run("release", "release", "v3", "--detach")
    stack.run("watch", "watch", exits=4)
    _ask_idle_group_for(stack, "/")
    stack.run("release", "release", "v3", "--detach")
    stack.await_green()
    stack.run("release", "stop", "--no-rollback", "--yes")
    stack.run("watch", "watch", exits=5)
    _mend_what_is_left(stack)


def _mend_what_is_left(stack: Stack) -> None:
    """Remove what a stop without a rollback leaves, as `doctor --fix` does; what it looks at besides is its own."""
    (left,) = preflight.examine(stack.reader, stack.settings.names).leftovers
    with stack.recording("provision"):
        mend.carry_out(stack.aws, stack.settings.names, Mend("task set", left.id, "remove it"))
    assert preflight.examine(stack.reader, stack.settings.names).leftovers == ()


def _allow_404s(stack: Stack, limit: float) -> None:
    """Have the alarm that counts 404s go off at so many: at none, it goes off whatever happens."""
    cloudwatch, name = stack("cloudwatch"), f"{stack.settings.names.plain}-not-found"
    alarm = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]
    kept = ("AlarmName", "Namespace", "MetricName", "Statistic", "Period", "EvaluationPeriods")
    same = {key: alarm[key] for key in (*kept, "ComparisonOperator")}
    silence = "notBreaching" if limit else "breaching"
    cloudwatch.put_metric_alarm(**same, Threshold=limit, TreatMissingData=silence)
    if limit:
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="nobody is in the way")


def _ask_idle_group_for(stack: Stack, path: str) -> None:
    """Have the load balancer check the health of the next release's tasks by another page."""
    live = stack.found(Service)["loadBalancers"][0]["targetGroupArn"]
    groups = {stack.found(TargetGroup, colour)["TargetGroupArn"] for colour in ("blue", "green")}
    (idle,) = groups - {live}
    stack("elbv2").modify_target_group(TargetGroupArn=idle, HealthCheckPath=path)


@pytest.mark.parametrize("use", USES)
def test_a_policy_allows_all_that_was_called(stack: Stack, use: Use) -> None:
    assert stack.recorded[use] - stack.allowed(use) == set()


@pytest.mark.parametrize("use", USES)
def test_a_policy_allows_nothing_that_was_never_called(stack: Stack, use: Use) -> None:
    assert stack.allowed(use) - stack.recorded[use] == set()


def test_the_policy_is_printed_as_json(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(["--project", str(stack.folder), "policy", "--for", "watch"], Invocation()) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["Version"] == "2012-10-17"
    statement = next(each for each in printed["Statement"] if each["Sid"] == "Hooks")
    bucket = "arn:aws:s3:::policed-dev-123456789012-us-east-1"
    assert (statement["Action"], statement["Resource"]) == (
        ["s3:GetObject", "s3:PutObject"],
        f"{bucket}/hooks/*",
    )


def test_a_policy_that_is_too_long_for_a_managed_one_is_told(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert run(["--project", str(stack.folder), "policy", "--for", "provision"], Invocation()) == 0
    told = capsys.readouterr()
    assert "a managed policy 6144 at most" in told.err
    assert json.loads(told.out)["Statement"]
