"""The network of a stack, and who may talk to whom in it."""

from __future__ import annotations

from dataclasses import dataclass

from bgdeploy.config import Config
from bgdeploy.names import Names
from bgdeploy.provision.resource import Resource
from bgdeploy.resources.network import ANYWHERE, InternetGateway, RouteTable, Subnet, Vpc
from bgdeploy.resources.security import Rule, SecurityGroup
from bgdeploy.resources.storage import Bucket


@dataclass(frozen=True)
class Network:
    """Where load balancer and tasks stand."""

    vpc: Vpc
    subnets: tuple[Subnet, ...]
    ready: tuple[Resource, ...]  # what must be there before anything in the network can reach the world
    front: SecurityGroup  # of the load balancer
    back: SecurityGroup  # of the tasks
    resources: tuple[Resource, ...]


def network(config: Config, names: Names, bucket: Bucket) -> Network:
    """Return a VPC with public subnets in two zones."""
    name = names.plain
    vpc = Vpc(name=name, cidr=config.network.create.cidr, bucket=bucket)
    subnets = tuple(Subnet(name=f"{name}-{n}", label=str(n), vpc=vpc, number=n) for n in range(2))
    gateway = InternetGateway(name=name, vpc=vpc)
    routes = RouteTable(name=name, vpc=vpc, gateway=gateway, subnets=subnets)
    front = SecurityGroup(
        name=f"{name}-load-balancer",
        label="load-balancer",
        vpc=vpc,
        bucket=bucket,
        ingress=(Rule(config.load_balancer.production.port, ANYWHERE), *_test_rules(config)),
        egress=(Rule(config.container.port, vpc.cidr),),
    )
    back = SecurityGroup(
        name=f"{name}-tasks",
        label="tasks",
        vpc=vpc,
        bucket=bucket,
        ingress=(Rule(config.container.port, group=front),),
        egress=(Rule(None, ANYWHERE),),
    )
    return Network(vpc, subnets, (routes,), front, back, (vpc, *subnets, gateway, routes, front, back))


def _test_rules(config: Config) -> tuple[Rule, ...]:
    """Return who may reach the test listener: from inside the network, and from what the config adds."""
    test, inside = config.load_balancer.test, config.network.create.cidr
    return tuple(Rule(test.port, inside if source == "vpc" else source) for source in test.allow)
