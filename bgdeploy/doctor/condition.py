"""The condition that a stack is in, as plain values. `look` fills them, `judge` reads them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from bgdeploy.release.preflight import Standing
from bgdeploy.release.snapshot import Alarm, Snapshot


@dataclass(frozen=True)
class Unread:
    """What could not be looked at, and why; `broken` when that is itself what a release would fail on."""

    why: str
    hint: str = ""
    broken: bool = False


@dataclass(frozen=True)
class RoleSeen:
    """One of the stack's roles."""

    name: str
    service: str  # that is to assume it
    exists: bool = False
    trusting: bool = False  # its trust policy lets the service
    lacks: tuple[str, ...] = ()  # of what it is to be allowed: "s3:PutObject on arn:…"


@dataclass(frozen=True)
class HookSeen:
    """The hook's function."""

    name: str
    state: str | None = None  # None: there is none
    update: str = ""  # LastUpdateStatus
    current: bool = False  # its code is the project's
    denied: tuple[str, ...] = ()  # what its role may not do, of all that an answer takes
    simulated: bool = False  # IAM itself said so; else the role's policies were read
    doubts: tuple[
        tuple[str, str], ...
    ] = ()  # what the project's code may not be able to do, and what to do about it


@dataclass(frozen=True)
class AlarmSeen:
    """An alarm that the config declares, or that the deployment group watches."""

    alarm: Alarm
    declared: bool
    watched: bool
    blind: str = ""  # why it cannot go off
    doubt: str = ""  # what makes one doubt that it can
    silent: bool = False  # without data ever since it was made


@dataclass(frozen=True)
class Room:
    """How many tasks there is room for beside those that run."""

    tasks: int  # that a release starts
    addresses: int  # free in the tasks' subnets
    vcpus: float  # of one task
    quota: float | None = None  # vCPUs that the account may use at once; None: unknown
    used: float | None = None
    unread: str = ""  # why the quota is unknown


@dataclass(frozen=True)
class ImageSeen:
    """The image that production runs."""

    reference: str
    present: bool | None = None  # None: it is in no registry of this account's


@dataclass(frozen=True)
class LinkedRole:
    """A role that a service makes for itself, once for an account."""

    service: str
    exists: bool
    why: str  # what it is needed for


@dataclass(frozen=True)
class TopicSeen:
    """A topic that the config tells of releases."""

    arn: str
    exists: bool


@dataclass(frozen=True)
class InFlight:
    """The deployment that runs, if one does."""

    snapshot: Snapshot | None = None
    held_for: timedelta | None = None  # for so long the hook holds it
    attended: bool | None = None  # somebody runs its checks; None: nobody need


@dataclass(frozen=True)
class Condition:
    """All of it. What could not be read is Unread, and the rest is no less true."""

    account: str
    caller: str
    region: str
    roles: tuple[RoleSeen, ...] | Unread
    hook: HookSeen | Unread
    standing: Standing | Unread
    alarms: tuple[AlarmSeen, ...] | Unread
    room: Room | Unread
    image: ImageSeen | Unread
    linked: tuple[LinkedRole, ...] | Unread
    in_flight: InFlight | Unread
    leftovers: tuple[str, ...] | Unread  # claims of deployments that are over, never answered
    let_in: tuple[str, ...] | Unread  # to the test port, for checks that have ended: CIDRs
    topics: tuple[TopicSeen, ...] | Unread = ()
