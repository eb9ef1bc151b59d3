"""What a stack should be: the types that `config/*.yaml` is read into. `project.py` reads the files."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from bgdeploy.names import Names

_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


class Duration(int):
    """Whole seconds, written `90s`, `5m`, `1h30m` or `14d`."""

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Return the duration that `text` writes. Raises ValueError for anything else."""
        match = _DURATION.fullmatch(text.strip())
        if not match or not any(match.groups()):
            raise ValueError(f"a duration such as 90s, 5m or 1h30m, not {text!r}")
        return cls(sum(int(n or 0) * unit for n, unit in zip(match.groups(), _UNITS.values(), strict=True)))

    def __str__(self) -> str:
        rest, parts = int(self), ""
        for letter, size in _UNITS.items():
            count, rest = divmod(rest, size)
            parts += f"{count}{letter}" if count else ""
        return parts or "0s"

    @property
    def minutes(self) -> int:
        """Whole minutes, for the parts of AWS that count in them."""
        return int(self) // 60


Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]*$", max_length=40)]
Port = Annotated[int, Meta(ge=1, le=65535)]
Path = Annotated[str, Meta(pattern=r"^/")]


class Base(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mapping of the config."""


class CreateNetwork(Base, frozen=True):
    cidr: str = "10.20.0.0/16"


class Network(Base, frozen=True):
    create: CreateNetwork = CreateNetwork()


class ProductionListener(Base, frozen=True):
    port: Port = 80


class TestListener(Base, frozen=True):
    port: Port = 8080
    allow: tuple[str, ...] = ("vpc",)  # who may reach it: vpc, or a CIDR


class HealthCheck(Base, frozen=True):
    path: Path = "/"
    interval: Duration = Duration(10)
    timeout: Duration = Duration(5)
    healthy: Annotated[int, Meta(ge=2, le=10)] = 2
    unhealthy: Annotated[int, Meta(ge=2, le=10)] = 2


class LoadBalancer(Base, frozen=True):
    production: ProductionListener = ProductionListener()
    test: TestListener = TestListener()
    health_check: HealthCheck = HealthCheck()
    deregistration_delay: Duration = Duration(30)


class Container(Base, frozen=True):
    name: Name = "web"
    port: Port = 80
    cpu: Literal[256, 512, 1024, 2048, 4096] = 256
    memory: int = 512
    environment: dict[str, str] = {}


class Service(Base, frozen=True):
    tasks: Annotated[int, Meta(ge=1, le=1000)] = 1


class Build(Base, frozen=True):
    context: str = "container"
    with_: Literal["docker"] = field(default="docker", name="with")


class Hook(Base, frozen=True):
    lease: Duration = Duration(300)  # how long the hook waits for somebody to run the checks


Trigger = Literal["failure", "alarm", "stop"]


class Deployment(Base, frozen=True):
    strategy: str = "all-at-once"  # canary 10% 5m | linear 10% 1m | the name of a CodeDeploy config
    approval: Duration | None = None  # wait this long in Ready for `bgdeploy promote`
    keep_blue: Duration = Duration(300)
    rollback_on: tuple[Trigger, ...] = ("failure", "alarm", "stop")


class Check(Base, frozen=True):
    """One question to the new version on the test listener, before users see it."""

    name: str
    get: Path
    status: int = 200
    contains: str | None = None
    matches: str | None = None  # a regular expression that the body must hold
    json: dict[str, Any] = {}  # path → value: {"version": "v2", "checks.0.ok": true}
    header: dict[str, str] = {}  # name → value it must equal
    timeout: Duration = Duration(5)  # of one request
    within: Duration = Duration(30)  # ask again until it passes, for at most this long


class Alarm(Base, frozen=True):
    """A CloudWatch alarm on lines of the application's log."""

    name: Name
    log_filter: str
    threshold: Annotated[float, Meta(ge=0)] = 1
    period: Duration = Duration(60)
    evaluation_periods: Annotated[int, Meta(ge=1)] = 1


class Logs(Base, frozen=True):
    retention: Duration = Duration(14 * 86400)


class Config(Base, frozen=True):
    app: Name
    region: str = "us-east-1"
    network: Network = Network()
    load_balancer: LoadBalancer = LoadBalancer()
    container: Container = Container()
    service: Service = Service()
    build: Build = Build()
    deployment: Deployment = Deployment()
    hook: Hook = Hook()
    checks: tuple[Check, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    logs: Logs = Logs()


class Settings(Struct, frozen=True):
    """A project's config for one environment."""

    env: str
    config: Config

    @property
    def names(self) -> Names:
        """The names of the stack `<app>-<env>`."""
        return Names(f"{self.config.app}-{self.env}")
