"""Every example of docs/examples, from nothing to a release and back to nothing, in a living sandbox."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from bgdeploy.aws import Aws
from bgdeploy.clock import FastClock, SystemClock
from bgdeploy.errors import Exit
from bgdeploy.project import load
from bgdeploy.provision import converge
from bgdeploy.provision.plan import Progress
from bgdeploy.release import scaling, watch
from bgdeploy.release.attending.attendant import Attendant
from bgdeploy.release.reader import Reader
from bgdeploy.release.start import start
from bgdeploy.sandbox.control import Running
from bgdeploy.stack import build, task_network

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "docs/examples").glob("*.yaml"))
SECRET = re.compile(r"arn:aws:secretsmanager:[\w-]+:\d+:secret:(?P<name>[\w/]+)-\w{6}")
# What an author writes for an environment of his own: other ports, and no minutes of waiting.
DEV = """\
load_balancer:
  production: {{port: {port}}}
  test: {{port: {test}}}
  health_check: {{interval: 5s, timeout: 2s}}
deployment: {{keep_blue: 0s}}
"""


@pytest.fixture(autouse=True)
def account(sandbox: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in sandbox.exports().items():
        monkeypatch.setenv(name, value)


def keep_secrets(aws: Aws, text: str) -> str:
    """Put what the example refers to into the account, and return the example with its ARNs."""
    for name in re.findall(r": (/[\w/-]+)\b.*# a parameter", text):
        aws.client("ssm").put_parameter(Name=name, Value="s3cret", Type="SecureString", Overwrite=True)

    def kept(match: re.Match[str]) -> str:
        value = json.dumps({"password": "s3cret"})
        made = aws.client("secretsmanager").create_secret(Name=match["name"], SecretString=value)
        return str(made["ARN"])

    return SECRET.sub(kept, text)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_becomes_a_stack_releases_and_leaves_nothing(example: Path, tmp_path: Path) -> None:
    for name in ("appspec", "hook_lambda", "container"):
        shutil.copytree(ROOT / name, tmp_path / name)
    clock, port = FastClock(60, SystemClock()), 8500 + 2 * EXAMPLES.index(example)
    (tmp_path / "config").mkdir()
    text = example.read_text(encoding="utf-8")
    (tmp_path / "config/base.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "config/dev.yaml").write_text(DEV.format(port=port, test=port + 1), encoding="utf-8")
    settings = load(tmp_path, "dev", {})
    aws = Aws(stack=settings.names.stack, region="us-east-1", clock=clock)
    (tmp_path / "config/base.yaml").write_text(keep_secrets(aws, text), encoding="utf-8")
    settings = load(tmp_path, "dev", {})
    resources = build(settings, tmp_path, aws.account, aws.region)

    troubles: list[str] = []

    def tell(progress: Progress) -> None:
        troubles.extend(filter(None, [progress.error]))

    converge.provision(aws, resources, tell)
    assert troubles == []
    assert converge.examine(aws, resources).pending == ()

    started = start(aws, settings, tmp_path, "v1", network=lambda: task_network(aws, settings, tmp_path))
    reader = Reader(aws, started.target)
    attendant = Attendant(aws, started.target, started.record)
    ended = watch.follow(reader, started.deployment_id, attendant=attendant, timeout=3600)
    attendant.close()
    assert ended.exit is Exit.DONE, ended
    assert bool(scaling.restore(reader, started.record.key)) is started.scaling_suspended
    after = converge.examine(aws, resources)
    assert (after.pending, after.later) == ((), ())

    converge.teardown(aws, resources, tell)
    assert troubles == []
    assert set(converge.examine(aws, resources).counts) == {"create"}
