"""Reads requests by botocore's own service models: what a model does not know is refused as AWS would refuse it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any
from xml.etree import ElementTree

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape
from botocore.validate import ParamValidator

from bgdeploy.sandbox import rest
from bgdeploy.sandbox.models import model
from bgdeploy.sandbox.wire import Request
from bgdeploy.sandbox.world import Call, RefusedError


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
    shape = operation.input_shape
    if shape is None:
        return {}
    if request.protocol.startswith("rest-"):
        return _read_rest(request, operation.name, shape)
    if request.protocol == "json":
        return dict(_from_json(_json_object(request.body), shape))
    return dict(_from_form(request.form, shape, "", ec2=request.protocol == "ec2") or {})


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        written = json.loads(body or b"{}")
    except ValueError as error:
        raise RefusedError("SerializationException", f"the request is not JSON: {error}") from None
    if not isinstance(written, dict):
        raise RefusedError("SerializationException", "Start of structure or map found where not expected.")
    return written


def _read_rest(request: Request, operation: str, shape: StructureShape) -> dict[str, Any]:
    """Return the members of a request that are spread over its path, query, headers and body."""
    places: dict[str, Mapping[str, str]] = {
        "uri": rest.labels(request.service, operation, request.path),
        "querystring": request.arguments,
        "header": request.headers,
    }
    found: dict[str, Any] = {}
    for name, member in shape.members.items():
        place = member.serialization.get("location", "body")
        written = member.serialization.get("name", name)
        told = places.get(place, {}).get(written.lower() if place == "header" else written)
        if told is not None:
            found[name] = _scalar(told, member)
    return found | _read_body(request, shape)


def _read_body(request: Request, shape: StructureShape) -> dict[str, Any]:
    payload: str = shape.serialization.get("payload", "")
    if not request.body:
        return {}
    member = shape.members[payload] if payload else shape
    if not isinstance(member, StructureShape):
        return {payload: request.body}
    if request.protocol == "rest-json":
        read = dict(_from_json(_json_object(request.body), member))
    else:
        read = dict(_from_xml(_xml(request.body), member))
    return {payload: read} if payload else read


def _xml(body: bytes) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        message = "The XML you provided was not well-formed or did not validate against our published schema"
        raise RefusedError("MalformedXML", message) from error


def _from_xml(element: ElementTree.Element, shape: Shape) -> Any:
    """Return what an element says; names are compared without their namespaces."""
    if isinstance(shape, StructureShape):
        found = {}
        for name, member in shape.members.items():
            children = _children(element, member.serialization.get("name", name))
            if children and isinstance(member, ListShape) and member.serialization.get("flattened"):
                found[name] = [_from_xml(child, member.member) for child in children]
            elif children:
                found[name] = _from_xml(children[0], member)
        return found
    if isinstance(shape, ListShape):
        tag = shape.member.serialization.get("name", "member")
        return [_from_xml(child, shape.member) for child in _children(element, tag)]
    return _scalar(element.text or "", shape)


def _children(element: ElementTree.Element, tag: str) -> list[ElementTree.Element]:
    return [child for child in element if child.tag.rpartition("}")[2] == tag]


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
    if not _says(form, prefix):
        return None
    if isinstance(shape, StructureShape):
        found = {
            name: _from_form(form, member, _joined(prefix, _form_name(name, member, ec2=ec2)), ec2=ec2)
            for name, member in shape.members.items()
        }
        return {name: value for name, value in found.items() if value is not None} or None
    if isinstance(shape, ListShape):
        flat = ec2 or shape.serialization.get("flattened")
        stem = prefix if flat else _joined(prefix, shape.member.serialization.get("name", "member"))
        items = _numbered(form, shape.member, stem, ec2=ec2)
        nothing = form.get(prefix) == ""  # how botocore writes an empty list
        return items if items or nothing else None
    if isinstance(shape, MapShape):
        entries = _numbered(form, _Entry(shape), _joined(prefix, "entry"), ec2=ec2)
        return {entry["key"]: entry["value"] for entry in entries} or None
    return _scalar(form[prefix], shape) if prefix in form else None


def _says(form: Mapping[str, str], prefix: str) -> bool:
    """Return whether the form has anything at or below `prefix`."""
    return not prefix or any(key == prefix or key.startswith(f"{prefix}.") for key in form)


class _Entry(StructureShape):
    """One entry of a map in a form: a structure of key and value."""

    def __init__(self, shape: MapShape) -> None:
        self.members = {"key": shape.key, "value": shape.value}


def _numbered(form: Mapping[str, str], member: Shape, stem: str, *, ec2: bool) -> list[Any]:
    items: list[Any] = []
    while _says(form, f"{stem}.{len(items) + 1}"):
        items.append(_from_form(form, member, f"{stem}.{len(items) + 1}", ec2=ec2))
    return items


def _form_name(name: str, member: Shape, *, ec2: bool) -> str:
    if ec2:
        written = member.serialization.get("queryName") or member.serialization.get("name", name)
        return str(written[0].upper() + written[1:])
    if isinstance(member, ListShape) and member.serialization.get("flattened"):
        return str(member.member.serialization.get("name", name))
    return str(member.serialization.get("name", name))


def _joined(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _scalar(value: Any, shape: Shape) -> Any:
    """Return the value that was written; what cannot be read stays as it is, and the validator refuses it."""
    try:
        return _converted(value, shape)
    except (ValueError, OverflowError):
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
    read = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    return read if read.tzinfo else read.replace(tzinfo=timezone.utc)
