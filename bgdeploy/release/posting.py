"""Sends notices: each once, whoever of several follows the release, and whoever of them is killed.

Who sends one claims it first, as the checks are claimed: `hooks/<deployment>.<occasion>.notice.json` in the stack's
bucket. A claim whose holder died before it was done lapses, and another sends the notice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bgdeploy import __version__
from bgdeploy.aws import Aws, translated
from bgdeploy.clock import Clock, speed_of
from bgdeploy.quantities import SecretUrl
from bgdeploy.release.attending.hook import Claim, Claims, Lapse

if TYPE_CHECKING:
    import urllib3

_LAPSE = 30.0  # seconds of the machine's without a renewal; there is one before each sending
_LOOK = 1.0  # seconds between two looks at somebody else's claim
_CONNECT, _READ = 3.0, 4.0  # seconds of the machine's
_TRIES, _PAUSE = 3, 1.0


@dataclass
class Notices(Claims):
    """The claim on one notice of a deployment."""

    name: str = ""

    @property
    def key(self) -> str:
        return f"hooks/{self.deployment}.{self.name}.notice.json"


def claimed(notices: Notices, leaving: Callable[[], bool]) -> Claim | None:
    """Return our claim on a notice, None when somebody has sent it, or still does and we are to leave.

    Raises what AWS refuses.
    """
    clock = notices.aws.clock
    lapse = Lapse(
        notices.me, clock, _LAPSE * speed_of(clock)
    )  # webhooks are as slow in a sandbox as anywhere
    while True:
        seen = notices.read()
        if seen and seen.answer:
            return None
        if (seen is None or lapse.over(seen)) and (mine := notices.take(seen)):
            return mine
        if leaving():
            return None
        clock.sleep(_LOOK)


def publish(aws: Aws, topic: str, subject: str, text: str) -> str:
    """Publish to an SNS topic, and return what is wrong, "" when nothing is."""
    try:
        aws.client("sns").publish(TopicArn=topic, Subject=subject, Message=text)
    except Exception as error:
        told = translated(error)
        return f"the topic {topic} was not told: {told.message if told else type(error).__name__}"
    return ""


def post(url: SecretUrl, payload: Mapping[str, Any], clock: Clock) -> str:
    """Post JSON to a webhook, a few times if need be, and return what is wrong, "" when nothing is.

    What is said never holds the URL, which is a secret: of urllib3's errors, whose text has it, their kind alone.
    """
    from urllib3 import exceptions as e

    wrong = ""
    for attempt in range(_TRIES):
        if attempt:
            clock.sleep(_PAUSE * attempt)
        try:
            status = _posted(url, payload)
        except (e.ReadTimeoutError, e.ProtocolError):
            # It may have arrived: another one would be the second.
            return f"the webhook at {url.host} did not answer: whether it was told is not known"
        except (e.HTTPError, OSError, ValueError) as error:
            wrong = f"the webhook at {url.host} was not told: {type(error).__name__}"
            continue
        if status < 300:
            return ""
        wrong = f"the webhook at {url.host} answers {status}"
        if status < 500 and status != 429:
            break
    return wrong


def _posted(url: SecretUrl, payload: Mapping[str, Any]) -> int:
    import urllib3

    pool = _pool(url)
    try:
        answer = pool.request(
            "POST",
            url.text,
            body=json.dumps(payload).encode(),
            headers={"Content-Type": "application/json", "User-Agent": f"bgdeploy/{__version__}"},
            timeout=urllib3.Timeout(connect=_CONNECT, read=_READ),
            retries=False,
            redirect=False,  # elsewhere is not where the secret was meant for
        )
        return int(answer.status)
    finally:
        pool.clear()


def _pool(url: SecretUrl) -> urllib3.PoolManager:
    """Return what reaches the webhook, through the proxy that the environment names for it."""
    from urllib.request import getproxies, proxy_bypass

    import urllib3

    proxy = getproxies().get(url.text.partition(":")[0])
    if proxy and not proxy_bypass(url.host):
        return urllib3.ProxyManager(proxy)
    return urllib3.PoolManager()
