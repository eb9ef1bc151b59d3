"""Targets, and what other parts may know of target groups and listeners."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from itertools import count

_registrations = count(1)
_NOT_IN_USE = {
    "State": "unused",
    "Reason": "Target.NotInUse",
    "Description": "Target group is not configured to receive traffic from the load balancer",
}
_NOT_REGISTERED = {
    "State": "unused",
    "Reason": "Target.NotRegistered",
    "Description": "Target is not registered to the target group",
}


@dataclass
class Target:
    """Something registered in a target group."""

    ip: str
    port: int
    endpoint: tuple[str, int] | None = None  # where it really listens; None: nowhere on this machine
    security_groups: tuple[str, ...] = ()  # of its network interface, as far as the sandbox knows it
    state: str = "initial"
    reason: str = "Elb.RegistrationInProgress"
    detail: str = "Target registration is in progress"
    leaves: datetime | None = None  # while draining: when the deregistration delay is over
    drained: bool = False  # while draining: the balancer carries nothing to it any more
    patience: float = (
        0.0  # while draining: until when requests under way are waited for, on the machine's clock
    )
    number: int = field(default_factory=lambda: next(_registrations))

    @property
    def id(self) -> str:
        return name_of(self.ip, self.port)

    @property
    def registration(self) -> str:
        """What the balancer knows it by: a target that leaves and comes back is another one."""
        return f"{self.id}#{self.number}"

    def begin(self) -> None:
        """Be as new: the balancer is about to check it for the first time."""
        self.state, self.reason, self.detail = "initial", "Elb.RegistrationInProgress", ""
        self.detail = "Target registration is in progress"

    def told(self, *, in_use: bool) -> dict[str, str]:
        """Return its health as DescribeTargetHealth has it. `in_use`: a listener forwards to its group."""
        if self.leaves is None and not in_use:
            return dict(_NOT_IN_USE)
        told = {"State": self.state, "Reason": self.reason, "Description": self.detail}
        return {name: value for name, value in told.items() if value}


def name_of(ip: str, port: int) -> str:
    """Return what a target is known by in its group."""
    return f"{ip}:{port}"


def not_registered() -> dict[str, str]:
    """Return the health of a target that a caller asked for and that is not there."""
    return dict(_NOT_REGISTERED)


@dataclass(frozen=True)
class GroupView:
    """What other parts may know of a target group."""

    arn: str
    name: str
    load_balancers: tuple[str, ...]
    target_type: str = "ip"


@dataclass(frozen=True)
class ListenerView:
    """What other parts may know of a listener."""

    arn: str
    load_balancer: str
    port: int
    protocol: str
