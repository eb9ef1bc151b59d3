"""The two documents CodeDeploy reads: AppSpecs (aws-facts 1.3) and IAM policies (8.1)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bgdeploy.sandbox import policy
from bgdeploy.sandbox.codedeploy import appspec
from bgdeploy.sandbox.policy import Request

COMPLETE = """
version: 0.0
Resources:
  - TargetService:
      Type: AWS::ECS::Service
      Properties:
        TaskDefinition: arn:aws:ecs:us-east-1:1:task-definition/web:7
        LoadBalancerInfo: {ContainerName: web, ContainerPort: 80}
        PlatformVersion: LATEST
        NetworkConfiguration:
          AwsvpcConfiguration: {Subnets: [s-1], SecurityGroups: [sg-1], AssignPublicIp: DISABLED}
        CapacityProviderStrategy: [{Base: 0, CapacityProvider: FARGATE_SPOT, Weight: 1}]
Hooks:
  - BeforeInstall: first
  - AfterAllowTestTraffic: arn:aws:lambda:us-east-1:1:function:check
"""
READ = appspec.AppSpec(
    task_definition="arn:aws:ecs:us-east-1:1:task-definition/web:7",
    container="web",
    port=80,
    platform_version="LATEST",
    network={
        "awsvpcConfiguration": {
            "subnets": ["s-1"],
            "securityGroups": ["sg-1"],
            "assignPublicIp": "DISABLED",
        }
    },
    hooks={"BeforeInstall": "first", "AfterAllowTestTraffic": "arn:aws:lambda:us-east-1:1:function:check"},
)


def lowered(value: Any) -> Any:
    """Return a document with the first letter of every key in lower case, as some AWS samples write it."""
    if isinstance(value, dict):
        return {key[0].lower() + key[1:]: lowered(one) for key, one in value.items()}
    return [lowered(one) for one in value] if isinstance(value, list) else value


def test_an_appspec_is_read_from_yaml() -> None:
    assert appspec.parse(COMPLETE) == READ


def test_keys_match_however_they_are_cased_in_json() -> None:
    assert appspec.parse(json.dumps(lowered(yaml.safe_load(COMPLETE)))) == READ


@pytest.mark.parametrize("version", ['"0.0"', "0.0", "0", '"0"'])
def test_every_way_to_write_the_version_is_known(version: str) -> None:
    assert appspec.parse(COMPLETE.replace("version: 0.0", f"version: {version}")) == READ


def edited(path: str, value: Any) -> str:
    """Return the complete AppSpec with one thing changed, or left out when `value` is None."""
    document = yaml.safe_load(COMPLETE)
    keys = path.split(".")
    place = document
    for key in keys[:-1]:
        place = place[int(key)] if isinstance(place, list) else place[key]
    if value is None:
        del place[keys[-1]]
    else:
        place[keys[-1]] = value
    return json.dumps(document)


PROPERTIES = "Resources.0.TargetService.Properties"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "empty"),
        ("- a list", "not a mapping"),
        ("a: [", "cannot be parsed"),
        (edited("version", 1.0), "only version"),
        (edited("version", None), "only version"),
        (edited("version", True), "only version"),
        (edited("Resources", []), "exactly one resource"),
        (edited("Resources", [{"a": {}}, {"b": {}}]), "exactly one resource"),
        (edited("Resources", [{"a": {}, "b": {}}]), "exactly one resource"),
        (edited("Resources.0.TargetService.Type", "AWS::Lambda::Function"), "AWS::ECS::Service"),
        (edited(PROPERTIES, None), "no Properties"),
        (edited(f"{PROPERTIES}.TaskDefinition", None), "no TaskDefinition"),
        (edited(f"{PROPERTIES}.LoadBalancerInfo", None), "no LoadBalancerInfo"),
        (edited(f"{PROPERTIES}.LoadBalancerInfo.ContainerName", None), "no ContainerName"),
        (edited(f"{PROPERTIES}.LoadBalancerInfo.ContainerPort", "web"), "not a number"),
        (edited(f"{PROPERTIES}.LoadBalancerInfo.ContainerPort", True), "not a number"),
        (
            edited(f"{PROPERTIES}.NetworkConfiguration.AwsvpcConfiguration.SecurityGroups", None),
            "SecurityGroups",
        ),
        (edited("Hooks", {"BeforeInstall": "first"}), "list of one-key mappings"),
        (edited("Hooks", [{"Install": "first"}]), "Install is not a lifecycle event"),
        (edited("Hooks", [{"BeforeInstall": "a"}, {"beforeInstall": "b"}]), "twice"),
        (edited("Hooks", [{"BeforeInstall": 7}]), "no function for BeforeInstall"),
    ],
)
def test_an_appspec_that_ecs_cannot_have_is_refused_with_the_reason(text: str, told: str) -> None:
    with pytest.raises(appspec.AppSpecError, match=told):
        appspec.parse(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
        max_leaves=8,
    )
)
def test_whatever_is_no_appspec_is_refused_and_nothing_else_goes_wrong(document: Any) -> None:
    for text in (json.dumps(document), json.dumps({"version": 0, "Resources": document})):
        with pytest.raises(appspec.AppSpecError):
            appspec.parse(text)


# -- policies


def document(*statements: Mapping[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(actions: Any, resources: Any = "*", **extra: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **extra}


LAMBDA = "arn:aws:lambda:us-east-1:123456789012:function:"
INVOKE = "lambda:InvokeFunction"


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        (allow(INVOKE), True),
        (allow("lambda:*"), True),
        (allow("*"), True),
        (allow("LAMBDA:invokefunction"), True),
        (allow(["s3:GetObject", INVOKE], [LAMBDA + "other", LAMBDA + "CodeDeployHook_*"]), True),
        (allow("lambda:Invoke?unction"), True),
        (allow(INVOKE, LAMBDA + "other"), False),
        (allow("lambda:GetFunction"), False),
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, True),
        ({"Effect": "Allow", "NotAction": "lambda:*", "Resource": "*"}, False),
        ({"Effect": "Allow", "Action": "*", "NotResource": LAMBDA + "*"}, False),
        (allow(INVOKE, Condition={"StringEquals": {"aws:RequestTag/a": "b"}}), False),
    ],
)
def test_a_statement_allows_what_iam_would_allow(statement: Mapping[str, Any], allowed: bool) -> None:
    assert policy.allows([document(statement)], Request(INVOKE, LAMBDA + "CodeDeployHook_web")) is allowed


def test_a_deny_in_any_document_wins() -> None:
    deny = {"Effect": "Deny", "Action": "lambda:*", "Resource": LAMBDA + "secret"}
    documents = [document(deny), document(allow("*"))]
    assert policy.allows(documents, Request(INVOKE, LAMBDA + "open"))
    assert not policy.allows(documents, Request(INVOKE, LAMBDA + "secret"))


def test_nothing_is_allowed_without_a_statement() -> None:
    assert not policy.allows([], Request(INVOKE))


def test_a_single_statement_may_stand_without_its_list() -> None:
    assert policy.allows([{"Statement": allow(INVOKE)}], Request(INVOKE))


@pytest.mark.parametrize(
    ("operator", "wanted", "holds"),
    [
        ("StringEquals", "true", True),
        ("StringEquals", "TRUE", False),
        ("StringEqualsIgnoreCase", "TRUE", True),
        ("StringLike", "tr*", True),
        ("StringLike", ["no", "t?ue"], True),
        ("NumericLessThan", "7", False),
    ],
)
def test_conditions_hold_as_in_iam(operator: str, wanted: Any, holds: bool) -> None:
    key = "s3:ExistingObjectTag/UseWithCodeDeploy"
    documents = [document(allow("s3:GetObject", Condition={operator: {key: wanted}}))]
    assert policy.allows(documents, Request("s3:GetObject", "*", {key: "true"})) is holds


@pytest.mark.parametrize(
    ("statement", "trusted"),
    [
        ({"Principal": {"Service": "codedeploy.amazonaws.com"}, "Action": "sts:AssumeRole"}, True),
        ({"Principal": {"Service": ["a", "codedeploy.amazonaws.com"]}, "Action": ["sts:AssumeRole"]}, True),
        ({"Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}, False),
        ({"Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"}, False),
        ({"Principal": {"Service": "codedeploy.amazonaws.com"}, "Action": "sts:TagSession"}, False),
    ],
)
def test_a_role_trusts_whom_its_policy_names(statement: Mapping[str, Any], trusted: bool) -> None:
    trust = document({"Effect": "Allow", **statement})
    assert policy.trusts(trust, "codedeploy.amazonaws.com", "123456789012") is trusted


@pytest.mark.parametrize(
    ("condition", "trusted"),
    [
        ({"StringEquals": {"aws:SourceAccount": "123456789012"}}, True),
        ({"StringEquals": {"aws:SourceAccount": ["1", "123456789012"]}}, True),
        ({"StringEquals": {"aws:SourceAccount": "999999999999"}}, False),
        ({"StringEquals": {"aws:SourceOrgID": "o-1"}}, False),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:codedeploy:us-east-1:123456789012:*"}}, True),
    ],
)
def test_a_role_trusts_for_the_sake_of_whom_its_policy_names(
    condition: Mapping[str, Any], trusted: bool
) -> None:
    whom = {"Principal": {"Service": "codedeploy.amazonaws.com"}, "Action": "sts:AssumeRole"}
    trust = document({"Effect": "Allow", **whom, "Condition": condition})
    assert policy.trusts(trust, "codedeploy.amazonaws.com", "123456789012") is trusted
