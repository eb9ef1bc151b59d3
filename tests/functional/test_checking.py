"""Checks of every kind in a living sandbox, before the shift and after it, against an application that is told how."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from bgdeploy import config as c
from bgdeploy.aws import Aws
from bgdeploy.checktypes import Check
from bgdeploy.clock import FastClock, SystemClock
from bgdeploy.config import Config, Deployment, Settings
from bgdeploy.errors import Exit
from bgdeploy.provision import converge
from bgdeploy.quantities import Comparison, Duration, Limit, Load
from bgdeploy.release import watch
from bgdeploy.release.attending import hook
from bgdeploy.release.attending.attendant import Attendant
from bgdeploy.release.cause import Kind
from bgdeploy.release.checks import CheckResult, ChecksState
from bgdeploy.release.ending import Ending
from bgdeploy.release.reader import Reader
from bgdeploy.release.start import start
from bgdeploy.release.watch import Frame
from bgdeploy.sandbox.control import Running
from bgdeploy.stack import build

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
_DOCKERFILE = """\
FROM python:3-alpine
ARG VERSION=dev
ENV VERSION=$VERSION
COPY server.py .
CMD ["python3", "server.py"]
"""
_SERVER = """\
import os, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    def do_GET(self):
        time.sleep(DELAY)
        body = ("Hello from " + os.environ["VERSION"]).encode()
        self.send_response(BROKEN if self.path == "/cart" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
class Server(ThreadingHTTPServer):
    request_queue_size = 128
Server((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"""


class Shop:
    """A provisioned project whose application answers as it is told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "container").mkdir()
        for name in ("appspec", "hook_lambda"):
            (folder / name).symlink_to(ROOT / name)
        (folder / "container/Dockerfile").write_text(_DOCKERFILE, encoding="utf-8")
        self.checks: tuple[Check, ...] = ()
        self.clock = FastClock(20, SystemClock())  # our seconds are short, as the sandbox's are
        self.aws = Aws(stack=self.settings.names.stack, region="us-east-1", clock=self.clock)
        resources = build(self.settings, folder, self.aws.account, self.aws.region)
        converge.provision(self.aws, resources, lambda progress: None)
        self.frames: list[Frame] = []
        self.version = 0

    @property
    def settings(self) -> Settings:
        config = Config(
            app="checking",
            deployment=Deployment(keep_blue=Duration(180)),
            load_balancer=c.LoadBalancer(
                production=c.ProductionListener(port=8391),
                test=c.TestListener(port=8392),
                health_check=c.HealthCheck(interval=Duration(5), timeout=Duration(2)),
                deregistration_delay=Duration(0),
            ),
            checks=self.checks,
        )
        return Settings(env="dev", config=config)

    def release(
        self,
        *checks: Check,
        delay: float = 0.0,
        broken: int = 200,
        show: Callable[[Frame], None] = lambda frame: None,
        **more: Any,
    ) -> Ending:
        """Release the next version, which answers after `delay`, and at its cart with the status `broken`."""
        self.version += 1
        self.checks = checks
        told = f"DELAY, BROKEN = {delay}, {broken}\n"
        (self.folder / "container/server.py").write_text(told + _SERVER, encoding="utf-8")
        started = start(self.aws, self.settings, self.folder, f"v{self.version}")
        attendant = Attendant(self.aws, started.target, started.record, folder=self.folder, **more)
        self.frames = []

        def keep_and_show(frame: Frame) -> None:
            self.frames.append(frame)
            show(frame)

        try:
            return watch.follow(
                Reader(self.aws, started.target),
                started.deployment_id,
                attendant=attendant,
                timeout=900,
                show=keep_and_show,
            )
        finally:
            attendant.close()

    @property
    def state(self) -> ChecksState:
        found = self.frames[-1].checks
        assert found is not None
        return found

    def result(self, name: str) -> CheckResult:
        after = self.state.after.results if self.state.after else ()
        return next(result for result in (*self.state.results, *after) if result.name == name)


LOAD = Check(name="load", load=Load.parse("60 per second for 20s"), p95=Limit.parse("120ms"))
COMPARE = Check(name="as fast", compare=Comparison.parse("p95 2x"), samples=10, tolerance=Limit.parse("30ms"))
SMOKE = Check(name="smoke", command='test "$BGDEPLOY_CHECK_VERSION" = {version}')


@pytest.fixture(scope="module")
def shop(account: Running, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("shop"))


def test_a_first_release_passes_checks_of_every_kind_and_has_nothing_to_compare_with(shop: Shop) -> None:
    ended = shop.release(
        Check(name="page", get="/", contains="Hello from {version}", below=Limit.parse("2s")),
        LOAD,
        COMPARE,
        SMOKE,
    )
    assert (ended.kind, ended.exit) == (Kind.LIVE, Exit.DONE), ended
    assert [result.verdict for result in shop.state.results] == ["pass"] * 4
    assert "nothing was released before" in shop.result("as fast").got


def test_a_version_as_good_as_the_one_before_passes_and_is_watched_until_blue_is_removed(shop: Shop) -> None:
    ended = shop.release(
        LOAD,
        COMPARE,
        Check(name="cart", get="/cart", when="after", interval=Duration(5)),
        # Our clock is slower than the sandbox's: a minute of AWS's is 20 seconds of it.
        Check(name="errors", metric="target_5xx_rate", below=Limit.parse("1%"), interval=Duration(20)),
    )
    assert (ended.kind, ended.exit) == (Kind.LIVE, Exit.DONE), ended
    assert shop.result("load").got.startswith("success 100% >= 99%, p95 ")
    assert "blue's" in shop.result("as fast").got
    after = shop.state.after
    assert after is not None
    assert (after.stage, shop.result("cart").verdict) == ("passed", "pass")
    assert shop.result("cart").attempts > 3
    assert shop.result("errors").got == "target_5xx_rate 0% <= 1%"
    assert ended.why[0].startswith("checks after the shift: all passed")


def test_a_slow_version_fails_its_load_and_beside_the_one_before_and_never_reaches_production(
    shop: Shop,
) -> None:
    ended = shop.release(structs.replace(COMPARE, mode="observe"), LOAD, delay=0.15)
    assert (ended.kind, ended.exit) == (Kind.CHECK_FAILED, Exit.ROLLED_BACK), ended
    (why,) = ended.why
    assert re.match(r'check "load": p95 1\d\d ms > 120 ms \(\d+ requests, ', why), why
    compared = shop.result("as fast")
    assert (compared.verdict, compared.observed) == ("fail", True)
    assert re.match(r"p95 1\d\d ms > .* \(.*blue's ", compared.got), compared.got


def test_without_a_terminal_an_inconclusive_command_fails_the_release(shop: Shop) -> None:
    ended = shop.release(Check(name="smoke", command="echo no baseline yet; exit 2"))
    assert (ended.kind, ended.exit) == (Kind.CHECK_INCONCLUSIVE, Exit.ROLLED_BACK), ended
    assert ended.why[0].startswith(
        'check "smoke": inconclusive: wanted exit 0, got exit 2: no baseline yet ($ echo'
    )
    assert ended.why[1] == "nobody was there to decide"


def test_somebody_accepts_what_is_inconclusive_and_what_fails_after_the_shift_brings_blue_back(
    shop: Shop,
) -> None:
    bucket = shop.settings.names.bucket(shop.aws.account, shop.aws.region)

    def promote(frame: Frame) -> None:
        if frame.checks and frame.checks.stage == "asking":
            hook.accept(shop.aws, bucket, frame.snapshot.deployment.id)

    smoke = Check(name="smoke", command="exit 2")
    cart = Check(name="cart", get="/cart", when="after", interval=Duration(5))
    ended = shop.release(smoke, cart, broken=500, show=promote, interactive=True)
    assert shop.state.stage == "accepted"
    assert (ended.kind, ended.exit) == (Kind.CHECK_FAILED_AFTER, Exit.ROLLED_BACK), ended
    assert "failed a check while users were on it" in ended.headline
    assert ended.why[0].startswith('check "cart": wanted status 200, got status 500: "Hello from v')
    assert (ended.live[0].listener, ended.live[0].side) == ("production", "blue")
