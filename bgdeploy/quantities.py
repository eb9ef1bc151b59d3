"""How people write quantities in the config: durations, percentages, times of less than a second."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from msgspec import field

_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


class Duration(int):
    """Whole seconds, written `90s`, `5m`, `1h30m` or `14d`."""

    form: ClassVar[str] = "a duration such as 90s, 5m or 1h30m"

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Return the duration that `text` writes. Raises ValueError for anything else."""
        match = _DURATION.fullmatch(text.strip())
        if not match or not any(match.groups()):
            raise ValueError(f"{cls.form}, not {text!r}")
        return cls(sum(int(n or 0) * unit for n, unit in zip(match.groups(), _UNITS.values(), strict=True)))

    @staticmethod
    def pattern() -> str:
        """Return the regular expression of what `parse` takes, for the schema."""
        return rf"^(?=\S){_DURATION.pattern}$"

    def __str__(self) -> str:
        rest, parts = int(self), ""
        for letter, size in _UNITS.items():
            count, rest = divmod(rest, size)
            parts += f"{count}{letter}" if count else ""
        return parts or "0s"

    @property
    def minutes(self) -> int:
        """Whole minutes, for the parts of AWS that count in them."""
        return int(self) // 60


class Percent(float):
    """A share, written `1%` or `0.5%`."""

    form: ClassVar[str] = "a percentage such as 1% or 0.5%"

    @classmethod
    def parse(cls, text: str) -> Percent:
        """Return the percentage that `text` writes. Raises ValueError for anything else."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)%", text.strip())
        if not match:
            raise ValueError(f"{cls.form}, not {text!r}")
        return cls(match[1])

    @staticmethod
    def pattern() -> str:
        return r"^\d+(\.\d+)?%$"

    def __str__(self) -> str:
        return f"{float(self):g}%"


class Latency(float):
    """Seconds and parts of them, written `500ms`, `2s` or `1.5s`."""

    form: ClassVar[str] = "a time such as 500ms, 2s or 1.5s"

    @classmethod
    def parse(cls, text: str) -> Latency:
        """Return the time that `text` writes. Raises ValueError for anything else."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s)", text.strip())
        if not match:
            raise ValueError(f"{cls.form}, not {text!r}")
        return cls(float(match[1]) / (1000 if match[2] == "ms" else 1))

    @staticmethod
    def pattern() -> str:
        return r"^\d+(\.\d+)?(ms|s)$"

    def __str__(self) -> str:
        return f"{float(self):g}s" if self >= 1 else f"{float(self) * 1000:g}ms"


def lasting(text: str) -> Any:
    """Return the default of a field that holds a duration."""
    return field(default_factory=lambda: Duration.parse(text))
