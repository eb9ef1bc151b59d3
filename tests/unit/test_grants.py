"""What the execution role and the task role of a stack may do: what the config makes them need, and no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bgdeploy.config import Config, Container, ExecutionRole, Service, Settings, Sidecar, Statement, TaskRole
from bgdeploy.resources.identity import Role
from bgdeploy.stack import build

ACCOUNT, REGION = "123456789012", "us-east-1"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:shop/db-AbC123"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0a1b"
IMAGE_AND_LOG = {
    "ecr:GetAuthorizationToken",
    "ecr:BatchCheckLayerAvailability",
    "ecr:GetDownloadUrlForLayer",
    "ecr:BatchGetImage",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
}


def role(label: str, **config: Any) -> Role:
    settings = Settings("dev", Config(app="shop", **config))
    found = (each for each in build(settings, Path(), ACCOUNT, REGION) if each.address == f"role/{label}")
    made = next(found)
    assert isinstance(made, Role)
    return made


def granted(made: Role) -> dict[str, tuple[str, ...]]:
    """Return the resources by action."""
    return {action: grant.resources for grant in made.grants for action in grant.actions}


def test_without_secrets_the_execution_role_pulls_its_image_and_writes_its_log() -> None:
    assert granted(role("execution")).keys() == IMAGE_AND_LOG


def test_the_execution_role_gets_exactly_the_secrets_that_are_referred_to() -> None:
    secrets = {"A": f"{SECRET}:password", "B": SECRET, "C": "/shop/key"}
    found = granted(role("execution", container=Container(secrets=secrets)))
    assert found.keys() - IMAGE_AND_LOG == {"ssm:GetParameters", "secretsmanager:GetSecretValue"}
    assert found["secretsmanager:GetSecretValue"] == (SECRET,)
    assert found["ssm:GetParameters"] == (f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/shop/key",)


def test_a_sidecars_secrets_and_repository_are_among_them() -> None:
    image = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/proxy:v1"
    found = granted(role("execution", sidecars=(Sidecar(name="proxy", image=image, secrets={"A": "/a"}),)))
    assert found["ssm:GetParameters"] == (f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/a",)
    assert found["ecr:BatchGetImage"] == (
        f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/shop-dev",
        f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/proxy",
    )


def test_it_decrypts_with_no_key_but_those_that_the_config_names() -> None:
    found = granted(role("execution", execution_role=ExecutionRole(kms_keys=(KEY,))))
    assert found["kms:Decrypt"] == (KEY,)


def test_the_application_may_do_nothing_unless_the_config_says_so() -> None:
    made = role("task")
    assert (made.grants, made.managed) == ((), ())


def test_the_application_may_do_what_the_config_says() -> None:
    policy = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    statement = Statement(actions=("s3:GetObject",), resources=("arn:aws:s3:::pictures/*",))
    made = role("task", task_role=TaskRole(policies=(policy,), statements=(statement,)))
    assert granted(made) == {"s3:GetObject": ("arn:aws:s3:::pictures/*",)}
    assert made.managed == (policy,)


def test_people_are_let_in_only_when_exec_is_on() -> None:
    assert granted(role("task", service=Service(exec=True))).keys() == {
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
    }


def test_no_other_role_is_attached_to_anything() -> None:
    assert [role(label).managed for label in ("codedeploy", "execution", "hook")] == [None] * 3


def test_a_hook_that_checks_may_read_releases_and_be_put_into_subnets_and_no_other_may() -> None:
    plain, asking = granted(role("hook")), granted(role("hook", checks_from="hook"))
    assert {action for action in asking if action.startswith("ec2:")} == {
        "ec2:CreateNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:DeleteNetworkInterface",
        "ec2:AssignPrivateIpAddresses",
        "ec2:UnassignPrivateIpAddresses",
    }
    assert not {action for action in plain if action.startswith("ec2:")}
    reading = [
        grant.resources
        for grant in role("hook", checks_from="hook").grants
        if grant.actions == ("s3:GetObject",)
    ]
    assert reading == [(f"arn:aws:s3:::shop-dev-{ACCOUNT}-{REGION}/releases/*",)]
