"""Elastic Load Balancing: moto keeps the load balancers, this keeps their targets and makes them carry traffic."""

from bgdeploy.sandbox.elb.part import Elb

__all__ = ["Elb"]
