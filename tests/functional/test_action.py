"""The GitHub action and the workflow that shows its use: their scripts are run by bash, in the sandbox."""

from __future__ import annotations

import re
import shutil
import signal
import site
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from bgdeploy.errors import Exit
from bgdeploy.sandbox import control
from bgdeploy.views.github import output_values
from tests.functional.shells import PROGRAM, Shop, await_line
from tests.functional.test_ci import outputs

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


def document(path: str) -> Any:
    # BaseLoader, as `on` is a key and no truth, and every value is text.
    return yaml.load((ROOT / path).read_text(encoding="utf-8"), yaml.BaseLoader)


ACTION = document("action.yml")
WORKFLOW = document("docs/examples/github/release.yml")
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}


def expressions(tree: Any) -> Iterator[str]:
    """Yield what is in GitHub's braces, wherever."""
    if isinstance(tree, dict):
        for value in tree.values():
            yield from expressions(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from expressions(value)
    else:
        yield from _EXPRESSION.findall(str(tree))


class Runner:
    """What GitHub's runner is to a step: its files, and a bash that ends at the first error."""

    def __init__(self, shop: Shop, folder: Path, **environ: str) -> None:
        self.shop = shop
        self.folder = folder
        self.files = {name: folder / name for name in ("GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STEP_SUMMARY")}
        self.environ = {
            **shop.environ,
            "BGDEPLOY_SANDBOX": "1",
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "RUNNER_TEMP": str(folder),
            **{name: str(path) for name, path in self.files.items()},
            **environ,
        }

    def argv(self, script: str) -> list[str]:
        path = self.folder / "step.sh"
        path.write_text(script, encoding="utf-8")
        return ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(path)]

    def begin(self, name: str, **inputs: str) -> subprocess.Popen[str]:
        """Run a step of the action with these inputs, and its own defaults for the others."""
        step = STEPS[name]
        given = {key: value["default"] for key, value in ACTION["inputs"].items()} | inputs
        values = {key: _filled(value, given) for key, value in step["env"].items()}
        return subprocess.Popen(
            self.argv(step["run"]),
            cwd=self.shop.project,
            env={**self.environ, **values},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, name: str, **inputs: str) -> subprocess.CompletedProcess[str]:
        with self.begin(name, **inputs) as process:
            out, err = process.communicate()
        return subprocess.CompletedProcess([], process.returncode, out, err)


def _filled(text: str, inputs: Mapping[str, str]) -> str:
    return _EXPRESSION.sub(lambda match: inputs[match[1].removeprefix("inputs.")], text)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("action")
    control.start(folder / "sandbox", speed=30.0)
    try:
        yield Shop(folder, 9591)
    finally:
        control.stop(folder / "sandbox")


@pytest.fixture
def runner(shop: Shop, tmp_path: Path) -> Runner:
    """A runner on which bgdeploy is installed: this one."""
    program = tmp_path / "bgdeploy/bin/bgdeploy"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {PROGRAM[0]} -m bgdeploy "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return Runner(shop, tmp_path)


def test_inputs_are_there_and_used_and_never_part_of_a_script() -> None:
    used = {one for one in expressions(ACTION["runs"]) if one.startswith("inputs.")}
    assert used == {f"inputs.{name}" for name in ACTION["inputs"]}
    scripts = [step["run"] for step in STEPS.values()]
    scripts += [step["run"] for step in WORKFLOW["jobs"]["release"]["steps"] if "run" in step]
    assert not list(expressions(scripts))


def test_the_outputs_are_those_that_bgdeploy_writes() -> None:
    assert {name: one["value"] for name, one in ACTION["outputs"].items()} == {
        name: f"${{{{ steps.run.outputs.{name} }}}}" for name in output_values({}, Exit.DONE)
    }


def test_the_workflow_uses_what_the_action_has_and_asks_for_no_more_than_a_role() -> None:
    steps = {
        step.get("id", step.get("uses", step.get("name"))): step
        for step in WORKFLOW["jobs"]["release"]["steps"]
    }
    assert set(steps["release"]["with"]) <= set(ACTION["inputs"])
    named = {one for one in expressions(WORKFLOW) if one.startswith("steps.")}
    conditions = re.findall(r"steps\.release\.outputs\.[\w-]+", str(WORKFLOW))
    wanted = {one.removeprefix("steps.release.outputs.") for one in {*named, *conditions}}
    assert wanted <= set(ACTION["outputs"])
    assert WORKFLOW["permissions"] == {"contents": "read", "id-token": "write"}
    assert WORKFLOW["concurrency"]["cancel-in-progress"] == "false"
    assert ACTION["inputs"]["junit"]["default"] in steps["actions/upload-artifact@v4"]["with"]["path"]


def test_bgdeploy_is_installed_from_the_actions_own_files(shop: Shop, tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    fetch = [
        PROGRAM[0],
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--dest",
        str(wheels),
        "setuptools>=77",
    ]
    if subprocess.run(fetch, capture_output=True).returncode:
        pytest.skip("no package index is in reach for what builds bgdeploy")
    action = tmp_path / "action"
    ignored = shutil.ignore_patterns(".git", ".venv", "tests", "*cache*", "build", "*.egg-info")
    shutil.copytree(ROOT, action, ignore=ignored)
    # What it depends on is this environment's: fetching all of that again would prove nothing.
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_NO_DEPS": "1"}
    packages = {"PYTHONPATH": site.getsitepackages()[0]}
    runner = Runner(shop, tmp_path, GITHUB_ACTION_PATH=str(action), **offline, **packages)
    done = runner.run("Install bgdeploy")
    assert done.returncode == 0, done.stderr
    path = runner.files["GITHUB_PATH"].read_text(encoding="utf-8").strip()
    assert [one.name for one in Path(path).iterdir()] == ["bgdeploy"]
    asked = subprocess.run(
        [f"{path}/bgdeploy", "--version"], env=runner.environ, capture_output=True, text=True
    )
    assert asked.stdout.startswith("bgdeploy, version ")
    where = subprocess.run(
        [f"{tmp_path}/bgdeploy/bin/python", "-c", "import bgdeploy; print(bgdeploy.__file__)"],
        cwd=tmp_path,
        env=runner.environ,
        capture_output=True,
        text=True,
    )
    assert where.stdout.startswith(str(tmp_path / "bgdeploy/lib")), where.stdout


def test_a_release_by_the_action_leaves_its_outputs_summary_and_report(shop: Shop, runner: Runner) -> None:
    done = runner.run("Run bgdeploy", version="v1", args="--until finished\n  --quiet")
    assert done.returncode == 0, done.stderr
    told = outputs(runner.files["GITHUB_OUTPUT"])
    assert set(told) == set(ACTION["outputs"])
    assert (told["result"], told["live-version"], told["exit-status"]) == ("live", "v1", "0")
    assert runner.files["GITHUB_STEP_SUMMARY"].read_text(encoding="utf-8").startswith("### ✅ v1 is live")
    assert (shop.project / "bgdeploy-junit.xml").is_file()
    [step] = [step for step in WORKFLOW["jobs"]["release"]["steps"] if "run" in step]
    shutil.copy(shop.project / "config/dev.yaml", shop.project / "config/production.yaml")
    report = subprocess.run(
        runner.argv(step["run"].replace("production", "dev")),
        cwd=shop.project,
        env={**runner.environ, "DEPLOYMENT": told["deployment"], "PATH": _path(runner)},
        capture_output=True,
        text=True,
    )
    assert report.returncode == 0, report.stderr
    assert "v1" in (shop.project / "bgdeploy-report.html").read_text(encoding="utf-8")


def _path(runner: Runner) -> str:
    return f"{runner.folder}/bgdeploy/bin:{runner.environ['PATH']}"


@pytest.mark.parametrize("version", ["--image=evil", "v1; touch hacked", "$(touch hacked)", ""])
def test_a_version_is_a_version_whatever_it_says(shop: Shop, runner: Runner, version: str) -> None:
    done = runner.run("Run bgdeploy", version=version)
    assert done.returncode == 2, done.stdout + done.stderr
    assert not (shop.project / "hacked").exists()


def test_the_action_watches_and_goes_back_and_does_nothing_else(runner: Runner) -> None:
    watched = runner.run("Run bgdeploy", command="watch")
    assert (watched.returncode, "v1 is live" in watched.stdout) == (0, True), watched.stderr
    back = runner.run("Run bgdeploy", command="rollback", version="v1")
    assert (back.returncode, "v1 is live" in back.stdout) == (0, True), back.stderr
    other = runner.run("Run bgdeploy", command="teardown", args="--yes")
    assert (other.returncode, "::error " in other.stdout) == (2, True)


def test_a_cancelled_job_reaches_bgdeploy_itself(shop: Shop, runner: Runner) -> None:
    with runner.begin("Run bgdeploy", version="v1", args="--force") as process:
        await_line(process, "Install: began")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert process.returncode == 4, err
    assert "its job was cancelled" in " ".join(out.split())
    assert outputs(runner.files["GITHUB_OUTPUT"])["result"] == "stopped"
