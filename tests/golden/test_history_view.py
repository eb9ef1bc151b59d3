"""The table of past releases, as it looks at 80 columns."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from rich.console import Console

from bgdeploy.release.records.told import Release
from bgdeploy.views.history import history
from bgdeploy.views.theme import ASCII, THEME, UNICODE, Glyphs
from tests import deployments as d
from tests.golden import paper


def _release(
    ident: str, version: str, result: str, hours: float, minutes: float | None, **more: Any
) -> Release:
    created = d.T0 - timedelta(hours=hours)
    return Release(
        deployment=f"d-{ident}",
        version=version,
        result=result,
        why=more.pop("why", ""),
        live=bool(more.pop("live", "")),
        created=created,
        completed=None if minutes is None else created + timedelta(minutes=minutes),
        by=more.pop("by", "ann@laptop"),
        config="CodeDeployDefault.ECSAllAtOnce",
        **more,
    )


RELEASES = (
    _release("66666666A", "v4", "in flight", 0.1, None, why="production is on it, blue is kept", live="yes"),
    _release("55555555A", "v2", "went live", 20, 12, undoes="d-44444444A"),
    _release("44444444A", "v3", "went live", 21, 9.5, by="ci@runner-7f9c-of-the-build-farm.example"),
    _release(
        "33333333A", "v3", "rolled back", 30, 2.2, why="shop-dev-not-found went off", rollback="d-3BBBBBBBA"
    ),
    _release("22222222A", "shop-dev:7", "stopped", 50, 3, by="", why="stopped by hand"),
    _release(
        "11111111A",
        "",
        "failed",
        1000,
        61,
        by="",
        why="ECS_UPDATE_ERROR: The ECS service cannot be updated due to an unexpected error: The container web did "
        "not have a container port 443 defined.",
    ),
)


@pytest.mark.parametrize(("signs", "encoding"), [(UNICODE, "utf-8"), (ASCII, "ascii")])
def test_the_table_looks_like_this(signs: Glyphs, encoding: str) -> None:
    text = paper.rendered(history(RELEASES, signs), encoding)
    assert max(map(len, text.splitlines())) <= paper.WIDTH
    paper.check(f"history-{'ascii' if signs is ASCII else 'unicode'}", text)


def test_a_wide_terminal_has_room_for_how_many_checks_have_passed() -> None:
    checked = replace(RELEASES[2], checks={"page": "pass", "load": "pass", "errors": "fail", "p95": None})
    console = Console(file=io.StringIO(), width=110, theme=THEME)
    console.print(history((checked, RELEASES[3]), UNICODE, 110))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert lines[0].split() == ["when", "(UTC)", "version", "result", "took", "checks", "deployment", "by"]
    assert "9m30s  2/4     d-44444444A" in lines[1]
