"""Where a stack's deployment group acts, read once before a deployment is followed or started."""

from __future__ import annotations

from typing import Any

from bgdeploy.aws import HOST_TAG, Attrs, Aws, error_code, tag_map
from bgdeploy.errors import BgdeployError
from bgdeploy.names import Names
from bgdeploy.release import parse
from bgdeploy.release.snapshot import Gate, Reach, Target

# A listener that carries this tag is reached there: a domain name in front of it, or the sandbox's own address.
URL_TAG = "bgdeploy:url"


def find_target(aws: Aws, names: Names) -> Target:
    """Return where the deployment group of this stack acts.

    Raises BgdeployError when the stack, or a part that a release cannot do without, is not there.
    """
    group = _deployment_group(aws, names)
    if not group.get("ecsServices") or not group.get("loadBalancerInfo", {}).get("targetGroupPairInfoList"):
        raise BgdeployError(
            f"the deployment group {names.plain} deploys no ECS service",
            "a release needs the group that `bgdeploy provision` makes",
        )
    place = group["ecsServices"][0]
    pair = group["loadBalancerInfo"]["targetGroupPairInfoList"][0]
    production = pair["prodTrafficRoute"]["listenerArns"][0]
    test = next(iter((pair.get("testTrafficRoute") or {}).get("listenerArns") or ()), None)
    container, port = _container(_service(aws, place["clusterName"], place["serviceName"]))
    groups = _target_groups(aws, [group["name"] for group in pair["targetGroups"]])
    watched = group.get("alarmConfiguration") or {}
    urls, reach, gates = _doors(aws, [arn for arn in (production, test) if arn])
    return Target(
        application=names.plain,
        group=names.plain,
        cluster=place["clusterName"],
        service=place["serviceName"],
        container=container,
        port=port,
        production_listener=production,
        test_listener=test,
        target_groups={found["TargetGroupName"]: found["TargetGroupArn"] for found in groups},
        alarms=tuple(alarm["name"] for alarm in watched.get("alarms") or () if watched.get("enabled")),
        bucket=names.bucket(aws.account, aws.region),
        log_group=names.log_group,
        health_path=next((found["HealthCheckPath"] for found in groups if found.get("HealthCheckPath")), "/"),
        urls=urls,
        reach=reach,
        gate=gates.get(test or ""),
        rollback_on=parse.rollback_events(group.get("autoRollbackConfiguration")),
    )


def _deployment_group(aws: Aws, names: Names) -> Attrs:
    from botocore.exceptions import ClientError

    try:
        found = aws.client("codedeploy").get_deployment_group(
            applicationName=names.plain, deploymentGroupName=names.plain
        )
    except ClientError as error:
        if error_code(error) not in {
            "ApplicationDoesNotExistException",
            "DeploymentGroupDoesNotExistException",
        }:
            raise
        raise BgdeployError(
            f"the stack {names.stack} is not provisioned in {aws.region}: it has no deployment group",
            "`bgdeploy provision` builds it",
            {"stack": names.stack, "region": aws.region},
        ) from error
    info: Attrs = found["deploymentGroupInfo"]
    return info


def _service(aws: Aws, cluster: str, name: str) -> Attrs:
    from botocore.exceptions import ClientError

    try:
        found = aws.client("ecs").describe_services(cluster=cluster, services=[name])["services"]
    except ClientError as error:
        if error_code(error) != "ClusterNotFoundException":
            raise
        found = []
    service: Attrs = next((service for service in found if service["status"] == "ACTIVE"), {})
    if not service:
        raise BgdeployError(
            f"the ECS service {cluster}/{name} that the deployment group names does not run",
            "`bgdeploy provision` makes it",
        )
    return service


def _container(service: Attrs) -> tuple[str, int]:
    """The service's load balancers flip with each deployment, its primary task set's do not lag (aws-facts 6.2)."""
    primary: Attrs = next((s for s in service.get("taskSets", ()) if s["status"] == "PRIMARY"), {})
    balancer = (primary.get("loadBalancers") or service.get("loadBalancers") or [{}])[0]
    return balancer.get("containerName", ""), int(balancer.get("containerPort", 0))


def _target_groups(aws: Aws, names: list[str]) -> list[Attrs]:
    from botocore.exceptions import ClientError

    try:
        found: list[Attrs] = aws.client("elbv2").describe_target_groups(Names=names)["TargetGroups"]
    except ClientError as error:
        if error_code(error) != "TargetGroupNotFound":
            raise
        raise BgdeployError(
            f"a target group of {' and '.join(names)} is missing, and a deployment needs both",
            "`bgdeploy provision` makes what is missing",
        ) from error
    return found


def _doors(aws: Aws, arns: list[str]) -> tuple[dict[str, str], Reach, dict[str, Gate]]:
    """Return where people reach each listener, how their load balancer is reached, and who guards each."""
    elb = aws.client("elbv2")
    listeners = _listeners(elb, arns)
    balancers = sorted({listener["LoadBalancerArn"] for listener in listeners})
    described = elb.describe_load_balancers(LoadBalancerArns=balancers)["LoadBalancers"]
    hosts = {balancer["LoadBalancerArn"]: balancer["DNSName"] for balancer in described}
    tags = {
        each["ResourceArn"]: tag_map(each.get("Tags"))
        for each in elb.describe_tags(ResourceArns=arns)["TagDescriptions"]
    }
    groups = {each["LoadBalancerArn"]: tuple(each.get("SecurityGroups", ())) for each in described}
    gates = {raw["ListenerArn"]: Gate(raw["Port"], groups[raw["LoadBalancerArn"]]) for raw in listeners}
    urls, reach = {}, Reach()
    for raw in listeners:
        tagged, own = tags.get(raw["ListenerArn"], {}), hosts[raw["LoadBalancerArn"]]
        reach = Reach(own, tagged.get(HOST_TAG, reach.host))
        urls[raw["ListenerArn"]] = parse.url(raw, tagged.get(HOST_TAG, own), tagged.get(URL_TAG))
    return urls, reach, gates


def _listeners(elb: Any, arns: list[str]) -> list[Attrs]:
    from botocore.exceptions import ClientError

    try:
        found: list[Attrs] = elb.describe_listeners(ListenerArns=arns)["Listeners"]
    except ClientError as error:
        if error_code(error) != "ListenerNotFound":
            raise
        raise BgdeployError(
            "a listener that the deployment group names is gone",
            "`bgdeploy provision` makes what is missing",
        ) from error
    return found
