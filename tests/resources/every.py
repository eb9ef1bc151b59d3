"""The lives of every kind."""

from __future__ import annotations

from tests.resources import (
    lives_balancing,
    lives_deploying,
    lives_network,
    lives_observing,
    lives_service,
    lives_storage,
)
from tests.resources.life import Life

LIVES: tuple[Life, ...] = (
    *lives_storage.LIVES,
    *lives_network.LIVES,
    *lives_balancing.LIVES,
    *lives_observing.LIVES,
    *lives_service.LIVES,
    *lives_deploying.LIVES,
)
