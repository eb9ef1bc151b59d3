"""The REST protocols: which operation a method, a path and a query ask for, by botocore's model of the service."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from urllib.parse import parse_qsl

from botocore.exceptions import DataNotFoundError
from botocore.model import OperationModel

from bgdeploy.sandbox.models import model

_LABEL = re.compile(r"\{(?P<name>\w+)(?P<greedy>\+?)\}")


@dataclass(frozen=True)
class _Route:
    """What a request must have to be one for an operation."""

    operation: str
    method: str
    path: re.Pattern[str]
    query: Mapping[str, str | None]  # None: any value
    headers: frozenset[str]

    def fits(self, query: Mapping[str, str], headers: Mapping[str, str]) -> bool:
        there = self.query.keys() <= query.keys() and self.headers <= headers.keys()
        return there and all(value in (None, query[name]) for name, value in self.query.items())


def operation(
    service: str, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]
) -> str:
    """Return the operation asked for, "" when the service has none such.

    Several may fit: an upload of a part is also an upload to a key. The one that wants most is meant.
    """
    for route in _routes_of(service, method):
        if route.fits(query, headers) and route.path.fullmatch(path):
            return route.operation
    return ""


def labels(service: str, name: str, path: str) -> dict[str, str]:
    """Return what an operation's path says: the values of the labels in its template."""
    route = next(each for each in _routes(service) if each.operation == name)
    found = route.path.fullmatch(path)
    return found.groupdict() if found else {}


@cache
def _routes_of(service: str, method: str) -> tuple[_Route, ...]:
    return tuple(route for route in _routes(service) if route.method == method)


@cache
def _routes(service: str) -> tuple[_Route, ...]:
    """Return the routes of a service, those that want most first, and of two alike the one that is not deprecated."""
    try:
        described = model(service)
    except DataNotFoundError:
        return ()
    operations = [described.operation_model(name) for name in described.operation_names]
    routes = [(_route(each), bool(each.deprecated)) for each in operations]
    routes.sort(key=lambda found: (-len(found[0].query) - len(found[0].headers), found[1]))
    return tuple(route for route, _ in routes)


def _route(described: OperationModel) -> _Route:
    path, _, query = described.http["requestUri"].partition("?")
    wanted: dict[str, str | None] = {
        name: value or None for name, value in parse_qsl(query, keep_blank_values=True)
    }
    wanted |= dict.fromkeys(_required(described, "querystring"))
    headers = frozenset(name.lower() for name in _required(described, "header"))
    return _Route(described.name, described.http["method"], _pattern(path), wanted, headers)


def _required(described: OperationModel, location: str) -> Iterator[str]:
    """Yield the names under which required members stand in a part of the request."""
    shape = described.input_shape
    if shape is None:
        return
    for name in shape.required_members:
        written = shape.members[name].serialization
        if written.get("location") == location:
            yield str(written.get("name", name))


def _pattern(template: str) -> re.Pattern[str]:
    """Return the expression for a path such as /{Bucket}/{Key+}; a last slash makes no difference."""
    fixed = template.rstrip("/") or "/"
    parts, end = [], 0
    for found in _LABEL.finditer(fixed):
        one = r".+" if found["greedy"] else r"[^/]+"
        parts += [re.escape(fixed[end : found.start()]), f"(?P<{found['name']}>{one})"]
        end = found.end()
    return re.compile("".join(parts) + re.escape(fixed[end:]) + ("/?" if fixed != "/" else ""), re.DOTALL)
