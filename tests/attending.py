"""A deployment that somebody attends. S3 is moto's; CodeDeploy's few operations, which moto lacks, are a fake."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from botocore.exceptions import ClientError
from moto import mock_aws

from bgdeploy.aws import Aws
from bgdeploy.clock import FastClock, SystemClock
from bgdeploy.config import Check, Duration
from bgdeploy.release.analysis.expectations import Answer
from bgdeploy.release.attending.attendant import Attendant
from bgdeploy.release.attending.claimant import Claimant
from bgdeploy.release.checks import Mode
from bgdeploy.release.records import record as records
from bgdeploy.release.records.record import Record
from bgdeploy.release.snapshot import Deployment, Event, Listener, Snapshot, Target

BUCKET, DEPLOYMENT = "shop-dev-bucket", "d-A7YW3F91L"
TARGET = Target(
    application="shop-dev",
    group="shop-dev",
    cluster="shop-dev",
    service="shop-dev",
    container="web",
    port=80,
    production_listener="arn:production",
    test_listener="arn:test",
    target_groups={},
    alarms=(),
    bucket=BUCKET,
    log_group="/ecs/shop-dev",
)
ELSEWHERE = Claimant("ben@elsewhere", "elsewhere", 1, "boot.ns/1")


class CodeDeploy:
    """Takes the hook's answers; `failures` come first."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, float]] = []
        self.stops: list[bool] = []  # with a rollback, or without
        self.approved: list[str] = []
        self.failures: list[str] = []

    def continue_deployment(self, **params: Any) -> None:
        self._fail("ContinueDeployment")
        self.approved.append(params["deploymentWaitType"])

    def stop_deployment(self, **params: Any) -> dict[str, str]:
        assert params["deploymentId"] == DEPLOYMENT
        self._fail("StopDeployment")
        self.stops.append(params["autoRollbackEnabled"])
        return {"status": "Pending"}

    def put_lifecycle_event_hook_execution_status(self, **params: Any) -> None:
        assert params["lifecycleEventHookExecutionId"] == "eyJl"
        self._fail("PutLifecycleEventHookExecutionStatus")
        self.answers.append((params["status"], time.monotonic()))

    def _fail(self, operation: str) -> None:
        if self.failures:
            error = {"Error": {"Code": self.failures.pop(0), "Message": "no"}}
            raise ClientError(error, operation)  # type: ignore[arg-type]


class Account(Aws):
    """An account whose seconds are short, and whose CodeDeploy is the fake."""

    def __init__(self, speed: float = 20) -> None:
        super().__init__(stack="shop-dev", region="us-east-1", clock=FastClock(speed, SystemClock()))
        self.codedeploy = CodeDeploy()

    def client(self, service: str) -> Any:
        return self.codedeploy if service == "codedeploy" else super().client(service)


class Application:
    """Answers checks: with 503 until it is let."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.asked = threading.Event()
        self.passed_at = 0.0

    def __call__(self, url: str, timeout: float) -> Answer:
        self.asked.set()
        if self.status == 200 and not self.passed_at:
            self.passed_at = time.monotonic()
        return Answer(self.status)


class Rig:
    """A deployment at its hook, and who attends it."""

    def __init__(self, aws: Account) -> None:
        self.aws = aws
        self.application: Any = Application()
        self.attendants: list[Attendant] = []
        self.record = self.recorded()

    def recorded(self, mode: Mode = "all", within: int = 60, checks: tuple[Check, ...] = ()) -> Record:
        checks = checks or (Check(name="page", get="/", within=Duration(within)),)
        made = Record("v2", "dev", "image", "arn", checks, mode, "ann@laptop", "2026-01-05T12:00:00+00:00")
        records.save(self.aws, BUCKET, made)
        self.record = made
        return made

    def call(self) -> None:
        """Let the hook say that it waits."""
        told = {"schema": 1, "deploymentId": DEPLOYMENT, "executionId": "eyJl", "lease": 300}
        self.aws.client("s3").put_object(
            Bucket=BUCKET, Key=f"hooks/{DEPLOYMENT}.json", Body=json.dumps(told).encode()
        )

    def snapshot(self, status: str = "InProgress", description: str | None = None) -> Snapshot:
        now = self.aws.clock.now()
        deployment = Deployment(
            DEPLOYMENT,
            "InProgress",
            "user",
            self.record.description if description is None else description,
            "CodeDeployDefault.ECSAllAtOnce",
            now - timedelta(minutes=2),
        )
        event = Event("AfterAllowTestTraffic", status, now)
        door = Listener("arn:test", "http://t:8080", {})
        return Snapshot(now, TARGET, deployment, (event,), test=door)

    def attendant(
        self, me: Claimant | None = None, *, remembers: bool = True, at: Snapshot | None = None, **more: Any
    ) -> Attendant:
        record = self.record if remembers else None
        made = Attendant(self.aws, TARGET, record, ask=self.application, me=me, **more)
        self.attendants.append(made)
        made.attend(at or self.snapshot())
        return made

    def claim(self, of: str = "claim") -> dict[str, Any]:
        found = self.aws.client("s3").get_object(Bucket=BUCKET, Key=f"hooks/{DEPLOYMENT}.{of}.json")
        told: dict[str, Any] = json.loads(found["Body"].read())
        return told

    @property
    def answers(self) -> list[str]:
        return [answer for answer, _ in self.aws.codedeploy.answers]


def until(true: Callable[[], object], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        threading.Event().wait(0.01)


@contextmanager
def rigged() -> Iterator[Rig]:
    """Yield a rig in an account of moto's; whoever attends leaves at its end."""
    with mock_aws():
        aws = Account()
        aws.client("s3").create_bucket(Bucket=BUCKET)
        made = Rig(aws)
        yield made
        for attendant in made.attendants:
            attendant.attend(made.snapshot("Succeeded"))
            attendant.close()
