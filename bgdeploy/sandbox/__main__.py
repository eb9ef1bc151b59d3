"""The sandbox's process: `python -m bgdeploy.sandbox '{"home": …, "speed": 10}'`. Started by control.py."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from pathlib import Path

from bgdeploy.sandbox import control
from bgdeploy.sandbox.server import Server
from bgdeploy.sandbox.world import Settings


def main() -> None:
    """Serve until somebody stops it."""
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    asked = json.loads(sys.argv[1])
    settings = Settings(home=Path(asked.pop("home")), **asked)
    server = Server(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stopping.set())
    server.start()
    control.write_state(
        control.Running(
            server.endpoint,
            server.access_key,
            server.secret_key,
            settings.region,
            os.getpid(),
            str(settings.home),
            settings.speed,
        )
    )
    server.stopping.wait()
    server.close()
    control.forget_state(settings.home, os.getpid())


if __name__ == "__main__":
    main()
