"""Botocore's own service models: what the sandbox reads requests and writes answers by."""

from __future__ import annotations

from functools import cache

from botocore.exceptions import DataNotFoundError
from botocore.loaders import Loader
from botocore.model import ServiceModel


@cache
def loader() -> Loader:
    """Return what loads models for clients: one for all of them, because reading EC2's takes a tenth of a second.

    Clients change what they have loaded (S3's paths lose their bucket), so `model` keeps its own.
    """
    return Loader()


@cache
def model(service: str) -> ServiceModel:
    """Return botocore's model of `service`. Raises DataNotFoundError when there is no such service."""
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


@cache
def rest_protocol(service: str) -> str:
    """Return rest-json or rest-xml: how a service writes that names its operations by method and path."""
    try:
        protocol = str(model(service).metadata["protocol"])
    except DataNotFoundError:  # no service at all: whoever asked is refused in XML
        return "rest-xml"
    return protocol if protocol.startswith("rest-") else "rest-xml"


@cache
def targets() -> dict[str, str]:
    """Return the X-Amz-Target prefixes of the services whose operations we answer."""
    services = ("codedeploy", "ecs", "logs", "cloudwatch", "ecr")
    return {model(name).metadata["targetPrefix"]: name for name in services}
