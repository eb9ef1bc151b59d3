"""Sends a request to a load balancer by the name that its visitors use, wherever that name leads at the moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bgdeploy.release.snapshot import Reach

if TYPE_CHECKING:
    import urllib3

BY_NAME = Reach()  # as the DNS says


def get(
    pool: urllib3.PoolManager,
    url: str,
    reach: Reach,
    timeout: urllib3.Timeout,
    *,
    headers: Mapping[str, str] | None = None,
) -> urllib3.BaseHTTPResponse:
    """Return the answer to one request, its body still unread; a redirect is an answer like any other.

    A URL of the visitors' host goes to the load balancer, which shows the certificate for that host. Where nobody has
    said which host that is, the certificate cannot name the one that is asked: its chain alone is verified.
    """
    import urllib3

    asked = urllib3.util.parse_url(url)
    host, scheme = asked.host or "", asked.scheme or "http"
    trust: dict[str, Any] = {}
    if scheme == "https" and host == reach.host:
        trust = {"server_hostname": host, "assert_hostname": host}
    elif scheme == "https" and host == reach.balancer:
        trust = {"assert_hostname": False}
    to = reach.balancer if host == reach.host and reach.balancer else host
    connections = pool.connection_from_host(to, asked.port, scheme, pool_kwargs=trust or None)
    return connections.urlopen(
        "GET",
        asked.request_uri,
        headers={**pool.headers, **(headers or {}), "Host": asked.netloc or ""},
        timeout=timeout,
        retries=False,
        redirect=False,
        preload_content=False,
    )
