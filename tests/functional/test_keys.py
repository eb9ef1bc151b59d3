"""The board's keys, pressed at a real terminal: a pseudo one that this test holds the other end of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bgdeploy.sandbox import control
from tests.functional.shells import Shop, environ
from tests.functional.terminals import Terminal

pytestmark = pytest.mark.slow

_CONFIG = """\
load_balancer:
  production: {{port: 8791}}
  test: {{port: 8792}}
  health_check: {{interval: 5s, timeout: 2s}}
deployment: {{approval: {approval}, keep_blue: 2h}}
checks: {checks}
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Keyed]:
    """v1 is live; whatever comes next waits for approval."""
    made = _Keyed(tmp_path_factory.mktemp("keys"))
    assert made.run("release", "v1", "--until", "finished").returncode == 0
    made.configure(approval="1h")
    assert made.run("provision", "--yes").returncode == 0
    yield made
    control.stop(made.folder / "sandbox")


class _Keyed(Shop):
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project = folder / "shop"
        self.environ = environ(BGDEPLOY_SANDBOX_HOME=str(folder / "sandbox"))
        self.project.mkdir()
        self.run("init")
        self.configure(approval="none")
        self.provisioned = self.run("provision")

    def configure(self, approval: str, checks: str = "[]") -> None:
        text = _CONFIG.format(approval=approval, checks=checks)
        (self.project / "config/dev.yaml").write_text(text, encoding="utf-8")


def test_l_shows_the_log_and_p_promotes(shop: Shop) -> None:
    terminal = Terminal(shop, "release", "v2")
    terminal.wait_for("p promote   a stop and roll back   l logs   d detach")
    assert not terminal.as_before, "keys are told at once"
    terminal.press("l")
    terminal.wait_for("log of green v2")
    terminal.press("p")
    assert terminal.close() == 0, terminal.said
    assert "v2 is live and verified" in terminal.said
    assert terminal.as_before


def test_d_leaves_the_deployment_and_the_terminal_alone(shop: Shop) -> None:
    """While blue is kept, after the test above."""
    terminal = Terminal(shop, "watch")
    terminal.wait_for("p remove blue now")
    terminal.press("d")
    assert terminal.close() == 130
    assert "goes on (it was shifted)" in terminal.said
    assert terminal.as_before


def test_a_kill_gives_the_terminal_back(shop: Shop) -> None:
    terminal = Terminal(shop, "watch")
    terminal.wait_for("d detach")
    terminal.process.terminate()
    terminal.close()
    assert terminal.as_before


def test_a_stops_it_when_it_is_pressed_twice(shop: Shop) -> None:
    terminal = Terminal(shop, "watch")
    terminal.wait_for("a stop and roll back")
    terminal.press("a")
    terminal.wait_for("press a again within 5 s")
    terminal.press("a")
    assert terminal.close() == 4, terminal.said
    assert "with the board's key a" in terminal.said
    assert terminal.as_before


def test_p_accepts_checks_that_were_inconclusive(shop: _Keyed) -> None:
    shop.configure(approval="1h", checks='[{name: unsure, command: "exit 2"}]')
    terminal = Terminal(shop, "release", "v3")
    terminal.wait_for("p accept the checks")
    terminal.press("p")
    terminal.wait_for("p promote")
    terminal.press("d")
    assert terminal.close() == 130
    assert shop.run("stop").returncode == 0
    assert shop.run("watch").returncode == 4


def test_without_a_terminal_to_type_at_no_keys_are_offered(shop: Shop) -> None:
    told = shop.run("watch").stderr
    assert "d detach" not in told
