"""What the doctor found, as values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

State = Literal["ok", "warning", "fails", "not checked"]
Cure = Literal["weights", "task set", "service-linked role", "claim"]


@dataclass(frozen=True)
class Mend:
    """Something that can be put right without risk, and on what."""

    cure: Cure
    subject: str  # a target group, a task set, a service, an object's key
    deed: str  # what would be done, as an imperative: "give all of production to shop-dev-blue"


@dataclass(frozen=True)
class Finding:
    """How one thing is, and what to do about it."""

    check: str
    state: State
    text: str
    hint: str = ""
    mend: Mend | None = None

    def as_dict(self) -> Mapping[str, Any]:
        return {
            "check": self.check,
            "state": self.state,
            "text": self.text,
            "hint": self.hint,
            "fixable": self.mend is not None,
        }
