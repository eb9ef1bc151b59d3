"""A world for the tests of resources."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bgdeploy.sandbox.world import World
from tests.resources.near import living


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world with every part, in this process."""
    with living(tmp_path_factory.mktemp("world")) as made:
        yield made
