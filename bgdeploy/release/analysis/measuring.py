"""Measures once what a check wants to know, by whatever means its kind needs. It decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bgdeploy.aws import translated
from bgdeploy.checktypes import Check, RawMetric
from bgdeploy.clock import Clock, speed_of
from bgdeploy.quantities import Load, latency
from bgdeploy.release.analysis import command, expectations, limits, volley
from bgdeploy.release.analysis.expectations import Answer
from bgdeploy.release.analysis.limits import Pair
from bgdeploy.release.analysis.samples import Samples
from bgdeploy.release.analysis.tally import time_limit
from bgdeploy.release.checks import Measurement
from bgdeploy.release.reach import BY_NAME
from bgdeploy.release.snapshot import Reach

Ask = Callable[[str, float], Answer]
Tell = Callable[[str, float], None]  # how far a measurement is, in words, and the seconds that it has left


@dataclass(frozen=True)
class Scene:
    """What checks are run against, and what they may use."""

    url: str  # of the listener, without a path
    clock: Clock
    ask: Ask
    reach: Reach = BY_NAME
    blue: str = ""  # the URL that leads to blue, "" when nothing was released before
    version: str = ""
    deployment: str = ""
    folder: Path = Path()  # where commands are run
    metric: Callable[[str | RawMetric], float | None] = lambda metric: None


def request(check: Check, scene: Scene) -> str:
    """Return what is done, in words."""
    get = f"GET {scene.url}{check.path}"
    return {
        "get": get,
        "load": f"{check.load}, {get}",
        "compare": f"{check.samples} requests to each side, {get}",
        "command": f"$ {check.command}",
        "metric": "CloudWatch, green's target group",
    }[check.kind]


def measure(check: Check, scene: Scene, over: Callable[[], bool], tell: Tell) -> Measurement | None:
    """Measure once; None when it is `over` before there is anything to tell."""
    if check.kind == "get":
        return expectations.judge(check, scene.ask(scene.url + check.path, float(check.timeout)))
    if check.load:
        return _load(check, check.load, scene, over, tell)
    if check.compare:
        return _compare(check, scene, over, tell)
    if check.command:
        return _command(check, check.command, scene, over, tell)
    return _metric(check, scene)


def _metric(check: Check, scene: Scene) -> Measurement:
    """That AWS does not tell a metric says nothing about the application."""
    try:
        value = scene.metric(check.metric or "")
    except Exception as error:
        told = translated(error)
        return limits.nothing(check, told.message if told else f"{type(error).__name__}: {error}")
    return limits.judge_metric(check, value)


def _load(
    check: Check, asked: Load, scene: Scene, over: Callable[[], bool], tell: Tell
) -> Measurement | None:
    """A sandbox's seconds are short, and its load lasts no longer; its answers take what they take."""
    lasts = asked.lasts / speed_of(scene.clock)
    samples, elapsed = Samples(), 0.0
    with closing(
        volley.load(scene.url + check.path, asked.rate, lasts, float(check.timeout), scene.reach)
    ) as reports:
        for report in reports:
            samples.add(Samples.of(report))
            elapsed = report["elapsed"]
            if over():
                return None
            left = max(lasts - elapsed, 0.0) * speed_of(scene.clock)
            tell(_so_far(samples, asked.rate * lasts, elapsed), left)
    return limits.judge_load(check, samples, max(elapsed, lasts))


def _so_far(samples: Samples, wanted: float, elapsed: float) -> str:
    rate = samples.requests / elapsed if elapsed else 0.0
    slow = samples.percentiles().get("p95")
    return f"{samples.requests}/{wanted:.0f} requests, {rate:.3g}/s" + (
        f", p95 {latency(slow)}" if slow is not None else ""
    )


def _compare(check: Check, scene: Scene, over: Callable[[], bool], tell: Tell) -> Measurement | None:
    if not scene.blue:
        return Measurement("pass", "", "nothing was released before: there is nothing to compare with")
    urls = (scene.blue + check.path, scene.url + check.path)
    pairs: list[Pair] = []
    with closing(volley.take_turns(urls, check.samples, float(check.timeout), scene.reach)) as rounds:
        for told in rounds:
            pairs.append(Pair(*(_answer(*one) for one in told["answers"])))
            if over():
                return None
            tell(f"{len(pairs)}/{check.samples} requests to each side", 0.0)
    return limits.judge_comparison(check, pairs)


def _answer(status: int | None, told: float | str, reached: bool) -> Answer:
    """Return an answer as the prober tells it: the seconds that it took, or why there is none."""
    if status is None:
        return Answer(None, error=str(told), reached=reached)
    return Answer(status, seconds=float(told))


def _command(
    check: Check, asked: str, scene: Scene, over: Callable[[], bool], tell: Tell
) -> Measurement | None:
    environ = {
        "BGDEPLOY_CHECK_URL": scene.url,
        "BGDEPLOY_CHECK_VERSION": scene.version,
        "BGDEPLOY_CHECK_DEPLOYMENT": scene.deployment,
        "BGDEPLOY_CHECK_LOAD_BALANCER": scene.reach.balancer,
    }
    limit = time_limit(check)
    finished = command.run(asked, environ, scene.folder, limit, scene.clock, over, tell)
    return None if finished is None else limits.judge_command(finished, limit)
