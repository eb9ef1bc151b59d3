"""What becomes of the deployment that a cancelled job follows: it goes on, or it is stopped before the job is killed.

GitHub sends SIGINT, SIGTERM 7.5 s later, and SIGKILL after another 2.5 s; Docker and GitLab send SIGTERM, and SIGKILL
after 10 s or more. So the stop comes first, then the note of who did it, and then as much of the rollback as there is
time for.
"""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

from bgdeploy.cli.invocation import Invocation

if TYPE_CHECKING:
    from bgdeploy.release.reader import Reader

GRACE = 4.0  # seconds of ours that a stopped deployment is followed for; what comes after takes some as well


def stops(invocation: Invocation) -> bool:
    """Tell whether what came stops the deployment. Whoever presses Ctrl-C at a terminal means to leave, as always."""
    came = invocation.interrupts.came
    return invocation.on_cancel == "stop" and (came is signal.SIGTERM or not invocation.interactive)


def stop(invocation: Invocation, reader: Reader, deployment: str) -> str:
    """Stop a deployment, rolling it back, and return what CodeDeploy says. Raises BgdeployError when it cannot be."""
    from bgdeploy.aws import sentence_of
    from bgdeploy.release import operations
    from bgdeploy.release.attending import stopping

    try:
        said = operations.stop(reader.aws, deployment)
    except Exception as error:
        told = sentence_of(error)
        if told is None:
            raise
        raise told from error
    invocation.say(f"cancelled: deployment {deployment} is being stopped and rolled back")
    by = stopping.by_me("--on-cancel stop", "its job was cancelled")
    noted = (reader.aws, reader.target.bucket, deployment, by)
    threading.Thread(target=stopping.note, args=noted, daemon=True).start()
    return said
