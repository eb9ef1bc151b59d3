"""docs/resources.md says what the code says."""

from __future__ import annotations

import sys

from tests.resources.document import PATH, kinds, render


def test_the_page_of_all_kinds_is_up_to_date() -> None:
    command = f"{sys.executable} -m tests.resources.document"
    assert PATH.read_text(encoding="utf-8") == render(), f"renew it: {command}"


def test_each_kind_says_what_it_is_and_why_fields_are_left_alone() -> None:
    page = render()
    for kind in kinds():
        assert f"| {kind.kind} | " in page
        assert (kind.__doc__ or "").strip().partition("\n")[0].endswith("."), kind
    for line in page.partition("## Why")[2].partition("## What")[0].strip().splitlines()[2:]:
        assert line.rstrip().endswith("."), line
        assert len(line.partition(". ")[2]) > 20, f"no reason: {line}"
