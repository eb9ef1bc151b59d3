"""Which keys somebody who watches a release may press, and what each means there. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from bgdeploy.release.checks import Stage
from bgdeploy.release.phase import Phase, phase, replaces_placeholder
from bgdeploy.release.snapshot import Snapshot


class Action(str, Enum):
    """What a key does."""

    PROMOTE = "promote"
    ACCEPT = "accept"
    REMOVE = "remove"
    STOP = "stop"
    LOGS = "logs"
    DETACH = "detach"


@dataclass(frozen=True)
class Offer:
    """A key, and what pressing it does now."""

    key: str
    action: Action
    label: str
    twice: bool = False  # it cannot be taken back, so one press may be a slip, or late for the wait before


_STOPPABLE = {
    Phase.CREATED,
    Phase.INSTALLING,
    Phase.TEST_TRAFFIC,
    Phase.CHECKING,
    Phase.READY,
    Phase.SHIFTING,
    Phase.SHIFTED,
}


def offers(snapshot: Snapshot, stage: Stage = "idle") -> tuple[Offer, ...]:
    """Return the keys that do something where the deployment is, with its checks at `stage`."""
    return tuple(_offers(snapshot, phase(snapshot), stage))


def _offers(snapshot: Snapshot, where: Phase, stage: Stage) -> Iterator[Offer]:
    if where is Phase.CHECKING and stage == "asking":
        yield Offer("p", Action.ACCEPT, "accept the checks")
    elif where is Phase.READY:
        yield Offer("p", Action.PROMOTE, "promote")
    elif where is Phase.SHIFTED and not replaces_placeholder(snapshot):
        yield Offer("p", Action.REMOVE, "remove blue now", twice=True)
    if where in _STOPPABLE and not snapshot.deployment.rolls_back:
        yield Offer("a", Action.STOP, "stop and roll back", twice=True)
    yield Offer("l", Action.LOGS, "logs")
    yield Offer("d", Action.DETACH, "detach")


def chosen(key: str, offered: tuple[Offer, ...]) -> Offer | None:
    """Return the offer that a key takes up, None for one that does nothing."""
    return next((offer for offer in offered if offer.key == key.lower()), None)
