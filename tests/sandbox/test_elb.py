"""Load balancers, listeners and target groups, through boto3 and as visitors meet them."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.sandbox.fleet import Fleet, fleets, forward
from tests.sandbox.upstream import Upstream, nobody


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
    """A fleet with a production listener, for tests that change nothing."""
    fleet = next(regions)
    _ = fleet.production
    return fleet


@pytest.fixture
def blue() -> Iterator[Upstream]:
    with Upstream("blue").serving() as upstream:
        yield upstream


@pytest.fixture
def green() -> Iterator[Upstream]:
    with Upstream("green").serving() as upstream:
        yield upstream


def register(fleet: Fleet, group: str, upstream: Upstream, ip: str = "10.20.0.9", **more: Any) -> None:
    """Register a target as a task does, and wait until it is healthy."""
    with fleet.world.lock:
        fleet.world.elb.register(group, ip, 80, ("127.0.0.1", upstream.port), **more)
    fleet.until(lambda: fleet.world.elb.health(group, ip, 80) in {"healthy", "unused"})


def page(url: str) -> str:
    with urllib.request.urlopen(url, timeout=3) as answer:
        return str(answer.read().decode())


def answers(url: str) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 80), timeout=0.2).close()
    except OSError:
        return False
    return True


# What is refused


@pytest.mark.parametrize("weight", [-1, 1000])
def test_a_weight_has_its_bounds(standing: Fleet, weight: int) -> None:
    refused = standing.refused(
        "elbv2",
        "modify_listener",
        ListenerArn=standing.production,
        DefaultActions=[forward({standing.blue: weight})],
    )
    assert refused[0] == "ValidationError"


def test_a_port_has_one_listener(standing: Fleet) -> None:
    asked = {"LoadBalancerArn": standing.balancer, "Protocol": "HTTP", "Port": 80}
    refused = standing.refused(
        "elbv2", "create_listener", **asked, DefaultActions=[forward({standing.blue: 1})]
    )
    assert refused == ("DuplicateListener", "A listener already exists on this port for this load balancer")


def test_a_target_group_that_is_not_there_is_not_forwarded_to(standing: Fleet) -> None:
    refused = standing.refused(
        "elbv2",
        "modify_listener",
        ListenerArn=standing.production,
        DefaultActions=[forward({standing.blue + "0": 1})],
    )
    assert refused == ("TargetGroupNotFound", "One or more target groups not found")


def test_an_action_has_five_target_groups_at_most(standing: Fleet) -> None:
    six = {standing.group(f"group-{n}"): 1 for n in range(6)}
    refused = standing.refused(
        "elbv2", "modify_listener", ListenerArn=standing.production, DefaultActions=[forward(six)]
    )
    assert refused[0] == "TooManyTargetGroups"


def test_a_target_group_belongs_to_one_load_balancer(standing: Fleet) -> None:
    elbv2 = standing.client("elbv2")
    other = elbv2.create_load_balancer(Name="other", Subnets=standing.subnets)["LoadBalancers"][0]
    asked = {"LoadBalancerArn": other["LoadBalancerArn"], "Protocol": "HTTP", "Port": 80}
    refused = standing.refused(
        "elbv2", "create_listener", **asked, DefaultActions=[forward({standing.green: 1})]
    )
    elbv2.delete_load_balancer(LoadBalancerArn=other["LoadBalancerArn"])
    assert refused[0] == "TargetGroupAssociationLimit"


def test_a_load_balancer_stands_in_two_zones(standing: Fleet) -> None:
    refused = standing.refused("elbv2", "create_load_balancer", Name="one", Subnets=standing.subnets[:1])
    message = "At least two subnets in two different Availability Zones must be specified"
    assert refused == ("ValidationError", message)


def test_the_first_load_balancer_brings_its_service_linked_role(standing: Fleet) -> None:
    _ = standing.balancer
    path = "/aws-service-role/elasticloadbalancing.amazonaws.com/"
    assert len(standing.client("iam").list_roles(PathPrefix=path)["Roles"]) == 1


def test_a_target_group_in_a_listener_stays_whatever_its_weight(standing: Fleet) -> None:
    refused = standing.refused("elbv2", "delete_target_group", TargetGroupArn=standing.green)
    message = f"Target group '{standing.green}' is currently in use by a listener or a rule"
    assert refused == ("ResourceInUse", message)


@pytest.mark.parametrize(
    ("operation", "arguments", "code"),
    [
        (
            "describe_target_health",
            {"TargetGroupArn": "arn:aws:elasticloadbalancing:x:1:targetgroup/a/b"},
            "TargetGroupNotFound",
        ),
        (
            "modify_listener",
            {"ListenerArn": "arn:aws:elasticloadbalancing:x:1:listener/app/a/b/c"},
            "ListenerNotFound",
        ),
        (
            "modify_rule",
            {"RuleArn": "arn:aws:elasticloadbalancing:x:1:listener-rule/app/a/b/c/d"},
            "RuleNotFound",
        ),
        (
            "delete_load_balancer",
            {"LoadBalancerArn": "arn:aws:elasticloadbalancing:x:1:loadbalancer/app/a/b"},
            None,
        ),
    ],
)
def test_what_is_not_there_is_said_to_be_so(
    standing: Fleet, operation: str, arguments: dict[str, str], code: str | None
) -> None:
    if code is None:  # deleting what is not there succeeds (aws-facts 7.4)
        getattr(standing.client("elbv2"), operation)(**arguments)
    else:
        assert standing.refused("elbv2", operation, **arguments)[0] == code


def test_another_kind_of_load_balancer_is_refused_plainly(standing: Fleet) -> None:
    refused = standing.refused(
        "elbv2", "create_load_balancer", Name="n", Type="network", Subnets=standing.subnets
    )
    assert refused == ("NotImplemented", "a network load balancer is not implemented in the sandbox")


def test_a_target_that_is_no_address_is_refused(standing: Fleet) -> None:
    targets = [{"Id": "i-0123456789abcdef0"}]
    refused = standing.refused("elbv2", "register_targets", TargetGroupArn=standing.blue, Targets=targets)
    assert refused[0] == "ValidationError"


# What is told


def test_the_same_target_group_twice_is_one(standing: Fleet) -> None:
    assert standing.group("twice") == standing.group("twice")


def test_a_target_group_of_the_same_name_with_other_settings_is_refused(standing: Fleet) -> None:
    standing.group("named")
    asked = {"Name": "named", "Protocol": "HTTP", "Port": 81, "VpcId": standing.vpc, "TargetType": "ip"}
    assert standing.refused("elbv2", "create_target_group", **asked)[0] == "DuplicateTargetGroupName"


def test_the_same_load_balancer_twice_is_one(standing: Fleet) -> None:
    asked = {"Name": "lb", "Subnets": standing.subnets, "SecurityGroups": [standing.front]}
    made = standing.client("elbv2").create_load_balancer(**asked)["LoadBalancers"][0]
    refused = standing.refused("elbv2", "create_load_balancer", **{**asked, "Scheme": "internal"})
    assert made["LoadBalancerArn"] == standing.balancer
    assert refused[0] == "DuplicateLoadBalancerName"


def test_a_forward_to_one_group_is_told_twice_and_to_two_only_in_its_config(fleet: Fleet) -> None:
    elbv2 = fleet.client("elbv2")
    listener = fleet.listener(80, {"Type": "forward", "TargetGroupArn": fleet.blue})
    one = elbv2.describe_listeners(ListenerArns=[listener])["Listeners"][0]["DefaultActions"][0]
    elbv2.modify_listener(ListenerArn=listener, DefaultActions=[forward({fleet.blue: 90, fleet.green: 10})])
    two = elbv2.describe_listeners(ListenerArns=[listener])["Listeners"][0]["DefaultActions"][0]

    assert one["TargetGroupArn"] == fleet.blue
    assert one["ForwardConfig"]["TargetGroups"] == [{"TargetGroupArn": fleet.blue, "Weight": 1}]
    assert "TargetGroupArn" not in two
    assert [each["Weight"] for each in two["ForwardConfig"]["TargetGroups"]] == [90, 10]


def test_a_plain_listener_has_no_tls_settings(standing: Fleet) -> None:
    told = standing.client("elbv2").describe_listeners(ListenerArns=[standing.production])["Listeners"][0]
    assert not told.keys() & {"SslPolicy", "AlpnPolicy", "Certificates"}


def test_codedeploys_weights_go_into_the_default_action_and_every_rule_of_the_pair(fleet: Fleet) -> None:
    elbv2 = fleet.client("elbv2")
    other = fleet.group("other")
    for priority, group in ((1, fleet.blue), (2, other)):
        condition = {"Field": "path-pattern", "Values": [f"/{priority}/*"]}
        elbv2.create_rule(
            ListenerArn=fleet.production,
            Priority=priority,
            Conditions=[condition],
            Actions=[forward({group: 1})],
        )
    with fleet.world.lock:
        fleet.world.elb.set_weights(fleet.production, {fleet.blue: 10, fleet.green: 90})
        pair = {fleet.blue: 10, fleet.green: 90}
        assert fleet.world.elb.forwards(fleet.production) == [pair, pair, {other: 1}]


# Health


def test_a_target_nobody_forwards_to_is_unused(fleet: Fleet, blue: Upstream) -> None:
    alone = fleet.group("alone")
    register(fleet, alone, blue)
    told = fleet.health(alone)[0]
    assert (told["State"], told["Reason"]) == ("unused", "Target.NotInUse")
    assert blue.seen == []


def test_a_target_is_checked_from_the_moment_its_group_is_used(fleet: Fleet, blue: Upstream) -> None:
    alone = fleet.group("alone", HealthCheckIntervalSeconds=6)
    register(fleet, alone, blue)
    fleet.client("elbv2").modify_listener(
        ListenerArn=fleet.production, DefaultActions=[forward({fleet.blue: 1, alone: 0})]
    )
    fresh = fleet.health(alone)[0]
    fleet.until(lambda: fleet.health(alone)[0]["State"] == "healthy")

    assert (fresh["State"], fresh["Reason"]) == ("initial", "Elb.RegistrationInProgress")
    assert blue.seen[0].headers["User-Agent"] == "ELB-HealthChecker/2.0"


def test_a_target_that_answers_badly_says_how(fleet: Fleet, blue: Upstream) -> None:
    group = fleet.group("sick", HealthCheckPath="/status/500", HealthCheckIntervalSeconds=6)
    fleet.listener(80, forward({group: 1}))
    with fleet.world.lock:
        fleet.world.elb.register(group, "10.20.0.9", 80, ("127.0.0.1", blue.port))
    fleet.until(lambda: fleet.health(group)[0]["State"] == "unhealthy")
    assert fleet.health(group)[0] == {
        "State": "unhealthy",
        "Reason": "Target.ResponseCodeMismatch",
        "Description": "Health checks failed with these codes: [500]",
    }


def test_two_ports_of_one_address_are_two_targets(standing: Fleet) -> None:
    elbv2, group = standing.client("elbv2"), standing.group("ports")
    targets = [{"Id": "10.20.0.7", "Port": 80}, {"Id": "10.20.0.7", "Port": 81}]
    elbv2.register_targets(TargetGroupArn=group, Targets=targets)
    told = elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    assert [each["Target"] for each in told] == targets
    assert [each["HealthCheckPort"] for each in told] == ["80", "81"]


def test_a_target_that_is_not_registered_is_said_to_be_so(standing: Fleet) -> None:
    told = standing.client("elbv2").describe_target_health(
        TargetGroupArn=standing.blue, Targets=[{"Id": "10.20.0.200"}]
    )["TargetHealthDescriptions"][0]
    assert told["Target"] == {"Id": "10.20.0.200", "Port": 80}
    assert told["TargetHealth"]["Reason"] == "Target.NotRegistered"


def test_an_address_where_nothing_listens_is_unhealthy(fleet: Fleet) -> None:
    _ = fleet.production
    fleet.client("elbv2").register_targets(TargetGroupArn=fleet.blue, Targets=[{"Id": "10.20.0.7"}])
    fleet.until(lambda: fleet.health(fleet.blue)[0]["State"] == "unhealthy")
    assert fleet.health(fleet.blue)[0]["Reason"] == "Target.Timeout"


def test_a_deregistered_target_drains_for_the_groups_delay(fleet: Fleet, blue: Upstream) -> None:
    _ = fleet.production
    register(fleet, fleet.blue, blue)
    elbv2 = fleet.client("elbv2")
    elbv2.deregister_targets(TargetGroupArn=fleet.blue, Targets=[{"Id": "10.20.0.9"}])
    fleet.tick(4)
    during = fleet.health(fleet.blue)
    fleet.until(lambda: fleet.health(fleet.blue) == [])

    assert [each["State"] for each in during] == ["draining"]
    assert fleet.world.elb.gone(fleet.blue, "10.20.0.9", 80)


def test_a_request_under_way_keeps_its_target_longer_than_the_delay(fleet: Fleet, blue: Upstream) -> None:
    from concurrent.futures import ThreadPoolExecutor

    url = fleet.url(fleet.production)
    register(fleet, fleet.blue, blue)
    with ThreadPoolExecutor(1) as visitors:
        waiting = visitors.submit(page, f"{url}/hold")
        assert blue.held.wait(5)
        with fleet.world.lock:
            fleet.world.elb.deregister(fleet.blue, "10.20.0.9", 80)
        for _ in range(20):
            fleet.tick(5)
            fleet.world.real.sleep(0.01)
        kept = not fleet.world.elb.gone(fleet.blue, "10.20.0.9", 80)
        blue.go.set()
        assert waiting.result() == "blue"
    fleet.until(lambda: fleet.world.elb.gone(fleet.blue, "10.20.0.9", 80))
    assert kept


# Traffic


def test_traffic_follows_the_weights(fleet: Fleet, blue: Upstream, green: Upstream) -> None:
    url = fleet.url(fleet.production)
    register(fleet, fleet.blue, blue)
    register(fleet, fleet.green, green, "10.20.0.10")
    before = page(url)
    with fleet.world.lock:
        fleet.world.elb.set_weights(fleet.production, {fleet.blue: 0, fleet.green: 100})
    fleet.until(lambda: page(url) == "green")
    assert before == "blue"


def test_traffic_follows_weights_that_were_read_before_they_were_passed_on(
    fleet: Fleet, blue: Upstream, green: Upstream
) -> None:
    url = fleet.url(fleet.production)
    register(fleet, fleet.blue, blue)
    register(fleet, fleet.green, green, "10.20.0.10")
    with fleet.world.lock:
        fleet.world.elb.set_weights(fleet.production, {fleet.blue: 0, fleet.green: 100})
        assert fleet.world.elb.forwards(fleet.production) == [{fleet.blue: 0, fleet.green: 100}]
    fleet.until(lambda: page(url) == "green")


def test_rules_send_some_requests_elsewhere(fleet: Fleet, blue: Upstream, green: Upstream) -> None:
    elbv2, url = fleet.client("elbv2"), fleet.url(fleet.production)
    fixed = {"StatusCode": "418", "ContentType": "text/plain", "MessageBody": "short and stout"}
    rules: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"Field": "path-pattern", "Values": ["/canary/*"]}, forward({fleet.green: 1})),
        (
            {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-Tea", "Values": ["*"]}},
            {"Type": "fixed-response", "FixedResponseConfig": fixed},
        ),
        (
            {"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "v", "Value": "2"}]}},
            forward({fleet.green: 1}),
        ),
    ]
    for priority, (condition, action) in enumerate(rules, 1):
        elbv2.create_rule(
            ListenerArn=fleet.production, Priority=priority, Conditions=[condition], Actions=[action]
        )
    register(fleet, fleet.blue, blue)
    register(fleet, fleet.green, green, "10.20.0.10")

    assert [page(url + path) for path in ("/", "/canary/1", "/?v=2", "/?v=1")] == [
        "blue",
        "green",
        "green",
        "blue",
    ]
    with pytest.raises(urllib.error.HTTPError, match="418") as refused:
        urllib.request.urlopen(urllib.request.Request(url, headers={"X-Tea": "yes"}), timeout=3)
    refused.value.close()


def test_a_redirect_leads_to_where_the_listener_says(fleet: Fleet) -> None:
    redirect = {"Protocol": "HTTP", "Path": "/#{path}", "Host": "shop.example", "StatusCode": "HTTP_302"}
    listener = fleet.listener(80, {"Type": "redirect", "RedirectConfig": redirect})
    url = urlsplit(fleet.url(listener))
    fleet.until(lambda: answers(url.geturl()))
    import http.client

    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=3)
    connection.request("GET", "/a", headers={"Host": "old.example"})
    answer = connection.getresponse()
    connection.close()
    assert (answer.status, answer.headers["Location"]) == (302, "http://shop.example:80/a")


def test_the_test_port_is_open_to_the_vpc_and_closed_to_everybody_else_until_a_rule_lets_them_in(
    fleet: Fleet, blue: Upstream
) -> None:
    ec2 = fleet.client("ec2")
    url = fleet.url(fleet.listener(8080, forward({fleet.blue: 1})))
    register(fleet, fleet.blue, blue)
    assert not answers(url)  # only the VPC may come in, and nobody on this machine is there
    fleet.allow(fleet.front, 8080, "203.0.113.7/32")
    fleet.until(lambda: answers(url))
    assert page(url) == "blue"
    found = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [fleet.front]}])
    (mine,) = [rule for rule in found["SecurityGroupRules"] if rule.get("CidrIpv4") == "203.0.113.7/32"]
    ec2.revoke_security_group_ingress(GroupId=fleet.front, SecurityGroupRuleIds=[mine["SecurityGroupRuleId"]])
    fleet.until(lambda: not answers(url))


def test_a_port_that_is_taken_is_exchanged_for_another_and_the_url_says_so(
    fleet: Fleet, blue: Upstream
) -> None:
    listener = fleet.listener(80, forward({fleet.blue: 1}))
    parts = urlsplit(fleet.url(listener))
    with socket.create_server((parts.hostname or "", parts.port or 80)):
        fleet.until(lambda: fleet.url(listener) != parts.geturl())
        register(fleet, fleet.blue, blue)
        assert page(fleet.url(listener)) == "blue"


def test_a_deleted_load_balancer_answers_no_more_and_gives_its_address_back(
    fleet: Fleet, blue: Upstream
) -> None:
    url = fleet.url(fleet.production)
    register(fleet, fleet.blue, blue)
    fleet.client("elbv2").delete_load_balancer(LoadBalancerArn=fleet.balancer)
    fleet.until(lambda: not answers(url))

    assert fleet.health(fleet.blue)[0]["State"] == "unused"
    fleet.client("elbv2").delete_target_group(TargetGroupArn=fleet.blue)


def test_security_group_and_subnets_outlive_their_load_balancer_a_little(fleet: Fleet) -> None:
    ec2, elbv2 = fleet.client("ec2"), fleet.client("elbv2")
    during = fleet.refused("ec2", "delete_subnet", SubnetId=fleet.subnets[0]) if fleet.balancer else None
    elbv2.delete_load_balancer(LoadBalancerArn=fleet.balancer)
    after = fleet.refused("ec2", "delete_security_group", GroupId=fleet.front)
    fleet.clock.advance(120)
    ec2.delete_security_group(GroupId=fleet.front)
    ec2.delete_subnet(SubnetId=fleet.subnets[0])

    assert during
    assert during[0] == after[0] == "DependencyViolation"


def test_a_security_group_that_another_one_names_stays(fleet: Fleet) -> None:
    _ = fleet.balancer, fleet.back
    refused = fleet.refused("ec2", "delete_security_group", GroupId=fleet.front)
    assert refused == ("DependencyViolation", f"resource {fleet.front} has a dependent object")


def measured(fleet: Fleet, metric: str, statistic: str = "Sum") -> float | None:
    """Return a statistic of what the load balancer measured of blue today, None when it measured nothing."""
    start = fleet.clock.now().replace(hour=0, minute=0, second=0)
    told = fleet.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/ApplicationELB",
        MetricName=metric,
        Dimensions=[
            {"Name": "LoadBalancer", "Value": fleet.balancer.partition(":loadbalancer/")[2]},
            {"Name": "TargetGroup", "Value": fleet.blue.rpartition(":")[2]},
        ],
        StartTime=start,
        EndTime=start.replace(year=start.year + 1),
        Period=86400,
        Statistics=[statistic],
    )
    return next((float(point[statistic]) for point in told["Datapoints"]), None)


def test_what_was_served_can_be_read_as_metrics(fleet: Fleet, blue: Upstream) -> None:
    url = fleet.url(fleet.production)
    register(fleet, fleet.blue, blue)
    page(url)
    with pytest.raises(urllib.error.HTTPError) as missing:
        page(f"{url}/status/404")
    missing.value.close()
    fleet.until(lambda: measured(fleet, "RequestCount") == 2, step=0.01)
    assert measured(fleet, "HTTPCode_Target_4XX_Count") == 1


def test_healthy_and_unhealthy_targets_are_counted(fleet: Fleet, blue: Upstream) -> None:
    _ = fleet.production
    register(fleet, fleet.blue, blue)
    with fleet.world.lock:
        fleet.world.elb.register(fleet.blue, "10.20.0.10", 80, ("127.0.0.1", nobody()))
    fleet.until(lambda: measured(fleet, "UnHealthyHostCount", "Maximum") == 1)
    fleet.until(lambda: measured(fleet, "HealthyHostCount", "Maximum") == 1)


def test_a_target_group_without_targets_has_no_count_of_hosts(fleet: Fleet) -> None:
    _ = fleet.production
    fleet.tick(30.0)
    assert measured(fleet, "UnHealthyHostCount", "Maximum") is None
