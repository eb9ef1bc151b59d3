"""Where a load balancer of the sandbox listens: a loopback address of its own, with its real ports where that works.

Where it does not (no other loopback addresses, or ports that only root may open) a listener gets a high port of
127.0.0.1, and the tag `bgdeploy:url` says so.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field

_RESERVING_PORT = 47113  # whoever holds it on an address has the address, across all sandboxes
_PLAIN = "127.0.0.1"


@dataclass
class Addresses:
    """The loopback addresses that this sandbox has taken: load balancer → the socket that holds its address."""

    held: dict[str, socket.socket] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    _ports: dict[tuple[str, int], int] = field(default_factory=dict)

    def take(self, balancer: str) -> str:
        """Return the address of `balancer`, taking one that no other sandbox has."""
        if balancer in self.names:
            return self.names[balancer]
        for last in range(2, 255):
            address = f"127.0.0.{last}"
            holder = _bound(address, _RESERVING_PORT)
            if holder is not None:
                self.held[balancer] = holder
                self.names[balancer] = address
                return address
        self.names[balancer] = _PLAIN
        return _PLAIN

    def endpoint(self, balancer: str, port: int) -> tuple[str, int]:
        """Return the host and port where the listener on `port` of `balancer` really listens."""
        address = self.take(balancer)
        if (balancer, port) not in self._ports:
            probe = _bound(address, port) if address != _PLAIN else None
            self._ports[balancer, port] = port if probe is not None else free_port()
            if probe is not None:
                probe.close()
        real = self._ports[balancer, port]
        return (address if real == port else _PLAIN), real

    def lose(self, balancer: str, port: int) -> None:
        """Somebody else has the port where this listener was to listen: give it a high one."""
        self._ports[balancer, port] = free_port()

    def release(self, balancer: str) -> None:
        """Give the address of `balancer` back."""
        self.names.pop(balancer, None)
        holder = self.held.pop(balancer, None)
        if holder is not None:
            holder.close()
        for key in [key for key in self._ports if key[0] == balancer]:
            del self._ports[key]

    def close(self) -> None:
        """Give all addresses back."""
        for balancer in list(self.names):
            self.release(balancer)


def _bound(address: str, port: int) -> socket.socket | None:
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        holder.bind((address, port))
        holder.listen(1)
    except OSError:
        holder.close()
        return None
    return holder


def free_port() -> int:
    """Return a port of this machine that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind((_PLAIN, 0))
        return int(probe.getsockname()[1])
