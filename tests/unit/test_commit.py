"""Which commit a folder is at."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bgdeploy.release.records.commit import Commit, of


def _git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=ann", "-c", "user.email=ann@example.com", "-c", "commit.gpgsign=false"]
    told = subprocess.run(
        ["git", "-C", str(folder), *identity, *words], capture_output=True, text=True, check=True
    )
    return told.stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project in a folder of a repository."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "page").write_text("one")
    _git(tmp_path, "init", "-q")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "-qm", "one")
    return folder


def test_a_clean_folder_is_at_its_commit(project: Path) -> None:
    assert of(project) == Commit(_git(project, "rev-parse", "HEAD"), dirty=False)


def test_what_is_not_committed_makes_it_dirty(project: Path) -> None:
    (project / "new").write_text("two")
    assert of(project).dirty


def test_what_happens_beside_the_folder_does_not(project: Path) -> None:
    (project.parent / "elsewhere").write_text("two")
    assert not of(project).dirty


def test_no_repository_or_one_without_a_commit_has_none(tmp_path: Path) -> None:
    assert of(tmp_path) == Commit()
    _git(tmp_path, "init", "-q")
    assert of(tmp_path) == Commit()


def test_without_git_nothing_is_known(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(project))
    assert of(project) == Commit()
