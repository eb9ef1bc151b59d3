"""The targets of all target groups: who is registered, how they are, and who is leaving."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from typing import Any

from bgdeploy.sandbox.elb.model import Target, name_of
from bgdeploy.sandbox.world import World

# AWS's time may run fast, but requests do not: those under way get this long, on the machine's clock, after the
# deregistration delay is over. Then the target goes, as AWS cuts what is left when its delay ends.
_UNDER_WAY = 5.0


class Targets:
    """Every registration there is."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._groups: dict[str, dict[str, Target]] = {}
        self.changed = False  # since the balancer was last told

    def of(self, group: str) -> list[Target]:
        return list(self._groups.get(group, {}).values())

    def find(self, group: str, ip: str, port: int) -> Target | None:
        return self._groups.get(group, {}).get(name_of(ip, port))

    def register(self, group: str, target: Target) -> None:
        """Add a target. One that is there already stays as it is; one that is leaving comes back."""
        known = self._groups.setdefault(group, {}).get(target.id)
        if known is None or known.leaves is not None or known.endpoint != target.endpoint:
            self._groups[group][target.id] = target
            self.changed = True

    def deregister(self, group: str, ip: str, port: int, delay: float) -> None:
        """Let a target drain for `delay` AWS seconds, then forget it."""
        target = self.find(group, ip, port)
        if target is None or target.leaves is not None:
            return
        target.state, target.reason = "draining", "Target.DeregistrationInProgress"
        target.detail = "Target deregistration is in progress"
        target.leaves = self._world.clock.now() + timedelta(seconds=delay)
        target.patience = self._world.real.monotonic() + delay / self._world.settings.speed + _UNDER_WAY
        self.changed = True

    def forget_group(self, group: str) -> None:
        self._groups.pop(group, None)

    def settle(self, in_use: Collection[str]) -> None:
        """Take what no listener forwards to (all groups but those in use) out of service: nothing checks it."""
        for group, targets in self._groups.items():
            for target in targets.values() if group not in in_use else ():
                target.drained = target.leaves is not None
                if target.leaves is None:
                    target.begin()

    def let_go(self) -> None:
        """Forget the targets whose delay is over and who carry nothing any more."""
        now, real = self._world.clock.now(), self._world.real.monotonic()
        for targets in self._groups.values():
            for name, target in list(targets.items()):
                over = target.leaves is not None and target.leaves <= now
                if over and (target.drained or target.patience <= real):
                    del targets[name]
                    self.changed = True

    def learn(self, told: Mapping[str, Any]) -> None:
        """Take in what the balancer found out about a target."""
        registration = told.get("target") or told.get("drained")
        target = next((each for each in self._each() if each.registration == registration), None)
        if target is None:
            return
        if "drained" in told:
            target.drained = True
        elif target.leaves is None:
            target.state, target.reason, target.detail = told["state"], told["reason"], told["detail"]

    def _each(self) -> Iterator[Target]:
        for targets in self._groups.values():
            yield from targets.values()
