"""The command line's edges: help, exit statuses, the JSON envelope, and sentences instead of tracebacks."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from bgdeploy.cli import run
from bgdeploy.cli.invocation import Invocation, Result
from bgdeploy.cli.root import COMMANDS, root
from bgdeploy.views.commands import ACTING, typed


def invoke(*argv: str, project: Path | None = None, output: str = "text") -> int:
    where = ["--project", str(project)] if project else []
    return run([*where, "--output", output, *argv], Invocation(environ={}, output=output))


def starter(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
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
    assert "No such command 'realease'; did you mean release?" in capsys.readouterr().err


def test_a_choice_that_is_missing_is_told_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke("policy") == 2
    assert capsys.readouterr().err.splitlines()[0] == (
        "bgdeploy: Missing option '--for'. Choose from: provision, release, watch, teardown, ci"
    )


def test_an_option_of_every_command_is_told_where_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke("status", "--sandbox") == 2
    assert "--sandbox stands before the command: `bgdeploy --sandbox … status`" in capsys.readouterr().err
    assert invoke("status", "--sandbx") == 2
    assert "see `bgdeploy status --help`" in capsys.readouterr().err


def test_that_aws_throttles_us_is_told_once_and_not_of_a_call_or_two(
    capsys: pytest.CaptureFixture[str],
) -> None:
    invocation = Invocation(environ={})
    for calls in range(1, 6):
        invocation.tell_throttling(calls)
    told = "AWS is throttling us: 3 calls were sent again in the last minute\n"
    assert capsys.readouterr().err == told


_PLAIN = {"LANG": "C", "LC_CTYPE": "C.UTF-8"}  # as Python makes it of LANG=C


def test_who_asks_for_ascii_reads_progress_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    Invocation(environ=_PLAIN).say("pushed shop@sha256:4cf8… · blue → green")
    assert capsys.readouterr().err == "pushed shop@sha256:4cf8... | blue -> green\n"


def test_who_asks_for_ascii_reads_an_error_and_its_way_out_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status", "--sandbox"], Invocation(environ=_PLAIN)) == 2
    told = capsys.readouterr().err
    assert "\n  -> --sandbox stands before the command: `bgdeploy --sandbox ... status`" in told
    assert told.isascii()


def test_who_asks_for_ascii_reads_a_result_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    Invocation(environ=_PLAIN).present(Result({}, "~ listener\n    rules: 1 → 2"))
    assert capsys.readouterr().out == "~ listener\n    rules: 1 -> 2\n"


def test_a_document_is_in_nobodys_alphabet(capsys: pytest.CaptureFixture[str]) -> None:
    Invocation(environ=_PLAIN).present(Result({}, "greeting: grüß dich…", document=True))
    assert capsys.readouterr().out == "greeting: grüß dich…\n"


def test_who_asks_for_nothing_reads_every_sign(capsys: pytest.CaptureFixture[str]) -> None:
    Invocation(environ={}).say("pushed shop@sha256:4cf8…")
    assert capsys.readouterr().err == "pushed shop@sha256:4cf8…\n"


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
    project = starter(tmp_path / "My shop")
    assert "the application is called my-shop" in capsys.readouterr().out
    for env in ("dev", "prod"):
        assert invoke("--env", env, "config", "show", project=project) == 0
        assert "app: my-shop" in capsys.readouterr().out
    assert "<title>my-shop</title>" in (project / "container/htdocs/index.html").read_text(encoding="utf-8")


def test_init_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "base.yaml").write_text("app: mine\n", encoding="utf-8")
    starter(tmp_path)
    assert (tmp_path / "config" / "base.yaml").read_text(encoding="utf-8") == "app: mine\n"
    told = capsys.readouterr().out
    assert "kept  config/base.yaml" in told
    assert "is called" not in told


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


def test_printed_commands_have_the_options_that_were_typed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = starter(tmp_path / "my shop")
    (project / "appspec/appspec.yaml").unlink()
    capsys.readouterr()
    assert run(["--env", "prod", "--project", str(project), "appspec"], Invocation(environ={})) == 2
    assert f"`bgdeploy --env prod --project '{project}' init` writes" in capsys.readouterr().err


def test_options_from_the_environment_are_there_for_the_next_command_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BGDEPLOY_PROJECT", str(tmp_path))
    assert run(["status"], Invocation(environ={})) == 2
    assert "`bgdeploy init`" in capsys.readouterr().err


def test_every_command_that_acts_on_a_project_is_spelled_out_where_it_is_printed() -> None:
    assert set(ACTING) == COMMANDS.keys() - {"config", "demo", "sandbox"}
    assert typed("then `bgdeploy status`, says bgdeploy", "bgdeploy --sandbox") == (
        "then `bgdeploy --sandbox status`, says bgdeploy"
    )


def test_the_appspec_needs_no_credentials(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = starter(tmp_path / "shop")
    bare = {"AWS_EC2_METADATA_DISABLED": "true", "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-m", "bgdeploy", "--project", str(project), "appspec"],
        env={**bare, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "TaskDefinition: <TASK_DEFINITION>\n" in done.stdout
    assert "AfterAllowTestTraffic: CodeDeployHook_shop-dev" in done.stdout
    assert "no AWS credentials were found" in done.stderr


@pytest.mark.parametrize("wrong", ["45", "soon", ""])
def test_a_timeout_is_a_duration(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke("watch", "--timeout", wrong) == 2
    assert "is not a duration such as 90s, 45m or 1h30m" in capsys.readouterr().err


def test_no_color_in_the_environment_means_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert Invocation(environ={}).out.no_color


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full disk to write to")
def test_a_full_disk_is_a_failure_in_one_sentence() -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "bgdeploy", "config", "schema"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (ran.returncode, ran.stderr) == (
        1,
        "bgdeploy: the output could not be written: No space left on device\n",
    )


def test_a_closed_output_is_nobody_who_reads() -> None:
    command = [sys.executable, "-m", "bgdeploy", "config", "schema"]
    ran = subprocess.run(
        ["sh", "-c", f"{shlex.join(command)} >&-"], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_a_sandbox_sees_its_caller_at_an_address_or_inside(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke("sandbox", "start", "--caller", "home") == 2
    assert "'home' is neither an IPv4 address nor vpc" in capsys.readouterr().err
