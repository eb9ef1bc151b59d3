"""The sandbox's docker, in front of its ECR; and the images that tasks then get."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bgdeploy.sandbox import docker
from bgdeploy.sandbox.images import PullError
from bgdeploy.sandbox.server import Server
from tests.sandbox.conftest import Connect, Serve

_REGISTRY = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
_WEB = f"{_REGISTRY}/web"
_MANIFEST = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
    "config": {"size": 1, "digest": "sha256:" + "c" * 64},
    "layers": [],
}


@pytest.fixture
def server(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A sandbox with the environment that it prints."""
    server = serve("images")
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("BGDEPLOY_SANDBOX_HOME", str(tmp_path))
    return server


@pytest.fixture
def ecr(server: Server, connect: Connect) -> Any:
    """A client of a registry with one repository, whose tags never move."""
    client = connect(server, "ecr")
    client.create_repository(repositoryName="web", imageTagMutability="IMMUTABLE")
    return client


Build = Callable[..., int]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Builds an image with one page, under the references given."""

    def build_image(page: str, *references: str) -> int:
        context = tmp_path / "context"
        context.mkdir(exist_ok=True)
        (context / "page").write_text(page, encoding="utf-8")
        (context / "Dockerfile").write_text("FROM scratch\nCOPY page /page\n", encoding="utf-8")
        tags = [word for reference in references for word in ("-t", reference)]
        return docker.main(["build", *tags, str(context)])

    return build_image


@pytest.mark.parametrize("platform", ["linux/arm64", "linux/arm64/v8", "arm64"])
def test_the_platform_that_is_asked_for_is_the_images(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform: str
) -> None:
    monkeypatch.setenv("BGDEPLOY_SANDBOX_HOME", str(tmp_path))
    (tmp_path / "Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
    assert docker.main(["build", "--platform", platform, str(tmp_path)]) == 0
    (config,) = (tmp_path / "images").glob("*/config.json")
    assert json.loads(config.read_text(encoding="utf-8"))["architecture"] == "arm64"


def test_a_pushed_image_is_the_one_that_a_task_gets(server: Server, ecr: Any, build: Build) -> None:
    assert build("one", f"{_WEB}:v1") == 0
    assert docker.main(["push", f"{_WEB}:v1"]) == 0
    with server.world.lock:
        image = server.world.images.resolve(f"{_WEB}:v1", "us-east-1")
        pinned = server.world.images.resolve(f"{_WEB}@{image.digest}", "us-east-1")
    assert (image.rootfs / "page").read_text(encoding="utf-8") == "one"
    assert pinned == image


def test_the_digest_that_push_prints_is_ecrs_and_the_sha256_of_the_manifest(
    ecr: Any, build: Build, capsys: pytest.CaptureFixture[str]
) -> None:
    build("one", f"{_WEB}:v1")
    docker.main(["push", f"{_WEB}:v1"])
    detail = ecr.describe_images(repositoryName="web")["imageDetails"][0]
    manifest = ecr.batch_get_image(repositoryName="web", imageIds=[{"imageTag": "v1"}])["images"][0][
        "imageManifest"
    ]
    assert detail["imageDigest"] == "sha256:" + hashlib.sha256(manifest.encode()).hexdigest()
    assert f"v1: digest: {detail['imageDigest']} size: {len(manifest)}" in capsys.readouterr().out


def test_pushing_the_same_image_again_changes_nothing(ecr: Any, build: Build) -> None:
    build("one", f"{_WEB}:v1")
    assert [docker.main(["push", f"{_WEB}:v1"]) for _ in range(2)] == [0, 0]
    assert len(ecr.describe_images(repositoryName="web")["imageDetails"]) == 1


def test_a_tag_that_is_taken_is_not_moved(ecr: Any, build: Build, capsys: pytest.CaptureFixture[str]) -> None:
    build("one", f"{_WEB}:v1")
    docker.main(["push", f"{_WEB}:v1"])
    build("two", f"{_WEB}:v1")
    assert docker.main(["push", f"{_WEB}:v1"]) == 1
    assert "ImageTagAlreadyExistsException" in capsys.readouterr().err


def test_tag_gives_an_image_another_name(ecr: Any, build: Build) -> None:
    build("one", "web:local")
    assert docker.main(["tag", "web:local", f"{_WEB}:v1"]) == 0
    assert docker.main(["push", f"{_WEB}:v1"]) == 0
    assert ecr.describe_images(repositoryName="web")["imageDetails"][0]["imageTags"] == ["v1"]


def test_inspect_tells_the_digest_by_which_the_image_can_be_pinned(
    server: Server, build: Build, capsys: pytest.CaptureFixture[str]
) -> None:
    build("one", f"{_WEB}:v1")
    built = capsys.readouterr().out.split()[-1]
    assert docker.main(["image", "inspect", f"{_WEB}:v1"]) == 0
    told = json.loads(capsys.readouterr().out)[0]
    assert (told["Id"], told["RepoDigests"]) == (built, [f"{_WEB}@{built}"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["push", f"{_WEB}:v9"], "No such image"),
        (["tag", "nothing", "web:1"], "No such image"),
        (["image", "inspect", "nothing"], "No such image"),
        (["login", _REGISTRY], "--password-stdin"),
    ],
)
def test_what_cannot_be_done_is_an_error_and_a_sentence(
    server: Server, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert docker.main(arguments) == 1
    assert says in capsys.readouterr().err


def test_an_image_of_another_registry_is_not_pushed(
    server: Server, build: Build, capsys: pytest.CaptureFixture[str]
) -> None:
    build("one", "docker.io/me/web:v1")
    assert docker.main(["push", "docker.io/me/web:v1"]) == 1
    assert "names no repository of the sandbox's ECR" in capsys.readouterr().err


def test_nothing_is_pushed_when_no_sandbox_is_named(
    ecr: Any, build: Build, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    build("one", f"{_WEB}:v1")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert docker.main(["push", f"{_WEB}:v1"]) == 1
    assert "no sandbox is named" in capsys.readouterr().err
    assert ecr.describe_images(repositoryName="web")["imageDetails"] == []


def test_login_takes_the_password_that_ecr_gives(ecr: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    monkeypatch.setattr("sys.stdin", io.StringIO(token))
    assert docker.main(["login", "--username", "AWS", "--password-stdin", _REGISTRY]) == 0


@pytest.mark.parametrize(
    "reference",
    [f"{_WEB}:v9", f"{_REGISTRY}/other:v1", f"{_WEB}@sha256:{'0' * 64}", "nginx:1", "example.com/httpd:2.4"],
)
def test_an_image_that_is_not_there_is_not_pulled(server: Server, ecr: Any, reference: str) -> None:
    with server.world.lock, pytest.raises(PullError, match="CannotPullContainerError: .*" + reference):
        server.world.images.resolve(reference, "us-east-1")


@pytest.mark.parametrize(
    "reference", ["public.ecr.aws/docker/library/httpd:2.4-alpine", "httpd:2.4", "httpd"]
)
def test_the_public_web_server_is_always_there(server: Server, reference: str) -> None:
    image = server.world.images.resolve(reference, "us-east-1")
    assert "It works!" in (image.folder / "htdocs/index.html").read_text(encoding="utf-8")


# ECR itself


def _put(ecr: Any, tag: str, layers: int = 0, **more: str) -> str:
    manifest = json.dumps(_MANIFEST | {"layers": [{"size": layers, "digest": "sha256:" + "d" * 64}]})
    put = ecr.put_image(repositoryName="web", imageTag=tag, imageManifest=manifest, **more)
    return str(put["image"]["imageId"]["imageDigest"])


def test_ecr_knows_an_image_by_its_manifest_whatever_its_layers(ecr: Any) -> None:
    assert _put(ecr, "v1", 1) != _put(ecr, "v2", 2)


def test_ecr_refuses_an_image_whose_digest_is_another(ecr: Any) -> None:
    with pytest.raises(ecr.exceptions.ImageDigestDoesNotMatchException):
        _put(ecr, "v1", imageDigest="sha256:" + "0" * 64)


def test_ecr_refuses_to_move_an_immutable_tag(ecr: Any) -> None:
    _put(ecr, "v1", 1)
    with pytest.raises(
        ecr.exceptions.ImageTagAlreadyExistsException, match="'v1' already exists in the 'web'"
    ):
        _put(ecr, "v1", 2)


def test_ecr_refuses_the_same_image_under_the_same_tag(ecr: Any) -> None:
    _put(ecr, "v1", 1)
    with pytest.raises(ecr.exceptions.ImageAlreadyExistsException):
        _put(ecr, "v1", 1)


def test_ecr_gives_one_image_two_tags(ecr: Any) -> None:
    assert _put(ecr, "v1", 1) == _put(ecr, "latest", 1)
    detail = ecr.describe_images(repositoryName="web")["imageDetails"]
    assert [sorted(image["imageTags"]) for image in detail] == [["latest", "v1"]]


def test_ecr_moves_a_mutable_tag(ecr: Any) -> None:
    ecr.put_image_tag_mutability(repositoryName="web", imageTagMutability="MUTABLE")
    _put(ecr, "v1", 1)
    moved = _put(ecr, "v1", 2)
    assert (
        ecr.describe_images(repositoryName="web", imageIds=[{"imageTag": "v1"}])["imageDetails"][0][
            "imageDigest"
        ]
        == moved
    )


def test_ecr_says_that_a_repository_is_not_there(ecr: Any) -> None:
    with pytest.raises(ClientError) as caught:
        ecr.put_image(repositoryName="other", imageTag="v1", imageManifest=json.dumps(_MANIFEST))
    assert caught.value.response["Error"]["Code"] == "RepositoryNotFoundException"


def test_a_repository_with_images_in_it_is_deleted_only_by_force(ecr: Any) -> None:
    _put(ecr, "v1")
    with pytest.raises(ecr.exceptions.RepositoryNotEmptyException):
        ecr.delete_repository(repositoryName="web")
    ecr.delete_repository(repositoryName="web", force=True)
    assert ecr.describe_repositories()["repositories"] == []
