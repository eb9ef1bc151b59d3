"""Worlds in this very process, for tests of the sandbox's parts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from bgdeploy.clock import Clock
from bgdeploy.sandbox.server import PARTS, build_world
from bgdeploy.sandbox.world import Settings, World
from tests.clocks import HandClock

KEY = "AKIATESTTESTTESTTEST"


class MakeWorld(Protocol):
    """Builds a world with the parts named, all of them when none is; its clock is the test's `clock`."""

    def __call__(self, *parts: str, clock: Clock | None = None) -> World: ...


@pytest.fixture
def clock() -> HandClock:
    """AWS's time, standing still until the test advances it."""
    return HandClock()


@pytest.fixture
def make_world(tmp_path: Path, clock: HandClock) -> Iterator[MakeWorld]:
    """A maker of worlds without engine and socket: the test ticks the parts; `world.client` calls them."""
    made: list[World] = []

    def make(*parts: str, clock: Clock | None = clock) -> World:
        world, _gateway = build_world(Settings(home=tmp_path, speed=60.0), KEY, clock, parts or tuple(PARTS))
        made.append(world)
        return world

    yield make
    for world in made:
        for part in reversed(world.parts):
            part.close()
        world.moto.reset()


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """A world with every part."""
    return make_world()
