"""The network and the load balancer that a config asks for, as resources: values, without AWS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bgdeploy.config import (
    AccessLogs,
    Config,
    CreateNetwork,
    Duration,
    LoadBalancer,
    Network,
    ProductionListener,
    Settings,
    TestListener,
    UseNetwork,
)
from bgdeploy.config import Container as Web
from bgdeploy.config import Service as Served
from bgdeploy.provision.resource import Known, Resource, UnusableError
from bgdeploy.resources.ecs import Service
from bgdeploy.resources.existing import ExistingSubnets, ExistingVpc
from bgdeploy.resources.function import Function
from bgdeploy.resources.network import Subnet
from bgdeploy.stack import build
from tests.unit.things import aws

ROOT = Path(__file__).parents[2]
ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/shared/50dc6c495c0c9188"
USED = UseNetwork(
    vpc="vpc-0a", load_balancer_subnets=("subnet-0a", "subnet-0b"), task_subnets={"Tier": "private"}
)


def stack(**config: Any) -> dict[str, Resource]:
    """Return the resources of a stack by their addresses."""
    settings = Settings(env="dev", config=Config(**{"app": "shop", **config}))
    return {each.address: each for each in build(settings, ROOT, "123456789012", "us-east-1")}


def created(**network: Any) -> dict[str, Resource]:
    return stack(network=Network(create=CreateNetwork(**network)))


def known(resources: dict[str, Resource], **beside: dict[str, Any]) -> Known:
    """Return what there is once all of it is made, as far as ids go; `beside` adds to it, by address."""
    found = Known(aws())
    for address, resource in resources.items():
        ids = (
            "VpcId",
            "SubnetId",
            "GroupId",
            "InternetGatewayId",
            "NatGatewayId",
            "RouteTableId",
            "AllocationId",
        )
        arns = ("LoadBalancerArn", "TargetGroupArn", "ListenerArn", "taskDefinitionArn", "Arn")
        found[resource] = {**dict.fromkeys((*ids, *arns), f"{address}'s"), **beside.get(address, {})}
    return found


def wanted(resources: dict[str, Resource], address: str, **beside: dict[str, Any]) -> dict[str, Any]:
    return resources[address].desired(known(resources, **beside))


def kinds(resources: dict[str, Resource]) -> set[str]:
    return {address.partition("/")[0] for address in resources}


# Networks of the stack's own


def test_the_network_of_old_keeps_its_addresses_names_and_parts() -> None:
    before = created()
    network = [address for address in before if before[address].kind in {"vpc", "subnet", "route-table"}]
    assert network == ["vpc", "subnet/0", "subnet/1", "route-table"]
    assert [before[f"subnet/{n}"].name for n in range(2)] == ["shop-dev-0", "shop-dev-1"]
    assert [wanted(before, f"subnet/{n}")["CidrBlock"] for n in range(2)] == ["10.20.0.0/20", "10.20.16.0/20"]
    assert wanted(before, "vpc") == {"CidrBlock": "10.20.0.0/16"}
    assert not kinds(before) & {"nat-gateway", "address", "endpoint", "existing-vpc"}


def test_a_third_zone_adds_a_subnet_and_moves_none() -> None:
    two, three = created(), created(zones=3)
    assert three.keys() - two.keys() == {"subnet/2"}
    assert wanted(three, "subnet/2")["CidrBlock"] == "10.20.32.0/20"
    assert wanted(three, "load-balancer")["Subnets"] == {f"subnet/{n}'s" for n in range(3)}


def test_public_tasks_have_public_addresses_for_it_is_their_one_way_out() -> None:
    where = wanted(created(), "service")["networkConfiguration"]["awsvpcConfiguration"]
    assert (where["subnets"], where["assignPublicIp"]) == (["subnet/0's", "subnet/1's"], "ENABLED")


def test_private_tasks_go_out_by_one_nat_gateway_and_have_no_public_address() -> None:
    private = created(private="nat")
    assert private.keys() - created().keys() == {
        "address",
        "nat-gateway",
        "route-table/private",
        "subnet/private-0",
        "subnet/private-1",
    }
    where = wanted(private, "service")["networkConfiguration"]["awsvpcConfiguration"]
    assert where["subnets"] == ["subnet/private-0's", "subnet/private-1's"]
    assert where["assignPublicIp"] == "DISABLED"
    assert wanted(private, "load-balancer")["Subnets"] == {"subnet/0's", "subnet/1's"}
    assert wanted(private, "route-table/private")["DefaultRoute"] == "nat-gateway's"
    assert wanted(private, "nat-gateway")["SubnetId"] == "subnet/0's"


def test_private_and_public_subnets_share_no_address() -> None:
    parts = [each.cidr for each in created(zones=3, private="nat").values() if isinstance(each, Subnet)]
    assert len(set(parts)) == len(parts) == 6


def test_tasks_wait_for_their_way_out_and_the_load_balancer_does_not() -> None:
    private = created(private="nat")
    assert private["route-table/private"] in private["service"].depends_on
    assert private["route-table/private"] not in private["load-balancer"].depends_on
    assert private["route-table"] in private["nat-gateway"].depends_on


def test_endpoints_stand_for_what_a_task_needs_and_let_in_tasks_alone() -> None:
    closed = created(private="endpoints")
    assert {each for each in closed if each.startswith("endpoint/")} == {
        "endpoint/ecr-api",
        "endpoint/ecr-dkr",
        "endpoint/logs",
        "endpoint/s3",
    }
    assert wanted(closed, "route-table/private")["DefaultRoute"] is None
    assert wanted(closed, "vpc")["EnableDnsHostnames"] is True
    assert wanted(closed, "endpoint/s3") == {
        "VpcId": "vpc's",
        "ServiceName": "com.amazonaws.us-east-1.s3",
        "State": "available",
        "VpcEndpointType": "Gateway",
        "RouteTableIds": {"route-table/private's"},
    }
    logs = wanted(closed, "endpoint/logs")
    assert (logs["VpcEndpointType"], logs["PrivateDnsEnabled"]) == ("Interface", True)
    assert logs["Groups"] == {"security-group/endpoint-logs's"}
    group = wanted(closed, "security-group/endpoint-logs")
    assert (group["Ingress"], group["Egress"]) == ({"tcp 443 security-group/tasks's"}, set())


def test_secrets_and_exec_need_endpoints_of_their_own() -> None:
    secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:shop/db-AbC123"
    closed = stack(
        network=Network(create=CreateNetwork(private="endpoints")),
        container=Web(secrets={"PASSWORD": secret, "KEY": "/shop/key"}),
        service=Served(exec=True),
    )
    assert {"endpoint/secretsmanager", "endpoint/ssm", "endpoint/ssmmessages"} <= closed.keys()


# Networks of somebody else's


def test_of_a_network_that_is_used_only_the_security_groups_are_the_stacks_own() -> None:
    used = stack(network=Network(use=USED))
    assert kinds(used) & {"vpc", "subnet", "internet-gateway", "route-table"} == set()
    assert [each.address for each in used.values() if each.external] == [
        "existing-vpc",
        "existing-subnets/load-balancer",
        "existing-subnets/tasks",
    ]
    assert used["existing-subnets/tasks"].name == "Tier=private"
    assert used["existing-subnets/load-balancer"].name == "subnet-0a, subnet-0b"


def test_vpc_means_every_network_of_a_vpc_that_is_used() -> None:
    used = stack(network=Network(use=USED))
    group = wanted(
        used, "security-group/load-balancer", **{"existing-vpc": {"Cidrs": ["10.0.0.0/16", "10.1.0.0/16"]}}
    )
    assert group["Ingress"] == {"tcp 80 0.0.0.0/0", "tcp 8080 10.0.0.0/16", "tcp 8080 10.1.0.0/16"}
    assert group["Egress"] == {"tcp 80 10.0.0.0/16", "tcp 80 10.1.0.0/16"}


def test_tasks_in_subnets_that_are_used_have_public_addresses_only_where_they_need_them() -> None:
    used = stack(network=Network(use=USED))
    service = used["service"]
    assert isinstance(service, Service)
    for public, assigned in ((True, "ENABLED"), (False, "DISABLED")):
        there = {"existing-subnets/tasks": {"SubnetIds": ["subnet-0c"], "Public": public}}
        where = service.network(known(used, **there))["awsvpcConfiguration"]
        assert (where["subnets"], where["assignPublicIp"]) == (["subnet-0c"], assigned)


# Load balancers


def test_the_load_balancer_of_old_is_asked_for_nothing_new() -> None:
    before = wanted(created(), "load-balancer")
    assert {key: value for key, value in before.items() if "." in key} == {
        "idle_timeout.timeout_seconds": "60",
        "deletion_protection.enabled": "false",
        "access_logs.s3.enabled": "false",
    }
    listener = wanted(created(), "listener/production")
    assert (listener["Protocol"], listener["Port"]) == ("HTTP", 80)
    assert not listener.keys() & {"SslPolicy", "Certificates"}


def test_both_doors_speak_https_and_a_third_sends_visitors_there() -> None:
    production = ProductionListener(port=443, certificate="arn:aws:acm:mine", redirect_http=True)
    secure = stack(load_balancer=LoadBalancer(production=production, test=TestListener(port=8443)))
    for address, port in (("listener/production", 443), ("listener/test", 8443)):
        door = wanted(secure, address)
        assert (door["Protocol"], door["Port"]) == ("HTTPS", port)
        assert door["Certificates"] == [{"CertificateArn": "arn:aws:acm:mine"}]
        assert [action["Type"] for action in door["DefaultActions"]] == ["forward"]
    redirect = wanted(secure, "listener/redirect")
    assert (redirect["Protocol"], redirect["Port"]) == ("HTTP", 80)
    assert redirect["DefaultActions"][0]["RedirectConfig"]["Port"] == "443"
    front = wanted(secure, "security-group/load-balancer")
    assert front["Ingress"] == {"tcp 443 0.0.0.0/0", "tcp 80 0.0.0.0/0", "tcp 8443 10.20.0.0/16"}


def test_what_the_config_says_of_the_load_balancer_becomes_attributes() -> None:
    asked = stack(
        load_balancer=LoadBalancer(
            idle_timeout=Duration(120),
            deletion_protection=True,
            access_logs=AccessLogs(bucket="logs", prefix="shop"),
            stickiness=Duration(3600),
        )
    )
    balancer, group = wanted(asked, "load-balancer"), wanted(asked, "target-group/blue")
    assert {key: value for key, value in balancer.items() if "." in key} == {
        "idle_timeout.timeout_seconds": "120",
        "deletion_protection.enabled": "true",
        "access_logs.s3.enabled": "true",
        "access_logs.s3.bucket": "logs",
        "access_logs.s3.prefix": "shop",
    }
    assert group["stickiness.enabled"] == "true"
    assert group["stickiness.lb_cookie.duration_seconds"] == "3600"


def test_on_somebody_elses_load_balancer_only_the_doors_are_the_stacks_own() -> None:
    network = Network(use=UseNetwork(vpc="vpc-0a", task_subnets=("subnet-0a",)))
    shared = stack(network=network, load_balancer=LoadBalancer(use=ARN))
    assert "load-balancer" not in shared
    assert "security-group/load-balancer" not in shared
    assert wanted(shared, "listener/production")["LoadBalancerArn"] == "existing-load-balancer's"
    there = {"existing-load-balancer": {"SecurityGroups": ["sg-1", "sg-2"]}}
    assert wanted(shared, "security-group/tasks", **there)["Ingress"] == {"tcp 80 sg-1", "tcp 80 sg-2"}


def test_codedeploy_may_change_listeners_of_the_one_load_balancer_alone() -> None:
    network = Network(use=UseNetwork(vpc="vpc-0a", task_subnets=("subnet-0a",)))
    own, shared = created(), stack(network=network, load_balancer=LoadBalancer(use=ARN))
    for resources, path in ((own, "app/shop-dev"), (shared, "app/shared/50dc6c495c0c9188")):
        policy = str(wanted(resources, "role/codedeploy")["Policy"])
        assert f":listener/{path}/*" in policy
        assert f":listener-rule/{path}/*" in policy


def test_a_hook_that_checks_stands_beside_the_tasks_and_asks_without_being_asked() -> None:
    resources = stack(checks_from="hook", network=Network(create=CreateNetwork(private="endpoints")))
    hook, tasks = resources["function/hook"], resources["service"]
    assert isinstance(hook, Function)
    assert isinstance(tasks, Service)
    assert hook.subnets == tasks.subnets
    assert ("CHECKS_FROM", "hook") in hook.environment
    group = wanted(resources, "security-group/hook")
    assert (group["Ingress"], group["Egress"]) == (set(), {"all 0.0.0.0/0"})
    assert wanted(resources, "security-group/endpoint-codedeploy")["Ingress"] == {
        "tcp 443 security-group/hook's"
    }
    assert wanted(resources, "security-group/endpoint-logs")["Ingress"] == {"tcp 443 security-group/tasks's"}


def test_a_hook_in_subnets_whose_way_out_wants_public_addresses_is_refused() -> None:
    resources = stack(checks_from="hook", network=Network(use=USED))
    hook = resources["function/hook"]
    public = {"existing-subnets/tasks": {"SubnetIds": ["subnet-1"], "Public": True}}
    with pytest.raises(UnusableError, match="which a function never has"):
        hook.desired(known(resources, **public))


def test_a_hook_that_others_check_for_stands_in_no_network() -> None:
    resources = stack(network=Network(create=CreateNetwork(private="nat")))
    assert "security-group/hook" not in resources
    assert wanted(resources, "function/hook")["VpcConfig"] == {"SubnetIds": [], "SecurityGroupIds": []}


def test_what_is_used_is_told_with_the_zone_of_each_subnet() -> None:
    vpc = ExistingVpc(name="Name=main", wanted={"Name": "main"})
    places = {"Places": {"subnet-b": "us-east-1a", "subnet-a": "us-east-1b"}}
    tagged = ExistingSubnets(name="Tier=public", vpc=vpc, wanted={"Tier": "public"})
    assert tagged.told(places) == "subnet-a in us-east-1b, subnet-b in us-east-1a"
    named = ExistingSubnets(name="subnet-b, subnet-a", vpc=vpc, wanted=["subnet-b", "subnet-a"])
    assert named.told(places) == "in us-east-1a, us-east-1b"
