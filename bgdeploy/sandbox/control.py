"""Starts, finds and stops the sandbox's process. Standard library only: the command line imports it before anything.

What is known of a running sandbox is in one file that nobody but its owner can read, because it holds the key.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bgdeploy.clock import Clock, SystemClock
from bgdeploy.sandbox.lock import FolderLock, holder
from bgdeploy.sandbox.record import Recorded

_PATIENCE = 60.0  # real seconds for a start
_GRACE = 5.0  # real seconds for a stop; then it is killed, and its reaper ends what it had started
_SETTLING = (
    6.0  # real seconds in which one that starts, ends, or has lost its state file is through with that
)
_STATE = "sandbox.json"


class SandboxError(Exception):
    """The sandbox cannot be started, reached or stopped: what happened, and what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class Running:
    """A sandbox that runs, and how to reach it."""

    endpoint: str
    access_key: str
    secret_key: str
    region: str
    pid: int
    home: str
    speed: float

    def exports(self) -> dict[str, str]:
        """Return the environment that points any AWS client, and the image builder, at this sandbox."""
        docker = [sys.executable, "-m", "bgdeploy.sandbox.docker"]
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            # A profile or endpoint in the user's own files must not lead a client elsewhere.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "BGDEPLOY_CHECKIP_URL": f"{self.endpoint}/_sandbox/checkip",
            "BGDEPLOY_DOCKER": shlex.join(docker),
            "BGDEPLOY_SANDBOX_HOME": self.home,
        }


def default_home() -> Path:
    """Return the folder of the sandbox that commands use when no other is named."""
    named = os.environ.get("BGDEPLOY_SANDBOX_HOME")
    if named:
        return Path(named)
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "bgdeploy" / "sandbox"


def find(home: Path | None = None, *, clock: Clock | None = None) -> Running | None:
    """Return the sandbox that runs in `home`, None when none does. Raises SandboxError when it cannot be reached."""
    folder, found = home or default_home(), list[Running]()

    def settled() -> bool:
        found.extend(filter(None, [_reach(folder)]))
        return bool(found) or holder(folder) is None

    if not _until(settled, clock or SystemClock(), _SETTLING):
        pid = holder(folder)
        raise SandboxError(
            f"a sandbox runs in {folder}{f', process {pid},' if pid else ''} and does not answer",
            f"{f'`kill -9 {pid}`' if pid else f'ending the process that holds {folder}/sandbox.lock'} stops it; "
            "everything in it is lost",
        )
    return found[0] if found else None


def _reach(folder: Path) -> Running | None:
    """Return the sandbox that the state file tells of, if it answers."""
    running = _told(folder)
    if running is None:
        return None
    try:
        _ask(running, "ping")
    except (OSError, http.client.HTTPException, SandboxError):
        return None
    return running


def _told(folder: Path) -> Running | None:
    """Return what the state file says, None when that is nothing."""
    try:
        return Running(**json.loads((folder / _STATE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def start(home: Path | None = None, *, clock: Clock | None = None, **settings: Any) -> Running:
    """Return the running sandbox, starting one with `settings` (see world.Settings) when none runs.

    Raises SandboxError when it does not come up.
    """
    folder = (home or default_home()).absolute()
    _private_folder(folder)
    with _one_at_a_time(folder):
        running = find(folder, clock=clock)
        if running is not None:
            _refuse_other_speed(running, settings)
            return running
        return _spawn(folder, settings, clock or SystemClock())


def stop(home: Path | None = None, *, clock: Clock | None = None) -> bool:
    """Stop the sandbox of `home` and return whether one ran. Raises SandboxError when it will not end."""
    running = find(home, clock=clock)
    if running is None:
        return False
    with suppress(OSError, http.client.HTTPException):  # it may be gone before it has answered
        _ask(running, "stop", method="POST")
    if not _until(lambda: not _alive(running.pid), clock or SystemClock(), _GRACE):
        with suppress(ProcessLookupError):
            os.kill(running.pid, signal.SIGKILL)
        _until(lambda: not _alive(running.pid), clock or SystemClock(), _GRACE)
    (Path(running.home) / _STATE).unlink(missing_ok=True)
    return True


def reset(running: Running) -> None:
    """Empty the sandbox."""
    _ask(running, "reset", method="POST")


def status(running: Running) -> dict[str, Any]:
    """Return what the sandbox holds, its speed and its time."""
    return _ask(running, "status")


def calls(running: Running) -> list[Recorded]:
    """Return the API calls that the sandbox has got since its start or reset, or since this was asked last.

    Each is there before its caller has the answer. Those of functions and tasks are among them, with their role.
    """
    return [Recorded(**each) for each in _ask(running, "calls", method="POST")["calls"]]


def keep(running: Running, lock: FolderLock, clock: Clock | None = None) -> bool:
    """Keep the folder ours and its state file true, whatever happens to its files; return whether it is ours.

    Without them nobody would find a sandbox that runs, or end it, and the next start would put another beside it.
    """
    # Whoever looks for a sandbox holds the lock for a moment.
    if not lock.held() and not _until(lock.take, clock or SystemClock(), 1.0):
        return False
    if _told(Path(running.home)) != running:
        write_state(running)
    return True


def write_state(running: Running) -> None:
    """Write the state file, readable by its owner alone from its first byte on."""
    path = Path(running.home) / _STATE
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(running), file)
    fresh.replace(path)


def forget_state(home: Path, pid: int) -> None:
    """Remove the state file if it is still that of process `pid`."""
    path = home / _STATE
    try:
        if json.loads(path.read_text(encoding="utf-8")).get("pid") == pid:
            path.unlink()
    except (OSError, ValueError):
        return


def _private_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
    except OSError as error:
        raise SandboxError(
            f"the sandbox cannot keep its files in {folder}: {error.strerror}",
            "name another folder in BGDEPLOY_SANDBOX_HOME",
        ) from error


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Have a second starter wait for the first, and find what that one started."""
    with (folder / "start.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _refuse_other_speed(running: Running, settings: Mapping[str, Any]) -> None:
    wanted = settings.get("speed")
    if wanted is not None and wanted != running.speed:
        raise SandboxError(
            f"a sandbox runs already, at speed {running.speed:g}, not {wanted:g}",
            "`bgdeploy sandbox stop` ends it; everything in it is lost",
        )


def _spawn(folder: Path, settings: Mapping[str, Any], clock: Clock) -> Running:
    log = folder / "sandbox.log"
    options = json.dumps(
        {"home": str(folder), **{key: value for key, value in settings.items() if value is not None}}
    )
    # `-P` would be neater than naming the folder, but Python 3.10 does not know it: the daemon must not import
    # whatever lies in the folder that it happens to be started from.
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "bgdeploy.sandbox", options],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=_environment(),
        )
    found: list[Running] = []

    def up() -> bool:
        running = _reach(folder)
        if running is not None and running.pid == process.pid:
            found.append(running)
        return bool(found) or process.poll() is not None

    _until(up, clock, _PATIENCE)
    if not found:
        process.kill()
        raise SandboxError(f"the sandbox did not start: {_last_line(log)}", f"its log is {log}")
    process.returncode = 0  # it outlives us on purpose; Popen would warn that nobody waited for it
    return found[0]


def _environment() -> dict[str, str]:
    """Return the environment without the user's AWS: nothing in the sandbox shall ever reach a real account."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "BGDEPLOY_"))}
    package = str(Path(__file__).resolve().parents[2])
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))}


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def _ask(running: Running, what: str, method: str = "GET") -> dict[str, Any]:
    url = urlsplit(running.endpoint)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=30)
    try:
        connection.request(method, f"/_sandbox/{what}", headers={"X-Bgdeploy-Key": running.access_key})
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise SandboxError(f"the sandbox at {running.endpoint} refused {what}: {_reason(body)}")
    result: dict[str, Any] = json.loads(body)
    return result


def _reason(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:  # a child of ours that has ended is a zombie until somebody asks
        return os.waitpid(pid, os.WNOHANG)[0] == 0
    except ChildProcessError:
        return True


def _until(true: Any, clock: Clock, patience: float) -> bool:
    deadline = clock.monotonic() + patience
    while clock.monotonic() < deadline:
        if true():
            return True
        clock.sleep(0.05)
    return bool(true())
