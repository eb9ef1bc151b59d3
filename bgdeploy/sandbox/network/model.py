"""A network interface, as everything that stands in a subnet has one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Interface:
    """One network interface. Nothing can be deleted from under it."""

    id: str
    subnet: str
    description: str
    requester: str  # the service that manages it, "" when a person made it
    security_groups: tuple[str, ...] = ()
    public: bool = False  # has a public address
    kind: str = "interface"  # AWS's InterfaceType
    address: str = ""  # its private one; "": any of its subnet


def interface_id(*owner: str) -> str:
    """Return the id of the interface that belongs to `owner`: always the same one."""
    return f"eni-{hashlib.sha256('/'.join(owner).encode()).hexdigest()[:17]}"
