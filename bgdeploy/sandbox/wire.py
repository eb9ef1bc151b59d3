"""What goes over the wire: HTTP requests and answers, and which service, operation and protocol a request is of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import parse_qsl

from bgdeploy.sandbox import rest
from bgdeploy.sandbox.models import rest_protocol, targets

# How a request names its service in the credential scope → botocore's name for it.
_SIGNING_NAMES = {
    "elasticloadbalancing": "elbv2",
    "monitoring": "cloudwatch",
    "servicequotas": "service-quotas",
    "tagging": "resourcegroupstaggingapi",
}
_SCOPE = re.compile(r"Credential=(?P<key>[^/]+)/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")


@dataclass(frozen=True)
class Request:
    """An HTTP request, as far as the wire cares."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @cached_property
    def arguments(self) -> dict[str, str]:
        """What the query says."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    @cached_property
    def scope(self) -> Mapping[str, str]:
        """The access key, region and service that the request was signed for; empty when it was not signed."""
        found = _SCOPE.search(self.headers.get("authorization", "")) or _SCOPE.search(
            "&".join(f"{name.replace('X-Amz-', '')}={value}" for name, value in self.arguments.items())
        )
        if found:
            return found.groupdict()
        older = self.arguments.get("AWSAccessKeyId")  # in the URLs of S3 that botocore signs in advance
        return {"key": older, "service": "s3"} if older else {}

    @cached_property
    def service(self) -> str:
        """Botocore's name of the service asked; "" when the request does not say."""
        target = self.headers.get("x-amz-target", "").partition(".")[0]
        if target in targets():
            return targets()[target]
        name = self.scope.get("service", "")
        return _SIGNING_NAMES.get(name, name)

    @cached_property
    def protocol(self) -> str:
        """How this request is written: json, query, ec2, rest-json or rest-xml."""
        if "x-amz-target" in self.headers:
            return "json"
        if self.service == "ec2":
            return "ec2"
        if self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return "query"
        return rest_protocol(self.service)

    @cached_property
    def operation(self) -> str:
        """The operation asked for, "" when the service has none such."""
        if self.protocol == "json":
            return self.headers["x-amz-target"].rpartition(".")[2]
        if self.protocol in {"query", "ec2"}:
            return self.form.get("Action", "")
        return rest.operation(self.service, self.method, self.path, self.arguments, self.headers)

    @cached_property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
