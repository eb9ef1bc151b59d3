"""Roles as the other services see them."""

from __future__ import annotations

import json

import pytest

from bgdeploy.sandbox.world import World
from tests.clocks import HandClock
from tests.sandbox.conftest import MakeWorld

_ARN = "arn:aws:iam::123456789012:role/hook"
_LAMBDA = "lambda.amazonaws.com"


def _trust(service: str = _LAMBDA) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world("images")


def test_a_new_role_is_known_to_the_other_services_after_a_while(world: World, clock: HandClock) -> None:
    world.client("iam").create_role(RoleName="hook", AssumeRolePolicyDocument=_trust())
    assert not world.roles.trusts(_ARN, _LAMBDA)
    clock.advance(world.settings.role_delay)
    assert world.roles.trusts(_ARN, _LAMBDA)
    assert not world.roles.trusts(_ARN, "ecs-tasks.amazonaws.com")


def test_a_role_that_is_made_again_is_new_again(world: World, clock: HandClock) -> None:
    iam = world.client("iam")
    iam.create_role(RoleName="hook", AssumeRolePolicyDocument=_trust())
    clock.advance(world.settings.role_delay)
    with pytest.raises(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(RoleName="hook", AssumeRolePolicyDocument=_trust())
    assert world.roles.trusts(_ARN, _LAMBDA)
    iam.delete_role(RoleName="hook")
    iam.create_role(RoleName="hook", AssumeRolePolicyDocument=_trust())
    assert not world.roles.trusts(_ARN, _LAMBDA)


def test_a_role_of_another_path_or_account_is_another_role(world: World, clock: HandClock) -> None:
    world.client("iam").create_role(RoleName="hook", Path="/own/", AssumeRolePolicyDocument=_trust())
    clock.advance(world.settings.role_delay)
    assert world.roles.trusts("arn:aws:iam::123456789012:role/own/hook", _LAMBDA)
    assert not world.roles.trusts(_ARN, _LAMBDA)


def test_a_role_allows_what_its_inline_and_attached_policies_allow(world: World) -> None:
    iam = world.client("iam")
    iam.create_role(RoleName="hook", AssumeRolePolicyDocument=_trust())
    own = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::mine/*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": own})
    iam.put_role_policy(RoleName="hook", PolicyName="own", PolicyDocument=document)
    iam.attach_role_policy(
        RoleName="hook", PolicyArn="arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    )
    assert world.roles.allows(_ARN, "s3:GetObject", "arn:aws:s3:::mine/key")
    assert world.roles.allows(_ARN, "logs:PutLogEvents", "arn:aws:logs:us-east-1:123456789012:log-group:x")
    assert not world.roles.allows(_ARN, "s3:PutObject", "arn:aws:s3:::mine/key")
    assert not world.roles.allows("arn:aws:iam::123456789012:role/none", "s3:GetObject")


def test_a_name_of_more_than_64_characters_is_refused(world: World) -> None:
    iam = world.client("iam")
    iam.create_role(RoleName="r" * 64, AssumeRolePolicyDocument=_trust())
    with pytest.raises(iam.exceptions.ClientError, match="length less than or equal to 64"):
        iam.create_role(RoleName="r" * 65, AssumeRolePolicyDocument=_trust())


def test_a_trust_policy_that_is_no_json_is_refused(world: World) -> None:
    iam = world.client("iam")
    with pytest.raises(iam.exceptions.MalformedPolicyDocumentException):
        iam.create_role(RoleName="hook", AssumeRolePolicyDocument="{")
    assert iam.list_roles()["Roles"] == []
