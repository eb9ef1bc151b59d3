"""Listeners, target groups and targets as the balancer holds them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


def tell(what: Mapping[str, Any]) -> None:
    """Tell the sandbox something: one line of JSON."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


@dataclass
class Target:
    """One target of a group, and what its health checks have found."""

    id: str  # of its registration: a target that leaves and comes back is another one
    host: str
    port: int
    reachable: bool = True  # False: a security group drops what is sent to it
    draining: bool = False
    state: str = "initial"
    reason: str = "Elb.InitialHealthChecking"
    detail: str = "Initial health checks in progress"
    streak: int = 0  # successes, or failures when negative
    in_flight: int = 0
    checking: asyncio.Task[None] | None = None

    @property
    def token(self) -> str:
        """What the load balancer's cookie calls it."""
        return hashlib.sha256(self.id.encode()).hexdigest()

    def begin(self) -> None:
        """A request is on its way to it."""
        self.in_flight += 1

    def end(self) -> None:
        """A request to it is over."""
        self.in_flight -= 1
        if self.draining and not self.in_flight:
            tell({"drained": self.id})

    def drain(self) -> None:
        """Take no more requests; those under way finish."""
        if self.draining:
            return
        self.draining = True
        self.stop_checking()
        if not self.in_flight:
            tell({"drained": self.id})

    def stop_checking(self) -> None:
        if self.checking is not None:
            self.checking.cancel()
            self.checking = None

    def tell_health(self) -> None:
        tell({"target": self.id, "state": self.state, "reason": self.reason, "detail": self.detail})


@dataclass
class Served:
    """What a target group has answered since it was last told about."""

    codes: Counter[str] = field(
        default_factory=Counter
    )  # "2", "3", "4", "5" by the targets, "error" by nobody
    seconds: list[float] = field(default_factory=list)  # until a target's answer began


@dataclass
class Group:
    """A target group."""

    arn: str
    health: Mapping[str, Any] = field(default_factory=dict)
    targets: dict[str, Target] = field(default_factory=dict)
    served: Served = field(default_factory=Served)
    turn: int = 0
    sticky: float = 0.0  # real seconds for which a cookie binds a visitor to a target; 0: not at all

    def candidates(self, bound: str = "") -> list[Target]:
        """Return whom to ask, best first: the healthy in turn; all when none is (a load balancer fails open).

        A visitor who is `bound` to a target, by its token, is taken there first.
        """
        open_ones = [target for target in self.targets.values() if not target.draining]
        usable = [target for target in open_ones if target.state == "healthy"] or open_ones
        self.turn += 1
        first = self.turn % len(usable) if usable else 0
        inturn = usable[first:] + usable[:first]
        return sorted(inturn, key=lambda target: target.token != bound) if self.sticky else inturn


@dataclass
class Listener:
    """One port, and where its requests go. A refused port behaves as one whose packets are dropped."""

    arn: str
    host: str
    bind: int
    port: int  # as AWS knows it
    reachable: bool
    protocol: str  # HTTP, or HTTPS, which is served as plain HTTP all the same
    idle: float  # real seconds after which a target that says nothing is given up
    routes: Sequence[Mapping[str, Any]] = ()
    refused: Counter[str] = field(default_factory=Counter)  # "502", "503", "504" of the load balancer's own

    @staticmethod
    def wanted(described: Mapping[str, Any]) -> Listener:
        """Return the listener that the sandbox describes."""
        return Listener(
            described["arn"],
            described["host"],
            described["bind"],
            described["port"],
            described["reachable"],
            described["protocol"],
            described["idle"],
            described["routes"],
        )

    def adopt(self, other: Listener) -> None:
        """Go on as `other`, through the same door."""
        self.protocol, self.idle, self.routes = other.protocol, other.idle, other.routes

    def same_door(self, other: Listener | None) -> bool:
        """Tell whether `other` listens in the same place and the same way, whatever its routes."""
        return other is not None and (self.host, self.bind, self.reachable) == (
            other.host,
            other.bind,
            other.reachable,
        )
