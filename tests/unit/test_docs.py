"""What the documentation shows is true: every example of a config is one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bgdeploy.project import load

ROOT = Path(__file__).parents[2]
EXAMPLES = re.findall(
    r"^```yaml\n(.*?)^```", (ROOT / "docs/config.md").read_text(encoding="utf-8"), re.M | re.S
)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.partition(":")[0])
def test_every_example_of_a_config_is_valid(tmp_path: Path, example: str) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/base.yaml").write_text(f"app: shop\n{example}", encoding="utf-8")
    (tmp_path / "config/dev.yaml").touch()
    assert load(tmp_path, "dev", {}).config.app == "shop"
