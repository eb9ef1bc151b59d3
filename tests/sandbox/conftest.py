"""Worlds in this very process, for tests of the sandbox's parts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import boto3
import pytest
from botocore.config import Config
from botocore.session import Session

from bgdeploy.clock import Clock
from bgdeploy.sandbox.models import loader
from bgdeploy.sandbox.server import PARTS, Server, build_world, close_world
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
        close_world(world)
        world.moto.reset()


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """A world with every part."""
    return make_world()


class Connect(Protocol):
    """Makes a boto3 client of a server, as anybody outside would, with the server's key or another."""

    def __call__(self, server: Server, service: str, *, key: str = "") -> Any: ...


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Clients that call a server over its socket and never try twice."""
    made: list[Any] = []

    def client(server: Server, service: str, *, key: str = "") -> Any:
        core = Session()
        core.register_component("data_loader", loader())
        access = key or server.access_key
        session = boto3.Session(access, "secret", region_name="us-east-1", botocore_session=core)
        once = Config(retries={"total_max_attempts": 1})
        create: Any = session.client
        made.append(create(service, endpoint_url=server.endpoint, config=once))
        return made[-1]

    yield client
    for made_client in made:
        made_client.close()


class Serve(Protocol):
    """Starts a server in this process, with the parts named and settings of Settings."""

    def __call__(self, *parts: str, **settings: Any) -> Server: ...


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Servers on sockets of their own, closed after the test."""
    started: list[Server] = []

    def start(*parts: str, **settings: Any) -> Server:
        server = Server(Settings(home=tmp_path, **settings), parts=parts)
        server.start(warm=False)
        started.append(server)
        return server

    yield start
    for server in started:
        server.close()
        server.world.moto.reset()
