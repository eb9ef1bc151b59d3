"""A network with a load balancer and a cluster in it, for tests of ECS and the load balancers: a region each."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from bgdeploy.sandbox.ecs.model import EcsService
from bgdeploy.sandbox.server import build_world, close_world
from bgdeploy.sandbox.world import Settings, World
from tests.clocks import HandClock

HTTPD = "public.ecr.aws/docker/library/httpd:2.4-alpine"
SPEED = 60.0


@dataclass
class Fleet:
    """One region. What it makes it makes through the API, when it is first asked for."""

    world: World
    clock: HandClock
    region: str
    ports: dict[str, int] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        return self.world.client(service, region=self.region)

    @cached_property
    def vpc(self) -> str:
        """A VPC with a way to the internet."""
        ec2 = self.client("ec2")
        vpc = str(ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"])
        gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        mine = [{"Name": "vpc-id", "Values": [vpc]}]
        table = ec2.describe_route_tables(Filters=mine)["RouteTables"][0]["RouteTableId"]
        ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
        return vpc

    @cached_property
    def subnets(self) -> list[str]:
        ec2 = self.client("ec2")
        zones = [each["ZoneName"] for each in ec2.describe_availability_zones()["AvailabilityZones"]]
        return [
            ec2.create_subnet(VpcId=self.vpc, CidrBlock=f"10.20.{n}.0/24", AvailabilityZone=zone)["Subnet"][
                "SubnetId"
            ]
            for n, zone in enumerate(zones[:2])
        ]

    @cached_property
    def front(self) -> str:
        """The load balancer's security group: everybody may come in on 80, the VPC on 8080."""
        group = self._group("front")
        self.allow(group, 80, "0.0.0.0/0")
        self.allow(group, 8080, "10.20.0.0/16")
        return group

    @cached_property
    def back(self) -> str:
        """The tasks' security group: only the load balancer may come in."""
        group = self._group("back")
        pairs = [{"GroupId": self.front}]
        rule = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "UserIdGroupPairs": pairs}
        self.client("ec2").authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
        return group

    def _group(self, name: str) -> str:
        ec2 = self.client("ec2")
        return str(ec2.create_security_group(GroupName=name, Description=name, VpcId=self.vpc)["GroupId"])

    def allow(self, group: str, port: int, cidr: str) -> None:
        rule = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": cidr}]}
        self.client("ec2").authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])

    @cached_property
    def balancer(self) -> str:
        made = self.client("elbv2").create_load_balancer(
            Name="lb", Subnets=self.subnets, SecurityGroups=[self.front]
        )
        return str(made["LoadBalancers"][0]["LoadBalancerArn"])

    def group(self, name: str, **settings: Any) -> str:
        asked = {"Protocol": "HTTP", "Port": 80, "VpcId": self.vpc, "TargetType": "ip", **settings}
        made = self.client("elbv2").create_target_group(Name=name, **asked)["TargetGroups"][0]
        return str(made["TargetGroupArn"])

    @cached_property
    def blue(self) -> str:
        return self._pair("blue")

    @cached_property
    def green(self) -> str:
        return self._pair("green")

    def _pair(self, name: str) -> str:
        arn = self.group(name, HealthCheckIntervalSeconds=6, HealthyThresholdCount=2)
        delay = {"Key": "deregistration_delay.timeout_seconds", "Value": "5"}
        self.client("elbv2").modify_target_group_attributes(TargetGroupArn=arn, Attributes=[delay])
        return arn

    @cached_property
    def production(self) -> str:
        """The listener on 80, which forwards to blue and knows green."""
        return self.listener(80, forward({self.blue: 100, self.green: 0}))

    def listener(self, port: int, action: dict[str, Any]) -> str:
        made = self.client("elbv2").create_listener(
            LoadBalancerArn=self.balancer, Protocol="HTTP", Port=port, DefaultActions=[action]
        )
        return str(made["Listeners"][0]["ListenerArn"])

    def url(self, listener: str) -> str:
        """Return where a listener can be reached, as anybody would find out."""
        elbv2 = self.client("elbv2")
        found = elbv2.describe_listeners(ListenerArns=[listener])["Listeners"][0]
        tags = elbv2.describe_tags(ResourceArns=[listener])["TagDescriptions"][0]["Tags"]
        told = [tag["Value"] for tag in tags if tag["Key"] == "bgdeploy:url"]
        if told:
            return str(told[0])
        balancer = elbv2.describe_load_balancers(LoadBalancerArns=[found["LoadBalancerArn"]])[
            "LoadBalancers"
        ][0]
        return f"http://{balancer['DNSName']}:{found['Port']}"

    def health(self, group: str) -> list[dict[str, str]]:
        told = self.client("elbv2").describe_target_health(TargetGroupArn=group)
        return [each["TargetHealth"] for each in told["TargetHealthDescriptions"]]

    # ECS

    @cached_property
    def execution_role(self) -> str:
        """A role that ECS can start tasks in, and knows by now."""
        return self.role("execution", policy="service-role/AmazonECSTaskExecutionRolePolicy")

    def grant(self, role: str, *actions: str) -> None:
        """Let a role do something on everything."""
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        name = role.rpartition("/")[2]
        self.client("iam").put_role_policy(RoleName=name, PolicyName="granted", PolicyDocument=document)

    def role(self, name: str, *, service: str = "ecs-tasks.amazonaws.com", policy: str = "") -> str:
        """Make a role; names are shared by all regions."""
        iam, name = self.client("iam"), f"{name}-{self.region}"
        trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]
        if policy:
            iam.attach_role_policy(RoleName=name, PolicyArn=f"arn:aws:iam::aws:policy/{policy}")
        self.clock.advance(60)  # until the other services know it
        return str(made["Arn"])

    @cached_property
    def cluster(self) -> str:
        self.client("ecs").create_cluster(clusterName="shop")
        return "shop"

    def definition(self, *containers: dict[str, Any], **settings: Any) -> str:
        """Register a task definition: of a web server, when no containers are given."""
        roles = {"executionRoleArn": self.execution_role}
        asked = {"family": "web", "cpu": "256", "memory": "512", **roles, **settings}
        made = self.client("ecs").register_task_definition(
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            containerDefinitions=list(containers) or [container()],
            **asked,
        )
        return str(made["taskDefinition"]["taskDefinitionArn"])

    def service_settings(self, **settings: Any) -> dict[str, Any]:
        """Return what CreateService needs, for a service called web on the blue target group."""
        _ = self.production  # a target group must hang on a listener
        network = {
            "subnets": self.subnets,
            "securityGroups": [self.back],
            "assignPublicIp": "ENABLED",
        }
        asked = {
            "cluster": self.cluster,
            "serviceName": "web",
            "taskDefinition": settings.get("taskDefinition") or self.definition(),
            "desiredCount": 1,
            "launchType": "FARGATE",
            "deploymentController": {"type": "CODE_DEPLOY"},
            "loadBalancers": [{"targetGroupArn": self.blue, "containerName": "web", "containerPort": 80}],
            "networkConfiguration": {"awsvpcConfiguration": network},
        }
        return {**asked, **settings}

    def create(self, **settings: Any) -> EcsService:
        """Create a service."""
        asked = self.service_settings(**settings)
        self.client("ecs").create_service(**asked)
        found = self.world.ecs.service(asked["cluster"], asked["serviceName"], self.region)
        assert found is not None
        return found

    def describe(self, name: str = "web") -> dict[str, Any]:
        """Return a service as the API describes it."""
        told = self.client("ecs").describe_services(cluster=self.cluster, services=[name], include=["TAGS"])
        return dict(told["services"][0])

    def refused(self, api: str, operation: str, /, **params: Any) -> tuple[str, str]:
        """Return the code and the message with which a request is refused."""
        with pytest.raises(ClientError) as refusal:
            getattr(self.client(api), operation)(**params)
        told = refusal.value.response["Error"]
        return told["Code"], told["Message"]

    def tasks(self, status: str = "RUNNING") -> list[dict[str, Any]]:
        """Return the tasks of the cluster as the API describes them."""
        ecs = self.client("ecs")
        arns = ecs.list_tasks(cluster=self.cluster, desiredStatus=status)["taskArns"]
        return list(ecs.describe_tasks(cluster=self.cluster, tasks=arns)["tasks"]) if arns else []

    def events(self) -> list[str]:
        return [event["message"] for event in self.describe()["events"]]

    # Time

    def tick(self, seconds: float = 1.0) -> None:
        """Let AWS seconds pass, and the parts act."""
        self.clock.advance(seconds)
        with self.world.lock:
            for part in self.world.parts:
                part.tick()

    def until(self, true: Callable[[], Any], *, step: float = 1.0, patience: float = 10.0) -> None:
        """Let time pass until something is true, for `patience` real seconds at most."""
        real = self.world.real
        deadline = real.monotonic() + patience
        while not true():
            assert real.monotonic() < deadline, (
                f"it did not happen; the service's events: {self._last_events()}"
            )
            self.tick(step)
            real.sleep(0.02)

    def _last_events(self) -> list[str]:
        service = self.world.ecs.service("shop", "web", self.region)
        return [message for _, _, message in service.events[:8]] if service else []

    def end(self) -> None:
        """Have what runs here end while other tests go on."""
        ecs = self.client("ecs")
        with contextlib.suppress(ecs.exceptions.ClusterNotFoundException):
            for service in ecs.list_services(cluster="shop")["serviceArns"]:
                with contextlib.suppress(ecs.exceptions.ServiceNotActiveException):
                    ecs.delete_service(cluster="shop", service=service, force=True)


def forward(weights: dict[str, int]) -> dict[str, Any]:
    groups = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items()]
    return {"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}


def container(image: str = HTTPD, **settings: Any) -> dict[str, Any]:
    """Return a container definition: a web server on port 80, unless told otherwise."""
    return {"name": "web", "image": image, "portMappings": [{"containerPort": 80}], **settings}


def fleets(home: Path) -> Generator[Fleet, None, None]:
    """Yield fleet after fleet; when the regions of a world are used up, those of another."""
    while True:
        clock = HandClock()
        parts = ("network", "buckets", "images", "logs", "alarms", "elb", "ecs", "scaling", "quotas")
        world, _gateway = build_world(Settings(home=home, speed=SPEED), "AKIATEST", clock, parts)
        try:
            for region in boto3.Session().get_available_regions("elbv2"):
                yield Fleet(world, clock, region)
        finally:
            close_world(world)
            world.moto.reset()
