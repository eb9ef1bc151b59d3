"""A following that has ended, as one value: what the reports of it for CI systems are made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bgdeploy.release.checks import ChecksState
    from bgdeploy.release.ending import Ending
    from bgdeploy.release.snapshot import Snapshot


@dataclass(frozen=True)
class Finished:
    """How it ended, with commands as they are to be typed, and what was seen last."""

    ending: Ending
    snapshot: Snapshot | None = None  # None: nothing was seen of it
    checks: ChecksState | None = None  # None: they were somebody else's
