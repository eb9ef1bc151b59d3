"""What no provision can change goes out with the next release: plans name it, and nothing is pending for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bgdeploy.aws import Attrs, Aws
from bgdeploy.clock import SystemClock
from bgdeploy.config import Config, Container, Service, Settings, Sidecar
from bgdeploy.definition import Place, build
from bgdeploy.names import PLACEHOLDER
from bgdeploy.provision.decide import change_of
from bgdeploy.provision.plan import Action, Change, Plan
from bgdeploy.provision.resource import TAGS, Foreseen, Resource
from bgdeploy.stack import build as build_stack
from bgdeploy.views.plan import lines

STACK = "shop-dev"
LOG = Sidecar(name="log", image="x")


def settings(**config: Any) -> Settings:
    return Settings("dev", Config(app="shop", **config))


def resource(address: str, **config: Any) -> Resource:
    stack = build_stack(settings(**config), Path(), "123456789012", "us-east-1")
    return next(each for each in stack if each.address == address)


def planned(asked: Resource, actual: Attrs, version: str = "v1") -> Change:
    known = Foreseen(Aws(stack=STACK, region="us-east-1", clock=SystemClock()))
    tags = {**asked.tags(known.aws), "bgdeploy:version": version}
    return change_of(asked, {**actual, TAGS: tags}, known)


def running(**config: Any) -> Attrs:
    """Return the task definition that a release has registered."""
    return build(settings(**config), Place("us-east-1", "execution", "task"), "image@sha256:a", "v1")


def told(change: Change) -> list[str]:
    assert change.action is Action.NOOP
    return [each.where for each in change.later]


def test_what_runs_as_the_config_says_awaits_nothing() -> None:
    container = Container(environment={"A": "1"}, secrets={"B": "/b"}, architecture="arm64")
    change = planned(
        resource("task-definition", container=container, sidecars=(LOG,)),
        running(container=container, sidecars=(LOG,)),
    )
    assert told(change) == []


def test_every_part_of_a_task_that_the_config_changes_is_named() -> None:
    container = Container(
        cpu=512, memory=1024, environment={"A": "2"}, secrets={"B": "/c"}, ephemeral_storage=30
    )
    change = planned(resource("task-definition", container=container), running(sidecars=(LOG,)))
    assert told(change) == [
        "cpu",
        "memory",
        "ephemeralStorage",
        "containers",
        "container web.environment",
        "container web.secrets",
    ]


def test_what_is_taken_away_is_named_too() -> None:
    before = Container(environment={"A": "1", "B": "2"}, command=("serve",))
    change = planned(
        resource("task-definition", container=Container(environment={"A": "1"})), running(container=before)
    )
    assert told(change) == ["container web.environment", "container web.command"]


def test_of_the_placeholder_nobody_expects_anything() -> None:
    asked = resource("task-definition", container=Container(cpu=512, memory=1024))
    assert told(planned(asked, running(), PLACEHOLDER)) == []


def service_of(asked: Resource, **changed: Any) -> Attrs:
    known = Foreseen(Aws(stack=STACK, region="us-east-1", clock=SystemClock()))
    desired = asked.desired(known)
    vpc = desired["networkConfiguration"]["awsvpcConfiguration"]
    network = {"awsvpcConfiguration": {**vpc, "subnets": vpc["subnets"][::-1], **changed}}
    return {**desired, "networkConfiguration": network, "platformVersion": "1.3.0"}


def test_a_service_that_stands_where_it_should_awaits_nothing_whatever_the_order() -> None:
    asked = resource("service")
    assert told(planned(asked, service_of(asked))) == []


def test_other_subnets_and_another_platform_go_out_with_the_next_release() -> None:
    asked = resource("service", service=Service(platform_version="1.4.0"))
    assert told(planned(asked, service_of(asked, subnets=["subnet-old"]))) == [
        "networkConfiguration.awsvpcConfiguration.subnets",
        "platformVersion",
    ]


def test_a_plan_says_what_goes_out_with_the_next_release_and_that_nothing_is_to_do() -> None:
    asked = resource("task-definition", container=Container(environment={"A": "2"}))
    plan = Plan(STACK, (planned(asked, running(container=Container(environment={"A": "1"}))),))
    assert list(lines(plan)) == [
        "> task-definition  shop-dev  goes out with the next release",
        '    container web.environment: {"A": "1"} -> {"A": "2"}',
        "shop-dev: 1 resource is as it should be; nothing to do",
    ]
    assert plan.pending == ()
    assert plan.as_dict()["next_release"] == [
        {
            "address": "task-definition",
            "name": "shop-dev",
            "fields": [
                {"field": "container web.environment", "wanted": {"A": "2"}, "actual": {"A": "1"}},
            ],
        }
    ]
