"""The part of the sandbox that is Application Auto Scaling; moto knows no service of the sandbox's."""

from __future__ import annotations

from collections.abc import Mapping

from bgdeploy.sandbox.scaling.policies import Policies
from bgdeploy.sandbox.scaling.targets import Targets
from bgdeploy.sandbox.world import Handler, World


class Scaling:
    """Keeps services within their bounds, and their policies in mind."""

    def __init__(self, world: World) -> None:
        self._targets = Targets(world)
        self._policies = Policies(world, self._targets)

    @property
    def operations(self) -> Mapping[tuple[str, str], Handler]:
        ours = {**self._targets.handlers(), **self._policies.handlers()}
        return {("application-autoscaling", name): handler for name, handler in ours.items()}

    def tick(self) -> None:
        """Nothing becomes due."""

    def close(self) -> None:
        """Nothing to end."""
