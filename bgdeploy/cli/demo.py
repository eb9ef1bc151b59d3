"""`demo`: the acceptance story, played by the program as a user would type it, and asserted step by step.

Every command of the story is a process of its own. What the story claims is asked of the production URL, of
the exit statuses and of the sandbox; nothing is taken from the commands' word.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import urllib3

from bgdeploy.cli.invocation import Invocation, Result
from bgdeploy.cli.visitor import Visitor
from bgdeploy.errors import BgdeployError, Exit
from bgdeploy.starter import APP

_PAGE = Path("container/htdocs/index.html")
_CONFIG = Path("config/base.yaml")


class StoryError(BgdeployError):
    """A step of the story did not come true."""


@click.command()
@click.option(
    "--speed",
    type=click.FloatRange(1, 60),
    default=20.0,
    show_default=True,
    help="How many AWS seconds pass in a second.",
)
@click.option("--keep", is_flag=True, help="Leave the sandbox and the project there to play with.")
@click.pass_obj
def demo(invocation: Invocation, speed: float, keep: bool) -> Result:
    """Play the whole story in a sandbox of its own: a release, two rollbacks, and nothing left behind.

    Exits 1 when a step of it does not come true.
    """
    folder = Path(tempfile.mkdtemp(prefix="bgdeploy-demo-"))
    story = Story(invocation, folder, speed)
    began = invocation.clock.monotonic()
    try:
        story.play(keep=keep)
    finally:
        story.end(keep=keep)
    seconds = round(invocation.clock.monotonic() - began, 1)
    visitor = story.visitor
    data = {
        "seconds": seconds,
        "steps": story.steps,
        "requests": visitor.requests if visitor else 0,
        "saw": dict(visitor.saw) if visitor else {},
        "folder": str(folder) if keep else None,
    }
    return Result(
        data, "\n".join([f"the story came true in {seconds:g} s", *(story.farewell() if keep else [])])
    )


@dataclass
class Story:
    """The story's stage: a project folder, a sandbox, and a visitor who must never be disappointed."""

    invocation: Invocation
    folder: Path
    speed: float
    steps: list[str] = field(default_factory=list)
    visitor: Visitor | None = None
    url: str = ""

    @property
    def project(self) -> Path:
        return self.folder / APP

    def play(self, *, keep: bool) -> None:
        """Play it from the first command to the last. Raises StoryError at the first step that is not true."""
        self.build()
        self.first_release()
        self.failed_release()
        self.good_release()
        self.alarm()
        if not keep:
            self.tear_down()

    # The steps

    def build(self) -> None:
        self.tell("An empty folder becomes a project, and an empty account becomes a stack")
        self.project.mkdir()
        self.run("init")
        self.run("sandbox", "start", "--speed", f"{self.speed:g}", quiet=True)
        self.run("provision")
        again = self.ask("provision")
        self.expect(not again["changed"], "a second provision changes nothing")
        self.url = self.ask("status")["production"]["url"]
        self.await_page("works")
        self.visitor = Visitor(self.url, self.invocation.clock).arrive()

    def first_release(self) -> None:
        self.tell("v1 goes live, through CodeDeploy like every later release")
        self.run("release", "v1")
        self.expect_page("Hello from v1")

    def failed_release(self) -> None:
        self.tell("v2's page no longer says what the check expects: it must not reach anybody")
        self.edit(_PAGE, "Hello from", "Good morning from")
        before = self.seen("v2")
        self.run("release", "v2", status=Exit.ROLLED_BACK)
        self.expect_page("Hello from v1")
        self.expect(self.seen("v2") == before == 0, "no visitor ever saw the v2 that failed its check")

    def good_release(self) -> None:
        self.tell("The page was right, the check was wrong: it is mended, and the same image goes out")
        self.edit(_CONFIG, "Hello from {version}", "Good morning from {version}")
        self.run("release", "v2")
        self.expect_page("Good morning from v2")

    def alarm(self) -> None:
        self.tell(
            "Somebody asks for a page that is not there, while v1 is still kept: the alarm takes v2 back"
        )
        missing = _get(f"{self.url}/a-page-that-is-not-there")
        self.expect(missing.status == 404, f"the missing page answers 404, not {missing.status}")
        self.run("watch", status=Exit.ROLLED_BACK)
        self.expect_page("Hello from v1")
        plan = self.ask("plan", "--exit-code")
        self.expect(
            not plan["pending"], "after two rollbacks the plan is empty: the colour is state, not drift"
        )

    def tear_down(self) -> None:
        self.tell("Everything goes, and nothing else")
        self.expect_no_failed_request()
        self.run("teardown", "--yes")
        left = self.ask("plan")
        self.expect(not left["exists"], "nothing of the stack is left in the account")

    # What the steps are made of

    def tell(self, sentence: str) -> None:
        self.steps.append(sentence)
        self.invocation.say(f"\n━━ {len(self.steps)} · {sentence}")

    def run(self, *command: str, status: Exit = Exit.DONE, quiet: bool = False) -> None:
        """Run a command in front of the audience; it must exit with `status`."""
        self.invocation.say(f"\n$ bgdeploy {' '.join(command)}")
        hidden = quiet or self.invocation.output == "json"
        done = subprocess.run(
            self._argv(*command),
            cwd=self.project,
            env=self._environ(),
            check=False,
            stdout=subprocess.DEVNULL if hidden else None,
        )
        self.expect(
            done.returncode == status,
            f"`bgdeploy {' '.join(command)}` exits {int(status)}",
            f"it exited {done.returncode}",
        )

    def ask(self, *command: str) -> Mapping[str, Any]:
        """Run a command for its JSON, and return its result."""
        done = subprocess.run(
            self._argv("--output", "json", *command),
            cwd=self.project,
            env=self._environ(),
            check=False,
            capture_output=True,
            text=True,
        )
        self.expect(
            done.returncode == 0,
            f"`bgdeploy {' '.join(command)}` exits 0",
            f"it exited {done.returncode}: {done.stderr.strip() or done.stdout.strip()}",
        )
        result: Mapping[str, Any] = json.loads(done.stdout)["result"]
        return result

    def _argv(self, *command: str) -> list[str]:
        return [sys.executable, "-m", "bgdeploy", *command]

    def _environ(self) -> dict[str, str]:
        ours = {"BGDEPLOY_SANDBOX": "1", "BGDEPLOY_SANDBOX_HOME": str(self.folder / "sandbox")}
        theirs = {
            name: value for name, value in os.environ.items() if not name.startswith(("BGDEPLOY_", "AWS_"))
        }
        return theirs | ours

    def edit(self, path: Path, old: str, new: str) -> None:
        """Change a file of the project as an author would."""
        file = self.project / path
        text = file.read_text(encoding="utf-8")
        self.expect(old in text, f"{path} says {old!r}")
        file.write_text(text.replace(old, new), encoding="utf-8")
        self.invocation.say(f"\n  {path}: {old!r} → {new!r}")

    def expect(self, true: bool, sentence: str, but: str = "") -> None:
        """Say what has come true. Raises StoryError, with what came instead, when it has not."""
        if not true:
            raise StoryError(
                f"the story is not true: expected that {sentence}" + (f"; {but}" if but else ""),
                "bgdeploy demo --keep leaves everything there to look at",
            )
        self.invocation.say(f"  ✓ {sentence}")

    def expect_page(self, text: str) -> None:
        body = _get(self.url).data.decode("utf-8", "replace")
        self.expect(text in body, f"{self.url} says {text!r}")

    def await_page(self, text: str) -> None:
        """Wait until the first tasks answer: nobody visits a service that is still being started."""
        deadline = self.invocation.clock.monotonic() + 60
        while self.invocation.clock.monotonic() < deadline:
            answer = _get(self.url)
            if answer.status == 200 and text in answer.data.decode("utf-8", "replace"):
                return
            self.invocation.clock.sleep(0.2)
        self.expect(False, f"{self.url} answers within a minute")

    def seen(self, version: str) -> int:
        return self.visitor.saw[version] if self.visitor else 0

    def expect_no_failed_request(self) -> None:
        if self.visitor is None:
            return
        self.visitor.leave()
        failures = self.visitor.failures
        first = f": {failures[0]}" if failures else ""
        self.expect(
            not failures, f"none of {self.visitor.requests} requests failed", f"{len(failures)} did{first}"
        )

    def end(self, *, keep: bool) -> None:
        """Take everything down, unless it is to be kept."""
        if self.visitor is not None:
            self.visitor.leave()
        if keep:
            return
        if self.project.is_dir():
            subprocess.run(
                self._argv("sandbox", "stop"),
                cwd=self.project,
                env=self._environ(),
                check=False,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        shutil.rmtree(self.folder, ignore_errors=True)

    def farewell(self) -> list[str]:
        home = self.folder / "sandbox"
        return [
            f"kept: cd {self.project} && export BGDEPLOY_SANDBOX=1 BGDEPLOY_SANDBOX_HOME={home}",
            f"      {self.url} is production; `bgdeploy sandbox stop` ends it",
        ]


def _get(url: str) -> urllib3.BaseHTTPResponse:
    return urllib3.request("GET", url, retries=False, timeout=5)
