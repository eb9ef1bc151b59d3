"""Opening the test port for one machine: whom it lets in, what it touches, and what it says when it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from moto import mock_aws

from bgdeploy.aws import Aws
from bgdeploy.clock import SystemClock
from bgdeploy.config import Config, LoadBalancer, Settings, TestListener
from bgdeploy.errors import BgdeployError
from bgdeploy.release.attending.opening import CHECKIP, Caller, Opening
from bgdeploy.release.snapshot import Gate

DEPLOYMENT = "d-A7YW3F91L"
HERE = Caller(wanted=True, address="203.0.113.7")


@pytest.fixture
def aws() -> Iterator[Aws]:
    with mock_aws():
        yield Aws(stack="shop-dev", region="us-east-1", clock=SystemClock())


def _group(aws: Aws, **tags: str) -> str:
    ec2 = aws.client("ec2")
    listed = [{"Key": key.replace("_", ":"), "Value": value} for key, value in tags.items()]
    given = {"TagSpecifications": [{"ResourceType": "security-group", "Tags": listed}]} if listed else {}
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    made = ec2.create_security_group(GroupName="front", Description="front", VpcId=vpc, **given)
    return str(made["GroupId"])


def _opening(aws: Aws, group: str, caller: Caller = HERE, deployment: str = DEPLOYMENT) -> Opening:
    return Opening(aws, Gate(8080, (group,)), deployment, caller)


def _let_in(aws: Aws, group: str) -> list[tuple[str, int]]:
    found = aws.client("ec2").describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    return [
        (block["CidrIp"], rule["FromPort"]) for rule in found["IpPermissions"] for block in rule["IpRanges"]
    ]


@pytest.fixture
def group(aws: Aws) -> str:
    return _group(aws, bgdeploy_stack="shop-dev")


def test_one_rule_lets_this_machine_in_on_the_test_port_and_goes_again(aws: Aws, group: str) -> None:
    opening = _opening(aws, group)
    assert opening.open() == "the test port is open for 203.0.113.7/32 while the checks run"
    assert _let_in(aws, group) == [("203.0.113.7/32", 8080)]
    opening.close()
    assert _let_in(aws, group) == []


def test_opening_twice_is_opening_once(aws: Aws, group: str) -> None:
    first, second = _opening(aws, group), _opening(aws, group)
    assert first.open() == second.open()
    second.close()
    assert _let_in(aws, group) == []
    first.close()


def test_who_is_let_in_by_a_rule_of_others_stays_let_in(aws: Aws, group: str) -> None:
    theirs = {
        "IpProtocol": "tcp",
        "FromPort": 8080,
        "ToPort": 8080,
        "IpRanges": [{"CidrIp": "203.0.113.7/32"}],
    }
    aws.client("ec2").authorize_security_group_ingress(GroupId=group, IpPermissions=[theirs])
    opening = _opening(aws, group)
    opening.open()
    opening.close()
    assert _let_in(aws, group) == [("203.0.113.7/32", 8080)]


def test_what_is_opened_for_another_deployment_stays_open(aws: Aws, group: str) -> None:
    other = _opening(aws, group, Caller(wanted=True, address="198.51.100.0/24"), "d-OTHER0000")
    other.open()
    opening = _opening(aws, group)
    opening.open()
    opening.close()
    assert _let_in(aws, group) == [("198.51.100.0/24", 8080)]


def test_the_groups_of_others_are_never_touched(aws: Aws) -> None:
    theirs = _group(aws)
    assert "are not this stack's" in _opening(aws, theirs).open()
    assert _let_in(aws, theirs) == []


def test_where_callers_are_not_wanted_nothing_is_asked_or_opened(aws: Aws, group: str) -> None:
    caller = Caller(wanted=False, service="http://127.0.0.1:1")
    opening = _opening(aws, group, caller)
    assert (opening.open(), opening.opened) == ("", False)


def test_who_cannot_be_told_where_it_is_says_so_and_opens_nothing(aws: Aws, group: str) -> None:
    opening = _opening(aws, group, Caller(wanted=True, service="http://127.0.0.1:1/"))
    assert "could not be opened for this machine: http://127.0.0.1:1/ cannot be reached" in opening.open()
    assert _let_in(aws, group) == []


@pytest.fixture
def service() -> Iterator[Any]:
    """A server that tells whoever asks what it is told to."""

    class Handler(BaseHTTPRequestHandler):
        says = b"203.0.113.9\n"

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.says)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def _asking(server: Any, says: bytes) -> Caller:
    server.RequestHandlerClass.says = says
    return Caller(wanted=True, service=f"http://127.0.0.1:{server.server_port}/")


def test_the_address_is_what_the_service_sees(service: Any) -> None:
    assert _asking(service, b"203.0.113.9\n").cidr() == "203.0.113.9/32"


@pytest.mark.parametrize(
    ("says", "told"), [(b"2001:db8::1\n", "for IPv4 only"), (b"<html>log in first", "which is no address")]
)
def test_what_is_no_ipv4_address_is_refused_in_a_sentence(service: Any, says: bytes, told: str) -> None:
    with pytest.raises(BgdeployError, match=told):
        _asking(service, says).cidr()


def test_the_config_and_the_environment_say_who_is_let_in() -> None:
    def of(test: TestListener, **environ: str) -> Caller:
        config = Config(app="shop", load_balancer=LoadBalancer(test=test))
        return Caller.of(Settings("dev", config), environ)

    assert of(TestListener()) == Caller(True, "", CHECKIP)
    assert of(TestListener(allow=("vpc",))).wanted is False
    assert of(TestListener(caller_address="203.0.113.0/28")).cidr() == "203.0.113.0/28"
    assert of(TestListener(), BGDEPLOY_CHECKIP_URL="http://there/").service == "http://there/"
