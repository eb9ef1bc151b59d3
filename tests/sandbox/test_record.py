"""The calls that a sandbox writes down for those who measure and judge its callers."""

from __future__ import annotations

import io
import json
import zipfile
from time import monotonic
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from bgdeploy.sandbox import control
from bgdeploy.sandbox.control import Running, SandboxError
from bgdeploy.sandbox.record import Record, Recorded
from bgdeploy.sandbox.server import Server
from tests.sandbox.conftest import Connect, Serve

_TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)


def _running(server: Server) -> Running:
    home = str(server.settings.home)
    return Running(server.endpoint, server.access_key, server.secret_key, "us-east-1", 0, home, 10.0)


def _names(server: Server) -> list[tuple[str, str]]:
    return [(call.service, call.operation) for call in control.calls(_running(server))]


def test_a_call_is_known_by_its_service_and_operation_whatever_its_protocol(
    serve: Serve, connect: Connect
) -> None:
    server = serve("buckets")
    connect(server, "ecs").create_cluster(clusterName="mine")
    connect(server, "ec2").describe_vpcs()
    connect(server, "elbv2").describe_load_balancers()
    connect(server, "cloudwatch").describe_alarms()
    connect(server, "sts").get_caller_identity()
    connect(server, "ssm").describe_parameters()
    s3 = connect(server, "s3")
    s3.create_bucket(Bucket="mine")
    s3.put_object(Bucket="mine", Key="a/b c", Body=b"1")
    s3.list_objects_v2(Bucket="mine")
    connect(server, "lambda").list_functions()
    connect(server, "resourcegroupstaggingapi").get_resources()
    assert _names(server) == [
        ("ecs", "CreateCluster"),
        ("ec2", "DescribeVpcs"),
        ("elbv2", "DescribeLoadBalancers"),
        ("cloudwatch", "DescribeAlarms"),
        ("sts", "GetCallerIdentity"),
        ("ssm", "DescribeParameters"),
        ("s3", "CreateBucket"),
        ("s3", "PutObject"),
        ("s3", "ListObjectsV2"),
        ("lambda", "ListFunctions"),
        ("resourcegroupstaggingapi", "GetResources"),
    ]


def test_a_call_is_read_once(serve: Serve, connect: Connect) -> None:
    server = serve()
    connect(server, "ecs").list_clusters()
    first, second = _names(server), _names(server)
    assert (first, second) == ([("ecs", "ListClusters")], [])


def test_what_the_sandbox_asks_itself_is_not_written_down(serve: Serve) -> None:
    server = serve()
    server.world.client("ecs").list_clusters()
    control.status(_running(server))
    assert _names(server) == []


def test_a_call_of_a_stranger_is_not_written_down(serve: Serve, connect: Connect) -> None:
    server = serve()
    with pytest.raises(ClientError):
        connect(server, "ecs", key="AKIAIOSFODNN7EXAMPLE").list_clusters()
    assert _names(server) == []


def test_a_call_that_failed_is_told_from_one_that_did_not(serve: Serve, connect: Connect) -> None:
    server = serve("codedeploy")
    with pytest.raises(ClientError):
        connect(server, "iam").get_role(RoleName="nobody")
    with pytest.raises(ClientError):
        connect(server, "codedeploy").get_application(applicationName="nothing")
    connect(server, "ecs").list_clusters()
    assert [call.failed for call in control.calls(_running(server))] == [True, True, False]


@pytest.mark.parametrize("fault", ["throttle", "error", "reset"])
def test_a_call_that_met_a_fault_has_failed(serve: Serve, connect: Connect, fault: str) -> None:
    server = serve(faults={fault: 0.99}, seed=1)
    for _ in range(4):
        with pytest.raises((ClientError, ConnectionClosedError)):
            connect(server, "ecs").list_clusters()
    assert [call.failed for call in control.calls(_running(server))] == [True] * 4


def test_a_call_lasts_from_its_request_to_its_answer_on_a_clock_that_all_processes_share(
    serve: Serve, connect: Connect
) -> None:
    server = serve(latency=0.2)
    before = monotonic()
    connect(server, "ecs").list_clusters()
    after = monotonic()
    call = control.calls(_running(server))[0]
    assert before <= call.began < call.ended <= after
    assert call.ended - call.began >= 0.2


def test_nobody_reads_the_calls_without_the_key(serve: Serve) -> None:
    running = _running(serve())
    stranger = Running(**{**vars(running), "access_key": "AKIAIOSFODNN7EXAMPLE"})
    with pytest.raises(SandboxError, match="refused calls"):
        control.calls(stranger)


def test_a_call_by_a_role_names_the_role(serve: Serve) -> None:
    server = serve()
    role = "arn:aws:iam::123456789012:role/hook"
    session = boto3.Session(server.access_key, "secret", role, region_name="us-east-1")
    create: Any = session.client
    create("ecs", endpoint_url=server.endpoint).list_clusters()
    assert [call.role for call in control.calls(_running(server))] == [role]


def test_a_function_calls_as_its_role(serve: Serve, connect: Connect) -> None:
    server = serve("logs", "functions", role_delay=0)
    role = connect(server, "iam").create_role(RoleName="hook", AssumeRolePolicyDocument=_TRUST)["Role"]
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr(
            "index.py", "import boto3\ndef handler(*_):\n    boto3.client('ecs').list_clusters()\n"
        )
    functions = connect(server, "lambda")
    functions.create_function(
        FunctionName="hook",
        Runtime="python3.12",
        Handler="index.handler",
        Role=role["Arn"],
        Code={"ZipFile": code.getvalue()},
        Timeout=300,
    )
    functions.get_waiter("function_active_v2").wait(FunctionName="hook")
    answer = functions.invoke(FunctionName="hook")
    assert "FunctionError" not in answer, answer["Payload"].read()
    roles = {(call.operation, call.role) for call in control.calls(_running(server))}
    assert roles == {
        ("CreateRole", ""),
        ("CreateFunction", ""),
        ("GetFunction", ""),
        ("Invoke", ""),
        ("ListClusters", role["Arn"]),
    }


def test_the_oldest_calls_are_lost_when_nobody_reads_them() -> None:
    record = Record()
    for number in range(100_001):
        record.add(Recorded("ecs", "ListClusters", "", False, float(number), float(number)))
    kept = list(record.take())
    assert (len(kept), kept[0].began) == (100_000, 1.0)
