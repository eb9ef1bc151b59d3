"""A provisioned stack, somebody who releases on it one version after the other, and what they do meanwhile."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import urllib3

from bgdeploy import config as c
from bgdeploy import starter
from bgdeploy.aws import Aws
from bgdeploy.clock import FastClock, SystemClock
from bgdeploy.config import Check, Config, Duration, Settings
from bgdeploy.doctor import mend
from bgdeploy.doctor.leftover import task_sets
from bgdeploy.provision import converge
from bgdeploy.release import operations, preflight, watch
from bgdeploy.release.analysis.measuring import Ask
from bgdeploy.release.attending.attendant import Attendant
from bgdeploy.release.back import live
from bgdeploy.release.ending import Ending
from bgdeploy.release.phase import Phase
from bgdeploy.release.reader import Reader, find_target
from bgdeploy.release.start import start
from bgdeploy.release.watch import Frame
from bgdeploy.stack import build
from bgdeploy.views.card import card
from tests.golden.paper import rendered

GOOD = Check(name="page", get="/", contains="Hello from {version}")


@dataclass(frozen=True)
class Released:
    """What a release came to."""

    ended: Ending
    version: str
    before: str  # what was live
    after: str
    card: str


class Shop:
    """A stack of its own in the sandbox."""

    def __init__(
        self,
        folder: Path,
        app: str,
        port: int,
        approval: int | None = None,
        *,
        tasks: int = 1,
        speed: float = 8,  # several of them may ask one sandbox
    ) -> None:
        starter.write(folder)
        self.folder = folder
        self.checks: tuple[Check, ...] = (GOOD,)
        self._app, self._port = app, port
        self._approval = None if approval is None else Duration(approval)
        self._versions = itertools.count()
        self._tasks = tasks
        self._command: tuple[str, ...] = ()
        self.clock = FastClock(speed, SystemClock())
        self.aws = Aws(stack=self.settings.names.stack, region="us-east-1", clock=self.clock)
        resources = build(self.settings, folder, self.aws.account, self.aws.region)
        assert not converge.provision(self.aws, resources, lambda progress: None).failed
        self._target = find_target(self.aws, self.settings.names)

    @property
    def settings(self) -> Settings:
        config = Config(
            app=self._app,
            deployment=c.Deployment(keep_blue=Duration(600), approval=self._approval),
            load_balancer=c.LoadBalancer(
                production=c.ProductionListener(port=self._port),
                test=c.TestListener(port=self._port + 1),
                health_check=c.HealthCheck(interval=Duration(5), timeout=Duration(2)),
            ),
            container=c.Container(command=self._command),
            service=c.Service(tasks=self._tasks),
            checks=self.checks,
            alarms=(c.Alarm(name="not-found", log_filter='" 404 "'),),
        )
        return Settings(env="dev", config=config)

    @property
    def reader(self) -> Reader:
        """One that has not read anything yet."""
        return Reader(self.aws, self._target)

    @property
    def url(self) -> str:
        return self._target.urls[self._target.production_listener]

    def live(self) -> str:
        return live(self.reader).version

    def release(
        self,
        strategy: str,
        deeds: Mapping[Phase, Deed],
        checks: tuple[Check, ...] = (GOOD,),
        *,
        attended: bool = True,
        command: tuple[str, ...] = (),  # instead of the image's
        ask: Ask | None = None,
    ) -> Released:
        """Release the next version, do each deed when it gets to that phase, and return what came of it."""
        version, before = f"v{next(self._versions)}", self.live()
        self.checks, self._command = checks, command
        started = start(
            self.aws, self.settings, self.folder, version, strategy=strategy, say=lambda line: None
        )
        early = self.settings.config.deployment.early_fail
        attendant = (
            Attendant(self.aws, started.target, started.record, ask, early=early) if attended else None
        )
        done: set[Phase] = set()

        def act(frame: Frame) -> None:
            if frame.phase in deeds and frame.phase not in done:
                done.add(frame.phase)
                deeds[frame.phase](self, started.deployment_id)

        try:
            ended = watch.follow(
                self.reader,
                started.deployment_id,
                attendant=attendant,
                timeout=1800,
                show=act,
            )
        finally:
            if attendant:
                attendant.close()
        return Released(ended, version, before, self.live(), rendered(card(ended)))

    def calm(self) -> None:
        """Wait until no alarm is on, and mend what the last release has left, as `doctor --fix` does."""
        while any(alarm.state != "OK" for alarm in self.reader.alarms()):
            self.clock.sleep(5)
        for finding in task_sets(preflight.examine(self.reader, self.settings.names), idle=True):
            if finding.mend:
                mend.carry_out(self.aws, self.settings.names, finding.mend)


Deed = Callable[[Shop, str], object]  # what somebody does to a deployment


def approve(shop: Shop, deployment: str) -> None:
    operations.promote(shop.aws, deployment, Phase.READY)


def remove_blue(shop: Shop, deployment: str) -> None:
    operations.promote(shop.aws, deployment, Phase.SHIFTED)


def stop(shop: Shop, deployment: str) -> None:
    operations.stop(shop.aws, deployment)


def leave(shop: Shop, deployment: str) -> None:
    """Stop it, and have everything stay where it is."""
    operations.stop(shop.aws, deployment, rollback=False)


def bar(shop: Shop, deployment: str) -> None:
    """Stop it, and have CodeDeploy be allowed nothing any more."""
    role = shop.settings.names.role("codedeploy")
    shop.aws.client("iam").delete_role_policy(RoleName=role, PolicyName="bgdeploy")
    operations.stop(shop.aws, deployment)


def miss(shop: Shop, deployment: str) -> None:
    """Have the alarm go off."""
    urllib3.request("GET", f"{shop.url}/missing", retries=False, timeout=5)


def nothing(shop: Shop, deployment: str) -> None:
    """Let it wait."""
