"""Health checks: real HTTP requests at the target group's pace."""

from __future__ import annotations

import asyncio

from aiohttp import ClientError, ClientSession, ClientTimeout

from bgdeploy.sandbox.balancer.model import Group, Target

_HEADERS = {"User-Agent": "ELB-HealthChecker/2.0", "Accept-Encoding": "gzip, compressed"}
# However fast AWS's time runs: a machine under load needs a moment for an answer, and a failure costs a task its life.
_LEAST_TIMEOUT = 1.0
_LEAST_INTERVAL = 0.05
_FIRST_CHECK = 0.05  # real seconds after the registration

Failure = tuple[str, str]  # AWS's reason code and description


async def check_forever(session: ClientSession, group: Group, target: Target) -> None:
    """Check a target until this is cancelled."""
    target.tell_health()
    await asyncio.sleep(_FIRST_CHECK)
    while True:
        judge(group, target, await check(session, group, target))
        await asyncio.sleep(max(_LEAST_INTERVAL, float(group.health["interval"])))


async def check(session: ClientSession, group: Group, target: Target) -> Failure | None:
    """Return None when the target is well, else why it is not."""
    url = f"http://{target.host}:{target.port}{group.health['path']}"
    patience = max(_LEAST_TIMEOUT, float(group.health["timeout"]))
    if not target.reachable:
        await asyncio.sleep(float(group.health["timeout"]))
        return "Target.Timeout", "Request timed out"
    try:
        async with session.get(
            url, headers=_HEADERS, timeout=ClientTimeout(total=patience), allow_redirects=False
        ) as answer:
            await answer.read()
    except asyncio.TimeoutError:
        return "Target.Timeout", "Request timed out"
    except (ClientError, OSError):
        return "Target.FailedHealthChecks", "Health checks failed"
    if matches(answer.status, group.health["matcher"]):
        return None
    return "Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{answer.status}]"


def judge(group: Group, target: Target, failure: Failure | None) -> None:
    """Take one health check into account. A new target is healthy after its first success."""
    before = (target.state, target.detail)
    if failure is None:
        target.streak = max(target.streak, 0) + 1
        if target.state == "initial" or target.streak >= group.health["healthy"]:
            target.state, target.reason, target.detail = "healthy", "", ""
    else:
        target.streak = min(target.streak, 0) - 1
        if -target.streak >= group.health["unhealthy"]:
            target.state, (target.reason, target.detail) = "unhealthy", failure
    if before != (target.state, target.detail):
        target.tell_health()


def matches(status: int, matcher: str) -> bool:
    """Tell whether a status is among those of a matcher such as "200,301-399"."""
    for part in matcher.split(","):
        first, _, last = part.strip().partition("-")
        if int(first) <= status <= int(last or first):
            return True
    return False
