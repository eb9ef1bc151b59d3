"""What CodeDeploy remembers: applications, deployment groups, configs, revisions and deployments, as plain values."""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bgdeploy.sandbox.codedeploy.appspec import AppSpec
from bgdeploy.sandbox.codedeploy.ends import EndedError

Members = dict[str, Any]

TERMINAL = frozenset({"Succeeded", "Failed", "Stopped"})
# In this order; a group without a test listener has six of them (aws-facts 1.4).
EVENTS = (
    "BeforeInstall",
    "Install",
    "AfterInstall",
    "AllowTestTraffic",
    "AfterAllowTestTraffic",
    "BeforeAllowTraffic",
    "AllowTraffic",
    "AfterAllowTraffic",
)
TEST_EVENTS = frozenset({"AllowTestTraffic", "AfterAllowTestTraffic"})


@dataclass(frozen=True)
class Increment:
    """One step of a shift: what green gets now, in percent, and how long to wait before the next step."""

    percent: int
    wait: timedelta = timedelta()


@dataclass(frozen=True)
class Plan:
    """What a deployment was told to do, fixed when it is created (aws-facts 5.5)."""

    region: str
    cluster: str
    service: str
    role: str  # the service role's ARN
    production: str  # listener ARNs
    test: str | None
    target_groups: tuple[str, str]  # names or ARNs, as the deployment group has them
    increments: tuple[Increment, ...]
    ready_wait: timedelta | None  # None: no wait for ContinueDeployment
    keep_blue: timedelta
    rollback_on: frozenset[str]
    alarms: tuple[str, ...]
    ignore_alarm_failure: bool = False

    @property
    def events(self) -> list[Event]:
        """The lifecycle events of a deployment by this plan, all of them still to come."""
        names = EVENTS if self.test else tuple(name for name in EVENTS if name not in TEST_EVENTS)
        return [Event(name) for name in names]


@dataclass
class Event:
    """One lifecycle event."""

    name: str
    status: str = "Pending"
    start: datetime | None = None
    end: datetime | None = None


@dataclass
class Hook:
    """One invocation of a hook function, until it has answered."""

    event: Event
    answer: str | None = None
    error: str | None = None  # how the function itself ended, when that was in an error


@dataclass(frozen=True)
class Rollback:
    """The deployment that rolls another one back, as `rollbackInfo` will show it from `since` on."""

    id: str
    since: datetime


@dataclass
class Deployment:
    """One deployment, from Created to its end."""

    id: str
    application: str
    group: str
    group_id: str
    plan: Plan
    echo: Members  # what GetDeployment merely repeats of the request and the group
    created: datetime
    creator: str = "user"
    spec: AppSpec | None = None
    revision: Members | None = None  # with its content; GetDeployment leaves that out
    events: list[Event] = field(default_factory=list)
    status: str = "Created"
    started: datetime | None = None
    completed: datetime | None = None
    updated: datetime | None = None
    error: EndedError | None = None
    termination_wait_started: bool = False
    blue: str | None = None  # task set ids
    green: str | None = None
    service_arn: str = ""
    hooks: dict[str, Hook] = field(default_factory=dict)  # by execution id
    interruption: EndedError | None = None  # a stop that is to be obeyed at the next step
    continued: set[str] = field(default_factory=set)  # waits that ContinueDeployment has ended
    rollback: Rollback | None = None
    rolls_back: str | None = None  # the id of the deployment that this one rolls back
    task_sets: list[Members] | None = None  # as they were at the end

    @property
    def over(self) -> bool:
        return self.status in TERMINAL

    @property
    def running_event(self) -> Event | None:
        return next((event for event in self.events if event.status == "InProgress"), None)

    @property
    def target_id(self) -> str:
        """ECS targets are called cluster:service (aws-facts 3)."""
        return f"{self.plan.cluster}:{self.plan.service}"


@dataclass
class Revision:
    """A registered revision of an application."""

    location: Members
    registered: datetime
    description: str = ""
    first_used: datetime | None = None
    last_used: datetime | None = None
    groups: list[str] = field(default_factory=list)


@dataclass
class Config:
    """A deployment configuration: how traffic shifts."""

    name: str
    id: str
    platform: str
    created: datetime
    members: Members  # trafficRoutingConfig, minimumHealthyHosts, zonalConfig
    increments: tuple[Increment, ...] = ()


@dataclass
class Group:
    """A deployment group; `settings` are the API's own members, merged over updates."""

    id: str
    application: str
    name: str
    settings: Members
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def service(self) -> tuple[str, str]:
        """The cluster and the service it deploys to."""
        return service_names(self.settings)


@dataclass
class Application:
    """An application: a name for groups and revisions."""

    id: str
    name: str
    platform: str
    created: datetime
    groups: dict[str, Group] = field(default_factory=dict)
    revisions: dict[tuple[str, ...], Revision] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


def service_names(settings: Mapping[str, Any]) -> tuple[str, str]:
    """Return the names of a group's cluster and service, which may have been given as ARNs (aws-facts 5.1)."""
    entry = settings["ecsServices"][0]
    return entry["clusterName"].rpartition("/")[2], entry["serviceName"].rpartition("/")[2]


def new_deployment_id() -> str:
    """Return an id as AWS makes them: "d-" and nine upper-case letters and digits (aws-facts 1.1)."""
    return "d-" + "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(9))


def revision_key(location: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what tells one revision from another: the hash of its text, or its place in S3."""
    kind = str(location.get("revisionType", ""))
    if kind == "S3":
        place = location.get("s3Location", {})
        return (kind, *(str(place.get(part, "")) for part in ("bucket", "key", "version", "eTag")))
    body = location.get("appSpecContent") or location.get("string") or {}
    return (kind, str(body.get("sha256", "")))
