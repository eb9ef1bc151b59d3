"""The hook of a deployment: CodeDeploy calls it once test traffic reaches the new version, and waits for an answer.

It tells bgdeploy that the deployment waits (`hooks/<deployment>.json` in the stack's bucket), and watches for a claim
beside it (`hooks/<deployment>.claim.json`). Whoever holds the claim runs the checks and owns the answer; it renews
its claim while it works. Without a claim, or when nobody has renewed it for LEASE_SECONDS, the answer is Failed:
production stays where it is. Waits are measured by the time that Lambda says is left.

With CHECKS_FROM=hook it runs the checks itself, where the release's record (`releases/<key>.json`) wants that, writes
what they find (`hooks/<deployment>.results.json`), and answers: nobody has to follow the release.
"""

import importlib
import json
import os
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import boto3
from botocore.exceptions import ClientError

T = TypeVar("T")
# How this file and bgdeploy talk with each other, which bgdeploy reads without running it. 1: whoever claims the checks
# owns the answer. 2: as 1, and with CHECKS_FROM=hook the checks are run here.
PROTOCOL = 2
POLL_SECONDS = 0.5
# What AWS says when it wants a call later, as the services that this function calls word it.
LATER = ("SlowDown", "ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded")
ENOUGH_TO_ANSWER = 60_000  # milliseconds of this invocation that are kept for the answer
KEY = re.compile(r"^bgdeploy release \S+ \[([0-9a-z]+)\]")


def handler(event: dict[str, str], context: Any) -> None:
    """Answer for the deployment that `event` names, or leave the answer to who claims it."""
    codedeploy, s3 = boto3.client("codedeploy"), boto3.client("s3")
    Hook(event, context, codedeploy, s3, os.environ, questions=_questions()).run()


def _questions() -> Any:
    return importlib.import_module("checks").Questions  # beside this file, which is in no package there


class Hook:
    """One invocation."""

    def __init__(
        self,
        event: dict[str, str],
        context: Any,
        codedeploy: Any,
        s3: Any,
        environ: Mapping[str, str],
        sleep: Callable[[float], None] = time.sleep,
        questions: Any = None,  # checks.Questions
    ) -> None:
        self.deployment = event["DeploymentId"]
        self.execution = event["LifecycleEventHookExecutionId"]
        self.context = context
        self.codedeploy = codedeploy
        self.s3 = s3
        self.environ = environ
        self.sleep = sleep
        self.questions = questions

    def run(self) -> None:
        """Answer, or end quietly because somebody else does. Whatever goes wrong is answered with Failed."""
        status: str | None
        try:
            status, why = self.decide()
        except Exception as error:
            status, why = "Failed", f"the hook broke: {type(error).__name__}: {error}"
        print(f"{self.deployment}: {why}")
        if status:
            self.answer(status)

    def decide(self) -> tuple[str | None, str]:
        """Return the answer and why; no answer when it is somebody else's."""
        found = self.patiently(lambda: self.codedeploy.get_deployment(deploymentId=self.deployment))[
            "deploymentInfo"
        ]
        if found.get("creator") == "codeDeployRollback":
            return "Succeeded", "a rollback returns to what was live: there is nothing to check"
        # Without a key in its description it was not started by bgdeploy: `bgdeploy watch` may claim it all the same.
        record = self.patiently(lambda: self.record(found.get("description", "")))
        if record.get("door"):
            return self.check(record)
        lease = int(self.environ["LEASE_SECONDS"])
        self.patiently(lambda: self.announce(lease))
        return self.wait(lease * 1000)

    def record(self, description: str) -> dict[str, Any]:
        """Return what the release wants checked, {} when that is not ours to do."""
        key = KEY.match(description)
        if self.environ.get("CHECKS_FROM") != "hook" or key is None:
            return {}
        found = self.s3.get_object(Bucket=self.environ["BUCKET"], Key=f"releases/{key[1]}.json")
        return dict(json.loads(found["Body"].read()))

    def check(self, record: dict[str, Any]) -> tuple[str, str]:
        """Run the checks of the release, and return the answer and why."""
        began = self.remaining()
        asking = self.questions(record, lambda: (began - self.remaining()) / 1000, self.sleep)
        stage = asking.ask(self.save, lambda: self.remaining() <= ENOUGH_TO_ANSWER)
        status = "Succeeded" if stage in ("passed", "observed", "skipped") else "Failed"
        return status, f"the checks {'were' if stage in ('observed', 'skipped') else 'have'} {stage}"

    def save(self, told: dict[str, Any]) -> None:
        """Let whoever follows see what the checks have found. An answer does not depend on it."""
        try:
            self.s3.put_object(
                Bucket=self.environ["BUCKET"],
                Key=f"hooks/{self.deployment}.results.json",
                Body=json.dumps({**told, "deploymentId": self.deployment}).encode(),
                ContentType="application/json",
            )
        except ClientError as error:
            print(f"{self.deployment}: what the checks found could not be saved: {error}")

    def announce(self, lease: int) -> None:
        ids = {"deploymentId": self.deployment, "executionId": self.execution}
        body = json.dumps({"schema": 1, **ids, "lease": lease})
        self.s3.put_object(
            Bucket=self.environ["BUCKET"],
            Key=f"hooks/{self.deployment}.json",
            Body=body.encode(),
            ContentType="application/json",
        )
        print(f"{self.deployment}: waiting {lease} s for bgdeploy to claim the checks")

    def wait(self, lease: int) -> tuple[str | None, str]:
        """Watch the claim until it is answered, or nobody has renewed it for `lease` milliseconds."""
        newest = owner = None
        renewed_at = self.remaining()
        while True:
            etag, claim = self.patiently(self.claim)
            if claim.get("answer"):
                return None, f"{claim['owner']} answered {claim['answer']}"
            if etag != newest:
                newest, renewed_at = etag, self.remaining()
            if claim.get("owner") != owner:
                owner = claim.get("owner")
                print(f"{self.deployment}: claimed by {owner}")
            if renewed_at - self.remaining() >= lease:
                return "Failed", self.silence(claim, lease)
            if self.remaining() <= ENOUGH_TO_ANSWER:
                if claim and not claim.get("abandoned"):
                    return None, f"no time is left here; {claim['owner']} owns the answer"
                return "Failed", "no time is left, and nobody holds the claim"
            self.sleep(POLL_SECONDS)

    def silence(self, claim: dict[str, Any], lease: int) -> str:
        if claim:
            return f"{claim['owner']} has not renewed its claim for {lease // 1000} s: failing closed"
        return f"nobody claimed the checks for {lease // 1000} s: failing closed"

    def claim(self) -> tuple[str | None, dict[str, Any]]:
        """Return the claim's ETag and content; None and {} while there is none."""
        try:
            found = self.s3.get_object(
                Bucket=self.environ["BUCKET"], Key=f"hooks/{self.deployment}.claim.json"
            )
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("NoSuchKey", "404"):
                raise
            return None, {}
        return str(found["ETag"]), json.loads(found["Body"].read())

    def patiently(self, call: Callable[[], T]) -> T:
        """Return what a call to AWS returns; one that AWS wants later is no reason to fail a release."""
        while True:
            try:
                return call()
            except ClientError as error:
                status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
                passes = error.response["Error"]["Code"] in LATER or status >= 500
                if not passes or self.remaining() <= ENOUGH_TO_ANSWER:
                    raise
            self.sleep(POLL_SECONDS)

    def answer(self, status: str) -> None:
        """Put the answer, for as long as there is time: CodeDeploy would wait an hour for one that is lost."""
        while True:
            try:
                self.codedeploy.put_lifecycle_event_hook_execution_status(
                    deploymentId=self.deployment, lifecycleEventHookExecutionId=self.execution, status=status
                )
                print(f"{self.deployment}: answered {status}")
                return
            except ClientError as error:
                if error.response["Error"]["Code"] == "LifecycleEventAlreadyCompletedException":
                    print(f"{self.deployment}: it was answered for already")
                    return
                print(f"{self.deployment}: answering {status} failed: {error}")
                if self.remaining() <= POLL_SECONDS * 2000:
                    raise
            self.sleep(POLL_SECONDS)

    def remaining(self) -> int:
        return int(self.context.get_remaining_time_in_millis())
