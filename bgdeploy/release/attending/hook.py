"""The hook's side of a release: what the waiting function says, who may answer for it, and the answer.

Both meet in the stack's bucket. The function writes `hooks/<deployment>.json`; whoever wants to run the checks writes
`hooks/<deployment>.claim.json` beside it, and S3's conditional writes see to it that only one of several does. The
checks that go on after the shift have a claim of their own. What somebody decides about inconclusive checks is in
`hooks/<deployment>.decision.json`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from bgdeploy import objects
from bgdeploy.aws import Aws, absent, error_code
from bgdeploy.clock import Clock
from bgdeploy.release.attending.claimant import Claimant, dead, who

Verdict = Literal["Succeeded", "Failed"]

# Seconds between two renewals. Far below any lease: in a sandbox, whose seconds are short, too.
BEAT = 1.0
LAPSE = 15.0  # seconds without a renewal after which a claim is anybody's


@dataclass(frozen=True)
class HookCall:
    """A hook that waits for an answer."""

    deployment: str
    execution: str
    lease: int


def read_call(aws: Aws, bucket: str, deployment: str) -> HookCall | None:
    """Return what the hook of a deployment wrote, None while it has written nothing."""
    found = _read(aws, bucket, f"hooks/{deployment}.json")
    if found is None:
        return None
    told, _ = found
    return HookCall(told["deploymentId"], told["executionId"], int(told["lease"]))


def read_results(aws: Aws, bucket: str, deployment: str) -> dict[str, Any] | None:
    """Return what the hook of a deployment has found that runs the checks itself, None while that is nothing."""
    found = _read(aws, bucket, f"hooks/{deployment}.results.json")
    return found[0] if found else None


def answer(aws: Aws, call: HookCall, verdict: Verdict) -> bool:
    """Answer CodeDeploy. False when it was answered before, or has stopped waiting (aws-facts 1.5)."""
    from botocore.exceptions import ClientError

    try:
        aws.client("codedeploy").put_lifecycle_event_hook_execution_status(
            deploymentId=call.deployment, lifecycleEventHookExecutionId=call.execution, status=verdict
        )
    except ClientError as error:
        if error_code(error) != "LifecycleEventAlreadyCompletedException":
            raise
        return False
    return True


@dataclass(frozen=True)
class Claim:
    """Who runs the checks, as the bucket has it."""

    by: Claimant
    beat: int = 0
    answer: str | None = None
    abandoned: bool = False  # given up by who held it: it is anybody's
    asking: bool = False  # the checks were inconclusive, and somebody is to decide
    why: tuple[str, ...] = ()  # what has failed, in sentences
    etag: str = ""

    @property
    def owner(self) -> str:
        return self.by.owner


@dataclass
class Claims:
    """The claim on one deployment, read and written by one claimant."""

    aws: Aws
    bucket: str
    deployment: str
    me: Claimant = field(default_factory=Claimant.me)
    after: bool = False  # the claim on the checks after the shift

    @property
    def key(self) -> str:
        return f"hooks/{self.deployment}{'.after' if self.after else ''}.claim.json"

    def read(self) -> Claim | None:
        """Return the claim as it is, None when there is none."""
        found = _read(self.aws, self.bucket, self.key)
        if found is None:
            return None
        told, etag = found
        by = Claimant(
            told["owner"],
            told.get("host", ""),
            int(told.get("pid", 0)),
            told.get("started", ""),
            told.get("token", ""),
        )
        return Claim(
            by,
            int(told["beat"]),
            told.get("answer"),
            bool(told.get("abandoned")),
            bool(told.get("asking")),
            tuple(told.get("why", ())),
            etag,
        )

    def take(self, seen: Claim | None) -> Claim | None:
        """Make the claim ours, which was `seen` last; None when somebody else was faster."""
        return self._write(Claim(self.me, seen.beat + 1 if seen else 0), seen)

    def renew(self, mine: Claim) -> Claim | None:
        """Say that we are still at it; None when the claim is not ours any more."""
        return self._write(replace(mine, beat=mine.beat + 1), mine)

    def ask(self, mine: Claim) -> Claim | None:
        """Say that somebody is to decide; None when the claim is not ours any more."""
        return self._write(replace(mine, beat=mine.beat + 1, asking=True), mine)

    def close(self, mine: Claim, verdict: Verdict, why: tuple[str, ...] = ()) -> Claim | None:
        """Say that the checks are over, how, and what has failed."""
        closed = replace(mine, beat=mine.beat + 1, answer=verdict, asking=False, why=why)
        return self._write(closed, mine)

    def abandon(self, mine: Claim) -> Claim | None:
        """Give the claim up, so that another may take it at once."""
        return self._write(replace(mine, beat=mine.beat + 1, abandoned=True), mine)

    def _write(self, claim: Claim, seen: Claim | None) -> Claim | None:
        told = {key: value for key, value in asdict(claim).items() if key not in {"by", "etag"}}
        body = json.dumps({"schema": 1, **asdict(claim.by), **told}, indent=2).encode()
        etag = objects.put(
            self.aws, self.bucket, self.key, body, seen.etag if seen else None, ContentType="application/json"
        )
        return replace(claim, etag=etag) if etag else self._written(claim)

    def _written(self, claim: Claim) -> Claim | None:
        """A write that is sent again, because its answer was lost, meets itself: then it is ours after all."""
        now = self.read()
        return now if now and replace(now, etag="") == replace(claim, etag="") else None


@dataclass
class Lapse:
    """Watches somebody else's claim, and tells when it is anybody's: by our own clock, never by theirs."""

    me: Claimant
    clock: Clock
    seconds: float = LAPSE
    _etag: str = ""
    _since: float = 0.0

    def over(self, claim: Claim) -> bool:
        """Tell whether `claim`, just read, may be taken over."""
        if claim.etag != self._etag:
            self._etag, self._since = claim.etag, self.clock.monotonic()
        if claim.abandoned or dead(claim.by, self.me):
            return True
        return self.clock.monotonic() - self._since >= self.seconds


Decision = Literal["pass", "fail"]


def accept(aws: Aws, bucket: str, deployment: str) -> str:
    """Decide that inconclusive checks are as good as passed, and return in words what happens now.

    Returns "" when nobody is asking about this deployment.
    """
    claim = Claims(aws, bucket, deployment).read()
    if claim is None or not claim.asking or claim.answer:
        return ""
    aws.client("s3").put_object(
        Bucket=bucket,
        Key=_decision(deployment),
        Body=json.dumps({"schema": 1, "decision": "pass", "by": who()}).encode(),
        ContentType="application/json",
    )
    return f"its checks were inconclusive, and count as passed now; {claim.owner} answers the hook"


def accepted(aws: Aws, bucket: str, deployment: str) -> bool:
    """Tell whether somebody has decided that inconclusive checks are as good as passed."""
    return _read(aws, bucket, _decision(deployment)) is not None


def _decision(deployment: str) -> str:
    return f"hooks/{deployment}.decision.json"


def _read(aws: Aws, bucket: str, key: str) -> tuple[dict[str, Any], str] | None:
    with absent("NoSuchKey"):
        found = aws.client("s3").get_object(Bucket=bucket, Key=key)
        return json.loads(found["Body"].read()), found["ETag"]
    return None
