"""moto's half of Elastic Load Balancing: it keeps what is created, and answers what needs no more than that."""

from __future__ import annotations

from typing import Any

from bgdeploy.sandbox.elb.addresses import Addresses
from bgdeploy.sandbox.elb.topology import Facts
from bgdeploy.sandbox.world import Call, RefusedError, World

_URL_TAG = "bgdeploy:url"


def forwarded(world: World, call: Call) -> dict[str, Any]:
    """Return moto's own answer to `call`. Raises RefusedError with moto's refusal."""
    from botocore import xform_name
    from botocore.exceptions import ClientError

    client = world.beneath(call.service, region=call.region)
    try:
        answer: dict[str, Any] = getattr(client, xform_name(call.operation))(**call.params)
    except ClientError as error:
        raise RefusedError(error.response["Error"]["Code"], error.response["Error"]["Message"]) from error
    answer.pop("ResponseMetadata")
    return answer


def tag_url(world: World, listener: Facts, addresses: Addresses, region: str) -> None:
    """Tag a listener with its URL where its load balancer's name and its port do not lead to it."""
    host, real = addresses.endpoint(listener["LoadBalancerArn"], listener["Port"])
    if real != listener["Port"] or listener["Protocol"] == "HTTPS":  # TLS is not for the sandbox
        world.beneath("elbv2", region=region).add_tags(
            ResourceArns=[listener["ListenerArn"]],
            Tags=[{"Key": _URL_TAG, "Value": f"http://{host}:{real}"}],
        )
