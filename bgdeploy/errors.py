"""What can go wrong, as sentences with a way out, and the exit statuses they map to. Knows nothing else."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The exit statuses of every command; the README's table is this list."""

    DONE = 0
    ERROR = 1
    USAGE = 2
    CHANGES_PENDING = 3
    ROLLED_BACK = 4
    NEEDS_A_PERSON = 5
    GAVE_UP_WAITING = 6
    ANOTHER_IS_ACTIVE = 7
    INTERRUPTED = 130


class BgdeployError(Exception):
    """Something a person can act on: what happened and why, and in `hint` what to do next."""

    exit = Exit.ERROR

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(BgdeployError):
    """The command line or the project's files ask for something that cannot be."""

    exit = Exit.USAGE


class BusyError(BgdeployError):
    """Another deployment of the same deployment group is active."""

    exit = Exit.ANOTHER_IS_ACTIVE
