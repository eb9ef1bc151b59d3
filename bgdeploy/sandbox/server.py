"""Puts a sandbox together: the world and its parts, the gateway in front, the engine behind."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Collection
from importlib import import_module
from typing import Any

from werkzeug.serving import BaseWSGIServer, make_server

from bgdeploy.clock import Clock, FastClock, SystemClock
from bgdeploy.sandbox.engine import Engine
from bgdeploy.sandbox.gateway import Gateway
from bgdeploy.sandbox.inprocess import InProcess
from bgdeploy.sandbox.moto_bridge import MotoBridge
from bgdeploy.sandbox.reaper import Reaper
from bgdeploy.sandbox.wire import Answer
from bgdeploy.sandbox.world import Settings, World

log = logging.getLogger("bgdeploy.sandbox")


# Each part and its class, in the order in which they are built: a part may use those before it from the start.
PARTS = {
    "roles": "Roles",
    "buckets": "Buckets",
    "images": "Images",
    "logs": "Logs",
    "alarms": "Alarms",
    "functions": "Functions",
    "network": "Network",
    "elb": "Elb",
    "ecs": "Ecs",
    "scaling": "Scaling",
    "quotas": "Quotas",
    "codedeploy": "CodeDeploy",
    "tagging": "Tagging",
}
_ALWAYS = {"roles"}  # what others stand on


def build_world(
    settings: Settings, access_key: str, clock: Clock | None = None, parts: Collection[str] = tuple(PARTS)
) -> tuple[World, Gateway]:
    """Return a world and the gateway in front of it.

    `clock` is AWS's; tests may hold it. `parts` are the names of those that the world gets beside roles:
    without one of them, moto answers in its place.
    """
    real = SystemClock()
    world = World(settings, clock or FastClock(settings.speed, real), real, access_key=access_key)
    world.moto = MotoBridge()
    world.reaper = Reaper()
    world.beneath = InProcess(_beneath(world), access_key)
    for name in (name for name in PARTS if name in _ALWAYS.union(parts)):
        module = import_module(f"bgdeploy.sandbox.{name}")
        setattr(world, name, getattr(module, PARTS[name])(world))
    gateway = Gateway(world, access_key)
    world.client = InProcess(gateway, access_key)
    return world, gateway


def _beneath(world: World) -> Callable[..., Any]:
    """Return moto as an application, with the world's lock around it."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        with world.lock:
            answer: Answer = world.moto.answer(environ)
        start_response(f"{answer.status} -", list(answer.headers.items()))
        return [answer.body]

    return application


class Server:
    """A running sandbox: `endpoint` is where it answers, `access_key` what it lets in."""

    def __init__(self, settings: Settings, port: int = 0, parts: Collection[str] = tuple(PARTS)) -> None:
        self.settings = settings
        self._parts = parts
        self.access_key = "AKIA" + secrets.token_hex(20).upper()
        self.secret_key = secrets.token_urlsafe(30)
        self.stopping = threading.Event()
        self._socket = _listen(self._application, port)
        self.endpoint = f"http://127.0.0.1:{self._socket.server_port}"
        self._build()

    def _build(self) -> None:
        self.world, self._gateway = build_world(self.settings, self.access_key, parts=self._parts)
        self.world.endpoint = self.endpoint
        self._gateway.control = {
            "ping": dict,
            "status": self.status,
            "calls": self._gateway.calls,
            "reset": self.reset,
            "stop": self.stop_soon,
        }
        self._engine = Engine(self.world)

    def _application(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        return self._gateway(environ, start_response)

    def start(self, *, warm: bool = True) -> None:
        """Begin to answer and to live; `warm` has moto prepared for what will be asked, which takes seconds of CPU."""
        self._engine.start()
        threading.Thread(target=self._socket.serve_forever, args=(0.05,), name="gateway", daemon=True).start()
        if warm:
            threading.Thread(target=self._warm, name="warm", daemon=True).start()

    def _warm(self) -> None:
        """Have moto import its services before somebody waits for it: EC2 alone takes over a second."""
        calls = {
            "ec2": "describe_vpcs",
            "iam": "list_roles",
            "elbv2": "describe_load_balancers",
            "s3": "list_buckets",
            "ecr": "describe_repositories",
            "lambda": "list_functions",
            "logs": "describe_log_groups",
            "ecs": "list_clusters",
            "sts": "get_caller_identity",
        }
        for service, operation in calls.items():
            if self.stopping.is_set():
                return
            try:
                self.world.moto.warm(service)
                getattr(self.world.beneath(service), operation)()
            except Exception:
                log.exception("warming %s failed", service)

    def status(self) -> dict[str, Any]:
        """Return what the sandbox holds."""
        return {
            "speed": self.settings.speed,
            "time": self.world.clock.now().isoformat(),
            "holds": inventory(self.world),
        }

    def reset(self) -> dict[str, Any]:
        """Empty the sandbox."""
        self._engine.stop()
        with self.world.lock:
            old = self.world
            old.moto.reset()
        close_world(old)
        self._build()
        self._engine.start()
        return {}

    def stop_soon(self) -> dict[str, Any]:
        """Have the process end, after this very answer."""
        self.stopping.set()
        return {}

    def close(self) -> None:
        """End the threads and processes of the sandbox."""
        self.stopping.set()
        self._engine.stop()
        close_world(self.world)
        self._socket.shutdown()
        self._socket.server_close()


def close_world(world: World) -> None:
    """End the threads and processes of a world; one that does not end is logged, and its reaper kills it."""
    for part in reversed(world.parts):
        try:
            part.close()
        except Exception:
            log.exception("%s did not close", type(part).__name__)
    world.reaper.close()


def _listen(application: Callable[..., Any], port: int) -> BaseWSGIServer:
    from moto.moto_server.werkzeug_app import MotoRequestHandler

    class Handler(MotoRequestHandler):  # type: ignore[misc]  # moto has no types
        """Keeps connections open, which halves the time of a call; werkzeug itself closes each after its answer."""

        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        timeout = 120  # real seconds until a connection that nobody uses is closed

        def run_wsgi(self) -> None:
            said: dict[str, Any] = {}

            def start_response(status: str, headers: list[tuple[str, str]]) -> None:
                said["status"], said["headers"] = status, headers

            try:
                body = b"".join(self.server.app(self.make_environ(), start_response))
            except ConnectionError:  # the fault that ends a connection without an answer
                self.close_connection = True
                return
            code, _, reason = said["status"].partition(" ")
            self.send_response_only(int(code), reason)
            for name, value in said["headers"]:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_error(self, *_: Any) -> None:
            """Say nothing: the log is for what went wrong here, not for what a client did."""

    return make_server("127.0.0.1", port, application, threaded=True, request_handler=Handler)


def inventory(world: World) -> dict[str, int]:
    """Return how many things of each kind the sandbox holds, leaving out what every account is born with."""
    client = world.client

    def count(service: str, operation: str, key: str, **arguments: Any) -> int:
        return len(getattr(client(service, region=world.settings.region), operation)(**arguments)[key])

    vpcs = client("ec2", region=world.settings.region).describe_vpcs(
        Filters=[{"Name": "is-default", "Values": ["false"]}]
    )["Vpcs"]
    return {
        "VPCs": len(vpcs),
        "load balancers": count("elbv2", "describe_load_balancers", "LoadBalancers"),
        "target groups": count("elbv2", "describe_target_groups", "TargetGroups"),
        "clusters": count("ecs", "list_clusters", "clusterArns"),
        "task definitions": count("ecs", "list_task_definitions", "taskDefinitionArns"),
        "repositories": count("ecr", "describe_repositories", "repositories"),
        "buckets": count("s3", "list_buckets", "Buckets"),
        "functions": count("lambda", "list_functions", "Functions"),
        "roles": len(
            [r for r in client("iam").list_roles()["Roles"] if "/aws-service-role/" not in r["Path"]]
        ),
        "log groups": count("logs", "describe_log_groups", "logGroups"),
        "alarms": count("cloudwatch", "describe_alarms", "MetricAlarms"),
        "CodeDeploy applications": count("codedeploy", "list_applications", "applications"),
    }
