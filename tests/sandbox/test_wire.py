"""Requests and answers against botocore's own writer and reader of them."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore.model import Shape
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bgdeploy.sandbox import parser, serializer
from bgdeploy.sandbox.models import model
from bgdeploy.sandbox.wire import Request
from bgdeploy.sandbox.world import Call, RefusedError
from tests.sandbox.shapes import values

_PROTOCOLS = {"elbv2": "query", "cloudwatch": "json", "ec2": "ec2"}
_SIGNED_AS = {"elbv2": "elasticloadbalancing", "cloudwatch": "monitoring"}
_READ = [
    ("codedeploy", "CreateDeploymentGroup"),
    ("codedeploy", "CreateDeployment"),
    ("ecs", "CreateService"),
    ("logs", "PutLogEvents"),
    ("cloudwatch", "PutMetricData"),
    ("elbv2", "CreateListener"),
    ("elbv2", "RegisterTargets"),
    ("elbv2", "ModifyTargetGroup"),
    ("ec2", "CreateNatGateway"),
    ("ec2", "CreateVpcEndpoint"),
    ("ec2", "DescribeNetworkInterfaces"),
]
_WRITTEN = [
    ("codedeploy", "GetDeployment"),
    ("codedeploy", "BatchGetDeploymentTargets"),
    ("ecs", "CreateTaskSet"),
    ("logs", "FilterLogEvents"),
    ("cloudwatch", "DescribeAlarmHistory"),
    ("elbv2", "DescribeTargetHealth"),
    ("elbv2", "DescribeTargetGroups"),
    ("elbv2", "CreateRule"),
    ("ec2", "CreateNatGateway"),
    ("ec2", "DescribeVpcEndpoints"),
    ("ec2", "DeleteVpcEndpoints"),
]
_few = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))


def _shape(shape: Shape | None) -> Shape:
    assert shape is not None
    return shape


def _written(service: str, operation: str, params: dict[str, Any]) -> Request:
    """Return the request that botocore would send."""
    protocol = _PROTOCOLS.get(service, "json")
    written = create_serializer(protocol, include_validation=False).serialize_to_request(
        params, model(service).operation_model(operation)
    )
    body = written["body"]
    headers = {name.lower(): value for name, value in written["headers"].items()}
    scope = f"KEY/20260105/eu-west-1/{_SIGNED_AS.get(service, service)}/aws4_request"
    headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=00"
    encoded = urlencode(body).encode() if isinstance(body, dict) else body
    return Request("POST", "/", "", headers, encoded)


@pytest.mark.parametrize(("service", "operation"), _READ)
@_few
@given(st.data())
def test_what_botocore_writes_is_read_as_it_was_meant(
    service: str, operation: str, data: st.DataObject
) -> None:
    params = data.draw(values(_shape(model(service).operation_model(operation).input_shape)))
    call = parser.parse(_written(service, operation, params))
    assert call == Call(service, operation, params, "eu-west-1")


@pytest.mark.parametrize(("service", "operation"), _WRITTEN)
@_few
@given(st.data())
def test_what_we_write_is_read_by_botocore_as_we_meant_it(
    service: str, operation: str, data: st.DataObject
) -> None:
    shape = _shape(model(service).operation_model(operation).output_shape)
    result = data.draw(values(shape))
    protocol = _PROTOCOLS.get(service, "json")
    request = _written(service, operation, {})
    answer = serializer.answer(request, Call(service, operation, {}, "eu-west-1"), result)
    said = {"status_code": answer.status, "headers": dict(answer.headers), "body": answer.body}
    read = create_parser(protocol).parse(said, shape)
    read.pop("ResponseMetadata")
    assert read == result


def _refusal(service: str, operation: str, params: dict[str, Any]) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        parser.parse(_written(service, operation, params))
    return caught.value


def test_a_request_without_a_required_parameter_is_refused() -> None:
    error = _refusal("codedeploy", "CreateApplication", {"computePlatform": "ECS"})
    assert error.code == "ValidationException"
    assert "applicationName" in error.message


def test_a_form_without_a_required_parameter_is_refused_in_the_words_of_query_services() -> None:
    assert _refusal("elbv2", "DescribeTargetHealth", {}).code == "ValidationError"


def test_a_number_that_is_none_is_refused_and_not_read_as_something() -> None:
    request = _written("elbv2", "CreateTargetGroup", {"Name": "blue"})
    request = Request("POST", "/", "", request.headers, request.body + b"&Port=eighty")
    with pytest.raises(RefusedError, match="Port"):
        parser.parse(request)


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"'])
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    written = _written("ecs", "ListClusters", {})
    with pytest.raises(RefusedError) as caught:
        parser.parse(Request("POST", "/", "", written.headers, body))
    assert caught.value.code == "SerializationException"


def test_an_empty_list_in_a_form_is_a_list_and_not_left_out() -> None:
    call = parser.parse(
        _written("elbv2", "SetSecurityGroups", {"LoadBalancerArn": "a", "SecurityGroups": []})
    )
    assert call.params["SecurityGroups"] == []


def test_an_operation_that_the_service_does_not_have_is_refused() -> None:
    headers = {"x-amz-target": "CodeDeploy_20141006.Undeploy"}
    with pytest.raises(RefusedError, match="Undeploy"):
        parser.parse(Request("POST", "/", "", headers, b"{}"))


def _answer(service: str, operation: str, result: dict[str, Any]) -> bytes:
    call = Call(service, operation, {}, "us-east-1")
    return serializer.answer(_written(service, operation, {}), call, result).body


@pytest.mark.parametrize(
    "result",
    [
        {"deploymentInfo": {"deploymentID": "d-1"}},
        {"deploymentInfo": {"status": "Done"}},
        {"deploymentInfo": {"description": 5}},
        {"deploymentInfo": {"createTime": datetime(2026, 1, 5)}},  # noqa: DTZ001 - the naive time is the point
        {"deploymentInfo": {"deploymentOverview": {"Pending": True}}},
    ],
    ids=["unknown member", "unknown enum value", "wrong type", "time without zone", "boolean for a number"],
)
def test_an_answer_that_the_model_does_not_allow_raises(result: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"deploymentID|Done|5|zone|True"):
        _answer("codedeploy", "GetDeployment", result)


def test_members_without_a_value_are_left_out_of_an_answer() -> None:
    info = {
        "deploymentId": "d-1",
        "completeTime": None,
        "createTime": datetime(2026, 1, 5, tzinfo=timezone.utc),
    }
    read = json.loads(_answer("codedeploy", "GetDeployment", {"deploymentInfo": info}))
    assert read == {"deploymentInfo": {"deploymentId": "d-1", "createTime": 1767571200.0}}


def _parsed_error(service: str, protocol: str, error: RefusedError) -> dict[str, Any]:
    answer = serializer.refusal(_written(service, model(service).operation_names[0], {}), error)
    said = {
        "status_code": answer.status,
        "headers": {k.lower(): v for k, v in answer.headers.items()},
        "body": answer.body,
    }
    shape = model(service).operation_model(model(service).operation_names[0]).output_shape
    return dict(create_parser(protocol).parse(said, shape))  # type: ignore[arg-type] # it takes no shape too


def test_an_error_of_a_json_service_is_read_by_botocore() -> None:
    read = _parsed_error(
        "codedeploy", "json", RefusedError("DeploymentLimitExceededException", "one <at> a time")
    )
    assert read["Error"]["Code"] == "DeploymentLimitExceededException"
    assert read["Error"]["Message"] == "one <at> a time"
    assert read["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.parametrize("code", ["TargetGroupNotFound", "TargetGroupNotFoundException"])
def test_an_error_of_elbv2_carries_its_code_and_not_the_name_of_its_shape(code: str) -> None:
    read = _parsed_error("elbv2", "query", RefusedError(code, "no <group>"))
    assert read["Error"]["Code"] == "TargetGroupNotFound"
    assert read["Error"]["Message"] == "no <group>"


def test_cloudwatch_clients_read_the_code_of_its_older_protocol() -> None:
    read = _parsed_error("cloudwatch", "json", RefusedError("LimitExceededFault", "too many"))
    assert read["Error"]["Code"] == "LimitExceeded"


@pytest.mark.parametrize(
    ("service", "protocol", "code", "status"),
    [("ecs", "json", "ThrottlingException", 400), ("elbv2", "query", "Throttling", 400)],
)
def test_each_protocol_words_a_throttled_call_its_own_way(
    service: str, protocol: str, code: str, status: int
) -> None:
    request = _written(service, model(service).operation_names[0], {})
    read = _parsed_error(service, protocol, serializer.throttled(request))
    assert (read["Error"]["Code"], read["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
