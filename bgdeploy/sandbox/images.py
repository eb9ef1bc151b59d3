"""Container images as the sandbox has them: a folder of files, and what to run in it.

An image is kept under the sha256 of its manifest, `<home>/images/<digest>/`, and its manifest is a real one in ECR.
There is no isolation: the processes run on this machine, as this user.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bgdeploy.sandbox.ecr import Registry

if TYPE_CHECKING:
    from bgdeploy.sandbox.world import Handler, World

_ECR = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com/(?P<repository>[^:@]+)"
    r"(?::(?P<tag>[^@]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_PUBLIC_HTTPD = re.compile(
    r"(public\.ecr\.aws/docker/library/|docker\.io/library/|docker\.io/)?httpd(:[\w.-]+)?"
)
_WELCOME = "<html><body><h1>It works!</h1></body></html>\n"


def repository(reference: str) -> str | None:
    """Return the ARN of the ECR repository that an image is in, None for an image that is elsewhere."""
    ecr = _ECR.fullmatch(reference)
    return f"arn:aws:ecr:{ecr['region']}:{ecr['account']}:repository/{ecr['repository']}" if ecr else None


class PullError(Exception):
    """An image cannot be had; the text is what ECS gives as the reason that a task stopped."""


@dataclass(frozen=True)
class Image:
    """Files, and what to run in them."""

    digest: str
    rootfs: Path
    environment: Mapping[str, str]
    workdir: str  # absolute, inside the image
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()

    @property
    def folder(self) -> Path:
        """The working directory, on this machine."""
        return inside(self.rootfs, self.workdir)


def inside(rootfs: Path, path: str) -> Path:
    """Return where `path` of an image is on this machine; nothing leads out of the image."""
    resolved = (rootfs / path.lstrip("/")).resolve()
    if not resolved.is_relative_to(rootfs.resolve()):
        raise ValueError(f"{path} leads out of the image")
    return resolved


def load(store: Path, digest: str) -> Image | None:
    """Return the image that the store keeps under `digest`, None when it has none such."""
    folder = store / digest.removeprefix("sha256:")
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))["config"]
    except (OSError, ValueError, KeyError):
        return None
    return Image(
        digest=digest,
        rootfs=folder / "rootfs",
        environment=dict(pair.partition("=")[::2] for pair in config.get("Env", [])),
        workdir=config.get("WorkingDir") or "/",
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        ports=tuple(int(port.partition("/")[0]) for port in config.get("ExposedPorts", {})),
    )


class Images:
    """Finds the image that a task definition names."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._store = world.settings.home / "images"
        self._registry = Registry(world)

    @property
    def operations(self) -> Mapping[tuple[str, str], Handler]:
        return self._registry.operations

    def tick(self) -> None:
        """Nothing becomes due: images only lie there."""

    def close(self) -> None:
        """Nothing to end."""

    def resolve(self, reference: str, region: str) -> Image:
        """Return the image called `reference`. Raises PullError with ECS's words when there is none such."""
        ecr = _ECR.fullmatch(reference)
        if ecr:
            return self._from_ecr(reference, ecr.groupdict())
        if _PUBLIC_HTTPD.fullmatch(reference):
            return self._placeholder()
        raise PullError(
            f"CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref "
            f"{reference}: the sandbox has no internet: only images of its own ECR and the public httpd are there"
        )

    def _from_ecr(self, reference: str, parts: Mapping[str, Any]) -> Image:
        wanted = (
            {"imageDigest": parts["digest"]} if parts["digest"] else {"imageTag": parts["tag"] or "latest"}
        )
        try:
            details = self._world.client("ecr", region=parts["region"]).describe_images(
                repositoryName=parts["repository"], imageIds=[wanted]
            )["imageDetails"]
        except Exception:  # no such repository or image, in several words of moto's
            details = []
        image = load(self._store, details[0]["imageDigest"]) if details else None
        if image is None:
            raise PullError(
                f"CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref "
                f"{reference}: {reference}: not found"
            )
        return image

    def _placeholder(self) -> Image:
        """Return the public httpd image: one page, served by whatever serves the others."""
        rootfs = self._store / "public-httpd" / "rootfs"
        page = rootfs / "usr/local/apache2/htdocs/index.html"
        if not page.is_file():
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(_WELCOME, encoding="utf-8")
        base = BASES["httpd"]
        return Image("sha256:" + "0" * 64, rootfs, base.environment, base.workdir, (), base.command, (80,))


@dataclass(frozen=True)
class Base:
    """What the sandbox knows of a public image that others are built from: not its files, but how it runs."""

    workdir: str = "/"
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


BASES: Mapping[str, Base] = {
    "httpd": Base("/usr/local/apache2", ("httpd-foreground",)),
    "python": Base("/", ("python3",)),
    "node": Base("/", ("node",)),
    "alpine": Base("/", ("/bin/sh",)),
    "debian": Base("/", ("/bin/sh",)),
    "busybox": Base("/", ("/bin/sh",)),
    "scratch": Base(),
}


def program(rootfs: Path, command: Sequence[str]) -> list[str]:
    """Return the argv that runs `command` of the image whose files are in `rootfs` on this machine.

    What the image itself brings is run from its folder. `python` is the sandbox's own, `httpd-foreground` its web
    server; everything else is looked up on this machine's PATH.
    """
    if not command:
        return []
    name, rest = command[0], list(command[1:])
    if name == "httpd-foreground":
        return [sys.executable, "-m", "bgdeploy.sandbox.httpd", *rest]
    if name in {"python", "python3"}:
        return [sys.executable, *rest]
    if name.startswith("/") and inside(rootfs, name).is_file():
        return [str(inside(rootfs, name)), *rest]
    return [name, *rest]
