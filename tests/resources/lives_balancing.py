"""How a load balancer, its doors and its target groups are changed behind our back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bgdeploy import config as c
from bgdeploy.aws import HOST_TAG, tag_list
from bgdeploy.config import Duration
from bgdeploy.resources.listeners import Listener, Redirect
from bgdeploy.resources.load_balancer import LoadBalancer, TargetGroup
from bgdeploy.resources.network import Vpc
from bgdeploy.sandbox.world import World
from tests.resources.life import Deed, Life, Tags
from tests.resources.near import REGION, Scene

_ARNS = {
    LoadBalancer: "LoadBalancerArn",
    TargetGroup: "TargetGroupArn",
    Listener: "ListenerArn",
    Redirect: "ListenerArn",
}
_TAGS = Tags(
    lambda scene, tags: scene("elbv2").add_tags(ResourceArns=[_arn(scene)], Tags=tag_list(tags)),
    lambda scene, key: scene("elbv2").remove_tags(ResourceArns=[_arn(scene)], TagKeys=[key]),
)


def _arn(scene: Scene) -> str:
    return str(scene.born[_ARNS[type(scene.resource)]])


def _attributes(**values: str) -> list[dict[str, str]]:
    return [{"Key": key.replace("__", "."), "Value": value} for key, value in values.items()]


# The load balancer


def _balancer(**values: str) -> Deed:
    return lambda scene: scene("elbv2").modify_load_balancer_attributes(
        LoadBalancerArn=_arn(scene), Attributes=_attributes(**values)
    )


def _add_subnet(scene: Scene) -> None:
    ec2, vpc = scene("ec2"), scene.needed(Vpc)["VpcId"]
    zone = ec2.describe_availability_zones()["AvailabilityZones"][2]["ZoneName"]
    made = ec2.create_subnet(VpcId=vpc, CidrBlock="10.20.240.0/20", AvailabilityZone=zone)["Subnet"]
    subnets = [*sorted(scene.actual["Subnets"]), made["SubnetId"]]
    scene("elbv2").set_subnets(LoadBalancerArn=_arn(scene), Subnets=subnets)


def _other_group(scene: Scene) -> None:
    vpc = scene.needed(Vpc)["VpcId"]
    made = scene("ec2").create_security_group(GroupName="theirs", Description="theirs", VpcId=vpc)
    scene("elbv2").set_security_groups(LoadBalancerArn=_arn(scene), SecurityGroups=[made["GroupId"]])


def _log_bucket(client: Any, name: str) -> str:
    """Make a bucket that load balancers may write to."""
    client.create_bucket(Bucket=name)
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{name}/*",
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    client.put_bucket_policy(Bucket=name, Policy=json.dumps(policy))
    return name


def _log(scene: Scene) -> None:
    bucket = _log_bucket(scene("s3"), "theirs-of-a-quiet-one")
    _balancer(access_logs__s3__enabled="true", access_logs__s3__bucket=bucket)(scene)


def _log_elsewhere(scene: Scene) -> None:
    _balancer(access_logs__s3__bucket=_log_bucket(scene("s3"), "theirs-of-a-logged-one"))(scene)


def _logged(world: World) -> Mapping[str, Any]:
    bucket = _log_bucket(world.client("s3", region=REGION), "logs")
    logs = c.AccessLogs(bucket=bucket, prefix="web")
    return {"load_balancer": c.LoadBalancer(access_logs=logs, idle_timeout=Duration(120))}


_BALANCER = (
    ("Subnets", _add_subnet),
    ("SecurityGroups", _other_group),
    ("idle_timeout.timeout_seconds", _balancer(idle_timeout__timeout_seconds="4000")),
    ("deletion_protection.enabled", _balancer(deletion_protection__enabled="true")),
)


# Target groups


def _group(**settings: Any) -> Deed:
    return lambda scene: scene("elbv2").modify_target_group(TargetGroupArn=_arn(scene), **settings)


def _attribute(**values: str) -> Deed:
    return lambda scene: scene("elbv2").modify_target_group_attributes(
        TargetGroupArn=_arn(scene), Attributes=_attributes(**values)
    )


_GROUP = (
    ("HealthCheckPath", _group(HealthCheckPath="/health")),
    ("HealthCheckIntervalSeconds", _group(HealthCheckIntervalSeconds=30)),
    ("HealthCheckTimeoutSeconds", _group(HealthCheckTimeoutSeconds=2)),
    ("HealthyThresholdCount", _group(HealthyThresholdCount=5)),
    ("UnhealthyThresholdCount", _group(UnhealthyThresholdCount=5)),
    (
        "deregistration_delay.timeout_seconds",
        _attribute(deregistration_delay__timeout_seconds="299"),
    ),
)


def _sticky(world: World) -> Mapping[str, Any]:
    return {"load_balancer": c.LoadBalancer(stickiness=Duration(600))}


# Listeners


def _listener(**settings: Any) -> Deed:
    return lambda scene: scene("elbv2").modify_listener(ListenerArn=_arn(scene), **settings)


def _swap(scene: Scene) -> None:
    """Move all traffic to green, as CodeDeploy does."""
    weights = {"blue": 0, "green": 100}
    groups = [
        {"TargetGroupArn": scene.needed(TargetGroup, label)["TargetGroupArn"], "Weight": weight}
        for label, weight in weights.items()
    ]
    _listener(DefaultActions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}])(scene)


def _certificate(client: Any) -> str:
    made = client.request_certificate(DomainName="shop.example", ValidationMethod="DNS")
    return str(made["CertificateArn"])


def _secured(world: World) -> Mapping[str, Any]:
    certificate = _certificate(world.client("acm", region=REGION))
    production = c.ProductionListener(port=443, certificate=certificate, redirect_http=True)
    return {"load_balancer": c.LoadBalancer(production=production, host="shop.example")}


def _secure(scene: Scene) -> None:
    tls = [{"CertificateArn": _certificate(scene("acm"))}]
    _listener(Protocol="HTTPS", Certificates=tls, SslPolicy="ELBSecurityPolicy-2016-08")(scene)


def _other_certificate(scene: Scene) -> None:
    _listener(Certificates=[{"CertificateArn": _certificate(scene("acm"))}])(scene)


_CLOSED = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503"}}]
_TEMPORARY = [
    {"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_302"}}
]


def _host(name: str) -> Deed:
    return lambda scene: _TAGS.put(scene, {HOST_TAG: name})


_MOVES = (("DefaultActions", _swap),)

LIVES = (
    Life(LoadBalancer, _TAGS, (*_BALANCER, ("access_logs.s3.enabled", _log))),
    Life(
        LoadBalancer,
        _TAGS,
        (
            *_BALANCER,
            ("access_logs.s3.enabled", _balancer(access_logs__s3__enabled="false")),
            ("access_logs.s3.bucket", _log_elsewhere),
            ("access_logs.s3.prefix", _balancer(access_logs__s3__prefix="")),
        ),
        config=_logged,
        what="with access logs",
    ),
    Life(TargetGroup, _TAGS, (*_GROUP, ("stickiness.enabled", _attribute(stickiness__enabled="true")))),
    Life(
        TargetGroup,
        _TAGS,
        (
            *_GROUP,
            ("stickiness.enabled", _attribute(stickiness__enabled="false")),
            (
                "stickiness.type",
                _attribute(stickiness__type="app_cookie", stickiness__app_cookie__cookie_name="id"),
            ),
            (
                "stickiness.lb_cookie.duration_seconds",
                _attribute(stickiness__lb_cookie__duration_seconds="1"),
            ),
        ),
        config=_sticky,
        what="that is sticky",
    ),
    Life(
        Listener,
        _TAGS,
        (("Port", _listener(Port=8181)), ("Protocol", _secure), ("Host", _host("theirs.example"))),
        _MOVES,
    ),
    Life(
        Listener,
        _TAGS,
        (
            ("Port", _listener(Port=8181)),
            (("Protocol", "SslPolicy", "Certificates"), _listener(Protocol="HTTP")),
            ("SslPolicy", _listener(SslPolicy="ELBSecurityPolicy-2016-08")),
            ("Certificates", _other_certificate),
            ("Host", _host("theirs.example")),
            ("Host", lambda scene: _TAGS.remove(scene, HOST_TAG)),
        ),
        _MOVES,
        config=_secured,
        what="with HTTPS",
    ),
    Life(
        Redirect,
        _TAGS,
        (
            ("Port", _listener(Port=8181)),
            ("Protocol", _secure),
            ("DefaultActions", _listener(DefaultActions=_CLOSED)),
            ("DefaultActions", _listener(DefaultActions=_TEMPORARY)),
        ),
        config=_secured,
    ),
)
