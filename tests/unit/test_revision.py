"""The task definition of a version. ECS is moto's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from bgdeploy.aws import Attrs, Aws, tag_map
from bgdeploy.clock import SystemClock
from bgdeploy.config import Config, Container, Settings
from bgdeploy.definition import Place
from bgdeploy.release.image import Image
from bgdeploy.release.revision import build, place, register, says

IMAGE = Image(
    "123456789012.dkr.ecr.us-east-1.amazonaws.com/shop-dev@sha256:" + "a" * 64, "sha256:a", "ecr", "c0ffee"
)
PLACE = Place(
    "us-east-1",
    "arn:aws:iam::123456789012:role/shop-dev-execution",
    "arn:aws:iam::123456789012:role/shop-dev-task",
)


def _settings(**container: Any) -> Settings:
    return Settings(env="dev", config=Config(app="shop", container=Container(**container)))


def _content(version: str = "v1", **container: Any) -> Attrs:
    return build(_settings(**container), PLACE, IMAGE, version)


@pytest.fixture
def aws() -> Iterator[Aws]:
    with mock_aws():
        yield Aws(stack="shop-dev", region="us-east-1", clock=SystemClock())


def test_it_says_what_the_config_declares() -> None:
    content = _content(port=8080, cpu=512, memory=1024, environment={"B": "2", "A": "1"})
    assert content == {
        "family": "shop-dev",
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": "512",
        "memory": "1024",
        "executionRoleArn": PLACE.execution_role,
        "taskRoleArn": PLACE.task_role,
        "containerDefinitions": [
            {
                "name": "web",
                "image": IMAGE.reference,
                "essential": True,
                "portMappings": [{"containerPort": 8080, "protocol": "tcp"}],
                "environment": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                "logConfiguration": {
                    "logDriver": "awslogs",
                    "options": {
                        "awslogs-group": "/ecs/shop-dev",
                        "awslogs-region": "us-east-1",
                        "awslogs-stream-prefix": "v1",
                    },
                },
            }
        ],
    }


def test_the_roles_are_the_stacks_own(aws: Aws) -> None:
    assert place(aws, _settings()).execution_role == f"arn:aws:iam::{aws.account}:role/shop-dev-execution"


def test_a_revision_carries_whose_it_is_and_what_it_is(aws: Aws) -> None:
    made = register(aws, _content(), "v1", "c0ffee")
    found = aws.client("ecs").describe_task_definition(taskDefinition=made.arn, include=["TAGS"])
    tags = tag_map(found["tags"])
    assert (tags["bgdeploy:stack"], tags["bgdeploy:version"], tags["bgdeploy:context"]) == (
        "shop-dev",
        "v1",
        "c0ffee",
    )
    assert (made.fresh, made.name) == (True, "shop-dev:1")


def test_the_same_content_is_registered_once(aws: Aws) -> None:
    first = register(aws, _content(), "v1", "c0ffee")
    again = register(aws, _content(), "v1", "c0ffee")
    assert (again.arn, again.fresh) == (first.arn, False)


def test_an_older_revision_that_says_the_same_is_found_again(aws: Aws) -> None:
    first = register(aws, _content(), "v1", "")
    register(aws, _content("v2"), "v2", "")
    assert register(aws, _content(), "v1", "").arn == first.arn


@pytest.mark.parametrize("changed", [{"cpu": 512, "memory": 1024}, {"environment": {"A": "2"}}, {"port": 81}])
def test_any_other_content_is_another_revision(aws: Aws, changed: dict[str, Any]) -> None:
    first = register(aws, _content(), "v1", "")
    assert register(aws, _content(**changed), "v1", "").arn != first.arn


def test_a_revision_whose_tags_were_copied_to_other_content_is_not_taken_for_it(aws: Aws) -> None:
    first = register(aws, _content(), "v1", "")
    ecs = aws.client("ecs")
    tags = ecs.describe_task_definition(taskDefinition=first.arn, include=["TAGS"])["tags"]
    ecs.deregister_task_definition(taskDefinition=first.arn)
    ecs.register_task_definition(**_content(environment={"BY": "hand"}), tags=tags)
    assert register(aws, _content(), "v1", "").fresh


def test_a_family_whose_name_begins_alike_is_another_family(aws: Aws) -> None:
    register(aws, {**_content(), "family": "shop-dev2"}, "v1", "")
    assert register(aws, _content(), "v1", "").name == "shop-dev:1"


@pytest.mark.parametrize(
    ("declared", "actual", "same"),
    [
        ({"a": 1}, {"a": 1, "added": 2}, True),
        ({"a": {"b": [1]}}, {"a": {"b": [1], "c": []}}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": 1}, {}, False),
        ([1, 2], [1], False),
        ([{"a": 1}], [{"a": 1, "b": 2}], True),
        ({"a": []}, {"a": None}, False),
    ],
)
def test_only_what_is_declared_is_compared(declared: Any, actual: Any, same: bool) -> None:
    assert says(declared, actual) is same
