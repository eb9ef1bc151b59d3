"""Everything that an account holds, listed as anybody would list it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from bgdeploy.aws import ADDRESS_TAG, STACK_TAG, Aws, tag_map

Thing = tuple[str, str]  # what it is, and which


def everything(aws: Aws) -> set[Thing]:
    """Return all that the account holds in the region, but for what every account is born with."""
    return {*_network(aws), *_balancing(aws), *_named(aws), *_service(aws), *_deploying(aws)}


def tally(aws: Aws) -> Counter[tuple[str, str]]:
    """Return what the account holds of a stack in EC2, by type and address: what has no name there may be twice."""
    found: Counter[tuple[str, str]] = Counter()
    for kind, _, tags in _tagged(aws):
        if tags.get(STACK_TAG) == aws.stack:
            found[kind, tags.get(ADDRESS_TAG, "")] += 1
    return found


_EC2 = (
    ("describe_vpcs", "Vpcs", "VpcId"),
    ("describe_subnets", "Subnets", "SubnetId"),
    ("describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
    ("describe_route_tables", "RouteTables", "RouteTableId"),
    ("describe_security_groups", "SecurityGroups", "GroupId"),
    ("describe_nat_gateways", "NatGateways", "NatGatewayId"),
    ("describe_addresses", "Addresses", "AllocationId"),
    ("describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"),
)


def _tagged(aws: Aws) -> Iterator[tuple[str, str, dict[str, str]]]:
    for call, key, ident in _EC2:
        for each in getattr(aws.client("ec2"), call)()[key]:
            if each.get("State") != "deleted":
                yield key, str(each[ident]), tag_map(each.get("Tags"))


def _network(aws: Aws) -> Iterator[Thing]:
    yield from ((kind, ident) for kind, ident, _ in _tagged(aws))


def _balancing(aws: Aws) -> Iterator[Thing]:
    elbv2 = aws.client("elbv2")
    for each in elbv2.describe_load_balancers()["LoadBalancers"]:
        yield "load balancer", each["LoadBalancerArn"]
        arn = each["LoadBalancerArn"]
        for listener in elbv2.describe_listeners(LoadBalancerArn=arn)["Listeners"]:
            yield "listener", listener["ListenerArn"]
    for each in elbv2.describe_target_groups()["TargetGroups"]:
        yield "target group", each["TargetGroupArn"]


def _named(aws: Aws) -> Iterator[Thing]:
    """Yield what its name tells."""
    lists: tuple[tuple[str, str, str, str], ...] = (
        ("s3", "list_buckets", "Buckets", "Name"),
        ("ecr", "describe_repositories", "repositories", "repositoryName"),
        ("iam", "list_roles", "Roles", "Arn"),
        ("logs", "describe_log_groups", "logGroups", "logGroupName"),
        ("logs", "describe_metric_filters", "metricFilters", "filterName"),
        ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
        ("lambda", "list_functions", "Functions", "FunctionName"),
    )
    for service, call, key, name in lists:
        for each in _pages(aws.client(service), call, key):
            if "/aws-service-role/" not in each[name]:
                yield f"{service} {key}", each[name]


def _pages(client: Any, call: str, key: str) -> Iterator[Any]:
    if not client.can_paginate(call):
        yield from getattr(client, call)()[key]
        return
    for page in client.get_paginator(call).paginate():
        yield from page[key]


def _service(aws: Aws) -> Iterator[Thing]:
    ecs = aws.client("ecs")
    for cluster in _pages(ecs, "list_clusters", "clusterArns"):
        yield "cluster", cluster
        for service in ecs.list_services(cluster=cluster)["serviceArns"]:
            yield "service", service
    for status in ("ACTIVE", "INACTIVE"):
        for definition in ecs.list_task_definitions(status=status)["taskDefinitionArns"]:
            yield "task definition", definition.rpartition(":")[0]  # one family, however many revisions
    scaling = aws.client("application-autoscaling")
    for target in scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]:
        yield "scalable target", target["ResourceId"]


def _deploying(aws: Aws) -> Iterator[Thing]:
    codedeploy = aws.client("codedeploy")
    for application in _pages(codedeploy, "list_applications", "applications"):
        yield "application", application
        groups = codedeploy.list_deployment_groups(applicationName=application)["deploymentGroups"]
        yield from (("deployment group", f"{application}/{group}") for group in groups)
    for config in _pages(codedeploy, "list_deployment_configs", "deploymentConfigsList"):
        yield "deployment config", config
