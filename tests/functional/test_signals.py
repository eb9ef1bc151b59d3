"""Whatever ends the program, wherever the release is: whoever attaches sees the same ending. Three shells at once."""

from __future__ import annotations

import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bgdeploy.sandbox import control
from tests.functional.shells import Shop, await_line

pytestmark = pytest.mark.bench

_DEPLOYMENT = "deployment: {keep_blue: 2m, approval: 30m, strategy: canary 50% 1m}"
# The line that says that a release is there, in the order in which it gets there.
PHASES = {
    "installing": "Install: began",
    "checking": "AfterAllowTestTraffic: began",
    "ready": "Ready: waits for",
    "shifting": " AllowTraffic: began",
    "shifted": "all traffic has moved",
}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


@dataclass(frozen=True)
class Story:
    """One release that was left in the middle, and what whoever attached was told."""

    left: int  # the exit status of who was following
    attached: int
    told: str


def _play(shop: Shop, phase: str, sign: signal.Signals) -> Story:
    """Release, leave when it gets to a phase, attach, and approve whenever somebody has to."""
    approved = list(PHASES).index(phase) > list(PHASES).index("ready")
    with shop.begin("release", "v1", "--force", "--until", "finished") as process:
        if approved:
            _approve(shop, process)
        await_line(process, PHASES[phase])
        process.send_signal(sign)
        process.communicate()
    with shop.begin("watch") as again:
        if not approved:
            _approve(shop, again)
        out, _ = again.communicate()
    return Story(process.returncode, again.returncode, out)


def _approve(shop: Shop, process: Any) -> None:
    await_line(process, PHASES["ready"])
    assert shop.run("promote").returncode == 0


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> dict[Any, Any]:
    """What came of leaving in each way in each phase, or what went wrong: a sandbox for each signal."""
    found: dict[tuple[signal.Signals, str], Story | BaseException] = {}

    def play(folder: Path, port: int, sign: signal.Signals) -> None:
        control.start(folder / "sandbox", speed=20.0)
        try:
            shop = Shop(folder, port)
            config = shop.project / "config/dev.yaml"
            text = config.read_text(encoding="utf-8").replace("deployment: {keep_blue: 1m}", _DEPLOYMENT)
            config.write_text(text, encoding="utf-8")
            assert shop.run("provision", "--yes").returncode == 0
            with shop.begin("release", "v1", "--until", "finished") as first:
                _approve(shop, first)
                first.communicate()
            for phase in PHASES:
                found[sign, phase] = _play(shop, phase, sign)
        except BaseException as error:  # the tests of this phase and those after it say so
            found.update({(sign, phase): error for phase in PHASES if (sign, phase) not in found})
        finally:
            control.stop(folder / "sandbox")

    threads = [
        threading.Thread(target=play, args=(tmp_path_factory.mktemp(sign.name), 9400 + 2 * number, sign))
        for number, sign in enumerate(SIGNALS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("sign", SIGNALS, ids=lambda sign: sign.name)
def test_whoever_attaches_sees_the_same_ending(
    sign: signal.Signals, phase: str, stories: dict[Any, Any]
) -> None:
    story = stories[sign, phase]
    if isinstance(story, BaseException):
        raise story
    assert story.left == (-signal.SIGKILL if sign is signal.SIGKILL else 130)
    assert story.attached == 0, story.told
    assert "v1 is live and verified" in story.told
