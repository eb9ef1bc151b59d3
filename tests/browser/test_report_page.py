"""Reports in a real browser: of stories that a sandbox has played, and of made-up ones that are as bad as can be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bgdeploy.cli import run
from bgdeploy.cli.invocation import Invocation
from bgdeploy.clock import FastClock, SystemClock
from bgdeploy.sandbox.control import Running
from bgdeploy.views.report import page
from tests import stories as told
from tests.browser import chromium
from tests.browser.chromium import Chromium

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium.find() is None, reason=f"no browser: none of {', '.join(chromium.NAMES)}"),
]

_CONFIG = """\
app: reporting
load_balancer:
  production: {port: 8691}
  test: {port: 8692}
  health_check: {interval: 5s, timeout: 2s}
deployment: {keep_blue: 2m, strategy: canary 40% 1m}
checks:
  - {name: page, get: /, contains: "Hello from {version}", below: 60s, timeout: 60s, within: 90s}
  - {name: some load, load: 20 per second for 60s, success: 50%}
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Chromium:
    program = chromium.find()
    assert program
    return Chromium(program, tmp_path_factory.mktemp("chromium"))


@pytest.fixture(scope="module")
def played(sandbox: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """The reports of a release that went live, and of one whose check failed."""
    project = tmp_path_factory.mktemp("reporting")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sandbox.exports().items():
            patch.setenv(name, value)

        def command(*words: str) -> int:
            return run(["--project", str(project), *words], Invocation(clock=FastClock(60, SystemClock())))

        assert command("init") == 0
        (project / "config/dev.yaml").write_text(_CONFIG, encoding="utf-8")
        assert command("provision") == 0
        assert command("release", "v1") == 0
        assert command("release", "v2", "--until", "finished") == 0
        live = project / "live.html"
        assert command("report", "--out", str(live)) == 0
        index = project / "container/htdocs/index.html"
        index.write_text("<p>Good morning</p><script>alert(1)</script>", encoding="utf-8")
        assert command("release", "v3") == 4
        failed = project / "failed.html"
        assert command("report", "--out", str(failed)) == 0
        yield {"live": live, "failed": failed}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The reports of all made-up stories."""
    folder = tmp_path_factory.mktemp("pages")
    found = {name: folder / f"{name}.html" for name in told.REPORTS}
    for name, path in found.items():
        path.write_text(page(told.REPORTS[name]()), encoding="utf-8")
    return found


def test_a_release_that_went_live_is_told_from_begin_to_end(
    browser: Chromium, played: dict[str, Path]
) -> None:
    shown = browser.measured(played["live"], 1100)
    text = shown["text"]
    for part in (
        "v2 is live and verified",
        "AfterAllowTestTraffic",
        "blue v1",
        "green v2",
        "some load",
        "page",
    ):
        assert part in text
    assert "Nobody followed" not in text
    assert "nobody watched" not in text
    assert len(shown["images"]) == 8 + 2 + 2 + 1  # events, listeners, checks, an alarm


def test_a_check_that_failed_is_told_with_what_it_got(browser: Chromium, played: dict[str, Path]) -> None:
    text = browser.measured(played["failed"], 1100)["text"]
    assert "v3 failed" in text
    assert "production is on v2" in text
    assert 'body contains "Hello from v3"' in text
    assert "Good morning" in text


@pytest.mark.parametrize("width", [1100, 700, 500])
@pytest.mark.parametrize("name", told.REPORTS)
def test_nothing_is_wider_than_the_window_and_every_plot_has_a_size(
    browser: Chromium, pages: dict[str, Path], name: str, width: int
) -> None:
    shown = browser.measured(pages[name], width)
    assert shown["scrolls"] <= shown["wide"]
    assert shown["beyond"] == []
    assert shown["images"]
    assert all(wide > 50 and high >= 14 for wide, high in shown["images"])


@pytest.mark.parametrize("name", ["finished", "alarmed", "foreign"])
def test_no_table_has_to_be_scrolled_on_a_small_screen(
    browser: Chromium, pages: dict[str, Path], name: str
) -> None:
    assert browser.measured(pages[name], 500)["cut"] == 0


@pytest.mark.parametrize("name", told.REPORTS)
def test_nothing_is_asked_for_and_nothing_runs(browser: Chromium, pages: dict[str, Path], name: str) -> None:
    shown = browser.measured(pages[name], 1100)
    assert (shown["fetched"], shown["refused"]) == ([], [])
    assert "<title>owned" not in browser.run(pages[name], "--dump-dom")


def test_a_page_that_asks_for_something_would_be_noticed(browser: Chromium, tmp_path: Path) -> None:
    text = page(told.foreign())
    asking = tmp_path / "asking.html"
    asking.write_text(text.replace("</main>", '<img src="http://127.0.0.1:9/x"></main>'), encoding="utf-8")
    assert browser.measured(asking, 1100)["refused"] == ["http://127.0.0.1:9/x"]


@pytest.mark.parametrize("name", told.REPORTS)
def test_it_is_drawn_without_javascript(browser: Chromium, pages: dict[str, Path], name: str) -> None:
    plain = browser.seen(browser.without_scripts(pages[name]))
    assert plain["corner"] > 0.9
    assert plain["colours"] > 50


@pytest.mark.parametrize("name", ["finished", "alarmed"])
def test_it_is_drawn_in_light_and_in_dark(browser: Chromium, pages: dict[str, Path], name: str) -> None:
    light = browser.seen(browser.picture(pages[name]))
    dark = browser.seen(browser.picture(pages[name], "preferredColorScheme=0"))
    assert light["corner"] > 0.9
    assert dark["corner"] < 0.2
    assert min(light["colours"], dark["colours"]) > 50


@pytest.mark.parametrize(("name", "most"), [("finished", 5), ("alarmed", 5), ("foreign", 2)])
def test_it_is_printed_on_a_few_sheets(
    browser: Chromium, pages: dict[str, Path], name: str, most: int
) -> None:
    assert 1 <= browser.printed(pages[name]) <= most
