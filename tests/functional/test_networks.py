"""Networks and load balancers that people have, from nothing to a release and back to nothing, in a living sandbox."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import urllib3

from bgdeploy.aws import STACK_TAG, Aws
from bgdeploy.clock import FastClock, SystemClock
from bgdeploy.errors import Exit
from bgdeploy.project import load
from bgdeploy.provision import converge
from bgdeploy.provision.converge import RefusedError
from bgdeploy.provision.plan import Outcome, Plan, Progress
from bgdeploy.provision.resource import UnusableError
from bgdeploy.release import watch
from bgdeploy.release.attending.attendant import Attendant
from bgdeploy.release.reader import Reader, find_target
from bgdeploy.release.start import start
from bgdeploy.stack import build, task_network

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("account")]

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs/examples/networks"
# What an author writes for an environment of his own: no minutes of waiting.
DEV = "load_balancer: {health_check: {interval: 5s, timeout: 2s}}\ndeployment: {keep_blue: 0s}\n"
EC2_THINGS = {
    "vpcs": "Vpcs",
    "subnets": "Subnets",
    "internet_gateways": "InternetGateways",
    "route_tables": "RouteTables",
    "security_groups": "SecurityGroups",
    "addresses": "Addresses",
    "vpc_endpoints": "VpcEndpoints",
}
ELB_DELIVERY = "logdelivery.elasticloadbalancing.amazonaws.com"


@cache
def aws_of(stack: str) -> Aws:
    """Return AWS as a stack sees it; its clients take a second to make."""
    # Our seconds are not as short as the sandbox's: who follows a release looks less often then.
    return Aws(stack=stack, region="us-east-1", clock=FastClock(20, SystemClock()))


@dataclass
class Project:
    """A project with one of the examples, and what its owner does with it."""

    folder: Path
    example: str
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("appspec", "hook_lambda", "container"):
            shutil.copytree(ROOT / name, self.folder / name)
        (self.folder / "config").mkdir()
        shutil.copy(EXAMPLES / f"{self.example}.yaml", self.folder / "config/base.yaml")
        self.write("")

    def write(self, dev: str) -> None:
        """Lay something over the example."""
        (self.folder / "config/dev.yaml").write_text(dev or DEV, encoding="utf-8")
        self.settings = load(self.folder, "dev", self.environ)
        self.aws = aws_of(self.settings.names.stack)
        self.resources = build(self.settings, self.folder, self.aws.account, self.aws.region)

    def plan(self) -> Plan:
        return converge.examine(self.aws, self.resources)

    def provision(self) -> Outcome:
        troubles: list[Progress] = []
        outcome = converge.provision(self.aws, self.resources, troubles.append)
        assert [each for each in troubles if each.error] == []
        return outcome

    def release(self, version: str) -> str:
        """Release to the very end, and return what production says then."""
        place = task_network(self.aws, self.settings, self.folder)
        started = start(self.aws, self.settings, self.folder, version, network=lambda: place)
        attendant = Attendant(self.aws, started.target, started.record)
        ended = watch.follow(
            Reader(self.aws, started.target),
            started.deployment_id,
            attendant=attendant,
            timeout=3600,
        )
        attendant.close()
        assert ended.exit is Exit.DONE, ended
        return self.page(started.target.urls[started.target.production_listener], version)

    def page(self, url: str, text: str) -> str:
        """Return what a page says, once it says `text`: a load balancer takes a moment to do what it was told."""
        for _ in range(50):
            page = urllib3.request("GET", url, retries=False, timeout=5).data.decode()
            if text in page:
                break
            self.aws.clock.sleep(5)
        return page

    def teardown(self) -> None:
        troubles: list[Progress] = []
        converge.teardown(self.aws, self.resources, troubles.append)
        assert [each for each in troubles if each.error] == []

    def left(self) -> list[dict[str, Any]]:
        """Return what EC2 and the load balancers still have of the stack."""
        ec2, elbv2 = self.aws.client("ec2"), self.aws.client("elbv2")
        ours = [{"Name": f"tag:{STACK_TAG}", "Values": [self.aws.stack]}]
        nats = ec2.describe_nat_gateways(Filter=ours)["NatGateways"]
        groups = elbv2.describe_target_groups()["TargetGroups"]
        return [
            *(each for each in nats if each["State"] != "deleted"),  # AWS tells of those for another hour
            *(each for each in groups if each["TargetGroupName"].startswith(self.aws.stack)),
            *(
                each
                for what, key in EC2_THINGS.items()
                for each in getattr(ec2, f"describe_{what}")(Filters=ours)[key]
            ),
        ]

    def network(self) -> dict[str, Any]:
        """Return where the service has its tasks."""
        name = self.aws.stack
        found = self.aws.client("ecs").describe_services(cluster=name, services=[name])["services"][0]
        where: dict[str, Any] = found["networkConfiguration"]["awsvpcConfiguration"]
        return where


@dataclass
class Landscape:
    """A VPC that was there before any stack, with a load balancer in it, and what its owner sees of it."""

    ec2: Any
    elbv2: Any
    vpc: str = ""
    balancer: str = ""
    group: str = ""
    subnets: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def build(self) -> None:
        self.vpc = self.ec2.create_vpc(CidrBlock="10.60.0.0/16")["Vpc"]["VpcId"]
        self.tag(self.vpc, Name="main")
        twins = [self.ec2.create_vpc(CidrBlock="10.62.0.0/16")["Vpc"]["VpcId"] for _ in range(2)]
        for twin in twins:
            self.tag(twin, Name="twin")
        self.ec2.associate_vpc_cidr_block(VpcId=self.vpc, CidrBlock="10.61.0.0/16")
        gateway = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        self.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=self.vpc)
        for number, zone in enumerate(("us-east-1a", "us-east-1b")):
            self.subnet("public", number, zone)
            self.subnet("private", number + 8, zone)
        self.subnet("closed", 20, "us-east-1a")
        self.subnet("far", 21, "us-east-1c")
        self.subnet("twins", 0, "us-east-1a", twins[0], "10.62")
        self.route("public", GatewayId=gateway)
        address = self.ec2.allocate_address(Domain="vpc")["AllocationId"]
        nat = self.ec2.create_nat_gateway(SubnetId=self.subnets["public"][0], AllocationId=address)
        for tier in ("private", "far"):
            self.route(tier, NatGatewayId=nat["NatGateway"]["NatGatewayId"])
        self.group = self.ec2.create_security_group(
            GroupName="shared", Description="everybody's", VpcId=self.vpc
        )["GroupId"]
        self.ec2.authorize_security_group_ingress(
            GroupId=self.group, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
        )
        self.balancer = self.elbv2.create_load_balancer(
            Name="shared", Subnets=self.subnets["public"], SecurityGroups=[self.group]
        )["LoadBalancers"][0]["LoadBalancerArn"]
        fixed = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}
        self.elbv2.create_listener(
            LoadBalancerArn=self.balancer, Port=8010, Protocol="HTTP", DefaultActions=[fixed]
        )

    def subnet(self, tier: str, number: int, zone: str, vpc: str = "", network: str = "10.60") -> None:
        made = self.ec2.create_subnet(
            VpcId=vpc or self.vpc, CidrBlock=f"{network}.{number}.0/24", AvailabilityZone=zone
        )["Subnet"]["SubnetId"]
        self.subnets[tier].append(made)
        self.tag(made, Tier=tier)

    def tag(self, ident: str, **tags: str) -> None:
        self.ec2.create_tags(
            Resources=[ident], Tags=[{"Key": key, "Value": value} for key, value in tags.items()]
        )

    def route(self, tier: str, **target: str) -> str:
        table = str(self.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"])
        self.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", **target)
        for subnet in self.subnets[tier]:
            self.ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
        return table

    def seen(self) -> str:
        """Return all that there is of it, as text to be compared."""
        inside = [{"Name": "vpc-id", "Values": [self.vpc]}]
        found = {
            "vpcs": self.ec2.describe_vpcs(VpcIds=[self.vpc])["Vpcs"],
            "subnets": self.ec2.describe_subnets(Filters=inside)["Subnets"],
            "routes": self.ec2.describe_route_tables(Filters=inside)["RouteTables"],
            "groups": self.ec2.describe_security_groups(Filters=inside)["SecurityGroups"],
            "balancers": self.elbv2.describe_load_balancers(LoadBalancerArns=[self.balancer])[
                "LoadBalancers"
            ],
            "listeners": self.elbv2.describe_listeners(LoadBalancerArn=self.balancer)["Listeners"],
        }
        return json.dumps(found, default=str, sort_keys=True, indent=1)


@pytest.fixture(scope="module")
def landscape(account: None) -> Landscape:
    made = Landscape(aws_of("nobody").client("ec2"), aws_of("nobody").client("elbv2"))
    made.build()
    return made


def shown(plan: Plan) -> list[tuple[str, str]]:
    return [(change.action.value, change.address) for change in plan.pending]


def test_private_tasks_behind_a_nat_gateway_and_the_way_back_to_public_ones(tmp_path: Path) -> None:
    project = Project(tmp_path, "private-nat")
    outcome = project.provision()
    assert {"nat-gateway", "address", "route-table/private", "subnet/private-2"} <= {
        each.change.address for each in outcome.changed
    }
    assert project.plan().pending == ()
    assert "Hello from v1" in project.release("v1")
    private, network = project.network(), {each.address: each for each in project.resources}
    assert private["assignPublicIp"] == "DISABLED"
    assert len(private["subnets"]) == 3
    assert "subnet/private-0" in network

    # Public again: what the tasks stand in stays until a release has moved them.
    project.write(DEV + "network: {create: {private: none}}\n")
    waiting = project.plan()
    assert ("blocked", "nat-gateway") in shown(waiting)
    assert {action for action, _ in shown(waiting)} == {"blocked"}
    assert [change.address for change in waiting.later] == ["service"]
    assert project.provision().changed == ()
    assert "Hello from v2" in project.release("v2")
    assert project.network()["assignPublicIp"] == "ENABLED"
    while {action for action, _ in shown(project.plan())} == {"blocked"}:
        project.aws.clock.sleep(5)  # the last tasks of v1 are just leaving
    assert {action for action, _ in shown(project.plan())} == {"delete"}
    swept = {each.change.address for each in project.provision().changed}
    assert {"nat-gateway", "address", "route-table/private"} <= swept
    assert project.plan().pending == ()
    project.teardown()
    assert project.left() == []


def test_private_tasks_with_nothing_but_endpoints(tmp_path: Path) -> None:
    project = Project(tmp_path, "private-endpoints")
    project.provision()
    assert project.plan().pending == ()
    found = project.aws.client("ec2").describe_vpc_endpoints()["VpcEndpoints"]
    names = {each["ServiceName"].partition("us-east-1.")[2] for each in found}
    assert names == {"ecr.api", "ecr.dkr", "logs", "s3"}
    assert "Hello from v1" in project.release("v1")
    assert project.network()["assignPublicIp"] == "DISABLED"
    assert project.plan().pending == ()
    project.teardown()
    assert project.left() == []


def test_a_vpc_that_is_there_already_is_used_and_left_as_it_was(tmp_path: Path, landscape: Landscape) -> None:
    before = landscape.seen()
    project = Project(tmp_path, "existing-vpc")
    assert [change.address for change in project.plan().used] == [
        "existing-vpc",
        "existing-subnets/load-balancer",
        "existing-subnets/tasks",
    ]
    project.provision()
    assert project.plan().pending == ()
    assert "Hello from v1" in project.release("v1")
    where = project.network()
    assert (sorted(where["subnets"]), where["assignPublicIp"]) == (
        sorted(landscape.subnets["private"]),
        "DISABLED",
    )
    # Whoever is in the VPC reaches the test listener: in either of its networks.
    groups = project.aws.client("ec2").describe_security_groups(
        Filters=[{"Name": "group-name", "Values": [f"{project.aws.stack}-load-balancer"]}]
    )["SecurityGroups"]
    test = next(each for each in groups[0]["IpPermissions"] if each["FromPort"] == 8080)
    assert {each["CidrIp"] for each in test["IpRanges"]} == {"10.60.0.0/16", "10.61.0.0/16"}
    project.teardown()
    assert project.left() == []
    assert landscape.seen() == before


@pytest.mark.parametrize(
    ("over", "told"),
    [
        ("vpc: {Name: none-such}", "there is no VPC Name=none-such in us-east-1"),
        ("vpc: {Name: twin}", "2 VPCs are tagged Name=twin: vpc-"),
        ("load_balancer_subnets: [subnet-0123]", "there is no subnet-0123 in us-east-1"),
        ("load_balancer_subnets: [%(public)s]", "a load balancer needs subnets in two zones"),
        ("load_balancer_subnets: [%(public)s, %(closed)s]", "are both in us-east-1a"),
        (
            "task_subnets: [%(closed)s]",
            "no route leads out, and the VPC lacks the endpoints ecr.api, ecr.dkr, logs, s3",
        ),
        ("task_subnets: [%(far)s]", "is in us-east-1c, where the load balancer has no subnet"),
        ("task_subnets: [%(twins)s]", "is in vpc-\\w+, not in vpc-"),
        ("load_balancer_subnets: {Tier: private}", "no route leads to an internet gateway"),
        ("task_subnets: {Tier: secret}", "is tagged Tier=secret"),
    ],
)
def test_what_cannot_be_used_is_told_before_anything_is_made(
    tmp_path: Path, landscape: Landscape, over: str, told: str
) -> None:
    project = Project(tmp_path, "existing-vpc")
    text = (project.folder / "config/base.yaml").read_text(encoding="utf-8")
    key, over = over.partition(":")[0], over % {tier: ids[0] for tier, ids in landscape.subnets.items()}
    lines = [f"    {over}" if line.strip().startswith(f"{key}:") else line for line in text.splitlines()]
    (project.folder / "config/base.yaml").write_text("\n".join(lines), encoding="utf-8")
    project.write("")
    with pytest.raises(UnusableError, match=told):
        converge.provision(project.aws, project.resources, lambda news: None)
    assert project.left() == []


def test_a_load_balancer_that_is_there_already_gets_two_listeners_and_loses_them_again(
    tmp_path: Path, landscape: Landscape
) -> None:
    before = landscape.seen()
    project = Project(tmp_path, "existing-load-balancer", {"LOAD_BALANCER_ARN": landscape.balancer})
    project.provision()
    assert project.plan().pending == ()
    assert "Hello from v1" in project.release("v1")
    assert project.plan().pending == ()

    # A port that somebody else has is not to be had, neither for a new listener nor for one that moves.
    project.write(DEV.replace("{health", "{test: {port: 8010}, health"))
    refused = {change.address: change.reason for change in project.plan().refused}
    assert list(refused) == ["listener/test"]
    assert "(port 8010 of load balancer 'shared') exists" in refused["listener/test"]
    assert refused["listener/test"].endswith("choose another port in load_balancer")

    # To a load balancer of its own the stack does not move in place, and half of the move would cut it off.
    subnets = "network: {use: {load_balancer_subnets: {Tier: public}}}"
    project.write(f"{subnets}\nload_balancer: {{use: null}}\n")
    command = [sys.executable, "-m", "bgdeploy", "--project", str(project.folder), "provision", "--yes"]
    environ = {**os.environ, **project.environ}
    refused_move = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert refused_move.returncode == Exit.ERROR
    assert "nothing was changed, because not all can be" in refused_move.stderr
    project.write("")
    assert project.plan().pending == ()

    project.teardown()
    assert project.left() == []
    assert landscape.seen() == before


@pytest.fixture
def https(account: None) -> Iterator[dict[str, str]]:
    """A certificate, and a bucket of somebody's that takes access logs."""
    aws = aws_of("nobody")
    acm, s3, bucket = aws.client("acm"), aws.client("s3"), "access-logs-of-everybody"
    arn = acm.request_certificate(DomainName="shop.example.com", ValidationMethod="DNS")["CertificateArn"]
    while acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"] != "ISSUED":
        aws.clock.sleep(5)
    s3.create_bucket(Bucket=bucket)
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": ELB_DELIVERY},
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{bucket}/shop/AWSLogs/{aws.account}/*",
    }
    document = {"Version": "2012-10-17", "Statement": [statement]}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))
    yield {"CERTIFICATE_ARN": arn, "ACCESS_LOGS_BUCKET": bucket}
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1  # what AWS tries it with is still there


def test_https_with_a_redirect_and_everything_around_it(tmp_path: Path, https: dict[str, str]) -> None:
    project = Project(tmp_path, "https", https)
    project.provision()
    assert project.plan().pending == ()
    elbv2 = project.aws.client("elbv2")
    balancer = elbv2.describe_load_balancers(Names=[project.aws.stack])["LoadBalancers"][0]
    doors = {
        each["Port"]: each
        for each in elbv2.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    }
    assert {port: each["Protocol"] for port, each in doors.items()} == {
        443: "HTTPS",
        8443: "HTTPS",
        80: "HTTP",
    }
    assert doors[80]["DefaultActions"][0]["RedirectConfig"]["StatusCode"] == "HTTP_301"
    assert "Hello from v1" in project.release("v1")
    forward = elbv2.describe_listeners(ListenerArns=[doors[443]["ListenerArn"]])["Listeners"][0]
    weights = [each["Weight"] for each in forward["DefaultActions"][0]["ForwardConfig"]["TargetGroups"]]
    assert sorted(weights) == [0, 100]
    assert project.plan().pending == ()
    target = find_target(project.aws, project.settings.names)
    assert target.reach.host == "shop.example.com"

    with pytest.raises(RefusedError, match="is protected from being deleted, so nothing is removed"):
        converge.teardown(project.aws, project.resources, lambda news: None)
    assert project.plan().pending == ()

    # Plain HTTP again, on the port that the redirect has.
    production = "production: {port: 80, certificate: null, redirect_http: false}"
    project.write(DEV.replace("{health", f"{{{production}, deletion_protection: false, host: null, health"))
    assert ("delete", "listener/redirect") in shown(project.plan())
    project.provision()
    assert project.plan().pending == ()
    after = find_target(project.aws, project.settings.names)
    assert after.reach.host == ""
    assert after.production_listener == target.production_listener
    project.teardown()
    assert project.left() == []
