"""A project in a sandbox whose calls are counted by what they were made for, and somebody who breaks things."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bgdeploy.aws import Aws
from bgdeploy.cli import run
from bgdeploy.cli.invocation import Invocation
from bgdeploy.clock import FastClock, SystemClock
from bgdeploy.permissions.call import Call
from bgdeploy.permissions.policy import Use, needed_calls
from bgdeploy.project import load
from bgdeploy.provision.resource import Look, Resource
from bgdeploy.release.reader import Reader, find_target
from bgdeploy.sandbox import control
from bgdeploy.sandbox.control import Running
from bgdeploy.stack import build
from tests.clocks import awaited

ROOT = Path(__file__).parents[2]


class Stack:
    """One project, and what was called while it was provisioned, released, watched and torn down."""

    def __init__(self, sandbox: Running, folder: Path, config: str) -> None:
        for name in ("appspec", "hook_lambda", "container"):
            shutil.copytree(ROOT / name, folder / name)
        (folder / "config").mkdir()
        (folder / "config/dev.yaml").touch()
        self.sandbox = sandbox
        self.folder = folder
        self.clock = FastClock(20, SystemClock())
        self.recorded: dict[Use, set[str]] = defaultdict(set)
        self.write(config)

    def write(self, config: str) -> None:
        (self.folder / "config/base.yaml").write_text(config, encoding="utf-8")
        self.settings = load(self.folder, "dev", {})
        self.aws = Aws(stack=self.settings.names.stack, region="us-east-1", clock=self.clock)
        self.resources = build(self.settings, self.folder, self.aws.account, self.aws.region)

    def __call__(self, service: str) -> Any:
        return self.aws.client(service)

    @property
    def reader(self) -> Reader:
        """Return a reader that has read nothing yet."""
        return Reader(self.aws, find_target(self.aws, self.settings.names))

    def await_green(self) -> None:
        """Return once the deployment that is active has made its task set."""
        reader = self.reader
        active = reader.active()
        assert active is not None
        awaited(self.clock, lambda: reader.read(active, fresh=True).side("green"))

    def run(self, use: Use, *command: str, exits: int = 0) -> None:
        """Run a command and remember what it called."""
        with self.recording(use):
            status = run(["--project", str(self.folder), *command], Invocation(clock=self.clock))
        assert status == exits, command

    @contextmanager
    def recording(self, use: Use) -> Iterator[None]:
        control.calls(self.sandbox)
        yield
        self.recorded[use] |= {
            f"{call.service}:{call.operation}" for call in control.calls(self.sandbox) if not call.role
        }

    def allowed(self, use: Use) -> set[str]:
        """Return the operations that the use's policy is made of."""
        return {call.operation for call in self.needed(use)}

    def needed(self, use: Use) -> tuple[Call, ...]:
        """Return the calls of a use, without those that need what the sandbox does not speak."""
        calls = needed_calls(use, self.resources, notifies=bool(self.settings.config.topics))
        return tuple(call for call in calls if not call.tls)

    def found(self, kind: type[Resource], label: str = "") -> dict[str, Any]:
        """Return what there is of a resource."""
        found = self.declared(kind, label).find(Look(self.aws))
        assert found is not None
        return dict(found)

    def declared(self, kind: type[Resource], label: str = "") -> Resource:
        return next(each for each in self.resources if isinstance(each, kind) and label in {"", each.label})

    def tags(self, address: str) -> list[dict[str, str]]:
        """Return the tags that make something the stack's own."""
        return [{"Key": key, "Value": value} for key, value in self.aws.tags(address).items()]
