"""Those who provision a stack: several at once, and some who are killed while they do."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bgdeploy.aws import Aws
from bgdeploy.clock import FastClock, SystemClock
from bgdeploy.project import load
from bgdeploy.provision import converge
from bgdeploy.provision.plan import Outcome, Plan
from bgdeploy.provision.resource import Resource
from bgdeploy.stack import build

ROOT = Path(__file__).parents[2]
_READS = ("Describe", "Get", "List", "Head", "Simulate")


def project(folder: Path, app: str, port: int, more: str = "") -> Path:
    """Write a project whose load balancer takes `port` and the next one, and return its folder."""
    for name in ("appspec", "hook_lambda", "container"):
        shutil.copytree(ROOT / name, folder / name)
    write(folder, app, port, more)
    (folder / "config/dev.yaml").touch()
    return folder


def write(
    folder: Path, app: str, port: int, more: str = "", *, alarms: Sequence[str] = ("not-found",)
) -> None:
    """Write the config of a project."""
    listed = ", ".join(f"""{{name: {name}, log_filter: '" {name} "'}}""" for name in alarms)
    (folder / "config").mkdir(exist_ok=True)
    (folder / "config/base.yaml").write_text(
        f"app: {app}\n"
        f"load_balancer: {{production: {{port: {port}}}, test: {{port: {port + 1}}}}}\n"
        f"alarms: [{listed}]\n{more}",
        encoding="utf-8",
    )


class Operator:
    """Somebody with credentials of their own and a project."""

    def __init__(self, folder: Path, aws: type[Aws] = Aws, **options: Any) -> None:
        self.folder = folder
        settings = load(folder, "dev", {})
        # Our seconds are not as short as the sandbox's.
        clock = FastClock(20, SystemClock())
        self.aws = aws(stack=settings.names.stack, region="us-east-1", clock=clock, **options)

    @property
    def resources(self) -> list[Resource]:
        """What the config, as it is now, asks for."""
        return build(load(self.folder, "dev", {}), self.folder, self.aws.account, self.aws.region)

    def plan(self) -> Plan:
        return converge.examine(self.aws, self.resources)

    def provision(self) -> Outcome:
        return converge.provision(self.aws, self.resources, lambda progress: None)

    def teardown(self) -> Outcome:
        return converge.teardown(self.aws, self.resources, lambda progress: None)


class MortalAws(Aws):
    """An Aws that kills its process right after a number of calls that change something; 0: it never does."""

    def __init__(self, *, calls: int, **options: Any) -> None:
        super().__init__(**options)
        self._calls = calls
        self.made: list[str] = []
        self._counting = threading.Lock()

    def _make(self, service: str) -> Any:
        client = super()._make(service)
        client.meta.events.register("after-call", self._count)
        return client

    def _count(self, model: Any, **_: Any) -> None:
        if model.name.startswith(_READS):
            return
        with self._counting:
            self.made.append(model.name)
            if len(self.made) == self._calls:
                os.kill(os.getpid(), signal.SIGKILL)


def begin(verb: str, folder: Path, calls: int) -> subprocess.CompletedProcess[str]:
    """Provision or tear down in a process of its own that is killed after so many calls that change something."""
    return subprocess.run(
        [sys.executable, "-m", __spec__.name, verb, str(folder), str(calls)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def main() -> None:
    verb, folder, calls = sys.argv[1:]
    operator = Operator(Path(folder), MortalAws, calls=int(calls))
    outcome = getattr(operator, verb)()
    assert not outcome.failed, outcome.failed
    assert isinstance(operator.aws, MortalAws)
    sys.stdout.write(f"{len(operator.aws.made)}\n")


if __name__ == "__main__":
    main()
