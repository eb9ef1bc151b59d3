"""Buckets as AWS makes them, where moto makes less of them."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.conftest import MakeWorld

TAGS = [{"Key": "bgdeploy:stack", "Value": "shop <dev> & co"}, {"Key": "owner", "Value": "me"}]


@pytest.fixture
def s3(make_world: MakeWorld) -> Any:
    return make_world("buckets").client("s3")


def _refused(call: Any, **params: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call(**params)
    told = caught.value.response
    return told["Error"]["Code"], told["ResponseMetadata"]["HTTPStatusCode"]


def test_a_bucket_is_born_with_its_tags(s3: Any) -> None:
    made = s3.create_bucket(Bucket="mine", CreateBucketConfiguration={"Tags": TAGS})
    assert made["Location"] == "/mine"
    assert s3.get_bucket_tagging(Bucket="mine")["TagSet"] == TAGS


def test_a_bucket_elsewhere_is_born_with_its_tags(make_world: MakeWorld) -> None:
    s3 = make_world("buckets").client("s3", region="eu-west-1")
    configuration = {"LocationConstraint": "eu-west-1", "Tags": TAGS}
    made = s3.create_bucket(Bucket="mine", CreateBucketConfiguration=configuration)
    assert made["Location"] == "http://mine.s3.amazonaws.com/"
    assert s3.get_bucket_location(Bucket="mine")["LocationConstraint"] == "eu-west-1"
    assert s3.get_bucket_tagging(Bucket="mine")["TagSet"] == TAGS


def test_a_bucket_without_tags_has_none(s3: Any) -> None:
    s3.create_bucket(Bucket="mine")
    assert _refused(s3.get_bucket_tagging, Bucket="mine") == ("NoSuchTagSet", 404)


def test_tags_that_are_refused_leave_no_bucket(s3: Any) -> None:
    tags = [{"Key": "aws:mine", "Value": "no"}]
    refused = _refused(s3.create_bucket, Bucket="mine", CreateBucketConfiguration={"Tags": tags})
    assert refused[0] == "InvalidTag"
    assert s3.list_buckets()["Buckets"] == []


def test_a_new_bucket_is_closed_to_the_public(s3: Any) -> None:
    s3.create_bucket(Bucket="mine")
    blocked = s3.get_public_access_block(Bucket="mine")["PublicAccessBlockConfiguration"]
    assert len(blocked) == 4
    assert all(blocked.values())


def _algorithm(s3: Any) -> str:
    rules = s3.get_bucket_encryption(Bucket="mine")["ServerSideEncryptionConfiguration"]["Rules"]
    return str(rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"])


def test_a_new_bucket_is_encrypted_and_never_again_without(s3: Any) -> None:
    s3.create_bucket(Bucket="mine")
    fresh = _algorithm(s3)
    kms = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]}
    s3.put_bucket_encryption(Bucket="mine", ServerSideEncryptionConfiguration=kms)
    other = _algorithm(s3)
    s3.delete_bucket_encryption(Bucket="mine")
    assert (fresh, other, _algorithm(s3)) == ("AES256", "aws:kms", "AES256")


def test_the_encryption_of_a_bucket_that_is_not_there_cannot_be_deleted(s3: Any) -> None:
    assert _refused(s3.delete_bucket_encryption, Bucket="mine") == ("NoSuchBucket", 404)


def test_in_us_east_1_a_bucket_that_is_the_callers_is_made_again_without_a_change(s3: Any) -> None:
    s3.create_bucket(Bucket="mine", CreateBucketConfiguration={"Tags": TAGS})
    s3.delete_public_access_block(Bucket="mine")
    again = s3.create_bucket(Bucket="mine", CreateBucketConfiguration={"Tags": TAGS[:1]})
    assert again["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert s3.get_bucket_tagging(Bucket="mine")["TagSet"] == TAGS
    assert _refused(s3.get_public_access_block, Bucket="mine")[0] == "NoSuchPublicAccessBlockConfiguration"


@pytest.mark.parametrize(
    ("first", "second"),
    [("eu-west-1", "eu-west-1"), ("us-east-1", "eu-west-1"), ("eu-west-1", "us-east-1")],
)
def test_elsewhere_a_bucket_that_is_the_callers_is_refused(
    make_world: MakeWorld, first: str, second: str
) -> None:
    world = make_world("buckets")

    def create(region: str) -> dict[str, Any]:
        where = {} if region == "us-east-1" else {"LocationConstraint": region}
        configuration = {"CreateBucketConfiguration": where} if where else {}
        made: dict[str, Any] = world.client("s3", region=region).create_bucket(Bucket="mine", **configuration)
        return made

    create(first)
    assert _refused(create, region=second) == ("BucketAlreadyOwnedByYou", 409)


@pytest.mark.parametrize(
    ("region", "configuration", "code"),
    [
        ("us-east-1", {"LocationConstraint": "us-east-1"}, "InvalidLocationConstraint"),
        ("eu-west-1", {}, "IllegalLocationConstraintException"),
        ("eu-west-1", {"Tags": TAGS}, "IllegalLocationConstraintException"),
    ],
)
def test_a_bucket_names_the_region_it_is_made_in(
    make_world: MakeWorld, region: str, configuration: dict[str, Any], code: str
) -> None:
    s3 = make_world("buckets").client("s3", region=region)
    asked = {"CreateBucketConfiguration": configuration} if configuration else {}
    assert _refused(s3.create_bucket, Bucket="mine", **asked)[0] == code
