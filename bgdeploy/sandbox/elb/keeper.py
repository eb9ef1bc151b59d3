"""Where visitors find a listener, for those who cannot tell it from its load balancer's name and its port."""

from __future__ import annotations

from bgdeploy.sandbox.elb.addresses import Addresses
from bgdeploy.sandbox.elb.topology import Facts
from bgdeploy.sandbox.world import World

_URL_TAG = "bgdeploy:url"


def tag_url(world: World, listener: Facts, addresses: Addresses, region: str) -> None:
    """Tag a listener with its URL where its load balancer's name and its port do not lead to it."""
    host, real = addresses.endpoint(listener["LoadBalancerArn"], listener["Port"])
    if real != listener["Port"] or listener["Protocol"] == "HTTPS":  # TLS is not for the sandbox
        world.beneath("elbv2", region=region).add_tags(
            ResourceArns=[listener["ListenerArn"]],
            Tags=[{"Key": _URL_TAG, "Value": f"http://{host}:{real}"}],
        )
