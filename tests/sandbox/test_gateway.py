"""Who may come in, and who answers."""

from __future__ import annotations

import http.client
import threading
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timezone
from email.utils import parsedate_to_datetime
from time import monotonic
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from bgdeploy.sandbox.gateway import Gateway
from bgdeploy.sandbox.inprocess import InProcess
from bgdeploy.sandbox.server import Server
from bgdeploy.sandbox.world import PASS, Call, Deferred, Handler, RefusedError, World
from tests.clocks import HandClock
from tests.sandbox.conftest import KEY, Connect, MakeWorld, Serve

TARGET = {
    "X-Amz-Target": "AmazonEC2ContainerServiceV20141113.CreateCluster",
    "Content-Type": "application/x-amz-json-1.1",
}


def _signed(key: str) -> dict[str, str]:
    scope = f"{key}/20260105/us-east-1/ecs/aws4_request"
    return {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=00"}


def _post(
    server: Server, path: str = "/", body: str = '{"clusterName": "theirs"}', **headers: str
) -> tuple[int, str]:
    """Send what a program or a web page could send, and return the status and the text of the answer."""
    connection = http.client.HTTPConnection(server.endpoint.removeprefix("http://"), timeout=10)
    connection.request("POST", path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("ecs", "list_clusters", "UnrecognizedClientException"),
        ("elbv2", "describe_load_balancers", "InvalidClientTokenId"),
        ("ec2", "describe_vpcs", "AuthFailure"),
        ("s3", "list_buckets", "InvalidAccessKeyId"),
    ],
)
def test_another_access_key_is_refused_in_the_words_of_each_protocol(
    serve: Serve, connect: Connect, service: str, operation: str, code: str
) -> None:
    server = serve()
    with pytest.raises(ClientError) as caught:
        getattr(connect(server, service, key="AKIAIOSFODNN7EXAMPLE"), operation)()
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


@pytest.mark.parametrize(
    "stranger",
    [
        {"Authorization": _signed("AKIAIOSFODNN7EXAMPLE")["Authorization"]},
        {"Host": "attacker.example"},
        {"Host": "127.0.0.1.attacker.example:80"},
        {"Host": "[::1]attacker.example"},
        {"Origin": "https://attacker.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:8000"},
        {"Authorization": ""},
    ],
    ids=lambda headers: next(f"{name} {value[-22:]}" for name, value in headers.items()),
)
def test_a_stranger_is_refused_and_nothing_happens(
    serve: Serve, connect: Connect, stranger: Mapping[str, str]
) -> None:
    server = serve()
    status, text = _post(server, **{**TARGET, **_signed(server.access_key), **stranger})
    assert status == 403
    assert "<html" not in text.lower()
    assert connect(server, "ecs").list_clusters()["clusterArns"] == []


def test_its_owner_is_let_in_by_any_loopback_name(serve: Serve, connect: Connect) -> None:
    server = serve()
    status, _ = _post(server, Host="localhost", **TARGET, **_signed(server.access_key))
    assert status == 200
    assert len(connect(server, "ecs").list_clusters()["clusterArns"]) == 1


def test_the_key_for_the_sandboxes_own_routes_opens_nothing_else(serve: Serve) -> None:
    server = serve()
    assert _post(server, X_Bgdeploy_Key=server.access_key, **TARGET)[0] == 403


@pytest.mark.parametrize("key", ["", "AKIAIOSFODNN7EXAMPLE"])
def test_the_sandboxes_own_routes_want_the_key(serve: Serve, key: str) -> None:
    server = serve()
    assert _post(server, "/_sandbox/stop", X_Bgdeploy_Key=key)[0] == 403
    assert not server.stopping.is_set()


def test_a_web_page_cannot_reach_the_sandboxes_own_routes_even_with_the_key(serve: Serve) -> None:
    server = serve()
    headers = {"X-Bgdeploy-Key": server.access_key, "Origin": "null"}
    assert _post(server, "/_sandbox/stop", **headers)[0] == 403
    assert not server.stopping.is_set()


def test_motos_own_controls_are_not_reachable(serve: Serve, connect: Connect) -> None:
    server = serve()
    connect(server, "ecs").create_cluster(clusterName="mine")
    status, text = _post(server, "/moto-api/reset", "", **_signed(server.access_key))
    assert status == 501
    assert "moto-api" in text
    assert len(connect(server, "ecs").list_clusters()["clusterArns"]) == 1


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("codedeploy", "list_on_premises_instances", {}),
        ("ecs", "list_service_deployments", {"service": "web"}),
        ("cloudwatch", "list_managed_insight_rules", {"ResourceARN": "arn"}),
        ("elbv2", "describe_trust_store_associations", {"TrustStoreArn": "arn"}),
        ("ec2", "describe_ipam_pools", {}),
        ("lambda", "list_code_signing_configs", {}),
    ],
)
def test_what_nobody_can_answer_is_an_aws_error_that_names_it(
    serve: Serve, connect: Connect, service: str, operation: str, arguments: dict[str, Any]
) -> None:
    server = serve()
    with pytest.raises(ClientError, match="is not implemented in the sandbox") as caught:
        getattr(connect(server, service), operation)(**arguments)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert service in str(caught.value)


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("codebuild", "start_build", {"projectName": "web"}),
        ("codepipeline", "start_pipeline_execution", {"name": "web"}),
        ("logs", "start_query", {"startTime": 0, "endTime": 1, "queryString": "fields @message"}),
    ],
)
def test_what_moto_would_only_pretend_to_do_is_refused(
    serve: Serve, connect: Connect, service: str, operation: str, arguments: dict[str, Any]
) -> None:
    with pytest.raises(ClientError, match="is not implemented in the sandbox"):
        getattr(connect(serve(), service), operation)(**arguments)


def test_answers_tell_the_time_that_it_is_in_the_sandbox(make_world: MakeWorld, clock: HandClock) -> None:
    clock.advance(3600)
    headers = make_world().client("ecs").list_clusters()["ResponseMetadata"]["HTTPHeaders"]
    assert parsedate_to_datetime(headers["date"]).astimezone(timezone.utc) == clock.now()


def test_a_connection_serves_many_calls(serve: Serve) -> None:
    server = serve()
    connection = http.client.HTTPConnection(server.endpoint.removeprefix("http://"), timeout=10)
    used = set()
    for method in ("POST", "HEAD", "POST"):
        connection.request(method, "/", "{}", {**TARGET, **_signed(server.access_key)})
        used.add(connection.sock.getsockname() if connection.sock else None)
        connection.getresponse().read()
    connection.close()
    assert len(used) == 1


def test_calls_wait_their_latency_side_by_side(serve: Serve, connect: Connect) -> None:
    server = serve(latency=0.2)
    ecs = connect(server, "ecs")
    ecs.list_clusters()
    began = monotonic()
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: ecs.list_clusters(), range(10)))
    assert 0.2 <= monotonic() - began < 1.2  # one after the other they would take 2 s


def _outcomes(server: Server, ecs: Any) -> list[str]:
    said = []
    for _ in range(30):
        try:
            ecs.list_clusters()
            said.append("ok")
        except ClientError as error:
            said.append(error.response["Error"]["Code"])
        except ConnectionClosedError:
            said.append("reset")
    return said


def test_faults_come_as_often_as_asked_and_repeat_by_their_seed(serve: Serve, connect: Connect) -> None:
    settings: dict[str, Any] = {"faults": {"throttle": 0.3, "error": 0.2, "reset": 0.2}, "seed": 7}
    first, second = serve(**settings), serve(**settings)
    said = _outcomes(first, connect(first, "ecs"))
    assert set(said) == {"ok", "ThrottlingException", "InternalFailure", "reset"}
    assert said == _outcomes(second, connect(second, "ecs"))


def test_half_of_the_lost_answers_are_lost_after_the_call_was_carried_out(
    serve: Serve, connect: Connect
) -> None:
    server = serve(faults={"reset": 0.5}, seed=7)
    ecs, lost = connect(server, "ecs"), []
    for number in range(24):
        try:
            ecs.create_cluster(clusterName=f"c{number}")
        except ConnectionClosedError:
            lost.append(f"c{number}")
    made = {arn.rpartition("/")[2] for arn in server.world.client("ecs").list_clusters()["clusterArns"]}
    carried_out = [name for name in lost if name in made]
    assert len(lost) // 4 <= len(carried_out) <= 3 * len(lost) // 4
    assert len(made) == 24 - len(lost) + len(carried_out)


def test_faults_do_not_befall_the_sandboxes_own_calls(serve: Serve) -> None:
    server = serve(faults={"throttle": 0.99})
    for _ in range(5):
        server.world.client("ecs").list_clusters()


def test_objects_come_back_as_they_were_put(serve: Serve, connect: Connect) -> None:
    s3 = connect(serve(), "s3")
    s3.create_bucket(Bucket="mine")
    body = "<!doctype html>žluťoučký".encode()
    s3.put_object(
        Bucket="mine", Key="a b/ž.html", Body=body, ContentType="text/html", Metadata={"my_key": "1"}
    )
    got = s3.get_object(Bucket="mine", Key="a b/ž.html")
    assert (got["Body"].read(), got["ContentType"], got["Metadata"]) == (body, "text/html", {"my_key": "1"})


def test_the_sandbox_reads_the_same_object_keys_inside(serve: Serve, connect: Connect) -> None:
    server = serve()
    connect(server, "s3").create_bucket(Bucket="mine")
    server.world.client("s3").put_object(Bucket="mine", Key="a b/ž", Body=b"1")
    listed = connect(server, "s3").list_objects_v2(Bucket="mine")["Contents"]
    assert [item["Key"] for item in listed] == ["a b/ž"]


def test_a_presigned_url_opens_what_it_was_signed_for(serve: Serve, connect: Connect) -> None:
    s3 = connect(serve(), "s3")
    s3.create_bucket(Bucket="mine")
    s3.put_object(Bucket="mine", Key="k", Body=b"content")
    url = s3.generate_presigned_url("get_object", {"Bucket": "mine", "Key": "k"})
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.read() == b"content"


def test_a_bucket_goes_only_when_nothing_is_in_it_not_even_an_old_version(
    serve: Serve, connect: Connect
) -> None:
    s3 = connect(serve(), "s3")
    s3.create_bucket(Bucket="mine")
    s3.put_bucket_versioning(Bucket="mine", VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket="mine", Key="k", Body=b"1")["VersionId"]
    marker = s3.delete_object(Bucket="mine", Key="k")["VersionId"]
    for left in (version, marker):
        with pytest.raises(ClientError, match="BucketNotEmpty"):
            s3.delete_bucket(Bucket="mine")
        s3.delete_object(Bucket="mine", Key="k", VersionId=left)
    s3.delete_bucket(Bucket="mine")
    assert s3.list_buckets()["Buckets"] == []


def test_a_conditional_put_of_s3_is_held_to_its_condition(serve: Serve, connect: Connect) -> None:
    s3 = connect(serve(), "s3")
    s3.create_bucket(Bucket="mine")
    s3.put_object(Bucket="mine", Key="claim", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket="mine", Key="claim", Body=b"2", IfNoneMatch="*")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412


# Parts


class Clerk:
    """A part that answers one operation with what it is told to."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    @property
    def operations(self) -> Mapping[tuple[str, str], Handler]:
        return {("codedeploy", "GetApplication"): self._handler}

    def tick(self) -> None:
        """Nothing becomes due."""

    def close(self) -> None:
        """Nothing to end."""


def _asking(world: World, handler: Handler) -> dict[str, Any]:
    """Return the answer to GetApplication in a world where `handler` answers it."""
    world.codedeploy = Clerk(handler)  # type: ignore[assignment]
    codedeploy = InProcess(Gateway(world, KEY), KEY)("codedeploy")
    answer: dict[str, Any] = codedeploy.get_application(applicationName="web")
    return answer


def test_a_part_answers_for_its_operation(make_world: MakeWorld) -> None:
    answer = _asking(
        make_world("images"),
        lambda call: {"application": {"applicationName": call.params["applicationName"]}},
    )
    assert answer["application"] == {"applicationName": "web"}


def test_a_part_may_pass_an_operation_on_to_moto(make_world: MakeWorld) -> None:
    world = make_world("images")
    world.beneath("codedeploy").create_application(applicationName="web", computePlatform="ECS")
    assert _asking(world, lambda _: PASS)["application"]["computePlatform"] == "ECS"


def test_the_sandbox_goes_on_while_an_answer_takes_its_time(make_world: MakeWorld) -> None:
    world = make_world("images")

    def free() -> bool:
        taken = world.lock.acquire(timeout=5)
        if taken:
            world.lock.release()
        return taken

    def finish() -> dict[str, Any]:
        others: list[bool] = []
        other = threading.Thread(target=lambda: others.append(free()))
        other.start()
        other.join()
        return {"application": {"linkedToGitHub": others == [True]}}

    assert _asking(world, lambda _: Deferred(finish))["application"] == {"linkedToGitHub": True}


def test_a_refusal_of_a_part_arrives_as_the_services_own_exception(make_world: MakeWorld) -> None:
    def refuse(_: Call) -> dict[str, Any]:
        raise RefusedError("ApplicationDoesNotExistException", "No application found for name: web")

    with pytest.raises(ClientError) as caught:
        _asking(make_world("images"), refuse)
    assert type(caught.value).__name__ == "ApplicationDoesNotExistException"


def test_an_answer_that_the_model_lacks_is_a_failure_and_not_an_answer(make_world: MakeWorld) -> None:
    with pytest.raises(ClientError, match="the sandbox failed in codedeploy GetApplication"):
        _asking(make_world("images"), lambda _: {"app": {}})
