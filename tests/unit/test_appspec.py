"""Filling the AppSpec template."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bgdeploy.errors import UsageError
from bgdeploy.release.appspec import Filling, read, render, revision

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
