"""Writes answers and errors by botocore's own service models, strictly.

An answer of ours with a member or value that the model lacks is a bug of ours and raises: no client would notice it,
and every user would trust it.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Mapping
from datetime import datetime, timezone
from functools import cache
from typing import Any
from xml.sax.saxutils import escape

from botocore.exceptions import DataNotFoundError
from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

from bgdeploy.sandbox.models import model
from bgdeploy.sandbox.wire import Answer, Request
from bgdeploy.sandbox.world import Call, RefusedError


def answer(request: Request, call: Call, result: Mapping[str, Any]) -> Answer:
    """Return `result` as the service would write it. Raises ValueError for what the model does not have."""
    operation = model(call.service).operation_model(call.operation)
    if request.protocol.startswith("rest-"):
        return _rest_answer(request.protocol, operation, result)
    if request.protocol == "json":
        return _json_answer(operation, result)
    if request.protocol == "ec2":
        return _ec2_answer(operation, result)
    return _query_answer(operation, result)


def _json_answer(operation: OperationModel, result: Mapping[str, Any]) -> Answer:
    shape = operation.output_shape
    plain = _to_json(result, shape) if shape is not None else {}
    version = operation.service_model.metadata.get("jsonVersion", "1.1")
    return Answer(200, json.dumps(plain).encode(), {"Content-Type": f"application/x-amz-json-{version}"})


def _ec2_answer(operation: OperationModel, result: Mapping[str, Any]) -> Answer:
    shape, name = operation.output_shape, operation.name
    inner = _to_xml(result, shape) if shape is not None else ""
    namespace = f"http://ec2.amazonaws.com/doc/{operation.service_model.api_version}/"
    body = (
        f'<{name}Response xmlns="{namespace}"><requestId>{uuid.uuid4()}</requestId>{inner}</{name}Response>'
    )
    return Answer(200, body.encode(), {"Content-Type": "text/xml"})


def _query_answer(operation: OperationModel, result: Mapping[str, Any]) -> Answer:
    shape, name = operation.output_shape, operation.name
    wrapper = (
        shape.serialization.get("resultWrapper", f"{name}Result") if shape is not None else f"{name}Result"
    )
    inner = _to_xml(result, shape) if shape is not None else ""
    namespace = operation.service_model.metadata.get("xmlNamespace", "").strip()
    body = (
        f'<{name}Response xmlns="{namespace}"><{wrapper}>{inner}</{wrapper}>'
        f"<ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata></{name}Response>"
    )
    return Answer(200, body.encode(), {"Content-Type": "text/xml"})


def _rest_answer(protocol: str, operation: OperationModel, result: Mapping[str, Any]) -> Answer:
    """Return an answer whose members are spread over its status, headers and body."""
    shape = operation.output_shape
    if shape is None:
        return Answer(int(operation.http.get("responseCode", 200)), b"")
    members = _members(result, shape)
    status, headers, rest = int(operation.http.get("responseCode", 200)), {}, {}
    for name, value in result.items():
        place = members[name].serialization.get("location")
        if place == "statusCode":
            status = int(_checked(value, members[name]))
        elif place == "header":
            headers[str(members[name].serialization.get("name", name))] = str(_checked(value, members[name]))
        else:
            rest[name] = value
    body = _rest_body(protocol, shape, rest)
    kind = "application/json" if protocol == "rest-json" else "application/xml"
    return Answer(status, body, {"Content-Type": kind, **headers})


def _rest_body(protocol: str, shape: StructureShape, rest: Mapping[str, Any]) -> bytes:
    payload = shape.serialization.get("payload")
    if payload and not isinstance(shape.members[payload], StructureShape):
        return bytes(rest.get(payload, b""))
    if protocol == "rest-json":
        return json.dumps(_to_json(rest, shape)).encode()
    return f"<{shape.name}>{_to_xml(rest, shape)}</{shape.name}>".encode() if rest else b""


def _to_json(value: Any, shape: Shape) -> Any:
    if value is None:
        return None
    if isinstance(shape, StructureShape):
        members = _members(value, shape)
        return {
            members[name].serialization.get("name", name): _to_json(item, members[name])
            for name, item in value.items()
            if item is not None
        }
    if isinstance(shape, ListShape):
        return [_to_json(item, shape.member) for item in value]
    if isinstance(shape, MapShape):
        return {name: _to_json(item, shape.value) for name, item in value.items()}
    if shape.type_name == "timestamp":
        return _aware(value).timestamp()
    if shape.type_name == "blob":
        return base64.b64encode(value).decode()
    return _checked(value, shape)


def _to_xml(value: Any, shape: Shape) -> str:
    """Return the inside of the element that `value` is written in."""
    if isinstance(shape, StructureShape):
        members = _members(value, shape)
        return "".join(_element(members[key], key, item) for key, item in value.items() if item is not None)
    if isinstance(shape, ListShape):
        tag = shape.member.serialization.get("name", "member")
        return "".join(f"<{tag}>{_to_xml(item, shape.member)}</{tag}>" for item in value)
    if isinstance(shape, MapShape):
        return "".join(
            f"<entry><key>{escape(str(key))}</key><value>{_to_xml(item, shape.value)}</value></entry>"
            for key, item in value.items()
        )
    match shape.type_name:
        case "timestamp":
            return _aware(value).astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        case "boolean":
            return "true" if _checked(value, shape) else "false"
        case "blob":
            return base64.b64encode(value).decode()
    return escape(str(_checked(value, shape)))


def _element(shape: Shape, key: str, value: Any) -> str:
    tag = shape.serialization.get("name", key)
    return f"<{tag}>{_to_xml(value, shape)}</{tag}>"


def _members(value: Mapping[str, Any], shape: StructureShape) -> Mapping[str, Shape]:
    unknown = value.keys() - shape.members.keys()
    if unknown:
        raise ValueError(f"{shape.name} has no member {', '.join(sorted(unknown))}")
    members: Mapping[str, Shape] = shape.members
    return members


_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
}


# AWS itself does not keep to its model here: a VPC endpoint is "available", where the model says "Available".
_BESIDE_THE_MODEL = {
    "NetworkInterfaceType": ["nat_gateway"],
    "State": ["pending", "available", "deleting"],
}


def _checked(value: Any, shape: Shape) -> Any:
    if not isinstance(value, _TYPES[shape.type_name]) or (
        isinstance(value, bool) and shape.type_name != "boolean"
    ):
        raise ValueError(f"{shape.name} is a {shape.type_name}, not {value!r}")
    choices = list(shape.metadata.get("enum", ()))
    if choices and value not in (*choices, *_BESIDE_THE_MODEL.get(shape.name, ())):
        raise ValueError(f"{shape.name} is one of {', '.join(choices)}, not {value!r}")
    return value


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError(f"a time without a time zone: {value!r}")
    return value


def refusal(request: Request, error: RefusedError) -> Answer:
    """Return `error` in the shape that the request's protocol gives to errors."""
    name, code, status = _names(request.service, error)
    headers = {"x-amzn-RequestId": str(uuid.uuid4())}
    if request.protocol in {"json", "rest-json"}:
        body = json.dumps({"__type": name, "message": error.message, "Message": error.message})
        headers |= {"Content-Type": "application/x-amz-json-1.1", "x-amzn-ErrorType": name}
        if code != name:  # a service that spoke query before: its clients go by the code of then
            headers["x-amzn-query-error"] = f"{code};Sender"
    else:
        body = _xml_error(request, code, error.message, headers["x-amzn-RequestId"])
        headers["Content-Type"] = "text/xml"
    return Answer(status, body.encode(), headers)


def _xml_error(request: Request, code: str, message: str, ident: str) -> str:
    inner = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    if request.protocol == "ec2":
        return f"<Response><Errors><Error>{inner}</Error></Errors><RequestID>{ident}</RequestID></Response>"
    if request.service == "s3":
        return f"<Error>{inner}<RequestId>{ident}</RequestId></Error>"
    return f"<ErrorResponse><Error><Type>Sender</Type>{inner}</Error><RequestId>{ident}</RequestId></ErrorResponse>"


def throttled(request: Request) -> RefusedError:
    """Return the refusal of a call too many, as this service words it."""
    code, status = _THROTTLING.get(request.service, ("ThrottlingException", 400))
    if request.protocol == "query":
        code = "Throttling"
    return RefusedError(code, "Rate exceeded", status)


_THROTTLING = {
    "ec2": ("RequestLimitExceeded", 503),
    "s3": ("SlowDown", 503),
    "lambda": ("TooManyRequestsException", 429),
}


def _names(service: str, error: RefusedError) -> tuple[str, str, int]:
    """Return the name of the error's shape, its code, and its HTTP status.

    The code may be another word than the shape's name: elbv2's shape TargetGroupNotFoundException is written
    TargetGroupNotFound. Handlers may raise either.
    """
    shape = _error_shape(service, error.code)
    if shape is None:
        return error.code, error.code, error.status
    written = shape.metadata.get("error", {})
    status = error.status if error.status != 400 else int(written.get("httpStatusCode", 400))
    return shape.name, str(written.get("code", shape.name)), status


@cache
def _error_shape(service: str, code: str) -> Shape | None:
    try:
        shapes = model(service).error_shapes
    except DataNotFoundError:  # a request for no service at all: its errors are written as they stand
        return None
    for shape in shapes:
        if code in (shape.name, shape.metadata.get("error", {}).get("code")):
            return shape
    return None
