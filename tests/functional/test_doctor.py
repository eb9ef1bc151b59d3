"""`doctor` in a living sandbox: things are broken behind its back, it names them, and mends what is safe."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import urllib3

from bgdeploy.aws import Aws
from bgdeploy.cli import run
from bgdeploy.cli.invocation import Invocation
from bgdeploy.clock import FastClock, SystemClock
from bgdeploy.config import Settings
from bgdeploy.doctor import judge, mend
from bgdeploy.doctor.finding import Finding
from bgdeploy.doctor.look import look
from bgdeploy.project import load
from bgdeploy.provision import converge
from bgdeploy.release import operations, watch
from bgdeploy.release.attending.attendant import Attendant
from bgdeploy.release.reader import Reader, find_target
from bgdeploy.release.snapshot import Target
from bgdeploy.release.start import start
from bgdeploy.sandbox.control import Running
from bgdeploy.stack import build

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CONFIG = """\
app: doctored
load_balancer:
  production: {port: 8491}
  test: {port: 8492, allow: [vpc]}
  health_check: {interval: 5s, timeout: 2s}
deployment: {keep_blue: 0s}
hook: {lease: 14m}  # some of our seconds
checks:
  - {name: page, get: /, contains: "Hello from {version}", timeout: 60s, within: 90s}
alarms:
  - {name: not-found, log_filter: '" 404 "'}
  - {name: errors, target_5xx: {rate: 50%}, evaluation_periods: 3}
  - {name: slow, latency_p95: {above: 30s}}
  - {existing: theirs}
"""
BLUE, GREEN = "doctored-dev-blue", "doctored-dev-green"
# Of alarms whose metric nobody publishes; they are old enough to be doubted when their turn comes.
MUTE = {
    "Namespace": "theirs",
    "MetricName": "mute",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 1.0,
    "ComparisonOperator": "GreaterThanThreshold",
}


THEIRS = {**MUTE, "MetricName": "sales", "Threshold": 9.0, "TreatMissingData": "notBreaching"}


class Clinic:
    """A provisioned project, a doctor, and somebody who breaks things."""

    def __init__(self, folder: Path) -> None:
        for name in ("appspec", "hook_lambda", "container"):
            shutil.copytree(ROOT / name, folder / name)
        (folder / "config").mkdir()
        (folder / "config/base.yaml").write_text(CONFIG, encoding="utf-8")
        (folder / "config/dev.yaml").touch()
        self.folder = folder
        self.settings: Settings = load(folder, "dev", {})
        self.aws = Aws(
            stack=self.settings.names.stack, region="us-east-1", clock=FastClock(20, SystemClock())
        )
        cloudwatch = self.aws.client("cloudwatch")
        cloudwatch.put_metric_data(Namespace="theirs", MetricData=[{"MetricName": "sales", "Value": 1.0}])
        cloudwatch.put_metric_alarm(AlarmName="theirs", **THEIRS)
        cloudwatch.put_metric_alarm(AlarmName="mute", **MUTE)
        self.heal()

    def __call__(self, service: str) -> Any:
        return self.aws.client(service)

    @property
    def target(self) -> Target:
        return find_target(self.aws, self.settings.names)

    def heal(self) -> None:
        resources = build(self.settings, self.folder, self.aws.account, self.aws.region)
        outcome = converge.provision(self.aws, resources, lambda progress: None)
        assert not outcome.failed, outcome.failed
        assert converge.examine(self.aws, resources).pending == ()

    @contextlib.contextmanager
    def broken(self, *deeds: Callable[[], object]) -> Iterator[None]:
        """Do something behind the doctor's back, and have provision put it right afterwards."""
        for deed in deeds:
            deed()
        try:
            yield
        finally:
            self.heal()

    def visit(self) -> int:
        """Ask production for its page, and return the status."""
        target = self.target
        url = target.urls[target.production_listener]
        return int(urllib3.request("GET", url, retries=False, timeout=5).status)

    def await_alarm(self, name: str, state: str) -> None:
        for _ in range(100):
            if (
                self("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"]
                == state
            ):
                return
            self.aws.clock.sleep(2)
        raise AssertionError(f"{name} never came to {state}")

    def weigh(self, *weights: tuple[str, int]) -> None:
        """Rewrite where production goes."""
        target = self.target
        groups = [
            {"TargetGroupArn": target.target_groups[name], "Weight": weight} for name, weight in weights
        ]
        forward = [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}]
        self("elbv2").modify_listener(ListenerArn=target.production_listener, DefaultActions=forward)

    def weights(self) -> list[dict[str, int]]:
        """Return the weights of each rule of the production listener."""
        names = {arn: name for name, arn in self.target.target_groups.items()}
        rules = self("elbv2").describe_rules(ListenerArn=self.target.production_listener)["Rules"]
        return [
            {
                names[group["TargetGroupArn"]]: group["Weight"]
                for group in rule["Actions"][0]["ForwardConfig"]["TargetGroups"]
            }
            for rule in rules
        ]


class Doctor:
    """`bgdeploy doctor` as people run it, and what it does without the command line around it."""

    def __init__(self, clinic: Clinic, capsys: pytest.CaptureFixture[str]) -> None:
        self.clinic = clinic
        self.capsys = capsys

    def run(self, *options: str, env: str = "dev") -> dict[str, Any]:
        """Run the command and return its envelope."""
        self.capsys.readouterr()
        where = ["--project", str(self.clinic.folder), "--env", env, "--output", "json"]
        status = run([*where, "doctor", *options], Invocation(clock=self.clinic.aws.clock))
        envelope: dict[str, Any] = json.loads(self.capsys.readouterr().out)
        assert envelope["exit_status"] == status
        return envelope

    def look(self) -> list[Finding]:
        clinic = self.clinic
        resources = build(clinic.settings, clinic.folder, clinic.aws.account, clinic.aws.region)
        return list(judge.findings(look(clinic.aws, clinic.settings, resources)))

    def complaints(self) -> list[tuple[str, str, str]]:
        """Return check, state and text of what is not well, but for what no sandbox can tell."""
        return [(f.check, f.state, f.text) for f in self.look() if f.state not in {"ok", "not checked"}]

    def only(self) -> tuple[str, str, str]:
        (complaint,) = self.complaints()
        return complaint

    def mend(self) -> list[str]:
        """Do everything that can be put right, and return what that was."""
        mends = list(dict.fromkeys(finding.mend for finding in self.look() if finding.mend))
        for each in mends:
            mend.carry_out(self.clinic.aws, self.clinic.settings.names, each)
        return [each.deed for each in mends]


@pytest.fixture(scope="module")
def clinic(sandbox: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sandbox.exports().items():
            patch.setenv(name, value)
        patch.setenv("CI", "1")  # nobody is there to answer
        yield Clinic(tmp_path_factory.mktemp("clinic"))


@pytest.fixture
def doctor(clinic: Clinic, capsys: pytest.CaptureFixture[str]) -> Doctor:
    return Doctor(clinic, capsys)


def test_a_stack_that_was_just_provisioned_is_well(doctor: Doctor) -> None:
    envelope = doctor.run()
    assert envelope["ok"], envelope
    told = envelope["result"]["findings"]
    assert [(each["check"], each["text"]) for each in told if each["state"] == "warning"] == []
    # The placeholder's image is in a public registry.
    assert [each["check"] for each in told if each["state"] == "not checked"] == ["image"]
    assert {each["text"] for each in told if each["check"] == "alarms"} >= {"theirs is OK"}


def test_a_split_listener_is_mended_after_a_yes(clinic: Clinic, doctor: Doctor) -> None:
    clinic.weigh((BLUE, 50), (GREEN, 50))
    check, state, text = doctor.only()
    assert (check, state) == ("listeners", "fails")
    assert "Green taskset target group cannot have non-zero weight prior to traffic shifting" in text
    asked = doctor.run("--fix")
    assert asked["exit_status"] == 2
    assert "asks before it does" in asked["error"]["message"]
    assert asked["result"]["fixed"] == []
    assert [each["check"] for each in asked["result"]["findings"] if each["fixable"]] == ["listeners"]
    assert clinic.weights() == [{BLUE: 50, GREEN: 50}]
    mended = doctor.run("--fix", "--yes")
    assert (mended["exit_status"], len(mended["result"]["fixed"])) == (0, 1)
    assert clinic.weights() == [{BLUE: 100, GREEN: 0}]


def test_a_listener_on_the_wrong_colour_is_mended_in_every_rule(clinic: Clinic, doctor: Doctor) -> None:
    green = clinic.target.target_groups[GREEN]
    rule = clinic("elbv2").create_rule(
        ListenerArn=clinic.target.production_listener,
        Priority=7,
        Conditions=[{"Field": "path-pattern", "Values": ["/beta"]}],
        Actions=[{"Type": "forward", "TargetGroupArn": green}],
    )["Rules"][0]
    clinic.weigh((BLUE, 0), (GREEN, 100))
    try:
        assert [(check, "must be behind listener" in text) for check, _, text in doctor.complaints()] == [
            ("listeners", True),
            ("listeners", True),
        ]
        assert len(doctor.mend()) == 1
        assert doctor.complaints() == []
        assert clinic.weights() == [{BLUE: 100, GREEN: 0}] * 2
    finally:
        clinic("elbv2").delete_rule(RuleArn=rule["RuleArn"])


def test_a_target_group_that_lost_its_listener_gets_it_back_with_no_weight(
    clinic: Clinic, doctor: Doctor
) -> None:
    clinic.weigh((BLUE, 100))
    check, state, text = doctor.only()
    assert (check, state) == ("target groups", "warning")
    assert f"{GREEN} is not behind the production listener" in text
    assert len(doctor.mend()) == 1
    assert doctor.complaints() == []
    assert clinic.weights() == [{BLUE: 100, GREEN: 0}]


def test_a_role_that_trusts_somebody_else_is_told(clinic: Clinic, doctor: Doctor) -> None:
    name = clinic.settings.names.role("codedeploy")
    statement = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam = clinic("iam")
    with clinic.broken(lambda: iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust)):
        assert doctor.only() == (
            "roles",
            "fails",
            f"the role {name} does not let codedeploy.amazonaws.com assume it",
        )


def test_a_hook_that_may_not_answer_is_told(clinic: Clinic, doctor: Doctor) -> None:
    name = clinic.settings.names.role("hook")
    with clinic.broken(lambda: clinic("iam").delete_role_policy(RoleName=name, PolicyName="bgdeploy")):
        (role, hook) = doctor.complaints()
    assert role[:2] == ("roles", "fails")
    assert f"the role {name} may not logs:CreateLogStream on" in role[2]
    assert hook[2].startswith("its role may not codedeploy:PutLifecycleEventHookExecutionStatus (IAM says)")


def test_a_hook_whose_code_is_no_python_is_told(clinic: Clinic, doctor: Doctor) -> None:
    handler = clinic.folder / "hook_lambda/handler.py"
    text = handler.read_text(encoding="utf-8")
    handler.write_text("def handler(", encoding="utf-8")
    told = [each["text"] for each in doctor.run()["result"]["findings"] if each["check"] == "hook"]
    handler.write_text(text, encoding="utf-8")
    assert any("cannot be read as Python" in each for each in told)


def test_a_hook_with_other_code_is_told_and_one_that_is_gone_fails(clinic: Clinic, doctor: Doctor) -> None:
    handler = clinic.folder / "hook_lambda/handler.py"
    text = handler.read_text(encoding="utf-8")
    handler.write_text(f"{text}\n# mended\n", encoding="utf-8")
    assert doctor.only()[:2] == ("hook", "warning")
    handler.write_text(text, encoding="utf-8")
    name = clinic.settings.names.hook
    with clinic.broken(lambda: clinic("lambda").delete_function(FunctionName=name)):
        assert doctor.only() == (
            "hook",
            "fails",
            "the hook's function is missing, so no release could be checked",
        )


def test_an_alarm_that_is_on_and_one_that_is_gone_are_told(clinic: Clinic, doctor: Doctor) -> None:
    cloudwatch = clinic("cloudwatch")
    cloudwatch.put_metric_alarm(AlarmName="theirs", **{**THEIRS, "TreatMissingData": "breaching"})
    try:
        clinic.await_alarm("theirs", "ALARM")
        check, state, text = doctor.only()
        assert (check, state) == ("alarms", "fails")
        assert text.startswith("alarm theirs is in ALARM (")
        cloudwatch.delete_alarms(AlarmNames=["theirs"])
        assert doctor.only() == (
            "alarms",
            "fails",
            "alarm theirs, which the deployment group watches, does not exist",
        )
    finally:
        cloudwatch.put_metric_alarm(AlarmName="theirs", **THEIRS)
        clinic.await_alarm("theirs", "OK")


def test_an_alarm_on_both_colours_goes_off_on_what_visitors_meet(clinic: Clinic, doctor: Doctor) -> None:
    cloudwatch, name = clinic("cloudwatch"), "doctored-dev-slow"
    slow = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]
    kept = ("AlarmName", "Metrics", "EvaluationPeriods", "ComparisonOperator", "TreatMissingData")
    with clinic.broken(
        lambda: cloudwatch.put_metric_alarm(**{key: slow[key] for key in kept}, Threshold=0.000001),
        lambda: [clinic.visit() for _ in range(3)],
    ):
        clinic.await_alarm(name, "ALARM")
        check, state, text = doctor.only()
    assert (check, state) == ("alarms", "fails")
    assert text.startswith(f"alarm {name} is in ALARM (")
    clinic.await_alarm(name, "OK")


def test_an_alarm_without_its_metric_filter_cannot_go_off(clinic: Clinic, doctor: Doctor) -> None:
    group = clinic.settings.names.log_group
    logs = clinic("logs")
    with clinic.broken(lambda: logs.delete_metric_filter(logGroupName=group, filterName="not-found")):
        check, state, text = doctor.only()
    assert (check, state) == ("alarms", "warning")
    assert "cannot go off: the metric filter not-found that feeds it is missing" in text


def test_a_pattern_that_matched_none_of_many_lines_is_doubted(clinic: Clinic, doctor: Doctor) -> None:
    cloudwatch = clinic("cloudwatch")
    now = cloudwatch.describe_alarms(AlarmNames=["theirs"])["MetricAlarms"][0]["StateUpdatedTimestamp"]
    zeros = [
        {"MetricName": "not-found", "Value": 0.0, "Timestamp": now - timedelta(hours=n)} for n in range(30)
    ]
    namespace = clinic.settings.names.metric_namespace
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=zeros)
    check, state, text = doctor.only()
    assert (check, state) == ("alarms", "warning")
    assert "alarm doctored-dev-not-found may never go off: lines came in 3" in text
    cloudwatch.put_metric_data(
        Namespace=namespace,
        MetricData=[{"MetricName": "not-found", "Value": 1.0, "Timestamp": now - timedelta(hours=3)}],
    )
    assert doctor.complaints() == []


def test_alarms_that_the_group_watches_instead_of_the_configs_are_told(
    clinic: Clinic, doctor: Doctor
) -> None:
    name = clinic.settings.names.plain
    watched = {"enabled": True, "alarms": [{"name": "mute"}, {"name": "theirs"}]}
    with clinic.broken(
        lambda: clinic("codedeploy").update_deployment_group(
            applicationName=name, currentDeploymentGroupName=name, alarmConfiguration=watched
        )
    ):
        told = [text for check, state, text in doctor.complaints() if (check, state) == ("alarms", "warning")]
    ours = [f"doctored-dev-{name}" for name in ("not-found", "errors", "slow")]
    assert told == [
        *(f"alarm {name} is not watched by the deployment group: it rolls nothing back" for name in ours),
        "alarm mute is watched by the deployment group, and is not in the config",
        "alarm mute cannot go off: nobody has published mute in the last two weeks",
        "alarm mute has been in INSUFFICIENT_DATA ever since it was made: it has never had a value",
    ]


def test_a_service_linked_role_that_is_missing_is_made(clinic: Clinic, doctor: Doctor) -> None:
    iam, path = clinic("iam"), "/aws-service-role/elasticloadbalancing.amazonaws.com/"
    (role,) = iam.list_roles(PathPrefix=path)["Roles"]
    iam.delete_role(RoleName=role["RoleName"])
    check, state, text = doctor.only()
    assert (check, state) == ("linked roles", "fails")
    assert "no service-linked role of elasticloadbalancing.amazonaws.com" in text
    assert len(doctor.mend()) == 1
    assert doctor.complaints() == []
    assert len(iam.list_roles(PathPrefix=path)["Roles"]) == 1


def test_a_claim_of_a_process_that_died_is_removed(clinic: Clinic, doctor: Doctor) -> None:
    s3, bucket = clinic("s3"), clinic.target.bucket
    claim = {"schema": 1, "owner": "ann@laptop", "host": "laptop", "pid": 1, "started": "x", "beat": 3}
    for ident, told in (("d-AAAAAAAAA", claim), ("d-BBBBBBBBB", {**claim, "answer": "Succeeded"})):
        s3.put_object(Bucket=bucket, Key=f"hooks/{ident}.claim.json", Body=json.dumps(told).encode())
    assert doctor.only()[:2] == ("claims", "warning")
    assert len(doctor.mend()) == 1
    assert doctor.complaints() == []
    left = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket, Prefix="hooks/d-")["Contents"]]
    assert left == ["hooks/d-BBBBBBBBB.claim.json"]


def test_a_deployment_that_nobody_attends_is_stuck_until_somebody_does(
    clinic: Clinic, doctor: Doctor
) -> None:
    started = start(clinic.aws, clinic.settings, clinic.folder, "v1")
    reader = Reader(clinic.aws, started.target)
    held = watch_until_held(clinic, reader, started.deployment_id)
    clinic.weigh((BLUE, 50), (GREEN, 50))
    told = doctor.complaints()
    assert [(check, state) for check, state, _ in told] == [("deployment", "fails"), ("listeners", "fails")]
    assert f"{held} of v1 is stuck: its hook has held it for" in told[0][2]
    assert doctor.mend() == []  # CodeDeploy is at it
    clinic.weigh((BLUE, 100), (GREEN, 0))
    attendant = Attendant(clinic.aws, started.target, started.record)
    try:
        ended = watch.follow(
            Reader(clinic.aws, started.target),
            started.deployment_id,
            attendant=attendant,
            timeout=900,
            until="finished",
        )
    finally:
        attendant.close()
    assert ended.version == "v1"
    well = {finding.check: finding.text for finding in doctor.look() if finding.state == "ok"}
    assert well["image"].startswith("ECR has what production runs, ")
    assert well["listeners"] == f"all of production is on {GREEN}, where its tasks are"
    ecr, repository = clinic("ecr"), clinic.settings.names.plain
    ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}])
    assert doctor.only()[:2] == ("image", "warning")


def watch_until_held(clinic: Clinic, reader: Reader, ident: str) -> str:
    """Wait until the hook has held a deployment for some AWS time, and return the deployment's id."""
    for _ in range(200):
        snapshot = reader.read(ident, fresh=True)
        event = snapshot.event("AfterAllowTestTraffic")
        if event and event.start and snapshot.at - event.start > timedelta(seconds=31):
            return ident
        assert not snapshot.deployment.over, snapshot.deployment
        clinic.aws.clock.sleep(4)
    operations.stop(clinic.aws, ident)
    raise AssertionError("the hook was never called")


def test_a_stack_that_is_not_there_is_told_as_what_a_release_would_fail_on(
    clinic: Clinic, doctor: Doctor
) -> None:
    (clinic.folder / "config/prod.yaml").touch()
    envelope = doctor.run(env="prod")
    told = envelope["result"]["findings"]
    deployment = next(each for each in told if each["check"] == "deployment")
    assert (envelope["exit_status"], deployment["state"]) == (1, "fails")
    assert deployment["text"].startswith("the stack doctored-prod is not provisioned")
    assert {each["state"] for each in told if each["check"] == "roles"} == {"fails"}
