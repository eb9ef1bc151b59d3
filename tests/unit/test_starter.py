"""The starter project: what it calls the application."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bgdeploy.rules import broken_rules
from bgdeploy.starter import APP, app_name, source
from bgdeploy.typed import typed


@pytest.mark.parametrize(
    ("folder", "app"),
    [
        ("shop", "shop"),
        ("My Shop_2.0", "my-shop-2-0"),
        ("2024-shop", "shop"),
        ("Größe", "grosse"),
        ("--x--y--", "x-y"),
        ("checkout-service-backend-api", "checkout-service"),
        ("a" * 40, "a" * 21),
        ("internal-tools", "tools"),
        *dict.fromkeys(("", "42", "店", "internal", "on", "null", "internal-internal-x"), APP).items(),
    ],
)
def test_an_application_is_called_as_its_folder_as_far_as_aws_allows(folder: str, app: str) -> None:
    assert app_name(folder) == app


@given(st.text(max_size=60))
def test_whatever_a_folder_is_called_its_application_has_a_valid_name(folder: str) -> None:
    written = yaml.safe_load(f"app: {app_name(folder)}")
    found = typed(written)
    assert [*found.problems, *broken_rules(found.config, "prod")] == []


def test_the_starters_own_name_stands_in_its_config() -> None:
    assert f"app: {APP}\n" in (source() / Path("config/base.yaml")).read_text(encoding="utf-8")
