"""How people write in the config what YAML has no type for: durations, percentages, limits, loads, secret URLs."""

from __future__ import annotations

import re
from typing import Any, ClassVar
from urllib.parse import urlsplit

from msgspec import field

_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_LIMIT = re.compile(r"(\d+(?:\.\d+)?) ?(ms|s|%)?")
_LOAD = re.compile(r"(\d+(?:\.\d+)?) per (second|minute) for (\S+)")
_COMPARISON = re.compile(r"(p50|p95|p99) (\d+(?:\.\d+)?)x")
_EXACT = 9  # digits of a value that must be read back, or told from another


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


class Limit(float):
    """How much something may be: a response time (`200ms`, `1.5s`), a share (`1%`), or a plain number.

    As a number it is seconds, a part of one, or the number itself.
    """

    form: ClassVar[str] = "a limit such as 200ms, 1.5s, 1% or 20"
    unit: str = ""  # "s", "%" or ""

    @classmethod
    def parse(cls, text: str) -> Limit:
        """Return the limit that `text` writes. Raises ValueError for anything else."""
        match = _LIMIT.fullmatch(text.strip())
        if not match:
            raise ValueError(f"{cls.form}, not {text!r}")
        number, unit = match.groups()
        return cls.of(
            float(number) / {"ms": 1000, "%": 100}.get(unit, 1), "s" if unit == "ms" else unit or ""
        )

    @classmethod
    def of(cls, value: float, unit: str) -> Limit:
        """Return the limit `value` in a unit: "s", "%" or ""."""
        limit = cls(value)
        limit.unit = unit
        return limit

    @staticmethod
    def pattern() -> str:
        return f"^{_LIMIT.pattern}$"

    def __str__(self) -> str:
        return _quantity(self, self.unit, _EXACT).replace(" ", "")

    def show(self, value: float) -> str:
        """Return a measured value in the unit of the limit, precisely enough to be told from it."""
        text = _quantity(value, self.unit)
        return text if value == self or text != self.shown else _quantity(value, self.unit, _EXACT)

    @property
    def shown(self) -> str:
        """The limit itself, as people read it."""
        return _quantity(self, self.unit)


def latency(seconds: float) -> str:
    """Return a response time as people read it: `31 ms`, `1.52 s`."""
    return _quantity(seconds, "s")


def _quantity(value: float, unit: str, digits: int = 0) -> str:
    digits = digits or (3 if unit == "s" else 4)
    if unit == "s":
        return f"{value * 1000:.{digits}g} ms" if value < 1 else f"{value:.{digits}g} s"
    return f"{value * 100:.{digits}g}%" if unit == "%" else f"{value:.{digits}g}"


class Load(str):
    """So many requests a second for a time, written `20 per second for 30s`."""

    form: ClassVar[str] = "a load such as 20 per second for 30s"
    rate: float  # requests a second
    lasts: Duration

    @classmethod
    def parse(cls, text: str) -> Load:
        """Return the load that `text` writes. Raises ValueError for anything else."""
        match = _LOAD.fullmatch(text.strip())
        if not match:
            raise ValueError(f"{cls.form}, not {text!r}")
        load = cls(text.strip())
        load.rate = float(match[1]) / (60 if match[2] == "minute" else 1)
        load.lasts = Duration.parse(match[3])
        return load

    @staticmethod
    def pattern() -> str:
        return f"^{_LOAD.pattern}$"


class Comparison(str):
    """How much slower green may be than blue, written `p95 1.3x`."""

    form: ClassVar[str] = "a comparison such as p95 1.3x"
    percentile: str  # p50, p95 or p99
    factor: float  # how many times blue's response time green's may be

    @classmethod
    def parse(cls, text: str) -> Comparison:
        """Return the comparison that `text` writes. Raises ValueError for anything else."""
        match = _COMPARISON.fullmatch(text.strip())
        if not match:
            raise ValueError(f"{cls.form}, not {text!r}")
        comparison = cls(text.strip())
        comparison.percentile, comparison.factor = match[1], float(match[2])
        return comparison

    @staticmethod
    def pattern() -> str:
        return f"^{_COMPARISON.pattern}$"


class SecretUrl:
    """A URL that lets whoever has it speak: printed, written or in an error it is its host alone."""

    form: ClassVar[str] = "a URL that begins with https://, or on loopback with http://"

    def __init__(self, text: str) -> None:
        self.text = text  # "" where there is none

    @classmethod
    def parse(cls, text: str) -> SecretUrl:
        """Return the URL that `text` writes. Raises ValueError for anything else, without the text."""
        if text.strip() and not re.search(cls.pattern(), text.strip()):
            raise ValueError(cls.form)
        return cls(text.strip())

    @staticmethod
    def pattern() -> str:
        return r"^(https://[^/\s]|http://(localhost|127(\.\d+){3}|\[::1\])(:\d+)?(/|$)|\$\{env:)\S*$"

    @property
    def host(self) -> str:
        return urlsplit(self.text).hostname or ""

    def __str__(self) -> str:
        return f"{self.host}/… (hidden)" if self.text else ""

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretUrl) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


Quantity = Duration | Percent | Latency | Limit | Load | Comparison | SecretUrl
QUANTITIES: tuple[type[Quantity], ...] = (Duration, Percent, Latency, Limit, Load, Comparison, SecretUrl)


def lasting(text: str) -> Any:
    """Return the default of a field that holds a duration."""
    return field(default_factory=lambda: Duration.parse(text))
