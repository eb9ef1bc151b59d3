"""Elastic Container Service: services, task sets and tasks that are real processes. moto keeps the rest."""

from bgdeploy.sandbox.ecs.part import Ecs

__all__ = ["Ecs"]
