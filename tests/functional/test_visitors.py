"""No visitor notices a release: 200 requests a second, through every way of moving them, and of taking them back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from bgdeploy.release.phase import Phase
from bgdeploy.sandbox.control import Running
from tests.functional import crowd
from tests.functional.shops import Deed, Shop, remove_blue, stop

pytestmark = pytest.mark.slow
RATE = 200


@pytest.fixture(scope="module")
def shop(account: Running, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    shop = Shop(tmp_path_factory.mktemp("shop"), "visited", 8430)
    shop.release("all-at-once", {})
    return shop


@contextmanager
def visitors(url: str) -> Iterator[dict[str, int]]:
    """Have the address visited meanwhile, and yield what will hold the answers in the end."""
    answers: dict[str, int] = {}
    command = [sys.executable, "-m", crowd.__name__, url, str(RATE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield answers
        finally:
            process.terminate()
            told, _ = process.communicate()
    answers.update(json.loads(told))


@pytest.mark.parametrize(
    ("strategy", "deeds", "moves"),
    [
        ("all-at-once", {Phase.SHIFTED: remove_blue}, True),
        ("canary 50% 1m", {Phase.SHIFTED: remove_blue}, True),
        ("linear 20% 1m", {Phase.SHIFTED: remove_blue}, True),
        ("linear 20% 1m", {Phase.SHIFTING: stop}, False),
        ("all-at-once", {Phase.SHIFTED: stop}, False),
    ],
    ids=["all-at-once", "canary", "linear", "rolled-back-half-way", "rolled-back-while-blue-is-kept"],
)
def test_no_request_fails_while_a_release_moves_or_goes_back(
    shop: Shop, strategy: str, deeds: Mapping[Phase, Deed], moves: bool
) -> None:
    with visitors(shop.url) as answers:
        released = shop.release(strategy, deeds)
    assert released.after == (released.version if moves else released.before), released.card
    assert set(answers) <= {f"200 {released.before}", f"200 {released.version}"}
    assert sum(answers.values()) > RATE
    assert answers[f"200 {released.after}"] > 0
