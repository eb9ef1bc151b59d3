"""Gives a deployment up that gets nowhere: stops it, once, instead of waiting CodeDeploy's hour with it."""

from __future__ import annotations

from dataclasses import dataclass, field

from bgdeploy.aws import Aws
from bgdeploy.config import EarlyFail
from bgdeploy.errors import BgdeployError
from bgdeploy.release.attending import stopping
from bgdeploy.release.attending.early import Stillness, doomed, watched
from bgdeploy.release.snapshot import Snapshot
from bgdeploy.release.watch import passing


@dataclass
class GivingUp:
    """Looks at every snapshot of one deployment."""

    aws: Aws
    limits: EarlyFail
    _seen: Snapshot | None = None
    _stillness: Stillness = field(default_factory=Stillness)
    _stopped: bool = False

    def look(self, snapshot: Snapshot) -> None:
        """Stop the deployment if it is doomed. AWS's troubles pass: the next snapshot is another try."""
        if (
            self._stopped
            or snapshot is self._seen
            or snapshot.deployment.over
            or snapshot.deployment.rolls_back
        ):
            return
        self._seen, self._stillness = snapshot, watched(self._stillness, snapshot)
        why = doomed(snapshot, self._stillness, self.limits)
        if not why:
            return
        try:
            self._stop(snapshot, why)
        except BgdeployError:  # somebody else was faster, or it has just ended
            self._stopped = True
        except Exception as error:
            if passing(error) is None:
                raise

    def _stop(self, snapshot: Snapshot, why: str) -> None:
        by = stopping.by_me("deployment.early_fail", why, early=True)
        stopping.stop(self.aws, snapshot.target.bucket, snapshot.deployment.id, by)
        self._stopped = True
