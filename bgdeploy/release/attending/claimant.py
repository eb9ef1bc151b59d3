"""Who holds a claim: one bgdeploy process, told apart from all others, and whether it is still alive."""

from __future__ import annotations

import getpass
import os
import secrets
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Claimant:
    """A process that runs checks, or one that did."""

    owner: str  # user@host, for people
    host: str
    pid: int
    started: str  # the process's start token: a pid alone may be somebody else's by now
    token: str = field(default_factory=lambda: secrets.token_hex(8))  # one for each attendant of a process

    @classmethod
    def me(cls) -> Claimant:
        """Return this process as a claimant."""
        pid = os.getpid()
        return cls(who(), socket.gethostname(), pid, start_token(pid) or "")


def who() -> str:
    """Return user@host of who runs this."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user need not have a name
        user = f"uid-{os.getuid()}" if hasattr(os, "getuid") else "somebody"
    return f"{user}@{socket.gethostname()}"


def dead(other: Claimant, me: Claimant, token_of: Callable[[int], str | None] | None = None) -> bool:
    """Tell whether `other` is a process of this very machine that has ended. False where that cannot be known.

    A host's name proves little: containers share names, and number their processes alike. So does the place that
    the start token begins with: the boot of the machine, and the namespace that the pid counts in.
    """
    place, _, _ = me.started.rpartition("/")
    if not other.started or other.host != me.host or other.started.rpartition("/")[0] != place:
        return False
    return (token_of or start_token)(other.pid) != other.started


def start_token(pid: int) -> str | None:
    """Return what tells a process from a later one with the same pid, None when there is no such process."""
    if not Path("/proc/self/stat").exists():
        return _from_ps(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        place = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        return None
    # The second field is the program's name, and may hold blanks: count after its closing parenthesis (proc(5)).
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else f"{place}.{namespace}/{fields[19]}"


def _from_ps(pid: int) -> str | None:
    try:
        asked = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    return asked.stdout.strip().replace(" ", "-") or None
