"""boto3 clients that talk to a WSGI application in this very process, without a socket.

The parts ask each other and moto through them, so that nothing depends on anybody's insides.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from bgdeploy.sandbox.gateway import INSIDE
from bgdeploy.sandbox.models import loader
from bgdeploy.sandbox.world import Call, RefusedError, World

Application = Callable[[dict[str, Any], Callable[..., Any]], Any]
# An address and no name: S3 takes the first part of a name for the bucket's.
_URL = "http://127.0.0.1:1"


class InProcess:
    """Makes clients of one application: `InProcess(app, key)("ecs", region="eu-west-1")`."""

    def __init__(self, application: Application, access_key: str) -> None:
        import boto3
        from botocore.session import Session

        self._application = application
        core = Session()
        core.register_component("data_loader", loader())
        self._session = boto3.Session(access_key, "inside", botocore_session=core)
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str], Any] = {}

    def __call__(self, service: str, region: str = "us-east-1") -> Any:
        with self._lock:
            if (service, region) not in self._clients:
                self._clients[service, region] = self._make(service, region)
            return self._clients[service, region]

    def _make(self, service: str, region: str) -> Any:
        from botocore.config import Config

        once = Config(retries={"total_max_attempts": 1})
        create: Callable[..., Any] = self._session.client  # its stubs know the services by literal name only
        client = create(service, region_name=region, endpoint_url=_URL, config=once)
        client.meta.events.register("before-send.*.*", self._send)
        return client

    def _send(self, request: Any, **_: Any) -> Any:
        from botocore.awsrequest import AWSResponse
        from urllib3.response import HTTPResponse

        said: dict[str, Any] = {}

        def start_response(status: str, headers: list[tuple[str, str]], _exc_info: Any = None) -> None:
            said["status"], said["headers"] = int(status.split()[0]), dict(headers)

        body = b"".join(self._application(_environ(request), start_response))
        raw = HTTPResponse(
            body=io.BytesIO(body), headers=said["headers"], status=said["status"], preload_content=False
        )
        return AWSResponse(request.url, said["status"], said["headers"], raw)


def _environ(request: Any) -> dict[str, Any]:
    from urllib.parse import unquote

    url = urlsplit(request.url)
    body = request.body or b""
    body = body.read() if hasattr(body, "read") else body
    body = body.encode() if isinstance(body, str) else bytes(body)
    headers = {
        name: value.decode() if isinstance(value, bytes) else str(value)
        for name, value in request.headers.items()
    }
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(url.path, "latin-1"),  # WSGI holds bytes in a str
        "QUERY_STRING": url.query,
        "RAW_URI": url.path + (f"?{url.query}" if url.query else ""),
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "http",
        "wsgi.version": (1, 0),
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "HTTP_HOST": "127.0.0.1:1",
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": headers.get("Content-Type", ""),
        INSIDE: True,
    }
    environ |= {
        f"HTTP_{name.upper().replace('-', '_')}": value
        for name, value in headers.items()
        if name.lower() not in {"content-type", "content-length"}
    }
    return environ


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what moto refuses into a refusal of ours, with its code, words and status."""
    from botocore.exceptions import ClientError

    try:
        yield
    except ClientError as error:
        told, status = error.response["Error"], error.response["ResponseMetadata"]["HTTPStatusCode"]
        raise RefusedError(told["Code"], told["Message"], status) from error


def forwarded(world: World, call: Call) -> dict[str, Any]:
    """Return moto's own answer to `call`. Raises RefusedError with moto's refusal."""
    from botocore import xform_name

    client = world.beneath(call.service, region=call.region)
    with refusals():
        answer: dict[str, Any] = getattr(client, xform_name(call.operation))(**call.params)
    answer.pop("ResponseMetadata")
    return answer
