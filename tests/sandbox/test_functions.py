"""Lambda functions: how they come to be, and how they run."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bgdeploy.clock import SystemClock
from bgdeploy.sandbox.functions import Outcome
from bgdeploy.sandbox.server import build_world, close_world
from bgdeploy.sandbox.world import RefusedError, Settings, World
from tests.clocks import HandClock

_BASIC = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"


class Lambda:
    """A world with functions in it, and a role for them."""

    def __init__(self, world: World, clock: HandClock) -> None:
        self.world = world
        self.clock = clock
        self.client = world.client("lambda")
        self.role = self.make_role("hook", "lambda.amazonaws.com", policy=_BASIC)
        clock.advance(60)
        self._made = 0

    def make_role(self, name: str, service: str, policy: str = "") -> str:
        iam = self.world.client("iam")
        trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]
        if policy:
            iam.attach_role_policy(RoleName=name, PolicyArn=policy)
        return str(made["Arn"])

    def create(self, code: str = "", **settings: Any) -> str:
        """Create a function and return its name."""
        self._made += 1
        name = f"function-{self._made}"
        asked = {"Runtime": "python3.12", "Handler": "index.handler", "Role": self.role, "Timeout": 600}
        self.client.create_function(
            FunctionName=name, Code={"ZipFile": zipped(code)}, **{**asked, **settings}
        )
        return name

    def ready(self, code: str = "", **settings: Any) -> str:
        """Create a function, wait until it is active, and return its name."""
        name = self.create(code, **settings)
        self.clock.advance(60)
        return name

    def invoke(self, name: str, event: Any = None) -> tuple[Any, str | None]:
        """Return what an invocation returned, and Lambda's word for its failure."""
        answer = self.client.invoke(FunctionName=name, Payload=json.dumps(event or {}))
        return json.loads(answer["Payload"].read()), answer.get("FunctionError")

    def log(self, name: str) -> list[str]:
        self.world.functions.tick()
        logs = self.world.client("logs")
        try:
            events = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [event["message"] for event in events]

    def state(self, name: str) -> dict[str, Any]:
        told = self.client.get_function(FunctionName=name)["Configuration"]
        return {key: told.get(key) for key in ("State", "LastUpdateStatus")}


def zipped(code: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.py", code or "def handler(event, context):\n    return event\n")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def functions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lambda]:
    clock, home = HandClock(), tmp_path_factory.mktemp("functions")
    world, _gateway = build_world(
        Settings(home=home, speed=60.0), "AKIATEST", clock, ("logs", "functions", "alarms")
    )
    yield Lambda(world, clock)
    close_world(world)
    world.moto.reset()


def refused(code: str) -> Any:
    return pytest.raises(ClientError, match=code)


# Coming to be


def test_a_role_that_lambda_cannot_assume_is_refused(functions: Lambda) -> None:
    other = functions.make_role("codedeploy", "codedeploy.amazonaws.com")
    young = functions.make_role("young", "lambda.amazonaws.com")
    for role in (other, young, "arn:aws:iam::123456789012:role/none"):
        with refused("InvalidParameterValueException.*cannot be assumed by Lambda"):
            functions.create(Role=role)
    functions.clock.advance(60)
    assert functions.create(Role=young)
    with refused("InvalidParameterValueException.*cannot be assumed by Lambda"):
        functions.create(Role=other)


def test_a_new_function_is_pending_until_it_is_active(functions: Lambda) -> None:
    name = functions.create()
    assert functions.state(name)["State"] == "Pending"
    with refused("ResourceConflictException.*Pending"):
        functions.invoke(name)
    with refused("ResourceConflictException.*Pending"):
        functions.client.update_function_configuration(FunctionName=name, Timeout=5)
    functions.clock.advance(60)
    assert functions.state(name) == {"State": "Active", "LastUpdateStatus": "Successful"}
    assert functions.invoke(name, {"a": 1}) == ({"a": 1}, None)


def test_a_second_update_waits_for_the_first(functions: Lambda) -> None:
    name, client = functions.ready(), functions.client
    told = client.update_function_code(FunctionName=name, ZipFile=zipped("def handler(*_):\n    return 2\n"))
    assert told["LastUpdateStatus"] == "InProgress"
    with refused("ResourceConflictException.*An update is in progress for resource: arn:aws:lambda:"):
        client.update_function_configuration(FunctionName=told["FunctionArn"], Timeout=5)
    functions.clock.advance(60)
    client.update_function_configuration(FunctionName=name, Timeout=5)
    functions.clock.advance(60)
    assert client.get_function_configuration(FunctionName=name)["Timeout"] == 5
    assert functions.invoke(name) == (2, None)


def test_a_function_that_is_not_there_is_not_found(functions: Lambda) -> None:
    with refused("ResourceNotFoundException.*function:nothing"):
        functions.invoke("nothing")
    with pytest.raises(RefusedError, match="Function not found"):
        functions.world.functions.invoke("nothing", {}, lambda _outcome: None, "us-east-1")


# Running


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        ("raise ValueError('no such thing')", "ValueError", "no such thing"),
        ("import nothing_like_this", "ModuleNotFoundError", "nothing_like_this"),
        ("import os; os._exit(3)", "Runtime.ExitError", "exit status 3"),
        ("import sys; sys.exit(2)", "Runtime.ExitError", "2"),
        ("return object()", "TypeError", "not JSON serializable"),
    ],
)
def test_a_function_that_fails_is_reported_as_lambda_does(
    functions: Lambda, body: str, kind: str, says: str
) -> None:
    told, error = functions.invoke(functions.ready(f"def handler(event, context):\n    {body}\n"))
    assert error == "Unhandled"
    assert told["errorType"] == kind
    assert says in told["errorMessage"]


def test_a_function_that_takes_too_long_is_ended(functions: Lambda) -> None:
    name = functions.ready("import time\ndef handler(*_):\n    time.sleep(60)\n", Timeout=3)
    began = SystemClock().monotonic()
    told, error = functions.invoke(name)
    assert (told["errorType"], error) == ("Sandbox.Timedout", "Unhandled")
    assert "Task timed out after 3.00 seconds" in told["errorMessage"]
    assert SystemClock().monotonic() - began < 10


def test_a_function_sees_its_own_environment_and_not_its_users(
    functions: Lambda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_USER", "hush")
    code = "import os\ndef handler(event, context):\n    return dict(os.environ)\n"
    told, _ = functions.invoke(functions.ready(code, Environment={"Variables": {"BUCKET": "mine"}}))
    assert told["BUCKET"] == "mine"
    assert told["AWS_SESSION_TOKEN"] == functions.role
    assert "SECRET_OF_THE_USER" not in told


def test_the_time_that_is_left_runs_as_fast_as_awss(functions: Lambda) -> None:
    code = (
        "import time\ndef handler(event, context):\n    first = context.get_remaining_time_in_millis()\n"
        "    time.sleep(0.1)\n    return [first, first - context.get_remaining_time_in_millis()]\n"
    )
    (first, passed), _ = functions.invoke(functions.ready(code))
    assert 500_000 < first <= 600_000
    assert passed >= 6000  # a tenth of a second at speed 60


def test_what_a_function_prints_is_its_log(functions: Lambda) -> None:
    name = functions.ready("def handler(event, context):\n    print('hello')\n")
    functions.invoke(name)
    lines = functions.log(name)
    assert [line.split()[0] for line in lines] == ["START", "hello", "END", "REPORT"]


def test_a_function_whose_role_may_not_write_logs_has_none(functions: Lambda) -> None:
    mute = functions.make_role("mute", "lambda.amazonaws.com")
    functions.clock.advance(60)
    name = functions.ready(Role=mute)
    functions.invoke(name)
    assert functions.log(name) == []


def test_an_invocation_that_nobody_waits_for_tells_its_end_in_a_tick(functions: Lambda) -> None:
    outcomes: list[Outcome] = []
    name, clock = functions.ready(), SystemClock()
    functions.world.functions.invoke(name, {"n": 1}, outcomes.append, "us-east-1")
    deadline = clock.monotonic() + 10
    while not outcomes and clock.monotonic() < deadline:
        functions.world.functions.tick()
        clock.sleep(0.02)
    assert [(json.loads(each.payload), each.error) for each in outcomes] == [({"n": 1}, None)]


def test_the_tail_of_the_log_comes_with_the_answer_when_asked_for(functions: Lambda) -> None:
    name = functions.ready("def handler(event, context):\n    print('hello')\n")
    answer = functions.client.invoke(FunctionName=name, LogType="Tail")
    assert answer["StatusCode"] == 200
    assert answer["LogResult"]


@pytest.mark.parametrize(("kind", "status"), [("DryRun", 204), ("Event", 202)])
def test_other_kinds_of_invocation_answer_at_once(functions: Lambda, kind: str, status: int) -> None:
    answer = functions.client.invoke(FunctionName=functions.ready(), InvocationType=kind)
    assert answer["StatusCode"] == status


_CONNECT = """
import socket
def handler(event, context):
    for place in event:
        try:
            socket.create_connection(tuple(place), timeout=0.2).close()
        except TimeoutError:
            return "timeout"
    return "open"
"""


def test_a_function_in_a_vpc_reaches_nothing_that_its_network_does_not_lead_to(functions: Lambda) -> None:
    ec2 = functions.world.client("ec2")
    subnet = ec2.describe_subnets()["Subnets"][0]
    group = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [subnet["VpcId"]]}])
    role = functions.make_role("inside", "lambda.amazonaws.com")
    functions.clock.advance(60)
    place = {"SubnetIds": [subnet["SubnetId"]], "SecurityGroupIds": [group["SecurityGroups"][0]["GroupId"]]}
    with refused("InvalidParameterValueException.*CreateNetworkInterface"):
        functions.create(_CONNECT, Role=role, VpcConfig=place)
    allowed = {"Effect": "Allow", "Action": "ec2:CreateNetworkInterface", "Resource": "*"}
    functions.world.client("iam").put_role_policy(
        RoleName="inside",
        PolicyName="vpc",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
    )
    functions.clock.advance(60)
    name = functions.create(_CONNECT, Role=role, VpcConfig=place)
    functions.clock.advance(60)
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        there = ["127.0.0.1", server.server_port]
        assert functions.invoke(name, [there]) == ("timeout", None)
        assert functions.invoke(functions.ready(_CONNECT), [there]) == ("open", None)
