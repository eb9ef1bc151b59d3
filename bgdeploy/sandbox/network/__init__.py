"""EC2's networks: moto keeps them, this gives gateways and endpoints their time and says what stands in whose way."""

from bgdeploy.sandbox.network.part import Network

__all__ = ["Network"]
