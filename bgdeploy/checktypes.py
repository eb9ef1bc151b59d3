"""What a check is: the types of `checks` in the config. `checkrules` says what of them fits together."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from bgdeploy.quantities import Comparison, Duration, Limit, Load, lasting


class RawMetric(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Any metric of CloudWatch's. Without dimensions it is that of green's target group."""

    name: str
    namespace: str = "AWS/ApplicationELB"
    statistic: str = "Average"  # Average, Sum, Minimum, Maximum, SampleCount, or a percentile such as p95
    dimensions: dict[str, str] = {}


When = Literal["before", "shift", "after"]
Kind = Literal["get", "load", "compare", "command", "metric"]
Many = Annotated[int, Meta(ge=1)]


class Check(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One question to the new version: a request, or what `load`, `compare`, `command` or `metric` ask."""

    name: str
    # before: on the test listener, while the hook holds the deployment. shift: on the production listener, from the
    # first request that green gets there. after: from the moment it gets all of them. A metric's is shift.
    when: When | None = None
    mode: Literal["enforce", "observe"] = "enforce"

    get: Annotated[str, Meta(pattern=r"^/")] | None = None
    load: Load | None = None  # 20 per second for 30s
    compare: Comparison | None = None  # p95 1.3x: green against blue, request by request
    command: str | None = None  # for /bin/sh: exit 0 passes, 2 is inconclusive, anything else fails
    metric: str | RawMetric | None = None  # target_5xx_rate, target_4xx_rate, latency p95, request_count

    status: int = 200
    contains: str | None = None
    matches: str | None = None  # a regular expression that the body must hold
    json: dict[str, Any] = {}  # path → value: {"version": "v2", "checks.0.ok": true}
    header: dict[str, str] = {}  # name → value it must equal

    below: Limit | None = None  # the answer's time, or the metric, is this at most
    above: Limit | None = None  # the metric is this at least
    success: Limit | None = None  # of a load: what part of the answers has the status; 99% unless it is said
    p50: Limit | None = None
    p95: Limit | None = None
    p99: Limit | None = None
    samples: Annotated[int, Meta(ge=5, le=10_000)] = 50  # of a comparison: requests to each side
    tolerance: Limit | None = None  # of a comparison: what is no difference; 5ms unless it is said

    timeout: Duration = lasting("5s")  # of one request
    within: Duration | None = (
        None  # a request is repeated until it passes, a command killed when this is over
    )
    interval: Duration | None = None  # between two measurements
    count: Many | None = None  # so many measurements
    failure_limit: Annotated[int, Meta(ge=0)] | None = None  # so many of them may fail
    consecutive_success: Many | None = None  # so many in a row, and it has passed
    no_data: Literal["fail", "pass", "inconclusive"] = "inconclusive"  # when nothing was to be measured

    @property
    def kind(self) -> Kind:
        """What the check does."""
        kinds: tuple[Kind, ...] = ("load", "compare", "command", "metric")
        return next((kind for kind in kinds if getattr(self, kind) is not None), "get")

    @property
    def moment(self) -> When:
        """When the check runs."""
        return self.when or ("shift" if self.metric else "before")

    @property
    def path(self) -> str:
        """The path of its requests."""
        return self.get or "/"
