"""Whose a sandbox's folder is: a lock that the kernel keeps, and that ends with the process, however it ends."""

from __future__ import annotations

import fcntl
import os
from contextlib import closing, suppress
from pathlib import Path

_LOCK = "sandbox.lock"


class FolderLock:
    """Held by the one process that has the folder. Its file holds the number of that process, for people."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _LOCK
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Take it, and return whether it is ours: not when another process has it, or the folder is gone."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except (FileNotFoundError, NotADirectoryError):
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        self.release()
        self._descriptor = descriptor
        return True

    def held(self) -> bool:
        """Tell whether it is ours still, whatever somebody has done to its file."""
        if self._descriptor is None:
            return False
        with suppress(FileNotFoundError, NotADirectoryError):
            return os.path.samestat(self._path.stat(), os.fstat(self._descriptor))
        return False

    def release(self) -> None:
        """Let it go."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def holder(folder: Path) -> int | None:
    """Return the process that has the folder, 0 when the lock's file does not tell which, None when none has it."""
    try:
        file = (folder / _LOCK).open("rb")
    except OSError:
        return None
    with closing(file):
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            told = file.read(20).strip()
            return int(told) if told.isdigit() else 0
    return None
