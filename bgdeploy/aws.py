"""The one door to AWS: a session, its clients made on demand, and AWS's errors turned into our sentences.

boto3 is imported when the first client is asked for, so that commands that need no AWS start at once.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from bgdeploy.clock import Clock
from bgdeploy.errors import BgdeployError

T = TypeVar("T")
Attrs = dict[str, Any]

_GLANCE = 1.0  # seconds after which somebody who waits looks whether to leave

# What AWS says when it wants a call later.
THROTTLING = {
    "ThrottlingException",
    "Throttling",
    "ThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
}
_MOST_THROTTLED = 1000  # that are counted

STACK_TAG = "bgdeploy:stack"
ADDRESS_TAG = "bgdeploy:address"
# On what is the account's and not a region's, such as a role: the region of the stack whose it is.
REGION_TAG = "bgdeploy:region"
# On a listener: the host that visitors ask for, whatever the load balancer is called.
HOST_TAG = "bgdeploy:host"
# On a rule of a security group: the deployment for whose checks it lets somebody in. What describes the group shows
# descriptions and no tags of rules, so the rule says it there too.
CALLER_TAG = "bgdeploy:caller"
CALLER_MARK = "bgdeploy checks of "


class Aws:
    """AWS as one stack sees it. Safe to share between threads."""

    def __init__(
        self,
        *,
        stack: str,
        region: str,
        clock: Clock,
        profile: str | None = None,
        endpoint_url: str | None = None,
        on_throttled: Callable[[int], None] = lambda calls: None,
    ) -> None:
        self.stack = stack
        self.region = region
        self.clock = clock
        self._profile = profile
        self._endpoint_url = endpoint_url
        self.leaving = threading.Event()  # somebody pressed Ctrl-C: whoever waits for AWS stops waiting
        self._lock = threading.Lock()
        self._clients: dict[str, Any] = {}
        self._session: Any = None
        self._account: str | None = None
        self._throttled: deque[float] = deque(maxlen=_MOST_THROTTLED)
        self._on_throttled = (
            on_throttled  # hears, from whatever thread, how many calls of the last minute were
        )

    def client(self, service: str) -> Any:
        """Return the boto3 client of `service`, made on first use."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._make(service)
            return self._clients[service]

    def _make(self, service: str) -> Any:
        import boto3
        from botocore.config import Config

        if self._session is None:
            self._session = boto3.Session(profile_name=self._profile, region_name=self.region)
            self._session.events.register("needs-retry", self._note)
        return self._session.client(
            service,
            endpoint_url=self._endpoint_url,
            config=Config(
                retries={"mode": "standard", "max_attempts": 8},
                connect_timeout=5,
                read_timeout=60,
                max_pool_connections=32,
            ),
        )

    def _note(self, response: Any = None, **_: Any) -> None:
        """Remember an answer that throttles us: botocore sends the call again by itself, and tells nobody."""
        code = (response[1] if response else {}).get("Error", {}).get("Code")
        if code in THROTTLING:
            self._throttled.append(self.clock.monotonic())
            self._on_throttled(self.throttled())

    def throttled(self, within: float = 60.0) -> int:
        """Return how many calls AWS has throttled in the last seconds."""
        since = self.clock.monotonic() - within
        return sum(at >= since for at in tuple(self._throttled))

    @property
    def account(self) -> str:
        """The id of the account that the credentials belong to."""
        if self._account is None:
            self._account = str(self.client("sts").get_caller_identity()["Account"])
        return self._account

    @property
    def caller(self) -> str:
        """The ARN of who is calling."""
        return str(self.client("sts").get_caller_identity()["Arn"])

    def secure(self, service: str) -> bool:
        """Tell whether calls to `service` go over TLS, as they do except to a local endpoint."""
        return bool(self.client(service).meta.endpoint_url.startswith("https:"))

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of `resource` in this account and region (in no region for IAM, as AWS has it)."""
        region = "" if service == "iam" else self.region
        return f"arn:aws:{service}:{region}:{self.account}:{resource}"

    def tags(self, address: str) -> dict[str, str]:
        """Return the tags that mark what this stack owns; without them nothing is changed or deleted."""
        return {STACK_TAG: self.stack, ADDRESS_TAG: address}

    def owns(self, tags: Mapping[str, str]) -> bool:
        """Tell whether something that carries `tags` belongs to this stack, and not to one of its name elsewhere."""
        return tags.get(STACK_TAG) == self.stack and tags.get(REGION_TAG, self.region) == self.region


def tag_list(tags: Mapping[str, str], *, key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """Return `tags` as the list of pairs that most services want; ECS spells the two words in lower case."""
    return [{key: name, value: text} for name, text in tags.items()]


def tag_map(tags: list[dict[str, str]] | None) -> dict[str, str]:
    """Return a service's list of tag pairs as a dict, however it spells the two words."""
    lowered = ({word.lower(): text for word, text in pair.items()} for pair in tags or [])
    return {pair["key"]: pair["value"] for pair in lowered}


def error_code(error: Exception) -> str:
    """Return AWS's code for a ClientError, and "" for any other exception."""
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def says(error: Exception, words: Collection[str]) -> bool:
    """Tell whether AWS refused with one of these codes, or in these words where a code says too little."""
    return error_code(error) in words or any(" " in each and each in str(error) for each in words)


@contextmanager
def absent(*words: str) -> Iterator[None]:
    """Swallow the AWS errors that say with these codes, or in these words, that what is asked for is not there."""
    from botocore.exceptions import ClientError

    try:
        yield
    except ClientError as error:
        if not says(error, words):
            raise


class LeftError(BgdeployError):
    """Waiting for AWS was cut short, because the person who asked wants to leave."""


def retry(aws: Aws, call: Callable[[], T], transient: Callable[[Exception], bool], patience: float = 90) -> T:
    """Return what `call` returns, calling again for `patience` seconds while it raises what is `transient`.

    For what botocore cannot know to be temporary: a role that IAM has not yet told the other services about
    (aws-facts 8.3), a network interface that outlives its load balancer (7.4). Raises LeftError when `aws.leaving`
    is set meanwhile.
    """
    deadline = aws.clock.monotonic() + patience
    pause = 1.0
    while True:
        try:
            return call()
        except Exception as error:
            if not transient(error) or aws.clock.monotonic() + pause > deadline:
                raise
        for _ in range(math.ceil(pause / _GLANCE)):
            if aws.leaving.is_set():
                raise LeftError("interrupted while it waited for AWS")
            aws.clock.sleep(min(pause, _GLANCE))
        pause = min(pause * 1.5, 5)


class NotYetError(Exception):
    """What AWS was asked for is under way and not there yet."""


def wait_until(aws: Aws, there: Callable[[], bool], patience: float) -> None:
    """Return once `there` says yes. Raises NotYetError after `patience` seconds, LeftError when `aws.leaving` is."""

    def ask() -> None:
        if not there():
            raise NotYetError("AWS takes longer than this is waited for")

    retry(aws, ask, lambda error: isinstance(error, NotYetError), patience)


def server_time(response: Mapping[str, Any]) -> datetime | None:
    """Return the time AWS said it was when it answered: the one clock that all who watch share."""
    header = response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    if not header:
        return None
    return parsedate_to_datetime(header).astimezone(timezone.utc)


def sentence_of(error: Exception) -> BgdeployError | None:
    """Return an error of ours as it is, our sentence for one of AWS's, None for any other."""
    return error if isinstance(error, BgdeployError) else translated(error)


def translated(error: Exception) -> BgdeployError | None:
    """Return our sentence for an exception of boto3's, None for one that is not AWS's."""
    from botocore import exceptions as b

    if isinstance(error, (b.NoCredentialsError, b.PartialCredentialsError)):
        return BgdeployError(
            "no AWS credentials were found",
            "set AWS_PROFILE or AWS_ACCESS_KEY_ID, or use --sandbox, which needs none",
        )
    if isinstance(error, (b.ProfileNotFound, b.CredentialRetrievalError, b.TokenRetrievalError)):
        return BgdeployError(
            f"the AWS credentials could not be used: {error}", "check --profile and your AWS config"
        )
    if isinstance(
        error,
        (
            b.EndpointConnectionError,
            b.ConnectTimeoutError,
            b.ReadTimeoutError,
            b.ConnectionClosedError,
            b.ProxyConnectionError,
            b.SSLError,
        ),
    ):
        return BgdeployError(
            f"AWS could not be reached: {error}",
            "check the network, --region and --endpoint-url (a sandbox may have been stopped)",
        )
    if isinstance(error, ValueError) and str(error).startswith(
        "Invalid endpoint"
    ):  # botocore has no class for it
        return BgdeployError(
            f"AWS cannot be reached there: {error}", "an endpoint is a URL such as http://127.0.0.1:4566"
        )
    if isinstance(error, b.ClientError):
        return _client_error(error)
    if isinstance(error, b.BotoCoreError):
        return BgdeployError(f"AWS could not be asked: {error}")
    return None


def _client_error(error: Any) -> BgdeployError:
    code = error_code(error)
    said = error.response.get("Error", {}).get("Message", "")
    request = error.response.get("ResponseMetadata", {}).get("RequestId", "unknown")
    message = f"AWS refused {error.operation_name}: {code}: {said} (request {request})"
    if code in {
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
    }:
        return BgdeployError(message, "the credentials are wrong or have expired: log in again")
    if code in {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}:
        return BgdeployError(
            message, "these credentials lack a permission: ask for it, or use others with --profile"
        )
    return BgdeployError(message)
