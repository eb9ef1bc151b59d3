"""Stories in the bucket, as moto keeps it: several write, nobody loses anything, and nobody is kept waiting."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from bgdeploy.aws import Aws
from bgdeploy.clock import FastClock, SystemClock
from bgdeploy.release.ending import ending
from bgdeploy.release.records import stories
from bgdeploy.release.records.joining import joined
from bgdeploy.release.records.keeper import Keeper
from bgdeploy.release.records.story import Story
from tests import deployments as d
from tests import stories as told

BUCKET = "shop-dev-bucket"


class Account(Aws):
    """An account whose bucket refuses as often as it is told to, or hangs."""

    def __init__(self) -> None:
        super().__init__(stack="shop-dev", region="us-east-1", clock=FastClock(1000, SystemClock()))
        self.refusals = 0
        self.open = threading.Event()
        self.open.set()
        self.puts = 0

    def client(self, service: str) -> Any:
        found = super().client(service)
        return _Bucket(self, found) if service == "s3" else found


class _Bucket:
    def __init__(self, account: Account, s3: Any) -> None:
        self._account = account
        self._s3 = s3

    def get_object(self, **params: Any) -> Any:
        return self._s3.get_object(**params)

    def put_object(self, **params: Any) -> Any:
        self._account.open.wait(10)
        self._account.puts += 1
        if self._account.refusals:
            self._account.refusals -= 1
            error: Any = {"Error": {"Code": "AccessDenied", "Message": "no"}}
            raise ClientError(error, "PutObject")
        return self._s3.put_object(**params)


@pytest.fixture
def aws() -> Iterator[Account]:
    with mock_aws():
        account = Account()
        Aws.client(account, "s3").create_bucket(Bucket=BUCKET)
        yield account


def _there(aws: Aws) -> Story:
    kept = stories.load(aws, BUCKET, d.ID)
    assert kept is not None
    return kept.story


FRAMES = [told.frame(d.linear(at)) for at in (1, 118, 145, 220, 300, 700, 980)]


def test_a_story_is_found_by_its_deployment(aws: Account) -> None:
    assert stories.load(aws, BUCKET, d.ID) is None
    story = told.told(FRAMES)
    stories.save(aws, BUCKET, story, None)
    assert _there(aws) == story


def test_who_has_seen_nothing_yet_destroys_nothing(aws: Account) -> None:
    first, second = told.told(FRAMES[:3]), told.told(FRAMES[3:], by="ben@elsewhere")
    stories.save(aws, BUCKET, first, None)
    stories.save(aws, BUCKET, second, None)
    assert _there(aws) == joined(first, second)


def test_who_has_seen_an_older_one_destroys_nothing(aws: Account) -> None:
    seen = stories.save(aws, BUCKET, told.told(FRAMES[:1]), None)
    stories.save(aws, BUCKET, told.told(FRAMES[:3]), None)
    stories.save(aws, BUCKET, told.told(FRAMES[3:], by="ben@elsewhere"), seen)
    assert _there(aws) == joined(told.told(FRAMES[:3]), told.told(FRAMES[3:], by="ben@elsewhere"))


def test_what_is_there_already_is_not_written_again(aws: Account) -> None:
    kept = stories.save(aws, BUCKET, told.told(FRAMES), None)
    assert stories.save(aws, BUCKET, told.told(FRAMES[:4]), kept) == kept
    assert aws.puts == 1


def test_what_cannot_be_read_stays_as_it_is(aws: Account) -> None:
    key = f"releases/{d.ID}.story.json"
    aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"not ours")
    with pytest.raises(ValueError, match="no story"):
        stories.save(aws, BUCKET, told.told(FRAMES), None)
    assert aws.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"not ours"


def test_a_following_leaves_all_that_it_has_seen_and_how_it_ended(aws: Account) -> None:
    keeper = Keeper(aws, BUCKET)
    for frame in FRAMES:
        keeper.see(frame)
    keeper.end(ending(FRAMES[-1].snapshot))
    story = _there(aws)
    assert story.ending is not None
    assert (story.ending.kind, len(story.steps)) == ("live", 8)
    assert [each.parts for each in story.traffic] == [each.parts for each in told.told(FRAMES).traffic]


def test_what_happened_is_saved_before_the_end(aws: Account) -> None:
    keeper = Keeper(aws, BUCKET)
    keeper.see(FRAMES[2])
    assert _awaited(aws).facts is not None


def _awaited(aws: Aws) -> Story:
    for _ in range(500):
        kept = stories.load(aws, BUCKET, d.ID)
        if kept:
            return kept.story
        threading.Event().wait(0.01)
    raise AssertionError("nothing was saved")


def test_a_bucket_that_hangs_keeps_nobody_waiting(aws: Account) -> None:
    aws.open.clear()
    keeper = Keeper(aws, BUCKET)
    began = SystemClock().monotonic()
    for frame in FRAMES:
        keeper.see(frame)
    assert SystemClock().monotonic() - began < 2
    aws.open.set()
    keeper.end(ending(FRAMES[-1].snapshot))
    assert _there(aws).ending is not None


def test_a_refusal_is_survived_and_made_up_for(aws: Account) -> None:
    aws.refusals = 1
    keeper = Keeper(aws, BUCKET)
    keeper.see(FRAMES[0])
    for _ in range(500):
        if not aws.refusals:
            break
        threading.Event().wait(0.01)
    keeper.see(FRAMES[-1])
    keeper.end(ending(FRAMES[-1].snapshot))
    assert _there(aws).traffic[0].at == d.moment(1)


def test_who_may_not_write_follows_all_the_same(aws: Account) -> None:
    aws.refusals = 100
    keeper = Keeper(aws, BUCKET)
    for frame in FRAMES:
        keeper.see(frame)
    keeper.end(ending(FRAMES[-1].snapshot))
    assert stories.load(aws, BUCKET, d.ID) is None


def test_an_end_before_anything_was_seen_leaves_nothing(aws: Account) -> None:
    Keeper(aws, BUCKET).end(ending(FRAMES[-1].snapshot))
    assert aws.puts == 0


def test_more_measurements_alone_are_saved_rarely(aws: Account) -> None:
    aws.clock = clock = _Still()
    keeper = Keeper(aws, BUCKET)
    keeper.see(told.frame(d.linear(300), told.guarding(300)))
    _awaited(aws)
    for seconds in (330, 360, 390):
        clock.seconds += 5
        keeper.see(told.frame(d.linear(300), told.guarding(seconds)))
        threading.Event().wait(0.05)
    keeper.end(ending(d.linear(980)))
    assert aws.puts == 2
    found = {each.name: len(each.measurements) for each in _there(aws).checks}
    assert found["front page stays up"] == 24


class _Still(SystemClock):
    """A clock whose monotonic seconds are set."""

    seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds
