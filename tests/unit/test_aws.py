"""The door to AWS: patience with what is temporary, sentences for what is not, and the tags that mark what is ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore import exceptions as b

from bgdeploy.aws import (
    ADDRESS_TAG,
    REGION_TAG,
    STACK_TAG,
    Aws,
    LeftError,
    NotYetError,
    absent,
    error_code,
    retry,
    server_time,
    tag_list,
    tag_map,
    translated,
    wait_until,
)
from bgdeploy.errors import BgdeployError
from tests.clocks import HandClock


class NamedAws(Aws):
    """An Aws whose caller is known without a call."""

    def __init__(self) -> None:
        super().__init__(stack="shop-dev", region="eu-west-1", clock=HandClock())
        self._account = "210987654321"


@pytest.fixture
def aws() -> NamedAws:
    return NamedAws()


def refusal(code: str, message: str = "no", operation: str = "CreateThing") -> b.ClientError:
    """Return what boto3 raises when AWS refuses."""
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"RequestId": "r-1"},
    }
    return b.ClientError(response, operation)


class Flaky:
    """A call that fails some times before it succeeds, and keeps the moments at which it was made."""

    def __init__(self, aws: Aws, *failures: Exception) -> None:
        self._aws = aws
        self._failures: Iterator[Exception] = iter(failures)
        self.moments: list[float] = []

    def __call__(self) -> str:
        self.moments.append(self._aws.clock.monotonic())
        for failure in self._failures:
            raise failure
        return "done"


def too_new(error: Exception) -> bool:
    return error_code(error) == "TooNew"


# Patience


def test_what_works_at_once_is_called_once(aws: Aws) -> None:
    call = Flaky(aws)
    assert (retry(aws, call, too_new), call.moments) == ("done", [0])


def test_what_is_temporary_is_called_again_with_growing_pauses(aws: Aws) -> None:
    call = Flaky(aws, *[refusal("TooNew")] * 6)
    assert retry(aws, call, too_new) == "done"
    pauses = [later - earlier for earlier, later in zip(call.moments, call.moments[1:], strict=False)]
    assert pauses[0] == 1
    assert pauses == sorted(pauses)
    assert max(pauses) <= 6  # five seconds, rounded up to the glances in between


def test_what_is_not_temporary_is_raised_at_once(aws: Aws) -> None:
    call = Flaky(aws, refusal("AccessDenied"))
    with pytest.raises(b.ClientError, match="AccessDenied"):
        retry(aws, call, too_new)
    assert call.moments == [0]


def test_patience_ends_with_what_was_raised_last(aws: Aws) -> None:
    call = Flaky(aws, *[refusal("TooNew")] * 1000)
    with pytest.raises(b.ClientError, match="TooNew"):
        retry(aws, call, too_new, patience=60)
    assert 50 <= call.moments[-1] <= 60


def test_who_wants_to_leave_does_not_wait(aws: Aws) -> None:
    def call() -> None:
        aws.leaving.set()
        raise refusal("TooNew")

    with pytest.raises(LeftError):
        retry(aws, call, too_new)
    assert aws.clock.monotonic() == 0


def test_leaving_is_noticed_within_a_pause(aws: Aws) -> None:
    class LeavingClock(HandClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if self.monotonic() >= 20:
                aws.leaving.set()

    aws.clock = LeavingClock()
    with pytest.raises(LeftError):
        retry(aws, Flaky(aws, *[refusal("TooNew")] * 1000), too_new, patience=900)
    assert aws.clock.monotonic() <= 21


def test_what_is_waited_for_is_asked_for_until_it_is_there(aws: Aws) -> None:
    wait_until(aws, lambda: aws.clock.monotonic() >= 30, patience=60)
    assert 30 <= aws.clock.monotonic() <= 36


def test_what_never_comes_is_given_up(aws: Aws) -> None:
    with pytest.raises(NotYetError):
        wait_until(aws, lambda: False, patience=60)
    assert aws.clock.monotonic() <= 60


def test_what_is_waited_for_may_fail(aws: Aws) -> None:
    def there() -> bool:
        raise refusal("AccessDenied")

    with pytest.raises(b.ClientError, match="AccessDenied"):
        wait_until(aws, there, patience=60)


# What is not there


def test_what_says_that_it_is_not_there_is_no_error() -> None:
    with absent("NoSuchThing", "404"):
        raise refusal("404")


def test_where_a_code_says_too_little_the_words_tell() -> None:
    with absent("Unable to describe it"):
        raise refusal("ClientException", "Unable to describe it.")
    with pytest.raises(b.ClientError), absent("Unable to describe it"):
        raise refusal("ClientException", "You are not allowed to describe it.")


def test_any_other_refusal_is_one() -> None:
    with pytest.raises(b.ClientError), absent("NoSuchThing"):
        raise refusal("AccessDenied")


def test_only_refusals_of_awss_have_a_code() -> None:
    assert (error_code(refusal("Odd")), error_code(ValueError("Odd"))) == ("Odd", "")


# Sentences


def told(error: Exception) -> BgdeployError:
    found = translated(error)
    assert found is not None
    return found


def test_missing_credentials_are_told_with_the_ways_to_give_them() -> None:
    error = told(b.NoCredentialsError())
    assert error.message == "no AWS credentials were found"
    assert "AWS_PROFILE" in error.hint
    assert "--sandbox" in error.hint


def test_an_unknown_profile_is_told_by_its_name() -> None:
    error = told(b.ProfileNotFound(profile="prodd"))
    assert "prodd" in error.message
    assert "--profile" in error.hint


@pytest.mark.parametrize(
    "error",
    [
        b.EndpointConnectionError(endpoint_url="http://127.0.0.1:1"),
        b.ConnectTimeoutError(endpoint_url="http://127.0.0.1:1"),
        b.ReadTimeoutError(endpoint_url="http://127.0.0.1:1"),
        b.ConnectionClosedError(endpoint_url="http://127.0.0.1:1"),
    ],
)
def test_an_endpoint_out_of_reach_is_told_with_what_to_check(error: Exception) -> None:
    assert told(error).message.startswith("AWS could not be reached")
    assert "--endpoint-url" in told(error).hint


def test_an_endpoint_that_is_no_url_is_told(aws: Aws, credentials: None) -> None:
    astray = Aws(stack="shop-dev", region="us-east-1", clock=aws.clock, endpoint_url="nonsense")
    with pytest.raises(ValueError, match="nonsense") as caught:
        astray.client("sts")
    assert "http://" in told(caught.value).hint


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("ExpiredToken", "log in again"),
        ("UnrecognizedClientException", "log in again"),
        ("AccessDenied", "lack a permission"),
        ("UnauthorizedOperation", "lack a permission"),
        ("LimitExceeded", ""),
    ],
)
def test_a_refusal_is_told_with_operation_code_words_and_request(code: str, hint: str) -> None:
    error = told(refusal(code, "No more of them.", "CreateVpc"))
    assert error.message == f"AWS refused CreateVpc: {code}: No more of them. (request r-1)"
    assert hint in error.hint


def test_what_boto3_cannot_ask_is_told_too() -> None:
    assert "could not be asked" in told(b.NoRegionError()).message


def test_what_is_not_awss_is_left_to_others() -> None:
    assert translated(ValueError("ours")) is None


# Tags


def test_what_is_made_is_marked_with_stack_and_address(aws: Aws) -> None:
    tags = aws.tags("role/hook")
    assert tags == {STACK_TAG: "shop-dev", ADDRESS_TAG: "role/hook"}
    assert aws.owns(tags)


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {STACK_TAG: "shop-prod"},
        {ADDRESS_TAG: "role/hook"},
        {"Name": "shop-dev"},
        {STACK_TAG: "shop-dev", REGION_TAG: "ap-south-1"},
    ],
)
def test_what_does_not_carry_the_stacks_tag_is_not_ours(aws: Aws, tags: dict[str, str]) -> None:
    assert not aws.owns(tags)


@pytest.mark.parametrize("spelling", [{}, {"key": "key", "value": "value"}])
def test_tags_survive_either_spelling(spelling: dict[str, str]) -> None:
    tags = {STACK_TAG: "shop-dev", "Name": "shop"}
    assert tag_map(tag_list(tags, **spelling)) == tags


def test_no_list_of_tags_is_no_tags() -> None:
    assert tag_map(None) == {}


# Names and times


@pytest.mark.parametrize(
    ("service", "resource", "arn"),
    [
        ("ecs", "cluster/shop", "arn:aws:ecs:eu-west-1:210987654321:cluster/shop"),
        ("iam", "role/shop", "arn:aws:iam::210987654321:role/shop"),
    ],
)
def test_an_arn_has_the_region_where_aws_has_it(aws: Aws, service: str, resource: str, arn: str) -> None:
    assert aws.arn(service, resource) == arn


@pytest.mark.parametrize("response", [{}, {"ResponseMetadata": {"HTTPHeaders": {}}}])
def test_an_answer_without_a_date_has_no_time(response: dict[str, Any]) -> None:
    assert server_time(response) is None


def test_the_time_of_an_answer_is_awss() -> None:
    headers = {"date": "Mon, 05 Jan 2026 12:00:00 GMT"}
    assert server_time({"ResponseMetadata": {"HTTPHeaders": headers}}) == HandClock().now()


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")


def test_a_client_is_made_once_for_the_stacks_region(aws: Aws, credentials: None) -> None:
    client: Callable[[str], Any] = aws.client
    assert client("sts") is client("sts")
    assert client("sts").meta.region_name == "eu-west-1"
