"""What a person does to a running deployment: stop it, promote it. AWS's refusals come back as sentences."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bgdeploy.aws import Aws, error_code
from bgdeploy.errors import BgdeployError
from bgdeploy.release.phase import Phase

READY_WAIT, TERMINATION_WAIT = "READY_WAIT", "TERMINATION_WAIT"


def stop(aws: Aws, deployment_id: str, *, rollback: bool = True) -> str:
    """Stop a deployment, rolling it back unless told not to, and return what CodeDeploy says about it.

    Without a rollback everything stays where it is: two task sets, perhaps a split listener (aws-facts 2.3).
    Raises BgdeployError when it is over already or does not exist.
    """
    with _sentences(aws, deployment_id):
        answer = aws.client("codedeploy").stop_deployment(
            deploymentId=deployment_id, autoRollbackEnabled=rollback
        )
    return str(answer.get("statusMessage") or answer.get("status") or "")


def promote(aws: Aws, deployment_id: str, phase: Phase) -> str:
    """End the wait that a deployment in `phase` is in, and return in words what happens now.

    Raises BgdeployError when it waits for nobody.
    """
    waits = {
        Phase.READY: (READY_WAIT, "production traffic moves to the new version now"),
        Phase.SHIFTED: (
            TERMINATION_WAIT,
            "the old version is removed now; an instant rollback is over with it",
        ),
    }
    if phase not in waits:
        raise BgdeployError(
            f"deployment {deployment_id} is {phase}: it waits for nobody to promote it",
            "promote ends the wait for approval, or the time for which blue is kept; `bgdeploy watch` shows which",
            {"deployment": deployment_id, "phase": str(phase)},
        )
    kind, sentence = waits[phase]
    with _sentences(aws, deployment_id):
        aws.client("codedeploy").continue_deployment(deploymentId=deployment_id, deploymentWaitType=kind)
    return sentence


def go_on(aws: Aws, deployment_id: str) -> None:
    """Let a rollback that waits for approval go on: nobody needs to approve going back.

    Whether CodeDeploy ever lets a rollback wait is not known (aws-facts 4.2).
    """
    with _sentences(aws, deployment_id):
        aws.client("codedeploy").continue_deployment(
            deploymentId=deployment_id, deploymentWaitType=READY_WAIT
        )


_REFUSALS = {
    "DeploymentAlreadyCompletedException": (
        "deployment {id} is over already",
        "`bgdeploy status` shows what is live; going back now is a release of the old version",
    ),
    "DeploymentDoesNotExistException": (
        "there is no deployment {id} in {region}",
        "`bgdeploy status` names the one that runs",
    ),
    "InvalidDeploymentIdException": (
        "{id} is no deployment's id: those look like d-A7YW3F91L",
        "`bgdeploy status` names the one that runs",
    ),
    "DeploymentIsNotInReadyStateException": (
        "deployment {id} does not wait for approval (any more)",
        "`bgdeploy watch {id}` shows where it is",
    ),
    "InvalidDeploymentStatusException": (
        "deployment {id} is not in that wait (any more)",
        "`bgdeploy watch {id}` shows where it is",
    ),
}


def over(deployment_id: str, region: str) -> BgdeployError:
    """Return what is to be raised of a deployment that has ended."""
    return _refusal("DeploymentAlreadyCompletedException", deployment_id, region)


def _refusal(code: str, deployment_id: str, region: str) -> BgdeployError:
    message, hint = (text.format(id=deployment_id, region=region) for text in _REFUSALS[code])
    return BgdeployError(message, hint, {"deployment": deployment_id})


@contextmanager
def _sentences(aws: Aws, deployment_id: str) -> Iterator[None]:
    """Turn the refusals that a person may meet into sentences."""
    from botocore.exceptions import ClientError

    try:
        yield
    except ClientError as error:
        if error_code(error) not in _REFUSALS:
            raise
        raise _refusal(error_code(error), deployment_id, aws.region) from error
