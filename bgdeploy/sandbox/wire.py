"""Reads requests and writes answers by botocore's own service models, strictly.

A request that the model does not know is refused as AWS would refuse it. An answer of ours with a member or value that
the model lacks is a bug of ours and raises: no client would notice it, and every user would trust it.
"""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cache, lru_cache
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from botocore.exceptions import DataNotFoundError
from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape
from botocore.validate import ParamValidator

from bgdeploy.sandbox.world import Call, RefusedError

# How a request names its service in the credential scope → botocore's name for it.
_SIGNING_NAMES = {"elasticloadbalancing": "elbv2", "monitoring": "cloudwatch"}
_INVOKE = re.compile(r"^/2015-03-31/functions/(?P<name>[^/]+)/invocations$")
_SCOPE = re.compile(r"Credential=(?P<key>[^/]+)/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")


@dataclass(frozen=True)
class Request:
    """An HTTP request, as far as the wire cares."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def scope(self) -> Mapping[str, str]:
        """The access key, region and service that the request was signed for; empty when it was not signed."""
        found = _SCOPE.search(self.headers.get("authorization", "")) or _SCOPE.search(
            "&".join(f"{k.replace('X-Amz-', '')}={v}" for k, v in parse_qsl(self.query))
        )
        return found.groupdict() if found else {}

    @property
    def service(self) -> str:
        """Botocore's name of the service asked; "" when the request does not say."""
        target = self.headers.get("x-amz-target", "").partition(".")[0]
        if target in _targets():
            return _targets()[target]
        name = self.scope.get("service", "")
        return _SIGNING_NAMES.get(name, name)

    @property
    def protocol(self) -> str:
        """How this request is written: json, query, ec2, rest-json or rest-xml."""
        if "x-amz-target" in self.headers:
            return "json"
        if self.service == "ec2":
            return "ec2"
        if self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return "query"
        return "rest-json" if self.service == "lambda" else "rest-xml"

    @property
    def operation(self) -> str:
        """The operation asked for, "" when only the service's own routes could tell."""
        if self.protocol == "json":
            return self.headers["x-amz-target"].rpartition(".")[2]
        if self.protocol in {"query", "ec2"}:
            return self.form.get("Action", "")
        return "Invoke" if self.method == "POST" and _INVOKE.match(self.path) else ""

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@cache
def model(service: str) -> ServiceModel:
    """Return botocore's model of `service`."""
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


@lru_cache(maxsize=1)
def _targets() -> dict[str, str]:
    """Return the X-Amz-Target prefixes of the services whose operations we answer."""
    services = ("codedeploy", "ecs", "logs", "cloudwatch", "ecr")
    return {model(name).metadata["targetPrefix"]: name for name in services}


# Requests


def parse(request: Request) -> Call:
    """Return the call that `request` writes. Raises RefusedError when its service's model does not allow it."""
    operation = _operation(request.service, request.operation)
    params = _read(request, operation)
    if operation.input_shape is not None:
        report = ParamValidator().validate(params, operation.input_shape)
        if report.has_errors():
            raise RefusedError(_invalid_code(request.protocol), report.generate_report())
    return Call(request.service, operation.name, params, request.scope.get("region", "us-east-1"))


def _operation(service: str, name: str) -> OperationModel:
    if name not in model(service).operation_names:
        raise RefusedError("InvalidAction", f"The action {name} is not valid for {service}.")
    return model(service).operation_model(name)


def _invalid_code(protocol: str) -> str:
    return "ValidationError" if protocol in {"query", "ec2"} else "ValidationException"


def _read(request: Request, operation: OperationModel) -> dict[str, Any]:
    if request.operation == "Invoke":
        return _read_invoke(request)
    shape = operation.input_shape
    if shape is None:
        return {}
    if request.protocol == "json":
        try:
            written = json.loads(request.body or b"{}")
        except ValueError as error:
            raise RefusedError("SerializationException", f"the request is not JSON: {error}") from None
        return dict(_from_json(written, shape))
    return dict(_from_form(request.form, shape, "", ec2=request.protocol == "ec2") or {})


def _read_invoke(request: Request) -> dict[str, Any]:
    from urllib.parse import unquote

    match = _INVOKE.match(request.path)
    asked = {
        "FunctionName": unquote(match.group("name")) if match else "",
        "InvocationType": request.headers.get("x-amz-invocation-type"),
        "LogType": request.headers.get("x-amz-log-type"),
        "Qualifier": dict(parse_qsl(request.query)).get("Qualifier"),
        "Payload": request.body,
    }
    return {name: value for name, value in asked.items() if value is not None}


def _from_json(value: Any, shape: Shape) -> Any:
    if value is None:
        return None
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        members = shape.members
        unknown = {name: item for name, item in value.items() if name not in members}
        known = {
            name: _from_json(item, members[name])
            for name, item in value.items()
            if name in members and item is not None
        }
        return known | unknown  # the validator refuses what it does not know
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [_from_json(item, shape.member) for item in value]
    if isinstance(shape, MapShape) and isinstance(value, dict):
        return {name: _from_json(item, shape.value) for name, item in value.items()}
    return _scalar(value, shape)


def _from_form(form: Mapping[str, str], shape: Shape, prefix: str, *, ec2: bool) -> Any:
    """Return what the form says under `prefix`, None when it says nothing (AWS query and EC2 protocols)."""
    if isinstance(shape, StructureShape):
        found = {
            name: _from_form(form, member, _joined(prefix, _form_name(name, member, ec2=ec2)), ec2=ec2)
            for name, member in shape.members.items()
        }
        return {name: value for name, value in found.items() if value is not None} or None
    if isinstance(shape, ListShape):
        flat = ec2 or shape.serialization.get("flattened")
        stem = prefix if flat else _joined(prefix, shape.member.serialization.get("name", "member"))
        empty = [] if form.get(prefix) == "" else None  # how botocore writes a list of nothing
        return _numbered(form, shape.member, stem, ec2=ec2) or empty
    if isinstance(shape, MapShape):
        entries = _numbered(form, _Entry(shape), _joined(prefix, "entry"), ec2=ec2)
        return {entry["key"]: entry["value"] for entry in entries} if entries else None
    return None if prefix not in form else _scalar(form[prefix], shape)


class _Entry(StructureShape):  # type: ignore[misc]
    """One entry of a map in a form: a structure of key and value."""

    def __init__(self, shape: MapShape) -> None:
        self.members = {"key": shape.key, "value": shape.value}


def _numbered(form: Mapping[str, str], member: Shape, stem: str, *, ec2: bool) -> list[Any] | None:
    items = []
    while any(
        key == f"{stem}.{len(items) + 1}" or key.startswith(f"{stem}.{len(items) + 1}.") for key in form
    ):
        item = _from_form(form, member, f"{stem}.{len(items) + 1}", ec2=ec2)
        items.append("" if item is None else item)
    return items or None


def _form_name(name: str, member: Shape, *, ec2: bool) -> str:
    if ec2:
        written = member.serialization.get("queryName") or member.serialization.get("name", name)
        return written[0].upper() + written[1:]
    if isinstance(member, ListShape) and member.serialization.get("flattened"):
        return str(member.member.serialization.get("name", name))
    return str(member.serialization.get("name", name))


def _joined(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _scalar(value: Any, shape: Shape) -> Any:
    """Return the value that was written; what cannot be read stays as it is, and the validator refuses it."""
    try:
        return _converted(value, shape)
    except ValueError:
        return value


def _converted(value: Any, shape: Shape) -> Any:
    match shape.type_name:
        case "timestamp":
            return _time(value)
        case "blob":
            return base64.b64decode(value) if isinstance(value, str) else value
        case "integer" | "long" if isinstance(value, str):
            return int(value)
        case "float" | "double" if isinstance(value, str):
            return float(value)
        case "boolean" if value in ("true", "false"):
            return value == "true"
    return value


def _time(value: Any) -> datetime:
    if isinstance(value, (int, float)):
        return datetime.fromtimestamp(value, timezone.utc)
    return datetime.fromisoformat(str(value).replace("Z", "+00:00"))


# Answers


def answer(request: Request, call: Call, result: Mapping[str, Any]) -> Answer:
    """Return `result` as the service would write it. Raises ValueError for what the model does not have."""
    operation = model(call.service).operation_model(call.operation)
    if call.operation == "Invoke":
        return _invoke_answer(result)
    shape = operation.output_shape
    if shape is None:
        result, shape_checked = {}, None
    else:
        shape_checked = shape
    if request.protocol == "json":
        plain = _to_json(result, shape_checked) if shape_checked is not None else {}
        version = operation.service_model.metadata.get("jsonVersion", "1.1")
        return Answer(200, json.dumps(plain).encode(), {"Content-Type": f"application/x-amz-json-{version}"})
    inner = _to_xml(result, shape_checked, call.operation) if shape_checked is not None else ""
    wrapper = (shape_checked.serialization if shape_checked is not None else {}).get("resultWrapper")
    wrapper = wrapper or f"{call.operation}Result"
    namespace = (operation.service_model.metadata.get("xmlNamespace") or "").strip()
    body = (
        f'<{call.operation}Response xmlns="{namespace}"><{wrapper}>{inner}</{wrapper}>'
        f"<ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata></{call.operation}Response>"
    )
    return Answer(200, body.encode(), {"Content-Type": "text/xml"})


def _invoke_answer(result: Mapping[str, Any]) -> Answer:
    headers = {"Content-Type": "application/json", "X-Amz-Executed-Version": "$LATEST"}
    if result.get("FunctionError"):
        headers["X-Amz-Function-Error"] = str(result["FunctionError"])
    if result.get("LogResult"):
        headers["X-Amz-Log-Result"] = str(result["LogResult"])
    return Answer(int(result.get("StatusCode", 200)), result.get("Payload", b""), headers)


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


def _to_xml(value: Any, shape: Shape, name: str) -> str:
    """Return the inside of the element that `value` is written in."""
    if isinstance(shape, StructureShape):
        members = _members(value, shape)
        return "".join(_element(members[key], key, item) for key, item in value.items() if item is not None)
    if isinstance(shape, ListShape):
        tag = shape.member.serialization.get("name", "member")
        return "".join(f"<{tag}>{_to_xml(item, shape.member, tag)}</{tag}>" for item in value)
    if isinstance(shape, MapShape):
        return "".join(
            f"<entry><key>{escape(str(key))}</key><value>{_to_xml(item, shape.value, 'value')}</value></entry>"
            for key, item in value.items()
        )
    if shape.type_name == "timestamp":
        return _aware(value).astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    if shape.type_name == "boolean":
        return "true" if _checked(value, shape) else "false"
    if shape.type_name == "blob":
        return base64.b64encode(value).decode()
    return escape(str(_checked(value, shape)))


def _element(shape: Shape, key: str, value: Any) -> str:
    tag = shape.serialization.get("name", key)
    return f"<{tag}>{_to_xml(value, shape, tag)}</{tag}>"


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


def _checked(value: Any, shape: Shape) -> Any:
    if not isinstance(value, _TYPES[shape.type_name]):
        raise ValueError(f"{shape.name} is a {shape.type_name}, not {value!r}")
    choices = shape.metadata.get("enum")
    if choices and value not in choices:
        raise ValueError(f"{shape.name} is one of {', '.join(choices)}, not {value!r}")
    return value


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError(f"a time without a time zone: {value!r}")
    return value


# Errors


def refusal(request: Request, error: RefusedError) -> Answer:
    """Return `error` in the shape that the request's protocol gives to errors."""
    name, code, status = _names(request.service, error)
    message, ident = error.message, str(uuid.uuid4())
    if request.protocol in {"json", "rest-json"}:
        body = json.dumps({"__type": name, "message": message, "Message": message}).encode()
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "x-amzn-ErrorType": name,
            "x-amzn-RequestId": ident,
        }
        if code != name:  # a service that spoke query before: its clients go by the code of then
            headers["x-amzn-query-error"] = f"{code};Sender"
        return Answer(status, body, headers)
    inner = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    if request.protocol == "ec2":
        text = f"<Response><Errors><Error>{inner}</Error></Errors><RequestID>{ident}</RequestID></Response>"
    elif request.service == "s3":
        text = f"<Error>{inner}<RequestId>{ident}</RequestId></Error>"
    else:
        text = f"<ErrorResponse><Error><Type>Sender</Type>{inner}</Error><RequestId>{ident}</RequestId></ErrorResponse>"
    return Answer(status, text.encode(), {"Content-Type": "text/xml", "x-amzn-RequestId": ident})


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
