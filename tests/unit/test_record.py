"""What a release leaves behind for whoever watches it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from bgdeploy.aws import Aws
from bgdeploy.clock import SystemClock
from bgdeploy.config import Check, Duration
from bgdeploy.release.records import record as records
from bgdeploy.release.records.record import Record, decode, described, encode, key_of

SECONDS = st.integers(0, 10**7).map(Duration)
TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
CHECKS = st.builds(
    Check,
    name=TEXT,
    get=TEXT.map(lambda text: "/" + text),
    status=st.integers(100, 599),
    contains=st.none() | TEXT,
    matches=st.none() | TEXT,
    json=st.dictionaries(TEXT, st.none() | st.booleans() | st.integers(-9, 9) | TEXT, max_size=2),
    header=st.dictionaries(TEXT, TEXT, max_size=2),
    timeout=SECONDS,
    within=SECONDS,
)


def _record(version: str = "v2", by: str = "ann@laptop", checks: tuple[Check, ...] = ()) -> Record:
    return Record(version, "dev", "image", "arn", checks, "all", by, "2026-01-05T12:00:00+00:00")


@given(SECONDS)
def test_a_duration_is_read_as_it_is_written(seconds: Duration) -> None:
    assert Duration.parse(str(seconds)) == seconds


@given(st.lists(CHECKS, max_size=3).map(tuple))
def test_a_record_is_read_as_it_was_written(checks: tuple[Check, ...]) -> None:
    made = _record(checks=checks)
    assert decode(encode(made)) == made


def test_durations_are_written_as_people_write_them() -> None:
    told = json.loads(encode(_record(checks=(Check(name="page", get="/", within=Duration(90)),))))
    assert (told["schema"], told["checks"][0]["within"]) == (1, "1m30s")


def test_a_later_bgdeploy_may_say_more() -> None:
    made = _record()
    later = {**json.loads(encode(made)), "schema": 2, "weather": "fine"}
    assert decode(json.dumps(later).encode()) == made


@given(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", fullmatch=True), st.text("ab@", max_size=400))
def test_whatever_is_released_by_whomever_its_description_leads_back(version: str, by: str) -> None:
    made = _record(version, by)
    assert len(made.description) <= 256
    assert key_of(made.description) == made.key


def test_a_description_tells_version_and_who() -> None:
    told = described(_record("1.4.0-rc1", "ann@laptop").description)
    assert told is not None
    assert (told.version, told.by) == ("1.4.0-rc1", "ann@laptop")


@pytest.mark.parametrize(
    "description", ["", "by hand", "bgdeploy release v2", "bgdeploy release v2 [../x] by a"]
)
def test_a_foreign_description_leads_nowhere(description: str) -> None:
    assert key_of(description) is None


def test_a_record_is_found_by_its_key_in_the_bucket() -> None:
    with mock_aws():
        aws = Aws(stack="shop-dev", region="us-east-1", clock=SystemClock())
        aws.client("s3").create_bucket(Bucket="shop-dev-bucket")
        made = _record()
        records.save(aws, "shop-dev-bucket", made)
        assert records.load(aws, "shop-dev-bucket", made.key) == made
        assert records.load(aws, "shop-dev-bucket", "nosuchkey") is None
