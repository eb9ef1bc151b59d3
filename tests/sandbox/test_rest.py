"""Operations that are named by method and path: found, read and answered by botocore's models."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bgdeploy.sandbox import parser, rest, serializer
from bgdeploy.sandbox.models import model, rest_protocol
from bgdeploy.sandbox.wire import Request
from bgdeploy.sandbox.world import Call, RefusedError
from tests.sandbox.shapes import values

_few = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
# Botocore names these twice, by the same method and path: nobody can tell which of the two was meant.
_TWINS = {
    "GetBucketLifecycle": "GetBucketLifecycleConfiguration",
    "GetBucketNotification": "GetBucketNotificationConfiguration",
    "PutBucketLifecycle": "PutBucketLifecycleConfiguration",
    "PutBucketNotification": "PutBucketNotificationConfiguration",
    "ListDirectoryBuckets": "ListBuckets",
}


def _filled(shape: Any) -> Any:
    """Return a value for every required member of a shape, and for nothing else."""
    match shape.type_name:
        case "structure":
            return {name: _filled(shape.members[name]) for name in shape.required_members}
        case "list":
            return [_filled(shape.member)]
        case "map":
            return {}
        case "timestamp":
            return datetime(2026, 1, 5, tzinfo=timezone.utc)
        case "boolean":
            return True
        case "integer" | "long":
            return 1
        case "blob":
            return b"x"
    return (shape.metadata.get("enum") or ["a-name"])[0]


def _written(service: str, operation: str, params: dict[str, Any]) -> Request:
    """Return the request that botocore would send."""
    written = create_serializer(rest_protocol(service), include_validation=False).serialize_to_request(
        params, model(service).operation_model(operation)
    )
    headers = {name.lower(): str(value) for name, value in written["headers"].items()}
    scope = f"KEY/20260105/eu-west-1/{service}/aws4_request"
    headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=00"
    from urllib.parse import unquote, urlsplit

    from botocore.awsrequest import prepare_request_dict

    prepare_request_dict(written, "http://127.0.0.1")
    url, body = urlsplit(written["url"]), written["body"]
    body = body.encode() if isinstance(body, str) else body
    return Request(written["method"], unquote(url.path), url.query, headers, body)


def _operations(service: str) -> list[tuple[str, str]]:
    return [(service, name) for name in model(service).operation_names]


@pytest.mark.parametrize(("service", "operation"), _operations("s3") + _operations("lambda"))
def test_every_operation_is_told_by_what_it_must_have(service: str, operation: str) -> None:
    shape = model(service).operation_model(operation).input_shape
    request = _written(service, operation, _filled(shape) if shape is not None else {})
    assert (request.service, request.operation) == (service, _TWINS.get(operation, operation))


@pytest.mark.parametrize(
    ("method", "path", "query", "operation"),
    [
        ("GET", "/", "", "ListBuckets"),
        ("GET", "/mine", "list-type=2&prefix=a", "ListObjectsV2"),
        ("GET", "/mine/", "prefix=a", "ListObjects"),
        ("GET", "/mine/a/b c/", "", "GetObject"),
        ("PUT", "/mine/a", "partNumber=1&uploadId=u", "UploadPart"),
        ("PUT", "/mine", "tagging", "PutBucketTagging"),
        ("PATCH", "/mine", "", ""),
    ],
)
def test_a_request_of_s3_has_its_operations_name(method: str, path: str, query: str, operation: str) -> None:
    headers = {"authorization": "AWS4-HMAC-SHA256 Credential=K/20260105/us-east-1/s3/aws4_request, "}
    assert Request(method, path, query, headers, b"").operation == operation


def test_a_service_that_there_is_none_such_has_no_operations() -> None:
    assert rest.operation("nothing", "GET", "/", {}, {}) == ""


@pytest.mark.parametrize(
    ("service", "operation", "label"),
    [("s3", "CreateBucket", "Bucket"), ("lambda", "Invoke", "FunctionName")],
)
@_few
@given(st.data())
def test_what_botocore_writes_is_read_as_it_was_meant(
    service: str, operation: str, label: str, data: st.DataObject
) -> None:
    shape = model(service).operation_model(operation).input_shape
    assert shape is not None
    drawn = data.draw(values(shape)) | {label: "a:name"}  # names have no slash, and an empty body is none
    params = {name: value for name, value in drawn.items() if value != b""}
    request = _written(service, operation, params)
    assert parser.parse(request) == Call(service, operation, params, "eu-west-1")


@pytest.mark.parametrize(
    ("service", "operation", "result"),
    [
        ("s3", "CreateBucket", {"Location": "/mine"}),
        ("s3", "DeleteBucketEncryption", {}),
        ("s3", "GetBucketLocation", {"LocationConstraint": "eu-west-1"}),
        ("lambda", "Invoke", {"StatusCode": 202, "FunctionError": "Unhandled", "Payload": "<1>"}),
        ("lambda", "GetAccountSettings", {"AccountUsage": {"FunctionCount": 3}}),
    ],
)
def test_what_we_write_is_read_by_botocore_as_we_meant_it(
    service: str, operation: str, result: dict[str, Any]
) -> None:
    described = model(service).operation_model(operation)
    written = {name: value.encode() if name == "Payload" else value for name, value in result.items()}
    call = Call(service, operation, {}, "eu-west-1")
    answer = serializer.answer(
        _written(service, "ListBuckets" if service == "s3" else "ListFunctions", {}), call, written
    )
    said = {"status_code": answer.status, "headers": dict(answer.headers), "body": answer.body}
    shape: Any = described.output_shape
    read = create_parser(rest_protocol(service)).parse(said, shape)
    assert read.pop("ResponseMetadata")["HTTPStatusCode"] == result.get(
        "StatusCode", described.http.get("responseCode", 200)
    )
    assert read == result


def test_a_body_that_is_no_xml_is_refused() -> None:
    request = _written("s3", "CreateBucket", {"Bucket": "mine"})
    broken = Request(request.method, request.path, request.query, request.headers, b"<Create")
    with pytest.raises(RefusedError) as caught:
        parser.parse(broken)
    assert caught.value.code == "MalformedXML"
