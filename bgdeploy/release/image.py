"""Which image a version is: the one that ECR has, one that is built now, or one that was named. Pinned by digest."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bgdeploy.aws import Attrs, Aws, absent
from bgdeploy.config import Settings
from bgdeploy.errors import WARNING, BgdeployError, UsageError

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")  # the registry API's grammar of a tag
_ECR = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/(?P<repository>[^:@]+)"
    r"(?::(?P<tag>[^@]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_PLATFORMS = {"x86_64": "linux/amd64", "arm64": "linux/arm64"}  # as Docker calls Fargate's architectures
_UNSEEN = {".git", "__pycache__", ".DS_Store"}

Say = Callable[[str], None]


@dataclass(frozen=True)
class Image:
    """What goes out as a version."""

    reference: str  # repository@sha256:…, which nobody can change any more
    digest: str  # "" for an image of somebody else's registry, named by tag
    source: Literal["ecr", "built", "given"]
    context: str = ""  # the hash of what it was built from, "" when nobody knows


def require_version(version: str) -> None:
    """Raise UsageError for what cannot be the tag of an image."""
    if not _TAG.fullmatch(version):
        raise UsageError(
            f"{version!r} is no version: it becomes an image's tag",
            "letters, digits, dots, hyphens and underscores, at most 128, such as v2 or 1.4.0-rc1",
        )


def context_hash(context: Path) -> str:
    """Return a hash of everything in a build context: each file's path, whether it may be run, and its content."""
    total = hashlib.sha256()
    for path in sorted(_files(context)):
        name = path.relative_to(context).as_posix()
        if path.is_symlink():
            kind, content = "link", os.readlink(path).encode()
        else:
            kind, content = ("x" if os.access(path, os.X_OK) else "f"), path.read_bytes()
        total.update(f"{kind} {len(name)} {name} {len(content)} ".encode())
        total.update(content)
    return total.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name in _UNSEEN:
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _files(path)
        else:
            yield path


def present(aws: Aws, reference: str) -> bool | None:
    """Tell whether ECR has an image, None for one that is not of this account's registry in this region."""
    match = _ours(aws, reference)
    return _described(aws, match["repository"], _identity(match)) is not None if match else None


def _ours(aws: Aws, reference: str) -> re.Match[str] | None:
    match = _ECR.fullmatch(reference)
    return match if match and (match["account"], match["region"]) == (aws.account, aws.region) else None


def _identity(match: re.Match[str]) -> Mapping[str, str]:
    return {"imageDigest": match["digest"]} if match["digest"] else {"imageTag": match["tag"] or "latest"}


def _described(aws: Aws, repository: str, image: Mapping[str, str]) -> str | None:
    """Return the digest of an image that ECR has."""
    with absent("ImageNotFoundException", "RepositoryNotFoundException"):
        found = aws.client("ecr").describe_images(repositoryName=repository, imageIds=[image])
        return str(found["imageDetails"][0]["imageDigest"])
    return None


@dataclass
class Images:
    """The images of one stack: where they are kept and how they are made."""

    aws: Aws
    settings: Settings
    project: Path
    say: Say
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @property
    def context(self) -> Path:
        return self.project / self.settings.config.build.context

    @property
    def platform(self) -> str:
        """What an image has to be built for, as Docker calls it."""
        return _PLATFORMS[self.settings.config.container.architecture]

    @property
    def repository(self) -> str:
        return self.settings.names.plain

    def resolve(self, version: str) -> Image:
        """Return the image of `version`: the one that ECR has by that tag, else one that is built and pushed now.

        Raises UsageError and BgdeployError with what to do.
        """
        uri = self._uri()
        digest = self._digest(version)
        if digest:
            return self._found(version, uri, digest)
        context = self._buildable()
        built = context_hash(context)
        self.say(f"building {self.repository}:{version} from {self.settings.config.build.context}/")
        self._build(version, uri, context, built)
        digest = self._digest(version)
        if digest is None:
            raise BgdeployError(
                f"{uri}:{version} was pushed, and ECR does not have it",
                "look at the lines above, then release again",
            )
        self._remember(version, digest, built)
        self.say(f"pushed {uri}@{digest[:19]}…")
        return Image(f"{uri}@{digest}", digest, "built", built)

    def known(self, version: str) -> Image | None:
        """Return the image that ECR has by the tag `version`, None when it has none. Builds nothing."""
        digest = self._digest(version)
        return Image(f"{self._uri()}@{digest}", digest, "ecr") if digest else None

    def given(self, reference: str) -> Image:
        """Return the image that somebody named; one of our own registry is pinned to what its tag means now."""
        match = _ours(self.aws, reference)
        if not match:
            elsewhere = _ECR.fullmatch(reference)
            return Image(reference, elsewhere["digest"] or "" if elsewhere else "", "given")
        digest = _described(self.aws, match["repository"], _identity(match))
        if digest is None:
            raise BgdeployError(
                f"there is no image {reference}",
                f"aws ecr describe-images --repository-name {match['repository']} lists what there is",
            )
        uri = reference.partition("@")[0]
        uri = uri.removesuffix(f":{match['tag']}") if match["tag"] else uri
        return Image(f"{uri}@{digest}", digest, "given")

    def _found(self, version: str, uri: str, digest: str) -> Image:
        """Tags are immutable: what ECR has is what goes out, whatever the build context has become since."""
        told = self._remembered(version, digest)
        context = str(told.get("context", ""))
        if told.get("platform", self.platform) != self.platform:
            raise UsageError(
                f"{version} was built for {told['platform']}, and the config asks for {self.platform}",
                "release it under a new version, which is then built for it",
            )
        self.say(f"ECR has {self.repository}:{version} ({digest[:19]}…): that image goes out")
        folder = self.settings.config.build.context
        if context and self.context.is_dir() and context_hash(self.context) != context:
            self.say(
                f"{WARNING}{folder}/ has changed since {version} was built, and that is not in it: "
                "release what you see under a new version"
            )
        return Image(f"{uri}@{digest}", digest, "ecr", context)

    # What ECR has

    def _uri(self) -> str:
        with absent("RepositoryNotFoundException"):
            found = self.aws.client("ecr").describe_repositories(repositoryNames=[self.repository])
            return str(found["repositories"][0]["repositoryUri"])
        raise BgdeployError(
            f"there is no ECR repository {self.repository} in {self.aws.region}",
            "`bgdeploy provision` makes it",
        )

    def _digest(self, version: str) -> str | None:
        return _described(self.aws, self.repository, {"imageTag": version})

    # What it was built from

    def _key(self, version: str) -> str:
        return f"images/{version}.json"

    def _bucket(self) -> str:
        return self.settings.names.bucket(self.aws.account, self.aws.region)

    def _remember(self, version: str, digest: str, context: str) -> None:
        told = {"schema": 1, "digest": digest, "context": context, "platform": self.platform}
        self.aws.client("s3").put_object(
            Bucket=self._bucket(),
            Key=self._key(version),
            Body=json.dumps(told).encode(),
            ContentType="application/json",
        )

    def _remembered(self, version: str, digest: str) -> Attrs:
        """Return what was remembered when an image was built; nothing when this is not that image."""
        with absent("NoSuchKey"):
            body = self.aws.client("s3").get_object(Bucket=self._bucket(), Key=self._key(version))["Body"]
            told: Attrs = json.loads(body.read())
            return told if told["digest"] == digest else {}
        return {}

    # Building

    def _buildable(self) -> Path:
        if not (self.context / "Dockerfile").is_file():
            raise UsageError(
                f"{self.settings.config.build.context}/ has no Dockerfile to build the image from",
                "write one, set build.context in the config, or name an image with --image",
            )
        return self.context

    def _build(self, version: str, uri: str, context: Path, built: str) -> None:
        reference = f"{uri}:{version}"
        arguments = ("--build-arg", f"VERSION={version}", "--label", f"bgdeploy.context={built}")
        docker = Docker(self.environ, self.say)
        docker.run("build", "--platform", self.platform, *arguments, "-t", reference, str(context))
        docker.login(*self._login())
        docker.run("push", reference)

    def _login(self) -> tuple[str, str, str]:
        """Return registry, user and password, which are good for twelve hours."""
        granted = self.aws.client("ecr").get_authorization_token()["authorizationData"][0]
        user, _, password = base64.b64decode(granted["authorizationToken"]).decode().partition(":")
        return granted["proxyEndpoint"].removeprefix("https://"), user, password


@dataclass
class Docker:
    """The `docker` program, or what BGDEPLOY_DOCKER names in its place: podman, or the sandbox's builder."""

    environ: Mapping[str, str]
    say: Say

    @property
    def program(self) -> list[str]:
        return shlex.split(self.environ.get("BGDEPLOY_DOCKER", "")) or ["docker"]

    def run(self, *arguments: str) -> None:
        """Run one command, saying each line that it prints. Raises BgdeployError when it fails."""
        self._finish(arguments[0], arguments, None)

    def login(self, registry: str, user: str, password: str) -> None:
        """Log in to a registry. The password goes through a pipe: arguments are there for everybody to read."""
        self._finish("login", ("login", "--username", user, "--password-stdin", registry), password)

    def _finish(self, what: str, arguments: Sequence[str], secret: str | None) -> None:
        # Without attestations a build is one image with one digest, which is what a task definition pins.
        environ = {**self.environ, "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
        try:
            process = subprocess.Popen(
                [*self.program, *arguments],
                env=environ,
                stdin=subprocess.PIPE if secret is not None else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
            )
        except OSError as error:
            raise BgdeployError(
                f"{self.program[0]} cannot be run: {error.strerror or error}",
                "install Docker, set BGDEPLOY_DOCKER to a program that builds like it, or name an image with "
                "--image; --sandbox needs none",
            ) from error
        with process:
            try:
                said = self._follow(process, secret)
            except KeyboardInterrupt:
                process.terminate()  # what nobody waits for any more must not go on building and pushing
                raise
        if process.returncode:
            raise BgdeployError(
                f"`{self.program[0]} {what}` failed with exit status {process.returncode}"
                + (f": {said}" if said else ""),
                "the lines above say why" if said else "",
            )

    def _follow(self, process: subprocess.Popen[str], secret: str | None) -> str:
        """Pass on what the program says, and return its last words."""
        if secret is not None and process.stdin:
            with process.stdin as pipe:
                pipe.write(secret)
        last = ""
        for line in process.stdout or ():
            if line.strip():
                last = line.strip()
                self.say(f"  {line.rstrip()}")
        return last
