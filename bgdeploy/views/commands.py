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
_QUOTED = re.compile(r"`([^`]+)`")
_LAST = re.compile(r"(^aws .*|\bbgdeploy .*)")  # what is not quoted goes on to the end of its step
_COMMAND = re.compile(rf"\bbgdeploy (?=(?:{'|'.join(ACTING)})\b)")


def parts(step: str) -> tuple[tuple[str, bool], ...]:
    """Return the parts of a next step, and of each whether it is a command: those are without their backticks."""
    found = (_QUOTED if _QUOTED.search(step) else _LAST).split(step)
    return tuple((part, place % 2 == 1) for place, part in enumerate(found) if part)


def typed(text: str, program: str) -> str:
    """Return `text` with each of its commands as it is to be typed: `bgdeploy watch` after `program`'s options."""
    return _COMMAND.sub(lambda match: f"{program} ", text)
