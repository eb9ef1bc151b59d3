"""What tests of every folder share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bgdeploy.sandbox import control
from bgdeploy.sandbox.control import Running


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A sandbox in a process of its own, where an AWS minute lasts a second, and whoever tests stands in the VPC."""
    home = tmp_path_factory.mktemp("sandbox")
    running = control.start(home, speed=60.0, caller="vpc")
    yield running
    control.stop(home)
