"""Following releases in a living sandbox: its CodeDeploy, its tasks, its load balancer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bgdeploy import config as c
from bgdeploy.aws import Aws
from bgdeploy.clock import FastClock, SystemClock
from bgdeploy.config import Config, Deployment, Duration, Settings
from bgdeploy.errors import BgdeployError, Exit
from bgdeploy.provision import converge
from bgdeploy.release import operations, status, watch
from bgdeploy.release.cause import Kind
from bgdeploy.release.ending import Ending
from bgdeploy.release.phase import Phase, phase
from bgdeploy.release.reader import Reader, find_target
from bgdeploy.release.standing import Status
from bgdeploy.release.watch import Frame
from bgdeploy.sandbox.control import Running
from bgdeploy.stack import build

ROOT = Path(__file__).parents[2]


class Stack:
    """A provisioned stack, and what a test does with it."""

    def __init__(self) -> None:
        config = Config(
            app="following",
            alarms=(c.Alarm(name="not-found", log_filter='" 404 "'),),
            deployment=Deployment(keep_blue=Duration(120)),
            load_balancer=c.LoadBalancer(
                production=c.ProductionListener(port=8191),
                test=c.TestListener(port=8192),
                health_check=c.HealthCheck(interval=Duration(5), timeout=Duration(2)),
            ),
        )
        self.clock = FastClock(20, SystemClock())  # our seconds are short, as the sandbox's are
        self.settings = Settings(env="dev", config=config)
        self.aws = Aws(stack=self.settings.names.stack, region="us-east-1", clock=self.clock)
        resources = build(self.settings, ROOT, self.aws.account, self.aws.region)
        converge.provision(self.aws, resources, lambda progress: None)
        self.target = find_target(self.aws, self.settings.names)
        self.frames: list[Frame] = []

    def release(self, version: str, **container: Any) -> str:
        """Start a deployment of the placeholder image under another version, and return its id."""
        ecs, codedeploy = self.aws.client("ecs"), self.aws.client("codedeploy")
        old = ecs.describe_task_definition(taskDefinition=self.settings.names.plain)["taskDefinition"]
        kept = {name: old[name] for name in _KEPT if name in old}
        kept["containerDefinitions"] = [{**kept["containerDefinitions"][0], **container}]
        tags = [{"key": "bgdeploy:version", "value": version}]
        made = ecs.register_task_definition(**kept, tags=tags)["taskDefinition"]["taskDefinitionArn"]
        balancer = {"ContainerName": self.target.container, "ContainerPort": self.target.port}
        properties = {"TaskDefinition": made, "LoadBalancerInfo": balancer}
        service = {"Type": "AWS::ECS::Service", "Properties": properties}
        content = json.dumps({"version": "0.0", "Resources": [{"TargetService": service}]})
        started = codedeploy.create_deployment(
            applicationName=self.target.application,
            deploymentGroupName=self.target.group,
            revision={"revisionType": "AppSpecContent", "appSpecContent": {"content": content}},
            description=f"bgdeploy release {version} [k3y] by ann@laptop",
        )
        return str(started["deploymentId"])

    def follow(
        self, deployment_id: str, show: Callable[[Frame], None] | None = None, **options: Any
    ) -> Ending:
        """Follow it, for ten minutes of the stack's clock at most."""
        options = {"timeout": 600, **options}
        reader = Reader(self.aws, self.target)
        return watch.follow(reader, deployment_id, show=show or self.frames.append, **options)


_KEPT = (
    "family",
    "taskRoleArn",
    "executionRoleArn",
    "networkMode",
    "containerDefinitions",
    "requiresCompatibilities",
    "cpu",
    "memory",
)


@pytest.fixture(scope="module")
def stack(account: Running) -> Stack:
    return Stack()


def test_a_release_is_followed_until_it_is_live_and_finished(stack: Stack) -> None:
    ended = stack.follow(stack.release("v1"))
    assert (ended.kind, ended.exit) == (Kind.LIVE, Exit.DONE), ended
    assert [(live.listener, live.version, live.percent) for live in ended.live] == [
        ("production", "v1", 100),
        ("test", "v1", 100),
    ]
    assert "answers 200" in ended.why[0]
    told = [
        change.text for frame in stack.frames for change in frame.changes if change.subject == "AllowTraffic"
    ]
    assert told[-1].startswith("succeeded")


def test_a_stop_while_blue_is_kept_goes_back_to_it(stack: Stack) -> None:
    before = stack.release("v2")
    shifted = stack.follow(before, until="shifted")
    assert (shifted.exit, shifted.version) == (Exit.DONE, "v2"), shifted
    previous = _live(stack)
    operations.stop(stack.aws, before)
    ended = stack.follow(before)
    assert (ended.kind, ended.exit) == (Kind.STOPPED, Exit.ROLLED_BACK), ended
    assert previous == "v2"
    assert _live(stack) != "v2"
    assert ended.rollback


def test_a_rollback_can_be_watched_by_its_own_id(stack: Stack) -> None:
    story = stack.release("v3")
    stack.follow(story, until="shifted")
    operations.stop(stack.aws, story)
    rollback = stack.follow(story).rollback
    ended = stack.follow(rollback)
    assert (ended.deployment, ended.version, ended.exit) == (story, "v3", Exit.ROLLED_BACK)


def test_a_promotion_ends_the_time_for_which_blue_is_kept(stack: Stack) -> None:
    story = stack.release("v4")
    stack.follow(story, until="shifted")
    where = phase(Reader(stack.aws, stack.target).read(story))
    assert where is Phase.SHIFTED
    assert "removed now" in operations.promote(stack.aws, story, where)
    assert stack.follow(story).exit is Exit.DONE
    with pytest.raises(BgdeployError, match="is over already"):
        operations.stop(stack.aws, story)


def test_tasks_that_crash_say_why_while_it_is_still_installing(stack: Stack) -> None:
    story = stack.release("v5", command=["sh", "-c", "echo no database >&2; exit 3"])

    told: list[str] = []

    def until_trouble(frame: Frame) -> None:
        told.extend(change.text for change in frame.changes if change.kind == "trouble")
        if told:
            raise KeyboardInterrupt

    left = stack.follow(story, until_trouble)
    assert left.exit is Exit.INTERRUPTED
    # Two may have stopped by the time of the first look.
    assert told[0].startswith("a task stopped: Essential container in task exited; web exited with 3")
    assert f"deployment {story} goes on (it was installing)" in left.headline
    operations.stop(stack.aws, story)
    assert stack.follow(story).exit is Exit.ROLLED_BACK


def test_the_status_agrees_with_what_aws_says(stack: Stack) -> None:
    now = _resting(stack).as_dict()
    ecs, elb = stack.aws.client("ecs"), stack.aws.client("elbv2")
    service = ecs.describe_services(cluster=stack.target.cluster, services=[stack.target.service])[
        "services"
    ][0]
    assert (now["service"], now["desired"], now["running"]) == (
        service["status"],
        service["desiredCount"],
        service["runningCount"],
    )
    assert [(s["id"], s["status"], s["running"], s["desired"]) for s in now["task_sets"]] == [
        (s["id"], s["status"], s["runningCount"], s["computedDesiredCount"]) for s in service["taskSets"]
    ]
    for task_set in now["task_sets"]:
        arn = stack.target.target_groups[task_set["target_group"]]
        healths = elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        assert [(t["id"], t["port"], t["state"]) for t in task_set["targets"]] == [
            (h["Target"]["Id"], h["Target"]["Port"], h["TargetHealth"]["State"]) for h in healths
        ]
    alarms = stack.aws.client("cloudwatch").describe_alarms(AlarmNames=list(stack.target.alarms))[
        "MetricAlarms"
    ]
    assert [(a["name"], a["state"]) for a in now["alarms"]] == [
        (a["AlarmName"], a["StateValue"]) for a in alarms
    ]
    assert now["production"]["versions"] == {_live(stack): 100}


def _resting(stack: Stack) -> Status:
    """Return the status once nothing of the earlier tests drains any more: that would change between two calls."""
    for _ in range(200):
        now = status.read(Reader(stack.aws, stack.target))
        if now.active is None and len(now.task_sets) == 1 and len(now.task_sets[0].targets) == 1:
            return now
        stack.clock.sleep(2)
    raise AssertionError(now)


def _live(stack: Stack) -> str:
    production, _ = Reader(stack.aws, stack.target).listeners()
    assert production is not None
    group = max(production.weights, key=lambda name: production.weights[name])
    now = status.read(Reader(stack.aws, stack.target))
    return next(s.version for s in now.task_sets if s.target_group == group and s.status == "PRIMARY")
