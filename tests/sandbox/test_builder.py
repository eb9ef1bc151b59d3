"""Images from Dockerfiles, without Docker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bgdeploy.sandbox.builder import BuildError, Order, build
from bgdeploy.sandbox.images import Image, load

_CONTAINER = Path(__file__).parents[2] / "container"


def _quiet(_line: str) -> None:
    """Nobody listens."""


class Workshop:
    """A build context, and a store for what is built from it."""

    def __init__(self, folder: Path) -> None:
        self.context, self.store = folder / "context", folder / "images"
        self.context.mkdir()

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.context / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def build(self, dockerfile: str, **options: Any) -> Image:
        self.write({"Dockerfile": dockerfile})
        digest = build(Order(self.context, self.context / "Dockerfile", **options), self.store, _quiet)
        image = load(self.store, digest)
        assert image is not None
        return image

    def config(self, image: Image) -> dict[str, Any]:
        config: dict[str, Any] = json.loads((image.rootfs.parent / "config.json").read_text(encoding="utf-8"))
        return config


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def test_the_starter_container_says_hello_from_its_version(tmp_path: Path) -> None:
    order = Order(_CONTAINER, _CONTAINER / "Dockerfile", arguments={"VERSION": "v7"})
    image = load(tmp_path, build(order, tmp_path, _quiet))
    assert image is not None
    assert "Hello from v7" in (image.folder / "htdocs/index.html").read_text(encoding="utf-8")
    assert (image.folder / "conf/httpd.conf").is_file()
    assert (*image.entrypoint, *image.command) == ("httpd-foreground",)
    assert image.environment["PORT"] == "80"
    assert image.ports == (80,)


def test_equal_content_has_an_equal_digest_and_other_content_another(workshop: Workshop) -> None:
    workshop.write({"page": "one"})
    first = workshop.build("FROM scratch\nCOPY page /page\n").digest
    assert workshop.build("FROM scratch\n\nCOPY page /page\n").digest == first
    workshop.write({"page": "two"})
    assert workshop.build("FROM scratch\nCOPY page /page\n").digest != first


def test_the_digest_also_covers_what_is_run_in_the_image(workshop: Workshop) -> None:
    assert (
        workshop.build('FROM scratch\nCMD ["a"]\n').digest
        != workshop.build('FROM scratch\nCMD ["b"]\n').digest
    )


def test_an_executable_file_stays_executable(workshop: Workshop) -> None:
    workshop.write({"start": "#!/bin/sh\n"})
    (workshop.context / "start").chmod(0o755)
    image = workshop.build("FROM alpine\nCOPY start /bin/start\n")
    assert (image.rootfs / "bin/start").stat().st_mode & 0o111


@pytest.mark.parametrize(
    ("line", "there"),
    [
        ("COPY a.txt /x", ["x"]),
        ("COPY a.txt /x/", ["x/a.txt"]),
        ("COPY a.txt b.txt /x/", ["x/a.txt", "x/b.txt"]),
        ("COPY *.txt /x/", ["x/a.txt", "x/b.txt"]),
        ("COPY sub /x", ["x/c.txt", "x/deep/d.txt"]),
        ("COPY sub/ x/", ["srv/x/c.txt", "srv/x/deep/d.txt"]),
        ("COPY ./ /all", ["all/Dockerfile", "all/a.txt", "all/b.txt", "all/sub/c.txt", "all/sub/deep/d.txt"]),
        ('COPY ["a.txt", "/x"]', ["x"]),
        ("COPY --chown=web:web a.txt /x", ["x"]),
        ("ADD a.txt /x", ["x"]),
    ],
)
def test_files_are_copied_where_docker_copies_them(workshop: Workshop, line: str, there: list[str]) -> None:
    workshop.write({"a.txt": "", "b.txt": "", "sub/c.txt": "", "sub/deep/d.txt": "", "keys.secret": ""})
    workshop.write({".dockerignore": "*.secret\n.dockerignore\n"})
    image = workshop.build(f"FROM scratch\nWORKDIR /srv\n{line}\n")
    files = [path.relative_to(image.rootfs).as_posix() for path in image.rootfs.rglob("*") if path.is_file()]
    assert sorted(files) == there


@pytest.mark.parametrize(
    ("pattern", "out"),
    [
        ("*.md", {"a.md"}),
        ("**/*.md", {"a.md", "sub/b.md", "sub/deep/c.md"}),
        ("sub", {"sub/b.md", "sub/x.py", "sub/deep/c.md"}),
        ("/sub/*.md", {"sub/b.md"}),
        ("sub/**", {"sub/b.md", "sub/x.py", "sub/deep/c.md"}),
        ("?.md", {"a.md"}),
        ("# a.md\n\n", set()),
    ],
)
def test_what_dockerignore_names_stays_out_of_the_image(
    workshop: Workshop, pattern: str, out: set[str]
) -> None:
    files = {"a.md", "sub/b.md", "sub/x.py", "sub/deep/c.md"}
    workshop.write({**dict.fromkeys(files, ""), ".dockerignore": pattern})
    image = workshop.build("FROM scratch\nCOPY . /\n")
    copied = {path.relative_to(image.rootfs).as_posix() for path in image.rootfs.rglob("*") if path.is_file()}
    assert files - copied == out


def test_an_ignored_file_cannot_be_copied_by_name_either(workshop: Workshop) -> None:
    workshop.write({"keys": "secret", ".dockerignore": "keys"})
    with pytest.raises(BuildError, match="the build context has no such file"):
        workshop.build("FROM scratch\nCOPY keys /\n")


def test_an_exception_in_dockerignore_is_refused_by_name(workshop: Workshop) -> None:
    workshop.write({"a": "", ".dockerignore": "*\n!a\n"})
    with pytest.raises(BuildError, match="knows no exceptions such as !a"):
        workshop.build("FROM scratch\nCOPY . /\n")


def test_variables_come_from_arguments_and_environment(workshop: Workshop) -> None:
    image = workshop.build(
        "FROM scratch\nARG NAME=web\nARG GREETING\nARG EMPTY\n"
        'ENV WHERE=/srv/$NAME SAID="${GREETING} you" ELSE=${NONE:-x} OR=${EMPTY:-y}\n'
        "WORKDIR $WHERE\n",
        arguments={"GREETING": "hello", "EMPTY": ""},
    )
    assert image.environment == {"WHERE": "/srv/web", "SAID": "hello you", "ELSE": "x", "OR": "y"}
    assert image.workdir == "/srv/web"


def test_run_lines_see_arguments_and_environment_and_change_the_image(workshop: Workshop) -> None:
    image = workshop.build(
        'FROM alpine\nARG WHO=me\nENV WHAT=it\nWORKDIR /srv\nRUN echo "$WHO made $WHAT" > note\n'
    )
    assert (image.rootfs / "srv/note").read_text(encoding="utf-8") == "me made it\n"


def test_run_lines_do_not_see_this_machines_secrets(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    image = workshop.build("FROM alpine\nRUN env > all\n")
    assert "AWS_SECRET_ACCESS_KEY" not in (image.rootfs / "all").read_text(encoding="utf-8")


def test_labels_user_and_platform_are_kept_in_the_config(workshop: Workshop) -> None:
    image = workshop.build(
        "FROM scratch\nLABEL team=web\nUSER nobody\nEXPOSE 8080\n",
        labels={"revision": "abc"},
        architecture="arm64",
    )
    config = workshop.config(image)
    assert config["architecture"] == "arm64"
    assert config["config"]["Labels"] == {"team": "web", "revision": "abc"}
    assert config["config"]["User"] == "nobody"
    assert config["config"]["ExposedPorts"] == {"8080/tcp": {}}


def test_a_shell_command_is_run_by_a_shell_and_an_entrypoint_forgets_the_bases_command(
    workshop: Workshop,
) -> None:
    assert workshop.build("FROM httpd\nCMD serve --all\n").command == ("/bin/sh", "-c", "serve --all")
    image = workshop.build('FROM httpd\nENTRYPOINT ["serve"]\n')
    assert (image.entrypoint, image.command) == (("serve",), ())


@pytest.mark.parametrize(
    ("dockerfile", "says"),
    [
        ("FROM example/own:1\n", "FROM example/own:1: the sandbox has no internet"),
        ("FROM scratch AS one\nFROM scratch\n", "only one FROM"),
        ("RUN true\n", "begins with FROM"),
        ("FROM alpine\nRUN exit 3\n", "RUN exit 3: exit status 3"),
        ("FROM alpine\nCOPY nothing /\n", "COPY nothing: the build context has no such file"),
        ("FROM alpine\nCOPY ../outside /\n", "the build context has no such file"),
        ("FROM alpine\nCOPY --from=other /a /b\n", "only files of the build context"),
        ("FROM alpine\nADD https://example.com/x /x\n", "only files of the build context"),
        ("FROM alpine\nCOPY Dockerfile ../../../../../../escaped\n", "leads out of the image"),
        ("FROM alpine\nSHELL x\n", "SHELL is not something"),
        ("FROM alpine\nENV A=${B:+c}\n", r"\$\{B:\+c\} is not a variable"),
        ("FROM alpine\nENV A=\\$B\n", r"\\\$ is not a variable"),
        ("FROM alpine\nENV A='$B'\n", r"'\$B' is not a variable"),
        ("FROM --platform=linux/amd64\n", "FROM : the sandbox has no internet"),
    ],
)
def test_what_cannot_be_built_as_docker_would_is_refused_by_name(
    workshop: Workshop, dockerfile: str, says: str
) -> None:
    (workshop.context.parent / "outside").write_text("", encoding="utf-8")
    with pytest.raises(BuildError, match=says):
        workshop.build(dockerfile)
    assert not (workshop.context.parent / "escaped").exists()


@pytest.mark.parametrize(
    "line",
    [
        "true; rm -f {0} >/dev/null",
        "sort --output={0} /dev/null",
        "rm -f '{0}'",
        'sh -c "rm -f {0}"',
        "true#no comment; rm -f {0}",
        "true>{0}",
        '["rm","-f","{0}"]',
    ],
)
def test_a_run_line_that_names_a_path_of_this_machine_is_refused_and_not_run(
    workshop: Workshop, tmp_path: Path, line: str
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine", encoding="utf-8")
    with pytest.raises(BuildError, match=f"{victim} would be this machine's"):
        workshop.build(f"FROM alpine\nRUN {line.format(victim)}\n")
    assert victim.read_text(encoding="utf-8") == "mine"


def test_a_failed_build_leaves_nothing_in_the_store(workshop: Workshop) -> None:
    with pytest.raises(BuildError):
        workshop.build("FROM alpine\nRUN false\n")
    assert list(workshop.store.iterdir()) == []
