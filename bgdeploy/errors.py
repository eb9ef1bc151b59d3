"""What can go wrong, as sentences with a way out, and the exit statuses they map to. Knows nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

# How a line of progress begins that is also for those who asked for none.
WARNING = "warning: "


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
    """Something a person can act on: what happened and why, and in `hint` what to do next.

    `result` is what a program may want to know about it: the id of the deployment that is in the way, the problems.
    """

    exit = Exit.ERROR

    def __init__(self, message: str, hint: str = "", result: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.result: Mapping[str, Any] = result or {}


class UsageError(BgdeployError):
    """The command line or the project's files ask for something that cannot be."""

    exit = Exit.USAGE


class BusyError(BgdeployError):
    """Another deployment of the same deployment group is active."""

    exit = Exit.ANOTHER_IS_ACTIVE


class InterruptError(BgdeployError):
    """Somebody pressed Ctrl-C. The message says what was done until then."""

    exit = Exit.INTERRUPTED
