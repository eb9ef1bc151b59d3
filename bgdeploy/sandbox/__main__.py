"""The sandbox's process: `python -m bgdeploy.sandbox '{"home": …, "speed": 10}'`. Started by control.py."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from pathlib import Path

from bgdeploy.sandbox import control
from bgdeploy.sandbox.lock import FolderLock
from bgdeploy.sandbox.server import Server
from bgdeploy.sandbox.world import Settings

log = logging.getLogger("bgdeploy.sandbox")
_LOOKING_AFTER = 1.0  # real seconds between two looks at the sandbox's own files


def main() -> None:
    """Serve until somebody stops it."""
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    asked = json.loads(sys.argv[1])
    settings = Settings(home=Path(asked.pop("home")), **asked)
    server = Server(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stopping.set())
    server.start()
    running = control.Running(
        server.endpoint,
        server.access_key,
        server.secret_key,
        settings.region,
        os.getpid(),
        str(settings.home),
        settings.speed,
    )
    lock = FolderLock(settings.home)
    ours = control.keep(running, lock)
    while ours and not server.stopping.wait(_LOOKING_AFTER):
        ours = _kept(running, lock)
    server.close()
    if not ours:
        log.error("it ends: another one has %s, or the folder is gone", settings.home)
    control.forget_state(settings.home, os.getpid())


def _kept(running: control.Running, lock: FolderLock) -> bool:
    try:
        return control.keep(running, lock)
    except OSError:  # such as a full disk: whoever has the endpoint and the key can go on
        log.exception("%s cannot be kept up", running.home)
        return True


if __name__ == "__main__":
    main()
