"""What can be set of load balancers, listeners and target groups, and what AWS refuses of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.sandbox.fleet import Fleet, fleets, forward

TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06"
REDIRECT = {
    "Type": "redirect",
    "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"},
}


@pytest.fixture(scope="module")
def regions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iterator[Fleet]]:
    made = fleets(tmp_path_factory.mktemp("sandbox"))
    yield made
    made.close()


@pytest.fixture
def fleet(regions: Iterator[Fleet]) -> Fleet:
    return next(regions)


@pytest.fixture(scope="module")
def standing(regions: Iterator[Fleet]) -> Fleet:
    """A fleet with a production listener, for tests that change nothing of it."""
    fleet = next(regions)
    _ = fleet.production
    return fleet


def attributes(**values: str) -> list[dict[str, str]]:
    """Return attributes as the API has them; a keyword writes a dot as two underlines."""
    return [{"Key": name.replace("__", "."), "Value": value} for name, value in values.items()]


def told(answer: dict[str, Any]) -> dict[str, str]:
    return {each["Key"]: each["Value"] for each in answer["Attributes"]}


# Attributes


def test_a_load_balancer_has_every_attribute_with_its_default(standing: Fleet) -> None:
    found = told(
        standing.client("elbv2").describe_load_balancer_attributes(LoadBalancerArn=standing.balancer)
    )
    expected = {
        "access_logs.s3.enabled": "false",
        "deletion_protection.enabled": "false",
        "idle_timeout.timeout_seconds": "60",
        "load_balancing.cross_zone.enabled": "true",
        "routing.http.drop_invalid_header_fields.enabled": "false",
        "routing.http2.enabled": "true",
    }
    assert expected.items() <= found.items()


def test_a_target_group_has_every_attribute_with_its_default(standing: Fleet) -> None:
    group = standing.group("defaults")
    found = told(standing.client("elbv2").describe_target_group_attributes(TargetGroupArn=group))
    expected = {
        "deregistration_delay.timeout_seconds": "300",
        "load_balancing.algorithm.type": "round_robin",
        "stickiness.enabled": "false",
        "stickiness.lb_cookie.duration_seconds": "86400",
        "stickiness.type": "lb_cookie",
    }
    assert expected.items() <= found.items()


def test_an_attribute_that_is_set_stays_and_the_others_are_as_they_were(fleet: Fleet) -> None:
    elbv2 = fleet.client("elbv2")
    before = told(elbv2.describe_load_balancer_attributes(LoadBalancerArn=fleet.balancer))
    change = {"idle_timeout.timeout_seconds": "120"}
    answer = elbv2.modify_load_balancer_attributes(
        LoadBalancerArn=fleet.balancer, Attributes=attributes(**{"idle_timeout__timeout_seconds": "120"})
    )
    after = told(elbv2.describe_load_balancer_attributes(LoadBalancerArn=fleet.balancer))
    assert told(answer) == after == before | change


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("idle_timeout__timeout_seconds", "0"),
        ("idle_timeout__timeout_seconds", "4001"),
        ("idle_timeout__timeout_seconds", "soon"),
        ("deletion_protection__enabled", "yes"),
        ("load_balancing__cross_zone__enabled", "false"),
        ("nonsense", "true"),
        ("access_logs__s3__enabled", "true"),
    ],
)
def test_an_attribute_of_a_load_balancer_has_its_bounds(standing: Fleet, name: str, value: str) -> None:
    refused = standing.refused(
        "elbv2",
        "modify_load_balancer_attributes",
        LoadBalancerArn=standing.balancer,
        Attributes=attributes(**{name: value}),
    )
    assert refused[0] == "ValidationError"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("deregistration_delay__timeout_seconds", "3601"),
        ("stickiness__type", "source_ip"),
        ("stickiness__lb_cookie__duration_seconds", "0"),
        ("slow_start__duration_seconds", "29"),
        ("stickiness__nonsense", "true"),
    ],
)
def test_an_attribute_of_a_target_group_has_its_bounds(standing: Fleet, name: str, value: str) -> None:
    refused = standing.refused(
        "elbv2",
        "modify_target_group_attributes",
        TargetGroupArn=standing.blue,
        Attributes=attributes(**{name: value}),
    )
    assert refused[0] == "ValidationError"


def test_a_protected_load_balancer_is_not_deleted(fleet: Fleet) -> None:
    elbv2, arn = fleet.client("elbv2"), fleet.balancer
    for value in ("true", "false"):
        elbv2.modify_load_balancer_attributes(
            LoadBalancerArn=arn, Attributes=attributes(deletion_protection__enabled=value)
        )
        if value == "true":
            refused = fleet.refused("elbv2", "delete_load_balancer", LoadBalancerArn=arn)
    elbv2.delete_load_balancer(LoadBalancerArn=arn)
    message = f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled"
    assert refused == ("OperationNotPermitted", message)


@pytest.mark.parametrize("name", ["internal-shop", "-shop", "shop-", "a" * 33, "shop_dev"])
def test_a_load_balancer_has_a_name_that_it_may_have(standing: Fleet, name: str) -> None:
    refused = standing.refused("elbv2", "create_load_balancer", Name=name, Subnets=standing.subnets)
    assert refused[0] == "ValidationError"


# Access logs


def logging_to(fleet: Fleet, bucket: str, **settings: str) -> dict[str, Any]:
    wanted = {"access_logs__s3__enabled": "true", "access_logs__s3__bucket": bucket, **settings}
    return {"LoadBalancerArn": fleet.balancer, "Attributes": attributes(**wanted)}


def a_bucket(fleet: Fleet, name: str, **principal: str) -> str:
    """Make a bucket in the fleet's region; a principal may write logs there under web/."""
    s3, name = fleet.client("s3"), f"{name}-{fleet.region}"
    where = {} if fleet.region == "us-east-1" else {"LocationConstraint": fleet.region}
    s3.create_bucket(Bucket=name, **({"CreateBucketConfiguration": where} if where else {}))
    if principal:
        statement = {
            "Effect": "Allow",
            "Principal": principal,
            "Action": "s3:PutObject",
            "Resource": f"arn:aws:s3:::{name}/web/AWSLogs/123456789012/*",
        }
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        s3.put_bucket_policy(Bucket=name, Policy=json.dumps(policy))
    return name


DELIVERY = "logdelivery.elasticloadbalancing.amazonaws.com"


def test_access_logs_go_to_a_bucket_that_takes_them(fleet: Fleet) -> None:
    bucket = a_bucket(fleet, "logs", Service=DELIVERY)
    fleet.client("elbv2").modify_load_balancer_attributes(
        **logging_to(fleet, bucket, access_logs__s3__prefix="web")
    )
    listed = fleet.client("s3").list_objects_v2(Bucket=bucket)["Contents"]
    assert [each["Key"] for each in listed] == ["web/AWSLogs/123456789012/ELBAccessLogTestFile"]


def test_access_logs_go_nowhere_else(fleet: Fleet) -> None:
    takes = a_bucket(fleet, "takes", Service=DELIVERY)
    others = a_bucket(fleet, "others", Service="delivery.logs.amazonaws.com")
    for bucket, prefix in (
        (takes, "api"),
        (others, "web"),
        (a_bucket(fleet, "silent"), "web"),
        ("none", "web"),
    ):
        refused = fleet.refused(
            "elbv2",
            "modify_load_balancer_attributes",
            **logging_to(fleet, bucket, access_logs__s3__prefix=prefix),
        )
        message = f"Access Denied for bucket: {bucket}. Please check S3bucket permission"
        assert refused == ("InvalidConfigurationRequest", message)


# HTTPS


@pytest.fixture(scope="module")
def certificate(standing: Fleet) -> str:
    return issued(standing)


def issued(fleet: Fleet) -> str:
    made = fleet.client("acm").request_certificate(DomainName="shop.example", ValidationMethod="DNS")
    return str(made["CertificateArn"])


def https(fleet: Fleet, *certificates: str, **settings: Any) -> dict[str, Any]:
    """Return what CreateListener needs for HTTPS."""
    listed = [{"CertificateArn": arn} for arn in certificates]
    asked = {"Port": 443, "Protocol": "HTTPS", "DefaultActions": [forward({fleet.blue: 1})]}
    tls = {"Certificates": listed} if listed else {}
    return {"LoadBalancerArn": fleet.balancer, **asked, **tls, **settings}


def test_an_https_listener_is_told_with_its_certificate_and_its_policy(fleet: Fleet) -> None:
    arn = issued(fleet)
    elbv2 = fleet.client("elbv2")
    made = elbv2.create_listener(**https(fleet, arn))["Listeners"][0]
    elbv2.modify_listener(ListenerArn=made["ListenerArn"], SslPolicy=TLS_POLICY)
    found = elbv2.describe_listeners(ListenerArns=[made["ListenerArn"]])["Listeners"][0]
    assert made["SslPolicy"] == "ELBSecurityPolicy-2016-08"
    assert (found["Protocol"], found["SslPolicy"]) == ("HTTPS", TLS_POLICY)
    assert found["Certificates"] == [{"CertificateArn": arn}]


def test_an_https_listener_needs_a_certificate(standing: Fleet) -> None:
    refused = standing.refused("elbv2", "create_listener", **https(standing))
    assert refused == ("ValidationError", "A certificate must be specified for HTTPS listeners")


def test_an_https_listener_needs_a_certificate_that_there_is(standing: Fleet) -> None:
    arn = f"arn:aws:acm:{standing.region}:123456789012:certificate/0"
    assert standing.refused("elbv2", "create_listener", **https(standing, arn))[0] == "CertificateNotFound"


def test_an_https_listener_has_one_default_certificate(standing: Fleet, certificate: str) -> None:
    asked = https(standing, certificate, certificate)
    assert standing.refused("elbv2", "create_listener", **asked)[0] == "TooManyCertificates"


def test_an_https_listener_has_a_policy_that_there_is(standing: Fleet, certificate: str) -> None:
    asked = https(standing, certificate, SslPolicy="ELBSecurityPolicy-1999")
    assert standing.refused("elbv2", "create_listener", **asked)[0] == "SSLPolicyNotFound"


@pytest.mark.parametrize("name", ["Certificates", "SslPolicy"])
def test_a_plain_listener_takes_nothing_of_tls(standing: Fleet, certificate: str, name: str) -> None:
    settings = {"Certificates": [{"CertificateArn": certificate}], "SslPolicy": TLS_POLICY}
    asked = https(standing, Protocol="HTTP", Port=81, **{name: settings[name]})
    assert standing.refused("elbv2", "create_listener", **asked)[0] == "InvalidConfigurationRequest"


def test_a_plain_listener_becomes_https_with_a_certificate(fleet: Fleet) -> None:
    change = {"ListenerArn": fleet.production, "Protocol": "HTTPS", "Port": 443}
    refused = fleet.refused("elbv2", "modify_listener", **change)
    certificates = [{"CertificateArn": issued(fleet)}]
    elbv2 = fleet.client("elbv2")
    elbv2.modify_listener(**change, Certificates=certificates, SslPolicy=TLS_POLICY)
    found = elbv2.describe_listeners(ListenerArns=[fleet.production])["Listeners"][0]
    assert refused[0] == "ValidationError"
    assert (found["Protocol"], found["Port"]) == ("HTTPS", 443)


def test_a_certificate_that_is_in_use_stays_and_says_by_whom_it_is(fleet: Fleet) -> None:
    acm, arn = fleet.client("acm"), issued(fleet)
    listener = fleet.client("elbv2").create_listener(**https(fleet, arn))["Listeners"][0]["ListenerArn"]
    used = acm.describe_certificate(CertificateArn=arn)["Certificate"]["InUseBy"]
    refused = fleet.refused("acm", "delete_certificate", CertificateArn=arn)
    fleet.client("elbv2").delete_listener(ListenerArn=listener)
    acm.delete_certificate(CertificateArn=arn)
    assert used == [fleet.balancer]
    assert refused[0] == "ResourceInUseException"


def test_an_https_listener_is_served_as_plain_http_and_its_tag_says_so(fleet: Fleet) -> None:
    listener = fleet.client("elbv2").create_listener(**https(fleet, issued(fleet)))["Listeners"][0]
    assert urlsplit(fleet.url(listener["ListenerArn"])).scheme == "http"


# Redirects and stickiness


def test_a_redirect_is_told_with_the_parts_that_it_keeps(fleet: Fleet) -> None:
    elbv2 = fleet.client("elbv2")
    listener = fleet.listener(80, REDIRECT)
    action = elbv2.describe_listeners(ListenerArns=[listener])["Listeners"][0]["DefaultActions"][0]
    kept = {"Host": "#{host}", "Path": "/#{path}", "Query": "#{query}"}
    assert action["RedirectConfig"] == {**REDIRECT["RedirectConfig"], **kept}  # type: ignore[dict-item]


def test_a_redirect_to_where_it_came_from_is_refused(standing: Fleet) -> None:
    loop = {"Type": "redirect", "RedirectConfig": {"Host": "#{host}", "StatusCode": "HTTP_301"}}
    refused = standing.refused(
        "elbv2", "modify_listener", ListenerArn=standing.production, DefaultActions=[loop]
    )
    assert refused[0] == "InvalidLoadBalancerAction"


def test_a_forward_keeps_its_stickiness_until_codedeploy_writes_its_own(fleet: Fleet) -> None:
    elbv2, weights = fleet.client("elbv2"), {fleet.blue: 1, fleet.green: 0}
    sticky = {"Enabled": True, "DurationSeconds": 300}
    action = forward(weights)
    action["ForwardConfig"]["TargetGroupStickinessConfig"] = sticky
    elbv2.modify_listener(ListenerArn=fleet.production, DefaultActions=[action])

    def config() -> Any:
        found = elbv2.describe_listeners(ListenerArns=[fleet.production])["Listeners"][0]
        return found["DefaultActions"][0]["ForwardConfig"]["TargetGroupStickinessConfig"]

    before = config()
    with fleet.world.lock:
        fleet.world.elb.set_weights(fleet.production, {fleet.blue: 0, fleet.green: 100})
    assert before == sticky
    assert config() == {"Enabled": False}
