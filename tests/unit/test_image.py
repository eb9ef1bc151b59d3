"""Which image a version is. ECR and S3 are moto's, `docker` is a program that does what a test needs of it."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from bgdeploy.aws import Aws
from bgdeploy.clock import SystemClock
from bgdeploy.config import Config, Container, Settings
from bgdeploy.errors import BgdeployError, UsageError
from bgdeploy.release.image import Docker, Images, context_hash, require_version

SETTINGS = Settings(env="dev", config=Config(app="shop"))
ARM = Settings(env="dev", config=Config(app="shop", container=Container(architecture="arm64")))
# Writes down how it was called; what it pushes, the test has put into ECR already.
DOCKER = """\
import json, sys
from pathlib import Path
typed = sys.stdin.read()
with Path(sys.argv[1]).open("a") as log:
    log.write(json.dumps({"argv": sys.argv[2:], "stdin": typed}) + "\\n")
print("step of", sys.argv[2], flush=True)
print("warning of", sys.argv[2], file=sys.stderr, flush=True)
sys.exit(3 if sys.argv[2] == "FAILING" else 0)
"""


class Shop:
    """A project whose repository is there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.aws = Aws(stack="shop-dev", region="us-east-1", clock=SystemClock())
        self.aws.client("ecr").create_repository(repositoryName="shop-dev", imageTagMutability="IMMUTABLE")
        self.aws.client("s3").create_bucket(Bucket=SETTINGS.names.bucket(self.aws.account, "us-east-1"))
        (folder / "container").mkdir()
        (folder / "container/Dockerfile").write_text("FROM scratch\n")
        (folder / "docker.py").write_text(DOCKER)
        self.said: list[str] = []

    @property
    def log(self) -> list[dict[str, Any]]:
        path = self.folder / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def environ(self) -> Mapping[str, str]:
        program = f"'{sys.executable}' '{self.folder / 'docker.py'}' '{self.folder / 'calls'}'"
        return {"BGDEPLOY_DOCKER": program}

    def images(self, arrives: str = "", settings: Settings = SETTINGS) -> Images:
        """Return the shop's images; when the program says that it pushes, a version `arrives` in ECR."""

        def say(line: str) -> None:
            self.said.append(line)
            if arrives and line == "  step of push":
                self.push(arrives)

        return Images(self.aws, settings, self.folder, say, self.environ)

    def push(self, tag: str, content: str = "one") -> str:
        """Put an image into ECR, and return its digest."""
        config = {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "size": 1,
            "digest": "sha256:0",
        }
        manifest = json.dumps(
            {"schemaVersion": 2, "config": config, "layers": [], "annotations": {"is": content}}
        )
        put = self.aws.client("ecr").put_image(
            repositoryName="shop-dev",
            imageManifest=manifest,
            imageManifestMediaType="application/vnd.docker.distribution.manifest.v2+json",
            imageTag=tag,
            imageDigest="sha256:" + hashlib.sha256(manifest.encode()).hexdigest(),
        )
        return str(put["image"]["imageId"]["imageDigest"])


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with mock_aws():
        yield Shop(tmp_path)


def test_an_image_that_ecr_has_goes_out_by_its_digest(shop: Shop) -> None:
    digest = shop.push("v1")
    image = shop.images().resolve("v1")
    assert image.reference == f"{shop.aws.account}.dkr.ecr.us-east-1.amazonaws.com/shop-dev@{digest}"
    assert (image.source, shop.log) == ("ecr", [])


def test_a_version_that_ecr_lacks_is_built_and_pushed(shop: Shop) -> None:
    image = shop.images(arrives="v2").resolve("v2")
    build, login, push = (call["argv"] for call in shop.log)
    assert (image.source, build[0], login[0], push[0]) == ("built", "build", "login", "push")
    assert build[1:5] == ["--platform", "linux/amd64", "--build-arg", "VERSION=v2"]
    assert build[-2:] == [push[1], str(shop.folder / "container")]
    assert push[1].endswith("/shop-dev:v2")


def test_an_image_for_arm_is_built_for_arm(shop: Shop) -> None:
    shop.images(arrives="v2", settings=ARM).resolve("v2")
    assert shop.log[0]["argv"][1:3] == ["--platform", "linux/arm64"]


def test_an_image_that_was_built_for_another_architecture_does_not_go_out(shop: Shop) -> None:
    shop.images(arrives="v2").resolve("v2")
    with pytest.raises(UsageError, match="v2 was built for linux/amd64, and the config asks for linux/arm64"):
        shop.images(settings=ARM).resolve("v2")


def test_what_the_program_prints_is_passed_on(shop: Shop) -> None:
    shop.images(arrives="v2").resolve("v2")
    assert {"  step of build", "  warning of build", "  step of push"} <= set(shop.said)


def test_the_registrys_password_is_in_no_argument_and_is_not_printed(shop: Shop) -> None:
    shop.images(arrives="v2").resolve("v2")
    login = shop.log[1]
    assert login["argv"][:4] == ["login", "--username", "AWS", "--password-stdin"]
    assert login["stdin"]
    assert not any(login["stdin"] in part for call in shop.log for part in call["argv"])
    assert not any(login["stdin"] in line for line in shop.said)


def test_a_context_that_has_changed_since_the_image_was_built_is_told(shop: Shop) -> None:
    shop.images(arrives="v2").resolve("v2")
    (shop.folder / "container/page").write_text("new")
    shop.said.clear()
    assert shop.images().resolve("v2").source == "ecr"
    assert "container/ has changed since v2 was built" in shop.said[-1]


def test_a_context_that_is_as_it_was_is_not_mentioned(shop: Shop) -> None:
    built = shop.images(arrives="v2").resolve("v2")
    shop.said.clear()
    again = shop.images().resolve("v2")
    assert (again.digest, again.context, len(shop.said)) == (built.digest, built.context, 1)


def test_nothing_is_said_of_a_context_of_which_nothing_is_known(shop: Shop) -> None:
    shop.push("v1")
    assert (shop.images().resolve("v1").context, len(shop.said)) == ("", 1)


def test_a_push_that_never_arrives_is_told(shop: Shop) -> None:
    with pytest.raises(BgdeployError, match="was pushed, and ECR does not have it"):
        shop.images().resolve("v2")


def test_a_project_without_a_dockerfile_is_told_what_to_do(shop: Shop) -> None:
    (shop.folder / "container/Dockerfile").unlink()
    with pytest.raises(UsageError, match="has no Dockerfile") as caught:
        shop.images().resolve("v2")
    assert "--image" in caught.value.hint


def test_a_stack_without_a_repository_is_not_provisioned(shop: Shop) -> None:
    shop.aws.client("ecr").delete_repository(repositoryName="shop-dev", force=True)
    with pytest.raises(BgdeployError, match="no ECR repository shop-dev") as caught:
        shop.images().resolve("v1")
    assert "bgdeploy provision" in caught.value.hint


def test_an_image_named_by_tag_in_our_registry_is_pinned(shop: Shop) -> None:
    digest = shop.push("v1")
    uri = f"{shop.aws.account}.dkr.ecr.us-east-1.amazonaws.com/shop-dev"
    assert shop.images().given(f"{uri}:v1").reference == f"{uri}@{digest}"
    assert shop.images().given(f"{uri}@{digest}").reference == f"{uri}@{digest}"


def test_an_image_that_our_registry_lacks_is_told(shop: Shop) -> None:
    uri = f"{shop.aws.account}.dkr.ecr.us-east-1.amazonaws.com/shop-dev"
    with pytest.raises(BgdeployError, match="there is no image"):
        shop.images().given(f"{uri}:v9")


@pytest.mark.parametrize(
    "reference",
    ["public.ecr.aws/docker/library/httpd:2.4", "999999999999.dkr.ecr.us-east-1.amazonaws.com/other:v1"],
)
def test_an_image_of_somebody_elses_registry_goes_out_as_it_is_named(shop: Shop, reference: str) -> None:
    assert shop.images().given(reference).reference == reference


def test_a_program_that_is_not_there_is_told_with_the_ways_out() -> None:
    docker = Docker({"BGDEPLOY_DOCKER": "no-such-docker"}, lambda line: None)
    with pytest.raises(BgdeployError, match="no-such-docker cannot be run") as caught:
        docker.run("build", ".")
    assert "BGDEPLOY_DOCKER" in caught.value.hint


def test_a_program_that_fails_is_told_with_its_last_words(shop: Shop) -> None:
    with pytest.raises(BgdeployError, match="failed with exit status 3: warning of FAILING"):
        Docker(shop.environ, shop.said.append).run("FAILING")


def test_ctrl_c_ends_a_build_that_nobody_waits_for_any_more(tmp_path: Path) -> None:
    program = tmp_path / "slow-docker"
    program.write_text("#!/bin/sh\necho $$\nexec sleep 60\n", encoding="utf-8")
    program.chmod(0o755)
    said: list[str] = []

    def press_ctrl_c(line: str) -> None:
        said.append(line)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Docker({"BGDEPLOY_DOCKER": str(program)}, press_ctrl_c).run("build", ".")
    with pytest.raises(ProcessLookupError):
        os.kill(int(said[0]), 0)


@pytest.mark.parametrize("version", ["v2", "1.4.0-rc1", "_x", "a" * 128])
def test_a_tag_is_a_version(version: str) -> None:
    require_version(version)


@pytest.mark.parametrize("version", ["", "-v", ".v", "v 2", "v/2", "v:2", "a" * 129, "vé", "v2\n"])
def test_what_is_no_tag_is_no_version(version: str) -> None:
    with pytest.raises(UsageError, match="is no version"):
        require_version(version)


NAMES = st.from_regex(r"([a-z]{1,3}/)?[a-z]{4}", fullmatch=True)  # no file is called like a folder


def _write(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


@settings(max_examples=40, deadline=None)
@given(
    one=st.dictionaries(NAMES, st.binary(max_size=4), max_size=4),
    other=st.dictionaries(NAMES, st.binary(max_size=4), max_size=4),
)
def test_two_contexts_have_the_same_hash_exactly_when_they_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, one: dict[str, bytes], other: dict[str, bytes]
) -> None:
    folders = [_write(tmp_path_factory.mktemp("context"), files) for files in (one, other)]
    assert (context_hash(folders[0]) == context_hash(folders[1])) == (one == other)


def test_what_may_be_run_counts_and_what_git_keeps_does_not(tmp_path: Path) -> None:
    _write(tmp_path, {"start": b"#!/bin/sh\n", ".git/HEAD": b"1"})
    before = context_hash(tmp_path)
    (tmp_path / ".git/HEAD").write_bytes(b"2")
    assert context_hash(tmp_path) == before
    (tmp_path / "start").chmod((tmp_path / "start").stat().st_mode | stat.S_IXUSR)
    assert context_hash(tmp_path) != before
