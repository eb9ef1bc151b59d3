"""What goes over the wire: HTTP requests and answers, and which service, operation and protocol a request is of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from urllib.parse import parse_qsl

from botocore.loaders import Loader
from botocore.model import ServiceModel

# How a request names its service in the credential scope → botocore's name for it.
_SIGNING_NAMES = {"elasticloadbalancing": "elbv2", "monitoring": "cloudwatch"}
INVOKE = re.compile(r"^/2015-03-31/functions/(?P<name>[^/]+)/invocations$")
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
        if found:
            return found.groupdict()
        older = dict(parse_qsl(self.query)).get(
            "AWSAccessKeyId"
        )  # in the URLs of S3 that botocore signs in advance
        return {"key": older, "service": "s3"} if older else {}

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
        return "Invoke" if self.method == "POST" and INVOKE.match(self.path) else ""

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
