"""What no source says about CodeDeploy for ECS, decided in one place (aws-facts 14).

Each field is a question that has no captured answer; its default is what the sandbox does, and the comment says why.
Whoever finds out better changes it here, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Unverified:
    """The sandbox's answers to the open questions. Give `CodeDeploy` another one to rehearse another AWS."""

    # Is an alarm still watched while blue is kept? The status is InProgress, so probably (aws-facts 4.1).
    alarms_stop_the_termination_wait: bool = True
    # Does an alarm name that does not exist stop a deployment? DescribeAlarms does not fail on one (9.3).
    missing_alarm_stops: bool = False
    # Which of the rollback events is it when nobody continues a Ready deployment in time? Nobody asked for a stop,
    # so it counts as a failure, though the status is Stopped (2.2).
    ready_expiry_event: str = "DEPLOYMENT_FAILURE"
    # Does a rollback deployment invoke the hooks? Not on the Lambda platform (1.5).
    rollback_invokes_hooks: bool = False
    # Does a rollback pause in Ready when the group asks for that? It would keep users on what just failed (4.2).
    rollback_waits_in_ready: bool = False
    # Does the rollback move the test listener too? "Components return to their starting state" (4.2).
    rollback_moves_test_listener: bool = True
    # Is a rollback recorded when nothing had been changed yet? It was, for an alarm at the start (4.1).
    rollback_before_install: bool = True
    # How long after the status a rollback shows in `rollbackInfo`, in seconds; ecspresso polls for it (4.2).
    rollback_info_lag: float = 1.0
    # Does a hook function that ends with an error fail its event at once? Reports speak of the hour's wait (1.5).
    hook_error_fails_at_once: bool = False
    # Does creating a deployment group bring the production listener into the two-entry form? One observation,
    # with a linear config (7.2).
    group_creation_rewrites_listener: bool = True
    # Does CreateDeploymentGroup look for the target groups and listeners? Only the NLB rule shows that it may (5.2).
    group_creation_checks_load_balancer: bool = True
    # Which config a group has that names none; the console's default (5.2).
    default_config: str = "CodeDeployDefault.ECSAllAtOnce"
    # Does a second stop answer Succeeded once the first has worked? The user guide says so; for all other ended
    # deployments the model's DeploymentAlreadyCompletedException stands (2.3).
    stopped_deployment_answers_stop: bool = True
    # Texts that nobody has captured.
    manual_stop_message: str = "The deployment was stopped at the request of a user."
    keep_alive_message: str = (
        "For ECS deployment group, terminateBlueInstancesOnDeploymentSuccess action must be TERMINATE"
    )
    mapping_limit_message: str = "The ECS service {service} is already used by deployment group {group}"
    # The code that goes with the two listener errors (7.3), a hook's Failed and a time-out (1.5, 2.2).
    listener_error_code: str = "ELASTIC_LOAD_BALANCING_INVALID"
    hook_failed_code: str = "HOOK_EXECUTION_FAILURE"
    timeout_code: str = "TIMEOUT"
