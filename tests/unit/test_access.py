"""What policies allow, read from their documents."""

from __future__ import annotations

from typing import Any

import pytest

from bgdeploy.doctor.access import allows, assumable, lacking

BUCKET = "arn:aws:s3:::b"


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


DENY = {**allow("s3:*"), "Effect": "Deny"}


@pytest.mark.parametrize(
    ("statements", "allowed"),
    [
        ([allow("s3:GetObject", f"{BUCKET}/hooks/*")], True),
        ([allow(["s3:PutObject", "S3:getobject"], [f"{BUCKET}/*"])], True),
        ([allow("s3:Get*")], True),
        ([allow("s3:Ge?Object")], True),
        ([allow("*")], True),
        ([allow("s3:PutObject")], False),
        ([allow("s3:GetObject", f"{BUCKET}/releases/*")], False),
        ([allow("s3:GetObject", "arn:aws:s3:::[ab]/*")], False),
        ([allow("*"), DENY], False),
        ([{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}], True),
        ([{"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}], False),
        ([{"Effect": "Allow", "Action": "s3:*", "NotResource": f"{BUCKET}/*"}], False),
        ([], False),
    ],
)
def test_a_permission_is_read_as_iam_reads_it(statements: list[dict[str, Any]], allowed: bool) -> None:
    assert allows([document(*statements)], "s3:GetObject", f"{BUCKET}/hooks/d-1.json", {}) is allowed


def test_one_document_may_allow_and_another_deny() -> None:
    assert not allows([document(allow("s3:*")), document(DENY)], "s3:GetObject", BUCKET, {})


@pytest.mark.parametrize(
    ("condition", "allowed"),
    [
        ({"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}, True),
        ({"StringEquals": {"iam:PassedToService": ["ec2.amazonaws.com", "ecs-tasks.amazonaws.com"]}}, True),
        ({"StringLike": {"iam:PassedToService": "ecs-*"}}, True),
        ({"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}, False),
        ({"StringEquals": {"aws:PrincipalTag/team": "x"}}, True),  # who knows
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, True),
    ],
)
def test_a_condition_counts_where_its_key_is_known(condition: dict[str, Any], allowed: bool) -> None:
    known = {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
    documents = [document(allow("iam:PassRole", Condition=condition))]
    assert allows(documents, "iam:PassRole", "arn:aws:iam::1:role/r", known) is allowed


def test_a_denial_on_a_condition_that_nobody_knows_denies_nothing() -> None:
    denied = {**DENY, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    assert allows([document(allow("s3:*"), denied)], "s3:GetObject", BUCKET, {})


def test_what_is_lacking_is_told_action_by_action_and_resource_by_resource() -> None:
    wanted = [allow(["s3:GetObject", "s3:PutObject"], [f"{BUCKET}/a", f"{BUCKET}/b"])]
    have = [document(allow("s3:*", f"{BUCKET}/a"), allow("s3:GetObject"))]
    assert list(lacking(have, wanted)) == [("s3:PutObject", f"{BUCKET}/b")]


def test_a_wanted_permission_on_a_condition_is_measured_by_that_condition() -> None:
    only = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    wanted = [allow("iam:PassRole", "arn:aws:iam::1:role/r", Condition=only)]
    other = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    assert list(lacking([document(*wanted)], wanted)) == []
    assert list(lacking([document({**wanted[0], "Condition": other})], wanted)) != []


def trust(service: Any, action: str = "sts:AssumeRole", **more: Any) -> dict[str, Any]:
    return document({"Effect": "Allow", "Principal": {"Service": service}, "Action": action, **more})


@pytest.mark.parametrize(
    ("policy", "trusting"),
    [
        (trust("lambda.amazonaws.com"), True),
        (trust(["ec2.amazonaws.com", "lambda.amazonaws.com"]), True),
        (trust("ec2.amazonaws.com"), False),
        (trust("lambda.amazonaws.com", "sts:TagSession"), False),
        (trust("lambda.amazonaws.com", Condition={"StringEquals": {"aws:SourceAccount": "1"}}), True),
        (trust("lambda.amazonaws.com", Condition={"StringEquals": {"aws:SourceAccount": "2"}}), False),
        (document({"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}), True),
        (document({"Effect": "Allow", "Principal": {"AWS": "1"}, "Action": "sts:AssumeRole"}), False),
        (
            {
                "Statement": {
                    "Effect": "Allow",
                    "Principal": {"Service": "lambda.amazonaws.com"},
                    "Action": "sts:*",
                }
            },
            True,
        ),
        (document(), False),
    ],
)
def test_a_role_trusts_whom_its_trust_policy_names(policy: dict[str, Any], trusting: bool) -> None:
    assert assumable(policy, "lambda.amazonaws.com", "1") is trusting
