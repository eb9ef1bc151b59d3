"""The project's hook: what it says it can do, and what is missing of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bgdeploy.config import Config
from bgdeploy.errors import UsageError
from bgdeploy.hookfiles import CHECKS, CLAIMS, hook_doubts, protocol, require_hook
from bgdeploy.starter import source

FROM_HOOK = Config(app="shop", checks_from="hook")
FROM_CALLER = Config(app="shop")


def doubts(folder: Path, handler: str, config: Config = FROM_HOOK) -> list[tuple[str, str]]:
    (folder / "handler.py").write_text(handler, encoding="utf-8")
    return list(hook_doubts(folder, config))


def test_the_handler_that_bgdeploy_brings_along_runs_checks() -> None:
    assert protocol((source() / "hook_lambda" / "handler.py").read_bytes()) == CHECKS


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("PROTOCOL = 2", 2),
        ("PROTOCOL: int = 3", 3),
        ("PROTOCOL = 1\nwhere = environ['CHECKS_FROM']", 1),
        ("where = environ.get('CHECKS_FROM')", CHECKS),
        ("def handler(event, context):\n    PROTOCOL = 2", CLAIMS),
        ("PROTOCOL = 'two'", CLAIMS),
        ("", CLAIMS),
    ],
)
def test_a_handler_says_what_it_can_do_or_what_it_reads_tells(text: str, found: int) -> None:
    assert protocol(text.encode()) == found


def test_a_handler_that_cannot_run_checks_is_told_with_two_ways_out(tmp_path: Path) -> None:
    ((text, hint),) = doubts(tmp_path, "def handler(event, context): ...")
    assert "is older than checks_from: hook" in text
    assert "move it away, and `bgdeploy init` writes" in hint
    assert "write PROTOCOL = 2 into it" in hint


def test_a_handler_that_claims_is_enough_where_the_caller_runs_the_checks(tmp_path: Path) -> None:
    assert doubts(tmp_path, "def handler(event, context): ...", FROM_CALLER) == []


@pytest.mark.parametrize("text", ["def handler(:", "x = \0"])
def test_a_handler_that_is_no_python_is_told(tmp_path: Path, text: str) -> None:
    ((told, _),) = doubts(tmp_path, text, FROM_CALLER)
    assert told.startswith("hook_lambda/handler.py cannot be read as Python here: ")


def test_a_handler_is_never_run(tmp_path: Path) -> None:
    assert doubts(tmp_path, "PROTOCOL = 2\nraise SystemExit('run')") == []


def test_files_that_the_hook_needs_are_missed_before_aws_is_asked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no hook_lambda/handler\.py"):
        require_hook(tmp_path, FROM_CALLER)
    (tmp_path / "hook_lambda").mkdir()
    (tmp_path / "hook_lambda" / "handler.py").touch()
    require_hook(tmp_path, FROM_CALLER)
    with pytest.raises(UsageError, match=r"no hook_lambda/checks\.py"):
        require_hook(tmp_path, FROM_HOOK)
