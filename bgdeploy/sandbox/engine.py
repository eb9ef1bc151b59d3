"""What makes the sandbox live: one thread that lets every part act, ten times a second."""

from __future__ import annotations

import logging
import threading

from bgdeploy.sandbox.world import World

log = logging.getLogger("bgdeploy.sandbox")
_PERIOD = 0.1  # real seconds


class Engine:
    """Ticks the parts of a world until it is stopped. A part that fails is logged and does not stop the others."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(_PERIOD):
            for part in self._world.parts:
                with self._world.lock:
                    try:
                        part.tick()
                    except Exception:
                        log.exception("%s failed in its tick", type(part).__name__)
