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

    @staticmethod
    def pattern() -> str:
        """Return the regular expression of what `parse` takes, for the schema."""
        return rf"^(?=\S){_DURATION.pattern}$"

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


def lasting(text: str) -> Any:
    """Return the default of a field that holds a duration."""
    return field(default_factory=lambda: Duration.parse(text))


Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]*$", max_length=40)]
Port = Annotated[int, Meta(ge=1, le=65535)]
Path = Annotated[str, Meta(pattern=r"^/")]


class Base(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mapping of the config."""


class CreateNetwork(Base, frozen=True):
    cidr: str = "10.20.0.0/16"


class Network(Base, frozen=True):
    create: CreateNetwork = field(default_factory=CreateNetwork)


class ProductionListener(Base, frozen=True):
    port: Port = 80


class TestListener(Base, frozen=True):
    port: Port = 8080
    allow: tuple[str, ...] = ("vpc",)  # who may reach it: vpc, or a CIDR


class HealthCheck(Base, frozen=True):
    path: Path = "/"
    interval: Duration = lasting("10s")
    timeout: Duration = lasting("5s")
    healthy: Annotated[int, Meta(ge=2, le=10)] = 2
    unhealthy: Annotated[int, Meta(ge=2, le=10)] = 2


class LoadBalancer(Base, frozen=True):
    production: ProductionListener = field(default_factory=ProductionListener)
    test: TestListener = field(default_factory=TestListener)
    health_check: HealthCheck = field(default_factory=HealthCheck)
    deregistration_delay: Duration = lasting("30s")


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
    lease: Duration = lasting("5m")  # how long the hook waits for somebody to run the checks


Trigger = Literal["failure", "alarm", "stop"]


class Deployment(Base, frozen=True):
    strategy: str = "all-at-once"  # canary 10% 5m | linear 10% 1m | the name of a CodeDeploy config
    approval: Duration | None = None  # wait this long in Ready for `bgdeploy promote`
    keep_blue: Duration = lasting("5m")
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
    timeout: Duration = lasting("5s")  # of one request
    within: Duration = lasting("30s")  # ask again until it passes, for at most this long


class Alarm(Base, frozen=True):
    """A CloudWatch alarm on lines of the application's log."""

    name: Name
    log_filter: str
    threshold: Annotated[float, Meta(ge=0)] = 1
    period: Duration = lasting("1m")
    evaluation_periods: Annotated[int, Meta(ge=1)] = 1


class Logs(Base, frozen=True):
    retention: Duration = lasting("14d")


class Config(Base, frozen=True):
    app: Name
    region: str = "us-east-1"
    network: Network = field(default_factory=Network)
    load_balancer: LoadBalancer = field(default_factory=LoadBalancer)
    container: Container = field(default_factory=Container)
    service: Service = field(default_factory=Service)
    build: Build = field(default_factory=Build)
    deployment: Deployment = field(default_factory=Deployment)
    hook: Hook = field(default_factory=Hook)
    checks: tuple[Check, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    logs: Logs = field(default_factory=Logs)


class Settings(Struct, frozen=True):
    """A project's config for one environment."""

    env: str
    config: Config

    @property
    def names(self) -> Names:
        """The names of the stack `<app>-<env>`."""
        return Names(f"{self.config.app}-{self.env}")
