"""Which action of a listener a request meets: the first rule whose conditions all hold. Functions of values."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qsl


@dataclass(frozen=True)
class Asked:
    """What of a request decides where it goes."""

    method: str
    host: str  # as the Host header has it
    path: str
    query: str
    headers: Mapping[str, str]
    source: str  # the caller's address
    port: int  # the listener's
    protocol: str  # the listener's


def choose(routes: Sequence[Mapping[str, Any]], asked: Asked) -> Mapping[str, Any]:
    """Return the action of the first route that fits; the last one, the default, has no conditions."""
    for route in routes:
        if all(holds(condition, asked) for condition in route["conditions"]):
            return dict(route["action"])
    return {}


def holds(condition: Mapping[str, Any], asked: Asked) -> bool:
    """Tell whether a condition holds: any of its values is enough."""
    field, values = condition["field"], condition["values"]
    if field == "query-string":
        return any(_in_query(wanted, asked.query) for wanted in values)
    if field == "source-ip":
        return any(ipaddress.ip_address(asked.source) in ipaddress.ip_network(each) for each in values)
    if field == "http-request-method":
        return asked.method in values
    if field == "path-pattern":  # the one that minds upper and lower case
        return any(_pattern(each).fullmatch(asked.path) for each in values)
    told = asked.host.partition(":")[0] if field == "host-header" else asked.headers.get(condition["header"])
    return told is not None and any(_pattern(each.lower()).fullmatch(told.lower()) for each in values)


def location(redirect: Mapping[str, Any], asked: Asked) -> str:
    """Return the URL that a redirect leads to; what it does not name stays as it was."""
    known = {
        "#{protocol}": asked.protocol,
        "#{host}": asked.host.partition(":")[0],
        "#{port}": str(asked.port),
        "#{path}": asked.path.lstrip("/"),
        "#{query}": asked.query,
    }

    def filled(name: str, default: str) -> str:
        return re.sub(r"#\{\w+\}", lambda found: known.get(found[0], found[0]), redirect.get(name) or default)

    query = filled("query", "#{query}")
    return (
        f"{filled('protocol', '#{protocol}').lower()}://{filled('host', '#{host}')}"
        f":{filled('port', '#{port}')}{filled('path', '/#{path}')}{'?' + query if query else ''}"
    )


def _in_query(wanted: Mapping[str, str], query: str) -> bool:
    value = _pattern(wanted["value"].lower())
    return any(
        value.fullmatch(found.lower()) and ("key" not in wanted or wanted["key"].lower() == name.lower())
        for name, found in parse_qsl(query, keep_blank_values=True)
    )


@cache
def _pattern(text: str) -> re.Pattern[str]:
    """Return the expression for a pattern in which * is any text and ? any one character."""
    return re.compile(re.escape(text).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)
