"""Every way in which a deployment ends without success, with AWS's own code and words (aws-facts 4.2, 4.3)."""

from __future__ import annotations

from collections.abc import Iterable

from bgdeploy.sandbox.codedeploy.unverified import Unverified


class EndedError(Exception):
    """A deployment comes to an end that is not success, and which event of the automatic rollback that is."""

    def __init__(
        self, status: str, code: str, message: str, trigger: str, rolls_back: bool | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.trigger = trigger
        self.rolls_back = rolls_back  # what the caller of StopDeployment wished; None: as the plan has it


def failed(code: str, message: str) -> EndedError:
    """Return the end that a failure of the deployment itself is."""
    return EndedError("Failed", code, message, "DEPLOYMENT_FAILURE")


def alarms_active(names: Iterable[str]) -> EndedError:
    """Return the end by alarm. Names stand in angle brackets, with a blank between them (aws-facts 4.2)."""
    activated = " ".join(f"<{name}>" for name in names)
    return EndedError(
        "Stopped",
        "ALARM_ACTIVE",
        "One or more alarms have been activated according to the Amazon CloudWatch metrics you selected, and the "
        f"affected deployments have been stopped. Activated alarms: {activated}",
        "DEPLOYMENT_STOP_ON_ALARM",
    )


def alarms_unreadable(role_arn: str) -> EndedError:
    """Return the end that a group chose which does not ignore that alarms cannot be polled (aws-facts 4.1)."""
    return EndedError(
        "Stopped",
        "IAM_ROLE_PERMISSIONS",
        _permission_message(role_arn, "AmazonCloudWatch"),
        "DEPLOYMENT_STOP_ON_ALARM",
    )


def stopped_by_user(unverified: Unverified, rolls_back: bool | None) -> EndedError:
    """Return the end by StopDeployment (aws-facts 2.3)."""
    message = unverified.manual_stop_message
    return EndedError("Stopped", "MANUAL_STOP", message, "DEPLOYMENT_STOP_ON_REQUEST", rolls_back)


def ready_expired(minutes: int, unverified: Unverified) -> EndedError:
    """Return the end of a deployment that nobody continued in time (aws-facts 2.2)."""
    return EndedError(
        "Stopped",
        unverified.timeout_code,
        "The deployment timed out while waiting for a notification to continue. "
        f"This time out period is {minutes} minutes.",
        unverified.ready_expiry_event,
    )


def install_timed_out(unverified: Unverified) -> EndedError:
    """Return the end after an hour in which green did not become healthy (aws-facts 1.4)."""
    return failed(
        unverified.timeout_code,
        "The deployment timed out while waiting for the replacement task set to become healthy. "
        "This time out period is 60 minutes.",
    )


def hook_timed_out(unverified: Unverified) -> EndedError:
    """Return the end after an hour in which a hook did not answer (aws-facts 1.5)."""
    return failed(
        unverified.timeout_code,
        "The deployment timed out while waiting for a status callback. CodeDeploy expects a status callback within "
        "one hour after a deployment hook is invoked.",
    )


def hook_failed(unverified: Unverified) -> EndedError:
    """Return the end by a hook that answered Failed (aws-facts 1.5)."""
    return failed(
        unverified.hook_failed_code,
        "The deployment failed because one or more of the lifecycle event validation functions failed.",
    )


def hook_missing(function: str, why: str) -> EndedError:
    """Return the end by a hook function that cannot be invoked because it is not there."""
    return failed("INVALID_LAMBDA_FUNCTION", f"The Lambda function {function} could not be invoked: {why}")


def permission_missing(role_arn: str, service: str) -> EndedError:
    """Return the end of a deployment whose role may not do what it must (aws-facts 1.5)."""
    return failed("IAM_ROLE_PERMISSIONS", _permission_message(role_arn, service))


def role_missing(role_arn: str) -> EndedError:
    """Return the end of a deployment whose service role is gone, or no longer trusts CodeDeploy."""
    return failed(
        "IAM_ROLE_MISSING",
        f"AWS CodeDeploy does not have the permissions required to assume the role {role_arn}.",
    )


def group_missing(name: str) -> EndedError:
    """Return the end of a deployment that had not begun when its group was deleted."""
    return failed("DEPLOYMENT_GROUP_MISSING", f"The deployment group {name} no longer exists.")


def invalid_service(cluster: str, service: str, why: str) -> EndedError:
    """Return the end of a deployment whose ECS service cannot be deployed to."""
    return failed("INVALID_ECS_SERVICE", f"The ECS service {service} in the cluster {cluster} {why}.")


def invalid_revision(why: str) -> EndedError:
    """Return the end of a deployment whose AppSpec, read from S3, is none."""
    return failed("INVALID_REVISION", why)


def ecs_refused(code: str, text: str, request_id: str) -> EndedError:
    """Return the end that ECS's refusal is; `text` is ECS's own (aws-facts 4.3)."""
    return failed(
        "ECS_UPDATE_ERROR",
        f"The ECS service cannot be updated due to an unexpected error: {text} (Service: AmazonECS; Status Code: 400; "
        f"Error Code: {code}; Request ID: {request_id}; Proxy: null). Check your ECS service status.",
    )


def elb_refused(text: str, unverified: Unverified) -> EndedError:
    """Return the end that the load balancer's state or refusal is (aws-facts 7.3)."""
    return failed(
        unverified.listener_error_code, f"The ELB could not be updated due to the following error: {text}"
    )


def internal_error() -> EndedError:
    """Return the end by a mistake of the sandbox's own, which its log tells."""
    return failed("INTERNAL_ERROR", "An internal error occurred; see the sandbox's log.")


def _permission_message(role_arn: str, service: str) -> str:
    return (
        f"The IAM role {role_arn} does not give you permission to perform operations in the following AWS service: "
        f"{service}."
    )
