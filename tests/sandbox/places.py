"""Empty places in a shared world: a region each. They are there at once, and a new world is not."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from bgdeploy.sandbox.alarms import Alarms
from bgdeploy.sandbox.logs import Logs
from bgdeploy.sandbox.server import build_world, close_world
from bgdeploy.sandbox.world import Settings, World
from tests.clocks import HandClock


@dataclass(frozen=True)
class Place:
    """One region of a world with logs and alarms, at the beginning of a minute."""

    world: World
    clock: HandClock
    region: str

    @property
    def logs(self) -> Logs:
        return self.world.logs

    @property
    def alarms(self) -> Alarms:
        return self.world.alarms

    def client(self, service: str, region: str = "") -> Any:
        return self.world.client(service, region=region or self.region)


def places(home: Path) -> Generator[Place, None, None]:
    """Yield place after place; when the regions of a world are used up, those of another."""
    while True:
        clock = HandClock()
        world, _gateway = build_world(Settings(home=home, speed=60.0), "AKIATEST", clock, ("logs", "alarms"))
        try:
            for region in boto3.Session().get_available_regions("logs"):
                clock.advance(60 - clock.monotonic() % 60)
                yield Place(world, clock, region)
        finally:
            close_world(world)
            world.moto.reset()
