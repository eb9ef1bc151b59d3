"""What a stack should be: the types that `config/*.yaml` is read into. `project.py` reads the files."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from bgdeploy.checktypes import Check as Check
from bgdeploy.names import Names
from bgdeploy.quantities import Duration as Duration
from bgdeploy.quantities import Latency as Latency
from bgdeploy.quantities import Percent as Percent
from bgdeploy.quantities import SecretUrl as SecretUrl
from bgdeploy.quantities import lasting

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]*$", max_length=40)]
Port = Annotated[int, Meta(ge=1, le=65535)]
Path = Annotated[str, Meta(pattern=r"^/")]
CALLER = "caller"  # among who may reach the test listener


class Base(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mapping of the config."""


class CreateNetwork(Base, frozen=True):
    cidr: str = "10.20.0.0/16"
    zones: Literal[2, 3] = 2
    # What tasks reach the world by: none, they have public addresses; nat, a NAT gateway before private subnets;
    # endpoints, nothing but the AWS services that they need, from private subnets.
    private: Literal["none", "nat", "endpoints"] = "none"


Tags = dict[str, str]
Subnets = tuple[str, ...] | Tags


class UseNetwork(Base, frozen=True):
    """A network that is there already, and stays as it is; found by ids, or by the tags that all of it carries."""

    vpc: str | Tags
    task_subnets: Subnets
    load_balancer_subnets: Subnets = ()  # not with load_balancer.use


class Network(Base, frozen=True):
    create: CreateNetwork | None = None
    use: UseNetwork | None = None

    @property
    def made(self) -> CreateNetwork | None:
        """The network to create, None where an existing one is used."""
        return None if self.use else self.create or CreateNetwork()


class ProductionListener(Base, frozen=True):
    port: Port = 80
    certificate: Annotated[str, Meta(pattern=r"^arn:[\w-]+:(acm|iam):")] | None = None  # makes it HTTPS
    tls_policy: str = "ELBSecurityPolicy-TLS13-1-2-2021-06"  # which versions and ciphers clients may use
    redirect_http: bool = False  # whoever asks port 80 is sent to HTTPS


class TestListener(Base, frozen=True):
    """HTTPS when production is, with the same certificate."""

    port: Port = 8080
    # Who may reach it: vpc, who is inside; caller, whoever runs checks, while they run; a CIDR.
    allow: tuple[str, ...] = ("vpc", CALLER)
    caller_address: str | None = None  # where `caller` is seen from, instead of asking AWS for it


class HealthCheck(Base, frozen=True):
    path: Path = "/"
    interval: Duration = lasting("10s")
    timeout: Duration = lasting("5s")
    healthy: Annotated[int, Meta(ge=2, le=10)] = 2
    unhealthy: Annotated[int, Meta(ge=2, le=10)] = 2


class AccessLogs(Base, frozen=True):
    bucket: str  # somebody else's: it outlives the stack, and its policy lets the load balancer write
    prefix: str = ""


class LoadBalancer(Base, frozen=True):
    use: Annotated[str, Meta(pattern=r":loadbalancer/app/[\w-]+/\w+$")] | None = (
        None  # the ARN of an existing one
    )
    production: ProductionListener = field(default_factory=ProductionListener)
    test: TestListener = field(default_factory=TestListener)
    host: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9.-]*$")] | None = (
        None  # by which visitors know the application
    )
    health_check: HealthCheck = field(default_factory=HealthCheck)
    deregistration_delay: Duration = lasting("30s")
    stickiness: Duration | None = None  # for so long a visitor comes back to the same task
    idle_timeout: Duration = lasting("60s")
    deletion_protection: bool = False
    access_logs: AccessLogs | None = None

    @property
    def lets_callers_in(self) -> bool:
        """Tell whether whoever runs checks is let in meanwhile; the groups of an existing one are never changed."""
        return self.use is None and CALLER in self.test.allow


class ContainerHealth(Base, frozen=True):
    """How ECS itself asks a container whether it is well."""

    command: str | tuple[str, ...]  # a line for the container's shell, or a program and its arguments
    interval: Duration = lasting("30s")
    timeout: Duration = lasting("5s")
    retries: Annotated[int, Meta(ge=1, le=10)] = 3
    start_period: Duration = lasting("0s")  # in which failures do not count


Condition = Literal["start", "complete", "success", "healthy"]


class Process(Base, frozen=True):
    """What is said of any container."""

    environment: dict[str, str] = {}
    secrets: dict[str, str] = {}  # name → where its value is kept: an ARN, or the name of a parameter
    command: tuple[str, ...] = ()  # instead of the image's
    entrypoint: tuple[str, ...] = ()
    user: str | None = None
    health_check: ContainerHealth | None = None
    stop_timeout: Duration | None = None  # between SIGTERM and SIGKILL
    read_only: bool = False  # its root file system
    depends_on: dict[str, Condition] = {}  # which container must have come how far before this one starts


class Container(Process, frozen=True):
    """The container that traffic goes to, and the size of the task it runs in."""

    name: Name = "web"
    port: Port = 80
    cpu: Literal[256, 512, 1024, 2048, 4096, 8192, 16384] = 256
    memory: int = 512  # MiB
    architecture: Literal["x86_64", "arm64"] = "x86_64"
    ephemeral_storage: Annotated[int, Meta(ge=21, le=200)] | None = None  # GiB


class Sidecar(Process, frozen=True, kw_only=True):
    """A container beside it, in the same task."""

    name: Name
    image: str
    essential: bool = True  # the task ends when it does
    ports: tuple[Port, ...] = ()


class Statement(Base, frozen=True):
    """What a role may do beside what bgdeploy grants it."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]


class TaskRole(Base, frozen=True):
    """What the application may do in AWS: nothing, unless it says so here."""

    policies: tuple[str, ...] = ()  # ARNs of managed policies
    statements: tuple[Statement, ...] = ()


class ExecutionRole(Base, frozen=True):
    """What ECS needs beside image, log and secrets to start a task."""

    kms_keys: tuple[str, ...] = ()  # ARNs of the customer managed keys that the secrets are encrypted with


class Scale(Base, frozen=True):
    """Auto scaling by target tracking: the number of tasks that keeps each of these at its target."""

    min: Annotated[int, Meta(ge=1, le=1000)]
    max: Annotated[int, Meta(ge=1, le=1000)]
    cpu: Annotated[int, Meta(ge=1, le=100)] | None = None  # percent, on average over all tasks
    memory: Annotated[int, Meta(ge=1, le=100)] | None = None
    requests_per_target: Annotated[int, Meta(ge=1)] | None = None  # in a minute
    scale_in_cooldown: Duration = lasting("5m")
    scale_out_cooldown: Duration = lasting("1m")


class Service(Base, frozen=True):
    tasks: Annotated[int, Meta(ge=1, le=1000)] = 1  # with `scale`: to begin with
    scale: Scale | None = None
    exec: bool = False  # `aws ecs execute-command` into running tasks
    health_check_grace: Duration = lasting("60s")  # in which a new task may fail the load balancer's checks
    platform_version: Annotated[str, Meta(pattern=r"^(LATEST|\d+\.\d+\.\d+)$")] = "LATEST"


class Build(Base, frozen=True):
    context: str = "container"
    with_: Literal["docker"] = field(default="docker", name="with")


class Hook(Base, frozen=True):
    lease: Duration = lasting("5m")  # how long the hook waits for somebody to run the checks


Trigger = Literal["failure", "alarm", "stop"]


class EarlyFail(Base, frozen=True):
    """What stops a release that gets nowhere, before users are on it, instead of waiting CodeDeploy's hour."""

    stopped_tasks: Annotated[int, Meta(ge=1)] | Literal["none"] = 2  # new tasks that stop by themselves
    no_progress: Duration | None = lasting("10m")  # in which no event, task or target moves


class Deployment(Base, frozen=True):
    strategy: str = "all-at-once"  # canary P% D | linear P% D | the name of a CodeDeploy config
    approval: Duration | None = None  # wait this long in Ready for `bgdeploy promote`
    keep_blue: Duration = lasting("5m")
    rollback_on: tuple[Trigger, ...] = ("failure", "alarm", "stop")
    early_fail: EarlyFail = field(default_factory=EarlyFail)


class TargetErrors(Base, frozen=True):
    """Answers with a status of 500 or more, of the tasks of both colours together: a share of all, or a number."""

    rate: Percent | None = None
    count: Annotated[int, Meta(ge=1)] | None = None


class SlowAnswers(Base, frozen=True):
    """A percentile of the time that the tasks of a colour take to answer, the slower colour's."""

    above: Latency


class SlowPercentile(SlowAnswers, frozen=True):
    percentile: Annotated[float, Meta(gt=0, lt=100)]


class UnhealthyHosts(Base, frozen=True):
    """Tasks of both colours together that fail the load balancer's health check at the same time."""

    count: Annotated[int, Meta(ge=1)] = 1


class Alarm(Base, frozen=True):
    """A CloudWatch alarm that rolls a release back: on one of the things below, or one that exists already."""

    name: Name | None = None
    log_filter: str | None = None  # a pattern of CloudWatch Logs: counts the lines of the log that match
    target_5xx: TargetErrors | None = None
    latency_p90: SlowAnswers | None = None
    latency_p95: SlowAnswers | None = None
    latency_p99: SlowAnswers | None = None
    latency: SlowPercentile | None = None  # for any other percentile
    unhealthy_hosts: UnhealthyHosts | None = None
    existing: str | None = None  # the name of an alarm that is not ours: watched, never changed
    threshold: Annotated[float, Meta(ge=0)] | None = None  # of log_filter, in lines a period
    period: Duration = lasting("1m")
    evaluation_periods: Annotated[int, Meta(ge=1)] = 1
    datapoints: Annotated[int, Meta(ge=1)] | None = None  # that must be bad; none: all periods
    missing_data: Literal["good", "bad", "ignore", "missing"] = "good"

    @property
    def slow(self) -> SlowPercentile | None:
        """Whichever of the keys for a percentile is written."""
        known = {90: self.latency_p90, 95: self.latency_p95, 99: self.latency_p99}
        found = (SlowPercentile(percentile=p, above=one.above) for p, one in known.items() if one)
        return self.latency or next(found, None)


class Logs(Base, frozen=True):
    retention: Duration = lasting("14d")


Occasion = Literal["start", "approval", "end"]


class Notification(Base, frozen=True):
    """Who is told of releases, one of the two, and of what about them."""

    sns: Annotated[str, Meta(pattern=r"^arn:[\w-]+:sns:[\w-]+:\d{12}:[\w-]{1,256}$")] | None = None  # a topic
    webhook: SecretUrl | None = None  # takes the JSON that Slack takes
    on: tuple[Occasion, ...] = ("start", "approval", "end")


class Config(Base, frozen=True):
    app: Name
    region: str = "us-east-1"
    network: Network = field(default_factory=Network)
    load_balancer: LoadBalancer = field(default_factory=LoadBalancer)
    container: Container = field(default_factory=Container)
    sidecars: tuple[Sidecar, ...] = ()
    service: Service = field(default_factory=Service)
    task_role: TaskRole = field(default_factory=TaskRole)
    execution_role: ExecutionRole = field(default_factory=ExecutionRole)
    build: Build = field(default_factory=Build)
    deployment: Deployment = field(default_factory=Deployment)
    hook: Hook = field(default_factory=Hook)
    checks: tuple[Check, ...] = ()
    checks_from: Literal["caller", "hook"] = (
        "caller"  # who runs those before the shift: bgdeploy, or its hook
    )
    alarms: tuple[Alarm, ...] = ()
    logs: Logs = field(default_factory=Logs)
    notifications: tuple[Notification, ...] = ()

    @property
    def topics(self) -> tuple[str, ...]:
        """The ARNs of the topics that are told of releases."""
        return tuple(dict.fromkeys(one.sns for one in self.notifications if one.sns))


class Settings(Struct, frozen=True):
    """A project's config for one environment."""

    env: str
    config: Config

    @property
    def names(self) -> Names:
        """The names of the stack `<app>-<env>`."""
        return Names(f"{self.config.app}-{self.env}")
