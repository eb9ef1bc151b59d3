"""A `docker` for the sandbox: build, tag, login, push and image inspect, with Docker's own options and words.

It finds its sandbox through the environment that `bgdeploy sandbox start` prints.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from bgdeploy.sandbox import builder

_REFERENCE = re.compile(
    r"(?P<registry>\d{12}\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com)/(?P<repository>[^:@]+):(?P<tag>.+)"
)

_PLATFORM = "linux/amd64"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status."""
    parser = argparse.ArgumentParser(prog="docker", description="The sandbox's image builder.")
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build")
    build.add_argument("-t", "--tag", action="append", default=[])
    build.add_argument("--build-arg", action="append", default=[])
    build.add_argument("--label", action="append", default=[])
    build.add_argument("--platform")
    build.add_argument("-q", "--quiet", action="store_true")
    build.add_argument("--provenance")
    build.add_argument("-f", "--file", type=Path)
    build.add_argument("context", type=Path)
    tag = commands.add_parser("tag")
    tag.add_argument("source")
    tag.add_argument("target")
    login = commands.add_parser("login")
    login.add_argument("-u", "--username")
    login.add_argument("--password-stdin", action="store_true")
    login.add_argument("registry")
    push = commands.add_parser("push")
    push.add_argument("-q", "--quiet", action="store_true")
    push.add_argument("reference")
    image = commands.add_parser("image")
    image.add_argument("action", choices=["inspect"])
    image.add_argument("reference")
    options = parser.parse_args(argv)
    try:
        return {"build": _build, "tag": _tag, "login": _login, "push": _push, "image": _inspect}[
            options.command
        ](options)
    except (builder.BuildError, _DockerError) as error:
        print(f"ERROR: {error}", file=sys.stderr)  # noqa: T201 - this is a program of its own
        return 1


class _DockerError(Exception):
    """A command cannot be carried out."""


def _store() -> Path:
    home = os.environ.get("BGDEPLOY_SANDBOX_HOME")
    if not home:
        raise _DockerError('no sandbox is named: eval "$(bgdeploy sandbox start)"')
    store = Path(home) / "images"
    store.mkdir(parents=True, exist_ok=True)
    return store


def _tags(store: Path) -> dict[str, str]:
    try:
        tags: dict[str, str] = json.loads((store / "tags.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return tags


def _remember(store: Path, reference: str, digest: str) -> None:
    fresh = store / f"tags-{os.getpid()}.json"
    fresh.write_text(json.dumps(_tags(store) | {reference: digest}), encoding="utf-8")
    fresh.replace(store / "tags.json")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def _build(options: argparse.Namespace) -> int:
    store = _store()
    context = options.context.resolve()
    order = builder.Order(
        context,
        options.file or context / "Dockerfile",
        arguments=dict(_given(pair) for pair in options.build_arg),
        labels=dict(pair.partition("=")[::2] for pair in options.label),
        architecture=(options.platform or _PLATFORM).removeprefix("linux/").partition("/")[0],
    )
    digest = builder.build(order, store, (lambda _line: None) if options.quiet else _say)
    for reference in options.tag:
        _remember(store, reference, digest)
        _say(f"naming to {reference} done")
    _say(digest)
    return 0


def _given(pair: str) -> tuple[str, str]:
    """Return a --build-arg as name and value; without a value it is that of the environment."""
    name, equals, value = pair.partition("=")
    return name, value if equals else os.environ.get(name, "")


def _digest(store: Path, reference: str) -> str:
    digest = _tags(store).get(reference)
    if digest is None:
        raise _DockerError(f"No such image: {reference}")
    return digest


def _tag(options: argparse.Namespace) -> int:
    store = _store()
    _remember(store, options.target, _digest(store, options.source))
    return 0


def _login(options: argparse.Namespace) -> int:
    if not options.password_stdin or not sys.stdin.read().strip():
        raise _DockerError("Must provide --password-stdin and a password on the standard input")
    _say("Login Succeeded")
    return 0


def _push(options: argparse.Namespace) -> int:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    store = _store()
    digest = _digest(store, options.reference)
    parts = _REFERENCE.fullmatch(options.reference)
    if parts is None:
        raise _DockerError(f"{options.reference} names no repository of the sandbox's ECR")
    manifest = (store / digest.removeprefix("sha256:") / "manifest.json").read_text(encoding="utf-8")
    _say(f"The push refers to repository [{parts['registry']}/{parts['repository']}]")
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    if not endpoint:  # without it boto3 would push to the real AWS, of which this program knows nothing
        raise _DockerError('no sandbox is named: eval "$(bgdeploy sandbox start)"')
    # As often as Docker tries an upload that the registry does not take, and as patiently.
    again = Config(retries={"mode": "standard", "max_attempts": 5})
    ecr = boto3.Session(region_name=parts["region"]).client("ecr", endpoint_url=endpoint, config=again)
    try:
        ecr.put_image(repositoryName=parts["repository"], imageTag=parts["tag"], imageManifest=manifest)
    except ecr.exceptions.ImageAlreadyExistsException:
        pass  # this very image has this very tag: pushing twice is fine
    except (ClientError, BotoCoreError) as error:
        raise _DockerError(str(error)) from error
    _say(f"{parts['tag']}: digest: {digest} size: {len(manifest)}")
    return 0


def _inspect(options: argparse.Namespace) -> int:
    store = _store()
    digest = _digest(store, options.reference)
    config = json.loads((store / digest.removeprefix("sha256:") / "config.json").read_text(encoding="utf-8"))
    repository = options.reference.partition(":")[0]
    _say(
        json.dumps(
            [
                {
                    "Id": digest,
                    "RepoTags": [options.reference],
                    "RepoDigests": [f"{repository}@{digest}"],
                    "Config": config["config"],
                }
            ],
            indent=4,
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
