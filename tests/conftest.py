"""What tests of every folder share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bgdeploy.sandbox import control
from bgdeploy.sandbox.control import Running

# What takes longest comes first, so that it does not run alone in the end.
_LONGEST = (
    "test_lifecycle",
    "test_endings",
    "test_callers",
    "test_policy",
    "test_services",
    "test_networks",
    "test_report_page",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {name: place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A sandbox in a process of its own, where an AWS minute lasts a second, and whoever tests stands in the VPC."""
    home = tmp_path_factory.mktemp("sandbox")
    running = control.start(home, speed=60.0, caller="vpc")
    yield running
    control.stop(home)


@pytest.fixture(scope="module")
def account(sandbox: Running) -> Iterator[Running]:
    """The same, with this very process pointed at it for as long as a module's tests run."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sandbox.exports().items():
            patch.setenv(name, value)
        yield sandbox
