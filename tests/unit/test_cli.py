"""The command line's edges: help, exit statuses, the JSON envelope, and sentences instead of tracebacks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from bgdeploy.cli import run
from bgdeploy.cli.invocation import Invocation
from bgdeploy.cli.root import COMMANDS, root


def invoke(*argv: str, project: Path | None = None, output: str = "text") -> int:
    where = ["--project", str(project)] if project else []
    return run([*where, "--output", output, *argv], Invocation(environ={}, output=output))


def starter(folder: Path) -> Path:
    assert invoke("init", project=folder) == 0
    return folder


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\nfrom bgdeploy.cli import run\nfrom bgdeploy.cli.invocation import Invocation\n"
        "run(['--help'], Invocation())\n"
        "heavy = {'boto3', 'botocore', 'rich', 'moto', 'msgspec', 'yaml', 'urllib3'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_says_of_itself_what_the_help_says_of_it(name: str) -> None:
    command = root.get_command(click.Context(root), name)
    assert command is not None
    assert (command.help or "").splitlines()[0].startswith(COMMANDS[name][1].removesuffix("."))


def test_an_unknown_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke("realease") == 2
    assert "No such command 'realease'" in capsys.readouterr().err


def test_a_failure_is_told_in_the_json_envelope(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke("plan", project=tmp_path, output="json") == 2
    envelope = json.loads(capsys.readouterr().out)
    assert (envelope["schema"], envelope["command"], envelope["ok"]) == (1, "plan", False)
    assert envelope["exit_status"] == 2
    assert "is no bgdeploy project" in envelope["error"]["message"]
    assert f"`bgdeploy --project {tmp_path} init`" in envelope["error"]["hint"]


def test_a_wrong_option_is_told_in_the_json_envelope_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke("plan", "--nope", output="json") == 2
    assert json.loads(capsys.readouterr().out)["error"]["message"].startswith("No such option")


def test_config_problems_reach_programs_one_by_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (starter(tmp_path) / "config" / "dev.yaml").write_text(
        "regoin: x\nservice: {tasks: 0}\n", encoding="utf-8"
    )
    capsys.readouterr()
    assert invoke("plan", project=tmp_path, output="json") == 2
    found = json.loads(capsys.readouterr().out)["result"]["problems"]
    assert [(problem["where"], problem["path"]) for problem in found] == [
        ("config/dev.yaml:1", "regoin"),
        ("config/dev.yaml:2", "service.tasks"),
    ]


def test_init_writes_a_project_that_is_valid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    starter(tmp_path)
    assert invoke("config", "show", project=tmp_path) == 0
    assert "app: ecs-blue-green-demo" in capsys.readouterr().out


def test_init_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "base.yaml").write_text("app: mine\n", encoding="utf-8")
    starter(tmp_path)
    assert (tmp_path / "config" / "base.yaml").read_text(encoding="utf-8") == "app: mine\n"
    assert "kept  config/base.yaml" in capsys.readouterr().out


def test_the_schema_knows_every_key_and_how_a_duration_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke("config", "schema") == 0
    schema = json.loads(capsys.readouterr().out)
    deployment = schema["$defs"]["Deployment"]["properties"]
    assert {"strategy", "approval", "keep_blue", "rollback_on"} <= deployment.keys()
    assert deployment["keep_blue"]["type"] == "string"


def test_a_bug_of_ours_is_a_sentence_and_debug_shows_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken(Invocation):
        def settings(self) -> None:  # type: ignore[override]
            raise ZeroDivisionError("by nought")

    assert run(["config", "show"], Broken(environ={})) == 1
    assert "did not expect: ZeroDivisionError: by nought" in capsys.readouterr().err
    with pytest.raises(ZeroDivisionError):
        run(["--debug", "config", "show"], Broken(environ={}))
