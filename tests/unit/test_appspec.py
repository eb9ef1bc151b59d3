"""Filling the AppSpec template."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bgdeploy.config import Config, Service, Settings
from bgdeploy.errors import UsageError
from bgdeploy.release.appspec import Filling, moved, read, render, revision, task_definition

STARTER = read(Path(__file__).parents[2])
FILLING = Filling(
    "arn:aws:ecs:us-east-1:123456789012:task-definition/shop-dev:7", "web", 80, "CodeDeployHook_shop-dev"
)


def test_the_starters_template_becomes_what_codedeploy_takes() -> None:
    document = yaml.safe_load(render(STARTER, FILLING))
    assert document == {
        "version": 0.0,
        "Resources": [
            {
                "TargetService": {
                    "Type": "AWS::ECS::Service",
                    "Properties": {
                        "TaskDefinition": FILLING.task_definition,
                        "LoadBalancerInfo": {"ContainerName": "web", "ContainerPort": 80},
                    },
                }
            }
        ],
        "Hooks": [{"AfterAllowTestTraffic": "CodeDeployHook_shop-dev"}],
    }


@given(
    name=st.from_regex(r"[a-z][a-z0-9-]{0,30}", fullmatch=True),
    port=st.integers(1, 65535),
    number=st.integers(1, 10**6),
)
def test_whatever_is_filled_in_comes_out_as_it_went_in(name: str, port: int, number: int) -> None:
    arn = f"arn:aws:ecs:us-east-1:123456789012:task-definition/{name}:{number}"
    filled = render(STARTER, Filling(arn, name, port, f"CodeDeployHook_{name}"))
    properties = yaml.safe_load(filled)["Resources"][0]["TargetService"]["Properties"]
    assert properties["TaskDefinition"] == arn
    assert str(properties["LoadBalancerInfo"]["ContainerName"]) == name
    assert properties["LoadBalancerInfo"]["ContainerPort"] == port


def test_the_hash_is_of_the_very_text_that_is_sent() -> None:
    content = render(STARTER, FILLING)
    sent = revision(content)
    assert sent["revisionType"] == "AppSpecContent"
    assert sent["appSpecContent"] == {
        "content": content,
        "sha256": hashlib.sha256(content.encode()).hexdigest(),
    }


def test_all_five_hooks_may_be_there_and_go_out_as_written() -> None:
    events = ("BeforeInstall", "AfterInstall", "BeforeAllowTraffic", "AfterAllowTraffic")
    template = STARTER + "".join(f"  - {event}: warm-up\n" for event in events)
    hooks = yaml.safe_load(render(template, FILLING))["Hooks"]
    assert hooks[1:] == [{event: "warm-up"} for event in events]


def test_a_comment_may_say_what_it_likes() -> None:
    assert "<WHATEVER>" in render(f"# <WHATEVER>\n{STARTER}", FILLING)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("<CONTAINER_NAME>", "<CONTAINER>", "<CONTAINER> is no placeholder"),
        ("version: 0.0", "version: 2", "version must be 0.0, not 2"),
        ("AWS::ECS::Service", "AWS::Lambda::Function", "Type must be AWS::ECS::Service"),
        ("<TASK_DEFINITION>", "shop-dev", "the ARN of a revision, not 'shop-dev'"),
        ("<TASK_DEFINITION>", '"<TASK_DEFINITION>x"', "the ARN of a revision"),
        ("<CONTAINER_PORT>", "8081", "ContainerPort must be 80 as in the config, not 8081"),
        ("  - AfterAllowTestTraffic: <HOOK>", "  []", "Hooks must have AfterAllowTestTraffic"),
        ("AfterAllowTestTraffic: <HOOK>", "AfterAllowTestTrafic: <HOOK>", "afterallowtesttrafic is no event"),
        (
            "AfterAllowTestTraffic: <HOOK>",
            "AfterAllowTestTraffic: <HOOK>\n  - AfterInstall: <HOOK>",
            "afterinstall must not call",
        ),
        (
            "Properties:",
            "Properties:\n        NetworkConfiguration: {AwsvpcConfiguration: {Subnets: [a]}}",
            "AwsvpcConfiguration lacks SecurityGroups, AssignPublicIp",
        ),
        ("Resources:", "Resources:\n  - Other: {}", "exactly one service"),
        ("version: 0.0", "version: [", "no YAML"),
    ],
)
def test_what_codedeploy_could_not_deploy_is_told_with_the_files_name(old: str, new: str, told: str) -> None:
    with pytest.raises(UsageError, match=r"^appspec/appspec[.]yaml: ") as caught:
        render(STARTER.replace(old, new), FILLING)
    assert told in caught.value.message


@pytest.mark.parametrize("text", ["", "hello", "- 1", "null"])
def test_what_is_no_appspec_at_all_is_told_so(text: str) -> None:
    with pytest.raises(UsageError, match="must be a mapping"):
        render(text, FILLING)


def test_a_project_without_a_template_is_told_where_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read") as caught:
        read(tmp_path)
    assert "bgdeploy init" in caught.value.hint


NETWORK = {
    "awsvpcConfiguration": {
        "subnets": ["subnet-a", "subnet-b"],
        "securityGroups": ["sg-a"],
        "assignPublicIp": "DISABLED",
    }
}


def _properties(template: str, **more: Any) -> Any:
    document = yaml.safe_load(render(template, replace(FILLING, **more)))
    return document["Resources"][0]["TargetService"]["Properties"]


def test_another_network_and_platform_go_out_with_the_release() -> None:
    told = _properties(STARTER, network=NETWORK, platform_version="1.4.0")
    assert told["NetworkConfiguration"]["AwsvpcConfiguration"] == {
        "Subnets": ["subnet-a", "subnet-b"],
        "SecurityGroups": ["sg-a"],
        "AssignPublicIp": "DISABLED",
    }
    assert told["PlatformVersion"] == "1.4.0"
    assert told["LoadBalancerInfo"] == {"ContainerName": "web", "ContainerPort": 80}


def test_what_the_template_says_of_network_and_platform_wins() -> None:
    own = (
        "Properties:\n"
        "        PlatformVersion: LATEST\n"
        "        NetworkConfiguration:\n"
        "          AwsvpcConfiguration: {Subnets: [mine], SecurityGroups: [mine], AssignPublicIp: ENABLED}"
    )
    template = STARTER.replace("Properties:", own)
    assert render(template, replace(FILLING, network=NETWORK, platform_version="1.4.0")) == render(
        template, FILLING
    )


def test_without_anything_to_add_the_text_goes_out_as_it_is_written() -> None:
    assert "# What CodeDeploy deploys" in render(STARTER, FILLING)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, False),
        ({"subnets": ["subnet-b", "subnet-a"]}, False),
        ({"subnets": ["subnet-a"]}, True),
        ({"securityGroups": ["sg-a", "sg-b"]}, True),
        ({"assignPublicIp": "ENABLED"}, True),
    ],
)
def test_a_network_is_only_said_when_it_is_another(changed: dict[str, Any], told: bool) -> None:
    running = {"awsvpcConfiguration": {**NETWORK["awsvpcConfiguration"], **changed}}
    assert moved(NETWORK, running) == (NETWORK if told else None)


def test_nobody_who_knows_no_network_moves_the_tasks() -> None:
    assert moved(None, NETWORK) is None


def test_only_a_platform_other_than_the_latest_is_said() -> None:
    def platform(version: str) -> str:
        config = Config(app="shop", service=Service(platform_version=version))
        return Filling.of(Settings("dev", config), FILLING.task_definition).platform_version

    assert (platform("LATEST"), platform("1.4.0")) == ("", "1.4.0")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "version: 0.0\nResources:\n  - TargetService:\n      Properties: {TaskDefinition: arn:one}\n",
            "arn:one",
        ),
        (
            '{"version": 0.0, "resources": [{"any": {"properties": {"taskDefinition": "arn:two"}}}]}',
            "arn:two",
        ),
        ("version: 0.0\n", ""),
    ],
)
def test_whoever_wrote_it_an_appspec_tells_its_task_definition(text: str, told: str) -> None:
    assert task_definition(text) == told
