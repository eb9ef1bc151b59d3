"""The network of a stack, made or used as it is, and who may talk to whom in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bgdeploy.config import CALLER, Config, CreateNetwork, UseNetwork
from bgdeploy.definition import processes
from bgdeploy.names import Names
from bgdeploy.provision.resource import Resource
from bgdeploy.resources.endpoints import Endpoint
from bgdeploy.resources.existing import NEEDED_ENDPOINTS, ExistingLoadBalancer, ExistingSubnets, ExistingVpc
from bgdeploy.resources.network import ANYWHERE, Subnet, Vpc
from bgdeploy.resources.routing import Address, InternetGateway, NatGateway, RouteTable
from bgdeploy.resources.security import Rule, SecurityGroup
from bgdeploy.resources.storage import Bucket

_PRIVATE = (
    8  # the first of the sixteen parts of the network that private subnets take; public ones begin at 0
)
_HTTPS = 443  # of the services behind endpoints
PLAIN_HTTP = 80  # where visitors are redirected from

Subnets = tuple["Subnet | ExistingSubnets", ...]


@dataclass(frozen=True)
class Network:
    """Where load balancer and tasks stand."""

    vpc: Vpc | ExistingVpc
    subnets: Subnets  # of the load balancer
    task_subnets: Subnets
    back: SecurityGroup  # of the tasks
    resources: tuple[Resource, ...]
    front: SecurityGroup | None = None  # of the load balancer, when it is the stack's own
    hook: SecurityGroup | None = None  # of the hook's function, when it runs the checks from inside
    balancer: ExistingLoadBalancer | None = None
    routes: tuple[Resource, ...] = ()  # what must be there before anybody can reach the load balancer
    ready: tuple[Resource, ...] = ()  # what must be there before a task can reach what it needs


def network(config: Config, names: Names, bucket: Bucket) -> Network:
    """Return the network that the config describes, or the one that it names."""
    if config.network.use:
        return _used(config, config.network.use, names, bucket)
    made = config.network.made
    assert made
    return _created(config, made, names, bucket)


def _hook(config: Config, names: Names, vpc: Vpc | ExistingVpc, bucket: Bucket) -> SecurityGroup | None:
    """Return the security group of a hook that runs the checks: it asks, and nobody asks it."""
    if config.checks_from != "hook":
        return None
    return SecurityGroup(
        name=f"{names.plain}-hook",
        label="hook",
        vpc=vpc,
        bucket=bucket,
        ingress=(),
        egress=(Rule(None, ANYWHERE),),
    )


# A network of the stack's own


def _created(config: Config, made: CreateNetwork, names: Names, bucket: Bucket) -> Network:
    """Return a VPC with public subnets, and private ones for the tasks where that is asked for."""
    name, zones = names.plain, range(made.zones)
    vpc = Vpc(name=name, cidr=made.cidr, bucket=bucket, private_names=made.private == "endpoints")
    subnets = tuple(Subnet(name=f"{name}-{n}", label=str(n), vpc=vpc, number=n, zone=n) for n in zones)
    gateway = InternetGateway(name=name, vpc=vpc)
    routes = RouteTable(name=name, vpc=vpc, gateway=gateway, subnets=subnets)
    front = _front(config, names, vpc, bucket)
    back = _back(config, names, vpc, bucket, front)
    hook = _hook(config, names, vpc, bucket)
    groups = (front, back, hook) if hook else (front, back)
    public = (vpc, *subnets, gateway, routes, *groups)
    net = Network(vpc, subnets, subnets, back, public, front, hook, routes=(routes,), ready=(routes,))
    if made.private == "none":
        return net
    private = tuple(
        Subnet(
            name=f"{name}-private-{n}",
            label=f"private-{n}",
            vpc=vpc,
            number=_PRIVATE + n,
            zone=n,
            public=False,
        )
        for n in zones
    )
    if made.private == "nat":
        ways = _by_nat(names, vpc, bucket, routes, private)
    else:
        ways = _by_endpoints(config, names, bucket, groups[1:], private)
    return replace(net, task_subnets=private, resources=(*public, *private, *ways), ready=(routes, *ways))


def _by_nat(
    names: Names, vpc: Vpc, bucket: Bucket, public: RouteTable, private: tuple[Subnet, ...]
) -> tuple[Resource, ...]:
    """Return one NAT gateway for all zones, and the route that leads private subnets to it."""
    address = Address(name=names.plain, bucket=bucket)
    # It comes to nothing where its own subnet does not lead to the internet.
    nat = NatGateway(name=names.plain, subnet=public.subnets[0], elastic=address, after=(public,))
    routes = RouteTable(name=f"{names.plain}-private", label="private", vpc=vpc, gateway=nat, subnets=private)
    return address, nat, routes


def _by_endpoints(
    config: Config,
    names: Names,
    bucket: Bucket,
    inside: tuple[SecurityGroup, ...],
    private: tuple[Subnet, ...],
) -> tuple[Resource, ...]:
    """Return an endpoint for each service that tasks or hook need, with a security group that lets in those alone."""
    vpc, tasks, hook = private[0].vpc, inside[0], inside[-1]
    routes = RouteTable(
        name=f"{names.plain}-private", label="private", vpc=vpc, gateway=None, subnets=private
    )
    ways: list[Resource] = [routes]
    for service in _services(config):
        label = service.replace(".", "-")
        name = f"{names.plain}-{label}"
        if service == "s3":
            ways.append(Endpoint(name=name, label=label, vpc=vpc, service=service, routes=routes))
            continue
        group = SecurityGroup(
            name=f"{names.plain}-endpoint-{label}",
            label=f"endpoint-{label}",
            vpc=vpc,
            bucket=bucket,
            ingress=(Rule(_HTTPS, source=hook if service == "codedeploy" else tasks),),
            egress=(),
        )
        ways += (
            group,
            Endpoint(name=name, label=label, vpc=vpc, service=service, subnets=private, security_group=group),
        )
    return tuple(ways)


def _services(config: Config) -> tuple[str, ...]:
    """Return the services that are needed inside: for image and log, for secrets, for `exec`, and for the hook."""
    kept = [text for _, _, process in processes(config) for text in process.secrets.values()]
    managed = any(":secretsmanager:" in text for text in kept)
    parameters = any(":secretsmanager:" not in text for text in kept)
    more = {
        "secretsmanager": managed,
        "ssm": parameters,
        "ssmmessages": config.service.exec,
        "codedeploy": config.checks_from == "hook",
    }
    return (*NEEDED_ENDPOINTS, *(service for service, needed in more.items() if needed))


# A network that is there already


def _used(config: Config, used: UseNetwork, names: Names, bucket: Bucket) -> Network:
    """Return an existing VPC and subnets of it; in them only the security groups are the stack's own."""
    vpc = ExistingVpc(name=_written(used.vpc), wanted=used.vpc)
    hook = _hook(config, names, vpc, bucket)
    if config.load_balancer.use:
        arn = config.load_balancer.use
        balancer = ExistingLoadBalancer(name=arn.split("/")[2], arn=arn, vpc=vpc, own=names.plain)
        tasks = _subnets("tasks", used.task_subnets, vpc, balancer)
        back = _back(config, names, vpc, bucket, balancer)
        found = (vpc, balancer, tasks, back, *([hook] if hook else []))
        return Network(vpc, (), (tasks,), back, found, hook=hook, balancer=balancer)
    fronts = _subnets("load-balancer", used.load_balancer_subnets, vpc)
    tasks = _subnets("tasks", used.task_subnets, vpc, fronts)
    front = _front(config, names, vpc, bucket)
    back = _back(config, names, vpc, bucket, front)
    found = (vpc, fronts, tasks, front, back, *([hook] if hook else []))
    return Network(vpc, (fronts,), (tasks,), back, found, front, hook)


def _subnets(
    label: str,
    wanted: tuple[str, ...] | Mapping[str, str],
    vpc: ExistingVpc,
    beside: ExistingSubnets | ExistingLoadBalancer | None = None,
) -> ExistingSubnets:
    return ExistingSubnets(name=_written(wanted), label=label, vpc=vpc, wanted=wanted, beside=beside)


def _written(wanted: str | tuple[str, ...] | Mapping[str, str]) -> str:
    """Return ids or tags as people write them."""
    if isinstance(wanted, str):
        return wanted
    return (
        ", ".join(f"{key}={value}" for key, value in wanted.items())
        if isinstance(wanted, Mapping)
        else ", ".join(wanted)
    )


# Who may talk to whom


def _front(config: Config, names: Names, vpc: Vpc | ExistingVpc, bucket: Bucket) -> SecurityGroup:
    """Return the security group of the load balancer."""
    balancer = config.load_balancer
    plain = (Rule(PLAIN_HTTP, ANYWHERE),) if balancer.production.redirect_http else ()
    # From inside the network, and from what the config adds; callers are let in when they run checks.
    test = (
        Rule(balancer.test.port, source=vpc) if source == "vpc" else Rule(balancer.test.port, source)
        for source in balancer.test.allow
        if source != CALLER
    )
    return SecurityGroup(
        name=f"{names.plain}-load-balancer",
        label="load-balancer",
        vpc=vpc,
        bucket=bucket,
        ingress=(Rule(balancer.production.port, ANYWHERE), *plain, *test),
        egress=(Rule(config.container.port, source=vpc),),
        callers=balancer.lets_callers_in,
    )


def _back(
    config: Config,
    names: Names,
    vpc: Vpc | ExistingVpc,
    bucket: Bucket,
    balancer: SecurityGroup | ExistingLoadBalancer,
) -> SecurityGroup:
    """Return the security group of the tasks, which lets in the load balancer alone."""
    return SecurityGroup(
        name=f"{names.plain}-tasks",
        label="tasks",
        vpc=vpc,
        bucket=bucket,
        ingress=(Rule(config.container.port, source=balancer),),
        egress=(Rule(None, ANYWHERE),),
    )
