"""Approves a way back: nobody needs to, whoever follows it (aws-facts 4.2)."""

from __future__ import annotations

from contextlib import suppress

from bgdeploy.aws import Aws
from bgdeploy.errors import BgdeployError
from bgdeploy.release import operations
from bgdeploy.release.phase import Phase, phase
from bgdeploy.release.records import record as records
from bgdeploy.release.records.record import Record
from bgdeploy.release.snapshot import Snapshot
from bgdeploy.release.watch import passing


class Approving:
    """Looks at one deployment, and ends its wait for approval if its record says that it goes back."""

    def __init__(self, aws: Aws, bucket: str, record: Record | None) -> None:
        self._aws = aws
        self._bucket = bucket
        self._record = record
        self._done = False

    def look(self, snapshot: Snapshot) -> None:
        """Approve what waits and goes back, once. Whoever may not is no reason to stop following: a person can."""
        from botocore.exceptions import BotoCoreError, ClientError

        if self._done or phase(snapshot) is not Phase.READY:
            return
        try:
            if self._goes_back(snapshot.deployment.description):
                with suppress(BgdeployError):  # somebody else was faster
                    operations.promote(self._aws, snapshot.deployment.id, Phase.READY)
            self._done = True
        except (BotoCoreError, ClientError, ValueError) as error:
            self._done = passing(error) is None  # else the next look tries again

    def _goes_back(self, description: str) -> bool:
        if self._record and self._record.key == records.key_of(description):
            return bool(self._record.undoes)
        return records.goes_back(self._aws, self._bucket, description)
