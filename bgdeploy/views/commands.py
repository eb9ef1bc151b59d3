"""Commands in what is printed: with the options they need, so that they can be copied and mean the same stack."""

from __future__ import annotations

import re

# Those that act on a project or its stack; `demo`, `sandbox` and `config` need none of its options.
ACTING = (
    "init",
    "plan",
    "provision",
    "release",
    "watch",
    "status",
    "promote",
    "stop",
    "rollback",
    "history",
    "report",
    "logs",
    "doctor",
    "policy",
    "appspec",
    "teardown",
)
_COMMAND = re.compile(rf"\bbgdeploy (?=(?:{'|'.join(ACTING)})\b)")


def typed(text: str, program: str) -> str:
    """Return `text` with each of its commands as it is to be typed: `bgdeploy watch` after `program`'s options."""
    return _COMMAND.sub(lambda match: f"{program} ", text)
