"""What the sandbox's parts know of each other: one world, one lock, and what each part offers the rest.

A *part* owns some operations of AWS and some state. The gateway sends a part the requests for its operations, the
engine lets it act a few times a second, and both hold `World.lock` meanwhile. So a part never locks and never blocks:
what takes time (a hook, an image build, a real health check) runs in a process or thread of its own and comes back
through a queue that the part's `tick` empties.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bgdeploy.clock import Clock

if TYPE_CHECKING:
    from bgdeploy.sandbox.alarms import Alarms
    from bgdeploy.sandbox.buckets import Buckets
    from bgdeploy.sandbox.codedeploy import CodeDeploy
    from bgdeploy.sandbox.ecs import Ecs
    from bgdeploy.sandbox.elb import Elb
    from bgdeploy.sandbox.functions import Functions
    from bgdeploy.sandbox.images import Images
    from bgdeploy.sandbox.logs import Logs
    from bgdeploy.sandbox.moto_bridge import MotoBridge
    from bgdeploy.sandbox.network import Network
    from bgdeploy.sandbox.quotas import Quotas
    from bgdeploy.sandbox.reaper import Reaper
    from bgdeploy.sandbox.roles import Roles
    from bgdeploy.sandbox.scaling import Scaling
    from bgdeploy.sandbox.tagging import Tagging

ACCOUNT = "123456789012"
# What loopback has none of: the public address of whoever uses the sandbox, from a range that nobody has (RFC 5737).
OUTSIDE = "203.0.113.7"


@dataclass(frozen=True)
class Settings:
    """How this sandbox was started."""

    home: Path  # its folder: state file, images, unpacked functions, logs
    speed: float = 10.0  # AWS seconds in every real second
    latency: float = 0.0  # real seconds added to every API call
    faults: Mapping[str, float] = field(default_factory=dict)  # throttle, error, reset: how often, 0 to 1
    seed: int | None = None  # of the faults
    caller: str = OUTSIDE  # where the load balancers see their callers: an address, or "vpc": inside
    region: str = "us-east-1"  # of the exports; requests may name any
    role_delay: float = 6.0  # AWS seconds until other services know a new role


@dataclass(frozen=True)
class Call:
    """One request, parsed and validated by botocore's model of the service."""

    service: str  # botocore's name: "codedeploy", "elbv2", …
    operation: str
    params: dict[str, Any]
    region: str


class RefusedError(Exception):
    """A request is answered with an error of AWS's: the model's error code and AWS's own words."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


class _Pass:
    """What a handler returns when moto shall answer the request."""


PASS = _Pass()


@dataclass(frozen=True)
class Deferred:
    """What a handler returns when its answer takes time: `finish` is run without the lock and returns the answer."""

    finish: Callable[[], dict[str, Any]]


Handler = Callable[[Call], "dict[str, Any] | _Pass | Deferred"]


class Part(Protocol):
    """One service, or a piece of one."""

    @property
    def operations(self) -> Mapping[tuple[str, str], Handler]:
        """The operations this part answers, as (service, operation)."""
        ...

    def tick(self) -> None:
        """Act on what has become due. Called with the lock held, ten times a real second."""
        ...

    def close(self) -> None:
        """End processes and threads. Called once, without the lock."""
        ...


@dataclass
class World:
    """All parts of one sandbox. `clock` is AWS's time: it runs `speed` times as fast as the real one."""

    settings: Settings
    clock: Clock  # AWS time, for every timestamp and every wait that AWS's rules know
    real: Clock  # the machine's time, for nothing but pacing threads
    lock: threading.RLock = field(default_factory=threading.RLock)
    client: Callable[..., Any] = field(
        init=False
    )  # client("ecs", region="us-east-1"): boto3 over our own gateway,
    #                                                  in this process: no socket, no latency, no faults
    beneath: Callable[..., Any] = field(
        init=False
    )  # the same, straight to moto: for a part that refines its answer
    endpoint: str = ""  # where the gateway listens, for the functions that call AWS
    access_key: str = ""  # what the gateway lets in
    moto: MotoBridge = field(init=False)
    reaper: Reaper = field(init=False)
    roles: Roles = field(init=False)
    buckets: Buckets = field(init=False)
    images: Images = field(init=False)
    logs: Logs = field(init=False)
    alarms: Alarms = field(init=False)
    functions: Functions = field(init=False)
    network: Network = field(init=False)
    elb: Elb = field(init=False)
    ecs: Ecs = field(init=False)
    scaling: Scaling = field(init=False)
    quotas: Quotas = field(init=False)
    codedeploy: CodeDeploy = field(init=False)
    tagging: Tagging = field(init=False)

    @property
    def parts(self) -> tuple[Part, ...]:
        """Every part there is, in the order in which the engine lets them act: causes before effects."""
        order = (
            "roles",
            "buckets",
            "images",
            "network",
            "elb",
            "ecs",
            "scaling",
            "quotas",
            "logs",
            "alarms",
            "functions",
            "codedeploy",
            "tagging",
        )
        return tuple(getattr(self, name) for name in order if hasattr(self, name))
