"""A hook: the function is invoked with two ids, and its answer comes back through the API (aws-facts 1.5)."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from bgdeploy.sandbox.codedeploy import ends
from bgdeploy.sandbox.codedeploy.model import Deployment, Event, Hook
from bgdeploy.sandbox.codedeploy.run import Run, Script
from bgdeploy.sandbox.world import ACCOUNT, RefusedError

_PATIENCE = timedelta(hours=1)


def invoke(run: Run, event: Event, function: str) -> Script:
    """Invoke `function` and wait for its answer, an hour at most. Its return value is no answer."""
    plan = run.deployment.plan
    if not run.ports.identity.allows(plan.role, "lambda:InvokeFunction", function_arn(function, plan.region)):
        raise ends.permission_missing(plan.role, "AWSLambda")
    execution = new_execution_id()
    hook = run.deployment.hooks[execution] = Hook(event)
    payload = {"DeploymentId": run.deployment.id, "LifecycleEventHookExecutionId": execution}

    def done(outcome: Any) -> None:
        hook.error = outcome.error

    try:
        run.ports.functions.invoke(function, payload, done, plan.region)
    except RefusedError as error:
        raise ends.hook_missing(function, error.message) from error
    answered = yield from run.until(lambda: _settled(run, hook), _PATIENCE)
    if not answered:
        raise ends.hook_timed_out(run.unverified)
    if hook.answer != "Succeeded":
        raise ends.hook_failed(run.unverified)


def answer(deployment: Deployment, params: Mapping[str, Any]) -> None:
    """Take the answer of a hook. Raises RefusedError for one that is none, unknown, late, or the second."""
    status = params.get("status")
    if status not in {"Succeeded", "Failed"}:
        raise RefusedError(
            "InvalidLifecycleEventHookExecutionStatusException",
            f"The lifecycle event hook execution status must be Succeeded or Failed, not {status}",
        )
    hook = deployment.hooks.get(params.get("lifecycleEventHookExecutionId", ""))
    if hook is None:
        raise RefusedError(
            "InvalidLifecycleEventHookExecutionIdException",
            "The lifecycle event hook execution id does not belong to this deployment",
        )
    if hook.answer is not None or hook.event.status != "InProgress":
        raise RefusedError(
            "LifecycleEventAlreadyCompletedException",
            f"The lifecycle event {hook.event.name} of deployment {deployment.id} is already completed",
        )
    hook.answer = status


def new_execution_id() -> str:
    """Return an opaque id, shaped as AWS's: base64 of JSON that begins with encryptedData (aws-facts 1.5)."""
    sealed = {
        "encryptedData": base64.b64encode(secrets.token_bytes(96)).decode(),
        "ivParameterSpec": base64.b64encode(secrets.token_bytes(12)).decode(),
        "materialSetSerial": 1,
    }
    return base64.b64encode(json.dumps(sealed, separators=(",", ":")).encode()).decode()


def function_arn(function: str, region: str) -> str:
    """Return the ARN of a function that an AppSpec gives by name or by ARN."""
    if function.startswith("arn:"):
        return function
    return f"arn:aws:lambda:{region}:{ACCOUNT}:function:{function}"


def _settled(run: Run, hook: Hook) -> bool:
    return hook.answer is not None or (hook.error is not None and run.unverified.hook_error_fails_at_once)
