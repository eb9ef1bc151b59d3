"""What the documentation says of the sandbox's operations."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from bgdeploy.sandbox.codedeploy import Unverified
from bgdeploy.sandbox.operations import updated
from tests.sandbox.conftest import MakeWorld

_DOCS = Path(__file__).parents[2] / "docs"
_PAGE = _DOCS / "sandbox.md"


def test_the_documentation_lists_the_operations_that_the_sandbox_answers(make_world: MakeWorld) -> None:
    text = _PAGE.read_text(encoding="utf-8")
    remedy = "run: python -m bgdeploy.sandbox.operations docs/sandbox.md"
    assert updated(text, make_world()) == text, remedy


def test_the_list_tells_ours_from_what_is_refused(make_world: MakeWorld) -> None:
    ours, _, refused = updated(
        "before\n<!-- operations -->\nold<!-- end of operations -->", make_world()
    ).partition("Refused")
    assert "StopDeployment" in ours
    assert "old" not in ours
    assert "StartBuild" not in ours
    assert "StartBuild" in refused


def test_the_documentation_names_every_open_question_that_the_sandbox_answers() -> None:
    text = (_DOCS / "aws-assumptions.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"\[`(\w+)`\]", text)) == sorted(field.name for field in fields(Unverified))


def test_the_modules_that_the_documentation_names_exist() -> None:
    text = (_DOCS / "aws-assumptions.md").read_text(encoding="utf-8")
    cells = [line.split("|")[2:4] for line in text.splitlines() if line.startswith("| ")]
    package = _DOCS.parent / "bgdeploy"
    for sandbox, orchestrator in cells:
        for folder, cell in ((package / "sandbox", sandbox), (package, orchestrator)):
            for name in re.findall(r"`((?:release|resources|stack|codedeploy|ecs|elb|alarms)/\w+)`", cell):
                assert (folder / f"{name}.py").exists(), name
