"""Where visitors find a listener, for those who cannot tell it from its load balancer's name and its port."""

from __future__ import annotations

from bgdeploy.sandbox.elb.addresses import Addresses
from bgdeploy.sandbox.elb.topology import Facts
from bgdeploy.sandbox.world import World

_URL_TAG = "bgdeploy:url"


def tag_url(world: World, listener: Facts, addresses: Addresses, region: str) -> None:
    """Tag a listener with its URL where its load balancer's name and its port do not lead to it."""
    host, real = addresses.endpoint(listener["LoadBalancerArn"], listener["Port"])
    elbv2, arns = world.beneath("elbv2", region=region), [listener["ListenerArn"]]
    if real != listener["Port"] or listener["Protocol"] == "HTTPS":  # TLS is not for the sandbox
        elbv2.add_tags(ResourceArns=arns, Tags=[{"Key": _URL_TAG, "Value": f"http://{host}:{real}"}])
        return
    tags = elbv2.describe_tags(ResourceArns=arns)["TagDescriptions"][0]["Tags"]
    if any(each["Key"] == _URL_TAG and each["Value"].startswith(f"http://{host}:") for each in tags):
        elbv2.remove_tags(ResourceArns=arns, TagKeys=[_URL_TAG])  # it was on another port, or was HTTPS
