"""Application Auto Scaling of ECS services: targets, policies and the alarms that belong to them."""

from bgdeploy.sandbox.scaling.part import Scaling

__all__ = ["Scaling"]
