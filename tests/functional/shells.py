"""A shell in which somebody types commands, in a sandbox of its own: the program as people and CI jobs run it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import urllib3

from bgdeploy.sandbox import control

_CONFIG = """\
load_balancer:
  production: {port: PORT}
  test: {port: TEST_PORT}
  health_check: {interval: 5s, timeout: 2s}
deployment: {keep_blue: 1m}
# A minute lasts a second here, and a busy machine needs the time it needs.
checks:
  - {name: home page, get: /, contains: "Hello from {version}", timeout: 60s, within: 90s}
"""
PROGRAM = [sys.executable, "-m", "bgdeploy"]


def environ(**more: str) -> dict[str, str]:
    """Return an environment that knows nothing of a user's AWS, and in which `bgdeploy` is this one."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "BGDEPLOY_")) and k != "CI"}
    path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")])
    return {**kept, "PATH": path, "AWS_EC2_METADATA_DISABLED": "true", **more}


class Shop:
    """A provisioned project, and a shell in another folder from which its owner commands it."""

    def __init__(self, folder: Path, port: int, more: str = "") -> None:
        self.folder = folder
        self.project = folder / "my shop"  # with a space, as folders have
        self.environ = environ(BGDEPLOY_SANDBOX_HOME=str(folder / "sandbox"))
        self.project.mkdir()
        self.run("init")
        config = _CONFIG.replace("TEST_PORT", str(port + 1)).replace("PORT", str(port)) + more
        (self.project / "config/dev.yaml").write_text(config, encoding="utf-8")
        self.provisioned = self.run("provision")

    def argv(self, *command: str) -> list[str]:
        return [*PROGRAM, "--sandbox", "--project", str(self.project), *command]

    def run(self, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.argv(*command),
            cwd=self.folder,
            env=self.environ | env,
            capture_output=True,
            text=True,
            check=False,
        )

    def type(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a line as it was printed, in a shell."""
        return subprocess.run(
            line, shell=True, cwd=self.folder, env=self.environ, capture_output=True, text=True, check=False
        )

    def ask(self, *command: str) -> dict[str, Any]:
        """Run a command and return its JSON envelope, which must be all that stdout holds."""
        done = self.run("--output", "json", *command)
        envelope: dict[str, Any] = json.loads(done.stdout)
        assert envelope["exit_status"] == done.returncode
        assert envelope["ok"] == (done.returncode == 0)
        return envelope

    def begin(self, *command: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.argv(*command),
            cwd=self.folder,
            env=self.environ | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def enter(self, patch: pytest.MonkeyPatch) -> None:
        """Have this very process act in the shop's sandbox, until `patch` is undone."""
        running = control.find(Path(self.environ["BGDEPLOY_SANDBOX_HOME"]))
        assert running is not None
        for name, value in (self.environ | running.exports()).items():
            patch.setenv(name, value)

    def edit(self, old: str, new: str) -> None:
        page = self.project / "container/htdocs/index.html"
        text = page.read_text(encoding="utf-8")
        assert old in text
        page.write_text(text.replace(old, new), encoding="utf-8")

    def page(self) -> str:
        url = self.ask("status")["result"]["production"]["url"]
        return urllib3.request("GET", url, retries=False, timeout=5).data.decode()


def await_line(process: subprocess.Popen[str], pattern: str) -> str:
    """Read what a process says until a line has `pattern`."""
    said = []
    for line in process.stderr or ():
        said.append(line)
        if re.search(pattern, line):
            return line
    raise AssertionError(f"no line has {pattern!r}:\n{''.join(said)}")


def last_line(text: str) -> str:
    """Return the last line of a card without its label."""
    return text.rstrip().splitlines()[-1].removeprefix("  next").strip()
