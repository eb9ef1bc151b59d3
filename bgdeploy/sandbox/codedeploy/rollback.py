"""An automatic rollback: a deployment of its own that gives the traffic back to blue (aws-facts 4.2).

It makes no task set: the original one still runs. Its hooks are not invoked, its events pass quickly.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from bgdeploy.sandbox.codedeploy import ends, revisions
from bgdeploy.sandbox.codedeploy.configs import ALL_AT_ONCE
from bgdeploy.sandbox.codedeploy.lifecycle import (
    BRISK,
    hook_or_nothing,
    of_ecs,
    set_share,
    task_set,
    wait_for_approval,
)
from bgdeploy.sandbox.codedeploy.model import Deployment, Event, Increment, Members, new_deployment_id
from bgdeploy.sandbox.codedeploy.run import Run, Script
from bgdeploy.sandbox.codedeploy.unverified import Unverified

_ACCEPTED = timedelta(seconds=1)


def wanted(deployment: Deployment, ended: ends.EndedError, unverified: Unverified) -> bool:
    """Tell whether the end of `deployment` is to be rolled back."""
    if deployment.rolls_back is not None:
        return False
    if deployment.green is None and not unverified.rollback_before_install:
        return False
    if ended.rolls_back is not None:
        return ended.rolls_back
    return ended.trigger in deployment.plan.rollback_on


def plan_rollback(
    deployment: Deployment, good_revision: Members | None, unverified: Unverified
) -> Deployment:
    """Return the deployment that rolls `deployment` back; `good_revision` is the last one that succeeded, if any."""
    assert deployment.completed is not None
    plan = replace(
        deployment.plan,
        increments=(Increment(100),),
        ready_wait=deployment.plan.ready_wait if unverified.rollback_waits_in_ready else None,
        keep_blue=timedelta(),
        rollback_on=frozenset(),
        alarms=(),
    )
    echo = {
        **deployment.echo,
        "deploymentConfigName": ALL_AT_ONCE,
        "autoRollbackConfiguration": {"enabled": False, "events": []},
    }
    for member in ("description", "previousRevision", "overrideAlarmConfiguration", "revision"):
        echo.pop(member, None)
    if good_revision is not None:
        echo["revision"] = revisions.hidden(good_revision)
    return Deployment(
        id=new_deployment_id(),
        application=deployment.application,
        group=deployment.group,
        group_id=deployment.group_id,
        plan=plan,
        echo=echo,
        created=deployment.completed,
        creator="codeDeployRollback",
        spec=deployment.spec,
        revision=good_revision,
        events=plan.events,
        blue=deployment.blue,
        green=deployment.green,
        service_arn=deployment.service_arn,
        rolls_back=deployment.id,
    )


def roll_back(run: Run) -> Script:
    """Give both listeners back to blue, make it PRIMARY again and remove green."""
    yield from run.pause(_ACCEPTED)
    run.begin()
    for event in run.deployment.events:
        if event.name == "BeforeAllowTraffic" and run.unverified.rollback_waits_in_ready:
            yield from wait_for_approval(run)
        yield from run.event(event, _body(run, event))
    green = task_set(run, run.deployment.green)
    if green is not None:
        of_ecs(run, "ecs:DeleteTaskSet", lambda: run.ports.ecs.remove_task_set(green))


def _body(run: Run, event: Event) -> Script:
    plan = run.deployment.plan
    changed = run.deployment.green is not None  # before Install there is nothing to give back
    if event.name == "AllowTestTraffic" and changed and run.unverified.rollback_moves_test_listener:
        assert plan.test
        return _give_back(run, plan.test)
    if event.name == "AllowTraffic" and changed:
        return _restore_production(run)
    if run.unverified.rollback_invokes_hooks:
        return hook_or_nothing(run, event)
    return run.pause(BRISK)


def _give_back(run: Run, listener: str) -> Script:
    set_share(run, listener, 0)
    yield from run.pause(BRISK)


def _restore_production(run: Run) -> Script:
    yield from _give_back(run, run.deployment.plan.production)
    blue = task_set(run, run.deployment.blue)
    if blue is not None and blue.status != "PRIMARY":
        of_ecs(run, "ecs:UpdateServicePrimaryTaskSet", lambda: run.ports.ecs.set_primary(blue))
