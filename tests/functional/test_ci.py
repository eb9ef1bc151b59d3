"""Releasing from a pipeline: what a job is told, and where it finds it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bgdeploy.sandbox import control
from tests.functional.shells import Shop

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("ci")
    control.start(folder / "sandbox", speed=60.0)
    try:
        yield Shop(folder, 9491)
    finally:
        control.stop(folder / "sandbox")


def test_quietly_a_release_says_only_how_it_ended_and_what_to_know(shop: Shop) -> None:
    first = shop.run("release", "v1", "--quiet")
    assert (first.returncode, first.stderr) == (0, "")
    assert "v1 is live and verified" in first.stdout
    shop.edit("<body", "<!-- changed --><body")
    again = shop.run("release", "v1", "--force", "-q")
    assert again.returncode == 0
    assert again.stderr.startswith("warning: container/ has changed since v1 was built")
    assert len(again.stderr.splitlines()) == 1
