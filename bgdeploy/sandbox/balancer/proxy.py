"""How one request gets its answer: from a target, or from the load balancer itself."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Iterable, Mapping
from email.utils import formatdate
from typing import Any

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
    hdrs,
    web,
)
from multidict import CIMultiDict
from yarl import URL

from bgdeploy.sandbox.balancer import routes
from bgdeploy.sandbox.balancer.model import Group, Listener, Target

_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_NOT_SENT = _HOP_BY_HOP | {"expect"}
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS"})
_ATTEMPTS = 3  # targets asked for one request, at most
_CONNECT = 5.0  # real seconds for a connection to a target
# Shorter than servers keep theirs (Apache and Node 5 s, gunicorn 2 s): no pooled connection may end under a request.
_POOL_KEEPS = 1.5
_COOKIE = "AWSALB"
_OWN = {
    502: "502 Bad Gateway",
    503: "503 Service Temporarily Unavailable",
    504: "504 Gateway Time-out",
    400: "400 Bad Request",
}
# aiohttp would add these to requests that came without.
_NOT_OURS_TO_ADD = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")


class Proxy:
    """Passes requests on to the targets of `groups`, over connections that it keeps open."""

    def __init__(self, groups: Mapping[str, Group]) -> None:
        self._groups = groups
        self._client = ClientSession(
            connector=TCPConnector(limit=0, keepalive_timeout=_POOL_KEEPS),
            auto_decompress=False,
            timeout=ClientTimeout(total=None, sock_connect=_CONNECT),
            cookie_jar=DummyCookieJar(),
            skip_auto_headers=_NOT_OURS_TO_ADD,
            max_line_size=2**16,
            max_field_size=2**16,
        )

    async def close(self) -> None:
        await self._client.close()

    async def answer(self, listener: Listener, request: web.BaseRequest) -> web.StreamResponse:
        """Return the answer to a visitor's request, by the listener's routes as they are now."""
        if not request.raw_path.startswith("/"):
            return _own(listener, 400)
        asked = _asked(listener, request)
        action = routes.choose(listener.routes, asked)
        if "fixed" in action:
            return _fixed(action["fixed"])
        if "redirect" in action:
            where = {"Location": routes.location(action["redirect"], asked)}
            return web.Response(status=action["redirect"]["status"], headers=where)
        group = self._groups.get(_weighted(action.get("forward", {})))
        candidates = group.candidates(request.cookies.get(_COOKIE, "")) if group else []
        if group is None or not candidates:
            return _own(listener, 503)
        return await self._forward(listener, group, candidates[:_ATTEMPTS], request)

    async def _forward(
        self, listener: Listener, group: Group, candidates: list[Target], request: web.BaseRequest
    ) -> web.StreamResponse:
        """Have the first candidate answer that can. One that has read nothing of the request may be passed over."""
        body = await _body(request)
        for target in candidates:
            target.begin()
            began = time.monotonic()
            try:
                answer = await self._ask(target, listener, request, body)
                group.served.seconds.append(round(time.monotonic() - began, 4))
                group.served.codes[str(answer.status)[0]] += 1
                return await _relay(answer, request, _cookies(group, target))
            except asyncio.TimeoutError:
                return _own(listener, 504)
            except ClientConnectorError:
                continue
            except (ClientError, OSError):
                if body is not None or request.method not in _IDEMPOTENT:
                    break
            finally:
                target.end()
        group.served.codes["error"] += 1
        return _own(listener, 502)

    async def _ask(
        self, target: Target, listener: Listener, request: web.BaseRequest, body: Any
    ) -> ClientResponse:
        if not target.reachable:  # its packets are dropped; nobody waits real seconds for that
            raise asyncio.TimeoutError
        return await self._client.request(
            request.method,
            URL(f"http://{target.host}:{target.port}{request.raw_path}", encoded=True),
            headers=_forwarded(listener, request),
            data=body,
            allow_redirects=False,
            timeout=ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=listener.idle),
        )


async def _body(request: web.BaseRequest) -> Any:
    """Return the request's body as it comes in, None when it has none."""
    if not request.can_read_body:
        return None
    if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return request.content


def _forwarded(listener: Listener, request: web.BaseRequest) -> CIMultiDict[str]:
    """Return the headers that a target gets."""
    headers = CIMultiDict(
        (name, value) for name, value in request.headers.items() if name.lower() not in _NOT_SENT
    )
    remote, before = request.remote or "127.0.0.1", headers.get("X-Forwarded-For")
    headers["X-Forwarded-For"] = f"{before}, {remote}" if before else remote
    headers["X-Forwarded-Proto"] = listener.protocol.lower()
    headers["X-Forwarded-Port"] = str(listener.port)
    headers.setdefault("X-Amzn-Trace-Id", f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)}")
    headers.setdefault("Host", f"{listener.host}:{listener.bind}")
    return headers


def _cookies(group: Group, target: Target) -> list[str]:
    """Return the cookies that bind a visitor to a target: one for browsers that keep it from other sites' pages."""
    if not group.sticky:
        return []
    until = formatdate(time.time() + group.sticky, usegmt=True)
    own = f"{target.token}; Expires={until}; Path=/"
    return [f"{_COOKIE}={own}", f"{_COOKIE}CORS={own}; SameSite=None; Secure"]


async def _relay(
    answer: ClientResponse, request: web.BaseRequest, cookies: Iterable[str]
) -> web.StreamResponse:
    """Pass a target's answer on, piece by piece as it comes.

    When it breaks off, so does the visitor's connection: it is too late for another status.
    """
    async with answer:
        response = web.StreamResponse(status=answer.status, reason=answer.reason)
        for name, value in answer.headers.items():
            if name.lower() not in _HOP_BY_HOP:
                response.headers.add(name, value)
        for cookie in cookies:
            response.headers.add("Set-Cookie", cookie)
        try:
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
        except (ClientError, OSError, asyncio.TimeoutError):
            if request.transport is not None:
                request.transport.abort()
        return response


def _weighted(weights: Mapping[str, int]) -> str:
    """Return one of the target groups by chance; those of weight 0 get nothing."""
    usable = {arn: weight for arn, weight in weights.items() if weight > 0}
    if len(usable) <= 1:
        return next(iter(usable), "")
    return random.choices(list(usable), list(usable.values()))[0]


def _asked(listener: Listener, request: web.BaseRequest) -> routes.Asked:
    path, _, query = request.raw_path.partition("?")
    return routes.Asked(
        request.method,
        request.headers.get("Host", ""),
        path,
        query,
        request.headers,
        request.remote or "127.0.0.1",
        listener.port,
        listener.protocol,
    )


def _fixed(told: Mapping[str, Any]) -> web.Response:
    return web.Response(
        status=told["status"],
        body=told["body"].encode(),
        headers={"Content-Type": told["type"], "Server": "awselb/2.0"},
    )


def _own(listener: Listener, status: int) -> web.Response:
    """Return an answer of the load balancer's own, worded and signed as AWS's are."""
    listener.refused[str(status)] += 1
    title = _OWN[status]
    page = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
        "</body>\r\n</html>\r\n"
    )
    headers = {"Content-Type": "text/html", "Server": "awselb/2.0"}
    return web.Response(status=status, body=page.encode(), headers=headers)
