"""Builds an image from a Dockerfile without Docker: the files are copied, RUN lines run on this machine.

What it cannot do it refuses by name: an image that was built differently than Docker would have is worse than none.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bgdeploy.sandbox import dockerignore
from bgdeploy.sandbox.images import BASES, inside

_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::-([^}]*))?\}|(\w+))")
# Escaped, in single quotes, or with one of the shell's other operators.
_ODD_VARIABLE = re.compile(r"\\\$|'[^']*\$[^']*'|\$\{(?!\w+(?::-[^}]*)?\})[^}]*\}?")
_ABSOLUTE_PATH = re.compile(r"""(?:^|[\s"'=<>;|&(\[,])(/[^\s"'<>;|&)\],]*)""")
# The only absolute paths that mean the same here as in an image.
_EVERYWHERE = {"/dev/null", "/dev/stdout", "/dev/stderr", "/bin/sh", "/usr/bin/env"}


class BuildError(Exception):
    """The image cannot be built; the text says which line and why."""


@dataclass
class _Build:
    """An image in the making."""

    context: Path
    rootfs: Path
    say: Callable[[str], None]
    given: Mapping[str, str]  # the --build-arg values
    architecture: str
    arguments: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    ports: dict[str, dict[str, str]] = field(default_factory=dict)
    workdir: str = "/"
    user: str = ""
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    based: bool = False

    def step(self, instruction: str, value: str) -> None:
        """Carry out one instruction. Raises BuildError."""
        name = instruction.lower()
        if name not in _STEPS:
            raise BuildError(f"{instruction} is not something the sandbox's builder can do")
        if not self.based and name not in {"from", "arg"}:
            raise BuildError("a Dockerfile begins with FROM")
        odd = _ODD_VARIABLE.search(value) if name not in _OF_THE_SHELL else None
        if odd:
            raise BuildError(f"{odd.group()} is not a variable as the sandbox's builder knows them")
        _STEPS[name](self, value)

    def fill(self, text: str) -> str:
        """Return `text` with its variables replaced, as Docker replaces them outside RUN."""
        known = self.arguments | self.environment
        return _VARIABLE.sub(lambda m: known.get(m.group(1) or m.group(3)) or m.group(2) or "", text)

    def from_(self, value: str) -> None:
        if self.based:
            raise BuildError("only one FROM: the sandbox's builder knows no multi-stage builds")
        reference = self.fill(next((word for word in value.split() if not word.startswith("--")), ""))
        name = reference.rpartition("/")[2].partition(":")[0].partition("@")[0]
        if name not in BASES:
            raise BuildError(f"FROM {reference}: the sandbox has no internet; it knows {', '.join(BASES)}")
        base = BASES[name]
        self.based, self.workdir, self.command = True, base.workdir, list(base.command)
        self.environment |= base.environment
        inside(self.rootfs, self.workdir).mkdir(parents=True, exist_ok=True)

    def arg(self, value: str) -> None:
        name, _, default = value.partition("=")
        self.arguments[name.strip()] = self.given.get(name.strip(), self.fill(default.strip().strip("\"'")))

    def env(self, value: str) -> None:
        self.environment |= {name: self.fill(text) for name, text in _pairs(value)}

    def label(self, value: str) -> None:
        self.labels |= {name: self.fill(text) for name, text in _pairs(value)}

    def workdir_(self, value: str) -> None:
        self.workdir = os.path.normpath(os.path.join(self.workdir, self.fill(value)))
        inside(self.rootfs, self.workdir).mkdir(parents=True, exist_ok=True)

    def copy(self, value: str) -> None:
        words = json.loads(value) if value.startswith("[") else value.split()
        words = [self.fill(word) for word in words if not word.startswith(("--chown", "--chmod", "--link"))]
        if any(word.startswith("--") or "://" in word for word in words):
            raise BuildError(f"COPY {value}: only files of the build context can be copied")
        *sources, target = words
        destination = inside(self.rootfs, os.path.join(self.workdir, target))
        for source in sources:
            self._copy_one(source, destination, into=target.endswith("/") or len(sources) > 1)

    def _copy_one(self, source: str, destination: Path, *, into: bool) -> None:
        pattern, ignored = os.path.normpath(source.lstrip("/") or "."), dockerignore.read(self.context)
        every = [self.context] if pattern == "." else sorted(self.context.glob(pattern))
        found = [path for path in every if not pattern.startswith("..") and not ignored(path)]
        if not found:
            raise BuildError(f"COPY {source}: the build context has no such file")

        def out(folder: str, names: list[str]) -> set[str]:
            return {name for name in names if ignored(Path(folder) / name)}

        for path in found:
            if path.is_dir():
                shutil.copytree(path, destination, dirs_exist_ok=True, ignore=out)
            else:
                target = destination / path.name if into or destination.is_dir() else destination
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target)

    def run(self, value: str) -> None:
        _refuse_absolute_paths(value)
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.rootfs),
            "LANG": "C.UTF-8",
        }
        done = subprocess.run(
            _words(value),
            cwd=inside(self.rootfs, self.workdir),
            check=False,
            text=True,
            env=environment | self.arguments | self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for line in done.stdout.splitlines():
            self.say(f"    {line}")
        if done.returncode:
            raise BuildError(
                f"RUN {value}: exit status {done.returncode} (RUN lines run on this machine, in the "
                "image's folder: they can use what is installed here, by relative paths)"
            )

    def expose(self, value: str) -> None:
        self.ports |= {(port if "/" in port else f"{port}/tcp"): {} for port in self.fill(value).split()}

    def nothing(self, _value: str) -> None:
        """What neither Fargate nor the sandbox looks at in an image."""

    def user_(self, value: str) -> None:
        self.user = self.fill(value)

    def entrypoint_(self, value: str) -> None:
        self.entrypoint, self.command = _words(value), []

    def cmd(self, value: str) -> None:
        self.command = _words(value)

    @property
    def config(self) -> dict[str, Any]:
        """The image's configuration, as OCI writes it."""
        return {
            "architecture": self.architecture,
            "os": "linux",
            "config": {
                "Env": [f"{name}={value}" for name, value in self.environment.items()],
                "WorkingDir": self.workdir,
                "Entrypoint": self.entrypoint,
                "Cmd": self.command,
                "ExposedPorts": self.ports,
                "Labels": self.labels,
                "User": self.user,
            },
        }


_STEPS: Mapping[str, Callable[[_Build, str], None]] = {
    "from": _Build.from_,
    "arg": _Build.arg,
    "env": _Build.env,
    "label": _Build.label,
    "workdir": _Build.workdir_,
    "copy": _Build.copy,
    "add": _Build.copy,
    "run": _Build.run,
    "expose": _Build.expose,
    "user": _Build.user_,
    "entrypoint": _Build.entrypoint_,
    "healthcheck": _Build.nothing,
    "volume": _Build.nothing,
    "maintainer": _Build.nothing,
    "cmd": _Build.cmd,
}
# Whose variables are not the builder's to replace.
_OF_THE_SHELL = {"run", "cmd", "entrypoint", "healthcheck"}


@dataclass(frozen=True)
class Order:
    """What is to be built: the options of `docker build`."""

    context: Path
    dockerfile: Path
    arguments: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    architecture: str = "amd64"


def build(order: Order, store: Path, say: Callable[[str], None]) -> str:
    """Build the image that is ordered into `store` and return its digest: equal content, equal digest.

    Raises BuildError.
    """
    from dockerfile_parse import DockerfileParser

    if not order.dockerfile.is_file():
        raise BuildError(f"there is no {order.dockerfile}")
    making = store / f"making-{os.getpid()}"
    shutil.rmtree(making, ignore_errors=True)
    (making / "rootfs").mkdir(parents=True)
    work = _Build(order.context, making / "rootfs", say, order.arguments, order.architecture)
    try:
        with order.dockerfile.open("rb") as file:
            steps = DockerfileParser(fileobj=file, env_replace=False).structure
        steps = [step for step in steps if step["instruction"] != "COMMENT"]
        for number, step in enumerate(steps, start=1):
            say(f"#{number} [{number}/{len(steps)}] {step['instruction']} {step['value']}")
            work.step(step["instruction"], step["value"])
        work.labels |= order.labels
        return _keep(work, making, store)
    except (BuildError, ValueError) as error:
        raise BuildError(f"{order.dockerfile.name}: {error}") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _refuse_absolute_paths(command: str) -> None:
    """Refuse a RUN line that would touch this machine where it means the image: `rm -rf /var/cache` above all.

    It keeps mistakes out, not malice: a program that RUN starts may do what this user may.
    """
    for path in _ABSOLUTE_PATH.findall(command):
        if path not in _EVERYWHERE:
            raise BuildError(
                f"RUN {command}: {path} would be this machine's, not the image's, because RUN lines run here, in the "
                "image's folder; use a path relative to WORKDIR"
            )


def _keep(work: _Build, making: Path, store: Path) -> str:
    content = _content_digest(work.rootfs)
    config = json.dumps(work.config | {"rootfs": {"type": "layers", "diff_ids": [content]}}, sort_keys=True)
    config_digest = "sha256:" + hashlib.sha256(config.encode()).hexdigest()
    size = sum(path.stat().st_size for path in work.rootfs.rglob("*") if path.is_file())
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "size": len(config),
                "digest": config_digest,
            },
            "layers": [
                {
                    "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                    "size": size,
                    "digest": content,
                }
            ],
        },
        sort_keys=True,
    )
    digest = hashlib.sha256(manifest.encode()).hexdigest()
    (making / "config.json").write_text(config, encoding="utf-8")
    (making / "manifest.json").write_text(manifest, encoding="utf-8")
    if not (store / digest).exists():
        making.rename(store / digest)
    return f"sha256:{digest}"


def _content_digest(rootfs: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(rootfs.rglob("*")):
        kind = "d" if path.is_dir() else "f"
        executable = "x" if path.is_file() and os.access(path, os.X_OK) else "-"
        total.update(f"{kind}{executable}{path.relative_to(rootfs).as_posix()}\0".encode())
        if path.is_file():
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return "sha256:" + total.hexdigest()


def _pairs(value: str) -> list[tuple[str, str]]:
    words = shlex.split(value)
    if words and "=" not in words[0]:
        name, _, rest = value.partition(" ")
        return [(name, rest.strip())]
    return [tuple(word.partition("=")[::2]) for word in words]  # type: ignore[misc]


def _words(value: str) -> list[str]:
    if value.startswith("["):
        try:
            return [str(word) for word in json.loads(value)]
        except ValueError:
            raise BuildError(f"{value} is not a JSON list") from None
    return ["/bin/sh", "-c", value]
