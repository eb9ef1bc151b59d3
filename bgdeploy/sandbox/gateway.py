"""The one door of the sandbox: lets in who may, finds out what is asked, and has it answered by us or by moto.

It holds the world's lock while moto or a part answers, never while it waits.
"""

from __future__ import annotations

import hmac
import io
import json
import logging
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from email.utils import format_datetime
from typing import Any

from bgdeploy.sandbox import parser, serializer
from bgdeploy.sandbox.record import Record, Recorded
from bgdeploy.sandbox.wire import Answer, Request
from bgdeploy.sandbox.world import OUTSIDE, Deferred, Handler, RefusedError, World, _Pass

log = logging.getLogger("bgdeploy.sandbox")
StartResponse = Callable[..., Any]
_LOOPBACK = {"127.0.0.1", "localhost", "[::1]"}
CONTROL = "/_sandbox/"  # the paths of our own that no AWS service has
CHECKIP = "/_sandbox/checkip"  # stands for checkip.amazonaws.com, which asks nobody for a key
INSIDE = "bgdeploy.inside"  # set in the environ of requests that come from this very process


_MOTOS_OWN = ("/moto-api", "/favicon.ico", "/latest/")  # moto's controls and the metadata of EC2 machines

# What moto answers as if it had been done, though nothing does it: a success that would be a lie.
PRETENDED = {
    ("codebuild", "StartBuild"),
    ("codebuild", "StartBuildBatch"),
    ("codebuild", "RetryBuild"),
    ("codepipeline", "StartPipelineExecution"),
    ("logs", "StartQuery"),
    ("logs", "PutSubscriptionFilter"),
}

# What each protocol calls an access key that AWS does not know.
_STRANGERS = {"query": "InvalidClientTokenId", "ec2": "AuthFailure", "rest-xml": "InvalidAccessKeyId"}


class ResetFaultError(ConnectionError):
    """An injected fault: the connection ends without an answer."""


@dataclass
class Gateway:
    """A WSGI application that is AWS to whoever holds its access key."""

    world: World
    access_key: str
    control: Mapping[str, Callable[[], dict[str, Any]]] = field(default_factory=dict)
    handlers: dict[tuple[str, str], Handler] = field(init=False)
    record: Record = field(default_factory=Record)

    def __post_init__(self) -> None:
        self.handlers = {}
        self._faults = random.Random(self.world.settings.seed)
        for part in self.world.parts:
            self.handlers.update(part.operations)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        request = _request(environ)
        answer = self._answered(request, environ)
        self._write(start_response, answer)
        return [] if request.method == "HEAD" else [answer.body]

    def _answered(self, request: Request, environ: dict[str, Any]) -> Answer:
        try:
            return self._answer(request, environ) if environ.get(INSIDE) else self._admit(request, environ)
        except RefusedError as error:
            return _refusal(request, error)
        except ResetFaultError:
            raise
        except Exception:
            what = f"{request.service} {request.operation}".strip() or request.path
            log.exception("%s failed", what)
            text = f"the sandbox failed in {what}; its log has the traceback"
            return _refusal(request, RefusedError("InternalFailure", text, 500))

    def _admit(self, request: Request, environ: dict[str, Any]) -> Answer:
        """Answer somebody outside, if they may ask, and write down what they asked."""
        self._guard_place(request)
        if request.path == CHECKIP:
            caller = self.world.settings.caller
            address = (
                OUTSIDE if caller == "vpc" else caller
            )  # who is inside has a way out, seen under some address
            return Answer(200, f"{address}\n".encode(), {"Content-Type": "text/plain"})
        self._guard_key(request)
        if request.path.startswith(CONTROL):
            return self._control(request)
        began, failed = self.world.real.monotonic(), True
        try:
            lost = self._hardship(request)
            answer = self._answer(request, environ)
            failed = lost or answer.status >= 400
        finally:
            role = request.headers.get("x-amz-security-token", "")
            ended = self.world.real.monotonic()
            self.record.add(Recorded(request.service, request.operation, role, failed, began, ended))
        if lost:
            raise ResetFaultError
        return answer

    def calls(self) -> dict[str, Any]:
        """Return the calls from outside since the last time."""
        return {"calls": [asdict(call) for call in self.record.take()]}

    # Who may come in

    def _guard_place(self, request: Request) -> None:
        """Refuse another machine, and a web page."""
        host = request.headers.get("host", "")
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if name not in _LOOPBACK:
            raise RefusedError("AccessDenied", f"this sandbox answers on loopback only, not as {host!r}", 403)
        if "origin" in request.headers:
            raise RefusedError("AccessDenied", "this sandbox does not answer web pages", 403)

    def _guard_key(self, request: Request) -> None:
        """Refuse whoever is not the person who started this: another user."""
        own = request.path.startswith(CONTROL)
        key = request.headers.get("x-bgdeploy-key", "") if own else request.scope.get("key", "")
        if not hmac.compare_digest(key.encode(), self.access_key.encode()):
            code = _STRANGERS.get(request.protocol, "UnrecognizedClientException")
            raise RefusedError(code, "The security token included in the request is invalid.", 403)

    def _control(self, request: Request) -> Answer:
        action = self.control.get(request.path.rpartition("/")[2])
        if action is None:
            raise RefusedError("NotFound", f"the sandbox has no {request.path}", 404)
        return Answer(200, json.dumps(action()).encode(), {"Content-Type": "application/json"})

    def _hardship(self, request: Request) -> bool:
        """Add the latency and the faults that this sandbox was started with.

        Return whether the answer shall get lost: of the connections that end early, half do when the request has been
        carried out, and nobody learns that it has.
        """
        settings = self.world.settings
        if settings.latency:
            self.world.real.sleep(settings.latency)
        for fault, rate in settings.faults.items():
            if self._faults.random() >= rate:
                continue
            if fault == "throttle":
                raise serializer.throttled(request)
            if fault == "error":
                text = "The request processing has failed (an injected fault)"
                raise RefusedError("InternalFailure", text, 500)
            if self._faults.random() < 0.5:
                return True
            raise ResetFaultError
        return False

    # Who answers

    def _answer(self, request: Request, environ: dict[str, Any]) -> Answer:
        handler = self.handlers.get((request.service, request.operation))
        if handler is None:
            return self._moto(request, environ)
        call = parser.parse(request)
        with self.world.lock:
            result = handler(call)
            if isinstance(result, _Pass):
                return self._moto(request, environ)
        if isinstance(result, Deferred):
            result = result.finish()
        return serializer.answer(request, call, result)

    def _moto(self, request: Request, environ: dict[str, Any]) -> Answer:
        what = f"{request.service} {request.operation or request.method + ' ' + request.path}"
        missing = RefusedError("NotImplemented", f"{what} is not implemented in the sandbox", 501)
        if request.path.startswith(_MOTOS_OWN) or (request.service, request.operation) in PRETENDED:
            raise missing
        try:
            with self.world.lock:
                answer = self.world.moto.answer(environ | {"wsgi.input": io.BytesIO(request.body)})
        except NotImplementedError:
            raise missing from None
        if answer.status >= 400 and answer.body.lstrip()[:9].lower() == b"<!doctype":
            raise missing  # moto's web server says so, with a page for people
        if request.service != "s3" and answer.headers.get("Content-Type", "").startswith("text"):
            # The default of moto's web server, where moto itself gives no type.
            kind = "application/x-amz-json-1.1" if "json" in request.protocol else "text/xml"
            return replace(answer, headers={**answer.headers, "Content-Type": kind})
        return answer

    def _write(self, start_response: StartResponse, answer: Answer) -> None:
        headers = {name: value for name, value in answer.headers.items() if not _unwanted(name.lower())}
        headers["Date"] = format_datetime(self.world.clock.now(), usegmt=True)
        headers["Content-Length"] = headers.get("Content-Length", str(len(answer.body)))
        start_response(f"{answer.status} {'OK' if answer.status < 400 else 'Error'}", list(headers.items()))


def _refusal(request: Request, error: RefusedError) -> Answer:
    if request.path.startswith(CONTROL):
        said = json.dumps({"error": error.message}).encode()
        return Answer(error.status, said, {"Content-Type": "application/json"})
    return serializer.refusal(request, error)


def _unwanted(name: str) -> bool:
    """Return whether a header of an answer is replaced or, like moto's leave to web pages, left out."""
    return name in {"date", "server"} or name.startswith("access-control-")


def _request(environ: dict[str, Any]) -> Request:
    headers = {
        key[5:].replace("_", "-").lower(): str(value) for key, value in environ.items() if key[:5] == "HTTP_"
    }
    headers["content-type"] = environ.get("CONTENT_TYPE", "")
    return Request(
        environ["REQUEST_METHOD"],
        environ["PATH_INFO"],
        environ.get("QUERY_STRING", ""),
        headers,
        _body(environ),
    )


def _body(environ: dict[str, Any]) -> bytes:
    stream = environ["wsgi.input"]
    if environ.get("wsgi.input_terminated"):
        return bytes(stream.read())
    return bytes(stream.read(int(environ.get("CONTENT_LENGTH") or 0)))
