"""What a deployment does, from top to bottom (aws-facts 1.4): green is made, tested and given the traffic, blue goes.

Reaches other services through `Run.ports` alone and waits through `Run`, so it can be walked without processes.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from bgdeploy.sandbox.codedeploy import appspec, ends, hooks
from bgdeploy.sandbox.codedeploy.model import Event
from bgdeploy.sandbox.codedeploy.ports import PRINCIPAL
from bgdeploy.sandbox.codedeploy.run import Run, Script
from bgdeploy.sandbox.world import ACCOUNT, RefusedError

T = TypeVar("T")

_ACCEPTED = timedelta(seconds=2.5)  # seen as Created for the first 2-3 s (aws-facts 2)
BRISK = timedelta(seconds=0.25)  # events without a hook pass in well under a second: 0.23 s (1.4)
_DESCRIBE = ("DescribeTargetGroups", "DescribeListeners", "DescribeRules")
_INSTALL_LIMIT = timedelta(minutes=60)  # (1.4)


def deploy(run: Run) -> Script:
    """Replace blue by green. An end other than success is raised as EndedError."""
    yield from run.pause(_ACCEPTED)
    run.begin()
    _prepare(run)
    for event in run.deployment.events:
        if event.name == "BeforeAllowTraffic":
            yield from wait_for_approval(run)
        yield from run.event(event, _body(run, event))
    yield from _keep_blue(run)
    blue = task_set(run, run.deployment.blue)
    if blue is not None:
        of_ecs(run, "ecs:DeleteTaskSet", lambda: run.ports.ecs.remove_task_set(blue))


def _prepare(run: Run) -> None:
    """Look at what everything else needs: the role, the alarms' readability, the revision."""
    deployment, ports = run.deployment, run.ports
    plan = deployment.plan
    if not ports.identity.trusts(plan.role, PRINCIPAL):
        raise ends.role_missing(plan.role)
    alarms = (f"arn:aws:cloudwatch:{plan.region}:{ACCOUNT}:alarm:{name}" for name in plan.alarms)
    readable = all(ports.identity.allows(plan.role, "cloudwatch:DescribeAlarms", arn) for arn in alarms)
    if not readable and not plan.ignore_alarm_failure:
        raise ends.alarms_unreadable(plan.role)
    if deployment.spec is None:
        text = ports.revisions.read(deployment.revision or {}, plan.role, plan.region)
        try:
            deployment.spec = appspec.parse(text)
        except appspec.AppSpecError as error:
            raise ends.invalid_revision(str(error)) from error


def _body(run: Run, event: Event) -> Script:
    if event.name in _ACTIONS:
        return _ACTIONS[event.name](run)
    return hook_or_nothing(run, event)


def hook_or_nothing(run: Run, event: Event) -> Script:
    """Return the script of an event that does only what its hook does."""
    function = run.deployment.spec.hooks.get(event.name) if run.deployment.spec else None
    return hooks.invoke(run, event, function) if function else run.pause(BRISK)


def _install(run: Run) -> Script:
    """Make the replacement task set, at full scale at once (aws-facts 6.2), and wait until it is steady."""
    deployment, ports = run.deployment, run.ports
    spec = deployment.spec
    assert spec is not None
    service = _service(run)
    blue_group, green_group = target_groups(run, service.primary.target_group_arn)
    _check_listeners(run, blue_group, green_group)
    deployment.blue = service.primary.id
    of_ecs(run, "ecs:CreateTaskSet", lambda: _check_pass_role(run, spec.task_definition))
    green = of_ecs(
        run,
        "ecs:CreateTaskSet",
        lambda: ports.ecs.create_task_set(
            service,
            external_id=deployment.id,
            task_definition=spec.task_definition,
            target_group_arn=green_group,
            container_name=spec.container,
            container_port=spec.port,
            network=spec.network,
            platform_version=spec.platform_version,
        ),
    )
    deployment.green = green.id
    steady = yield from run.until(lambda: _steady(run), _INSTALL_LIMIT)
    if not steady:
        raise ends.install_timed_out(run.unverified)


def _check_pass_role(run: Run, task_definition: str) -> None:
    """Who makes a task set passes the roles of its task definition on to ECS, and needs leave to (aws-facts 8.1)."""
    plan, context = run.deployment.plan, {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
    for role in run.ports.ecs.roles(task_definition, plan.region):
        if not run.ports.identity.allows(plan.role, "iam:PassRole", role, context):
            raise ends.permission_missing(plan.role, "AmazonECS")


def _steady(run: Run) -> bool:
    green = task_set(run, run.deployment.green)
    if green is None:
        plan = run.deployment.plan
        raise ends.invalid_service(plan.cluster, plan.service, "has lost its replacement task set")
    return bool(green.steady)


def _service(run: Run) -> Any:
    """Return the service, when it still is one that CodeDeploy can deploy to."""
    plan = run.deployment.plan
    service = run.ports.ecs.service(plan.cluster, plan.service, plan.region)
    if service is None or service.status != "ACTIVE":
        raise ends.invalid_service(plan.cluster, plan.service, "does not exist or is not active")
    if service.controller != "CODE_DEPLOY":
        raise ends.invalid_service(plan.cluster, plan.service, "has no CODE_DEPLOY deployment controller")
    if service.primary is None:
        raise ends.invalid_service(plan.cluster, plan.service, "has no primary task set")
    run.deployment.service_arn = service.arn
    return service


def target_groups(run: Run, blue_arn: str) -> tuple[str, str]:
    """Return the ARNs of blue's target group and of the other one of the pair."""
    plan = run.deployment.plan
    found = [run.ports.elb.target_group(name, plan.region) for name in plan.target_groups]
    if any(group is None for group in found):
        raise ends.elb_refused("One or more target groups not found", run.unverified)
    arns = [group.arn for group in found]
    if blue_arn not in arns:
        raise _not_behind(run, plan.production)
    return blue_arn, arns[1 - arns.index(blue_arn)]


def _check_listeners(run: Run, blue: str, green: str) -> None:
    """What CodeDeploy refuses to begin on (aws-facts 7.3).

    The test listener may point at either group of the pair: that worked live (7.2).
    """
    plan, allows = run.deployment.plan, run.ports.identity.allows
    if not all(allows(plan.role, f"elasticloadbalancing:{action}") for action in _DESCRIBE):
        raise ends.permission_missing(plan.role, "AmazonElasticLoadBalancing")
    forwards = _forwards_of_pair(run, plan.production, (blue, green))
    if any(blue not in forward for forward in forwards):
        raise _not_behind(run, plan.production)
    if any(forward.get(green, 0) > 0 for forward in forwards):
        raise ends.elb_refused(
            "Green taskset target group cannot have non-zero weight prior to traffic shifting", run.unverified
        )
    if plan.test:
        _forwards_of_pair(run, plan.test, (blue, green))


def _forwards_of_pair(run: Run, listener: str, pair: tuple[str, str]) -> list[dict[str, int]]:
    """Return what the listener forwards to the pair; there must be something."""
    if run.ports.elb.listener(listener) is None:
        raise ends.elb_refused(f"Listener '{listener}' not found", run.unverified)
    forwards = [one for one in run.ports.elb.forwards(listener) if not one.keys().isdisjoint(pair)]
    if not forwards:
        raise _not_behind(run, listener)
    return forwards


def _not_behind(run: Run, listener: str) -> ends.EndedError:
    return ends.elb_refused(
        f"Primary taskset target group must be behind listener {listener}", run.unverified
    )


def _allow_test_traffic(run: Run) -> Script:
    """Send the test listener's traffic to green."""
    assert run.deployment.plan.test
    set_share(run, run.deployment.plan.test, 100)
    yield from run.pause(BRISK)


def _allow_traffic(run: Run) -> Script:
    """Shift production by the config's steps; at the end green is PRIMARY (aws-facts 1.4, 2.1)."""
    for increment in run.deployment.plan.increments:
        set_share(run, run.deployment.plan.production, increment.percent)
        yield from run.pause(increment.wait)
    yield from run.pause(BRISK)
    green = task_set(run, run.deployment.green)
    of_ecs(run, "ecs:UpdateServicePrimaryTaskSet", lambda: run.ports.ecs.set_primary(green))


def wait_for_approval(run: Run) -> Script:
    """Pause in Ready, when the group asks for it, until ContinueDeployment says go on (aws-facts 2.2)."""
    wait = run.deployment.plan.ready_wait
    if wait is None:
        return
    run.deployment.status = "Ready"
    continued = yield from run.until(lambda: "READY_WAIT" in run.deployment.continued, wait)
    if not continued:
        raise ends.ready_expired(round(wait / timedelta(minutes=1)), run.unverified)
    run.deployment.status = "InProgress"


def _keep_blue(run: Run) -> Script:
    """Keep the original tasks; the status stays InProgress and only one flag tells (aws-facts 2.2)."""
    run.deployment.termination_wait_started = True
    yield from run.until(
        lambda: "TERMINATION_WAIT" in run.deployment.continued, run.deployment.plan.keep_blue
    )


def set_share(run: Run, listener: str, percent: int) -> None:
    """Give green `percent` of a listener's traffic and blue the rest; both stay in it (aws-facts 7.2)."""
    plan = run.deployment.plan
    blue, green = task_set(run, run.deployment.blue), task_set(run, run.deployment.green)
    arns = [
        group.arn for name in plan.target_groups if (group := run.ports.elb.target_group(name, plan.region))
    ]
    if blue is None or green is None or len(arns) != 2:
        raise ends.invalid_service(plan.cluster, plan.service, "has lost a task set or its target group")
    weights = {blue.target_group_arn: 100 - percent, green.target_group_arn: percent}
    try:
        if not _may_modify(run, listener):
            raise ends.permission_missing(plan.role, "AmazonElasticLoadBalancing")
        run.ports.elb.set_weights(listener, weights)
    except RefusedError as error:
        raise ends.elb_refused(error.message, run.unverified) from error


def _may_modify(run: Run, listener: str) -> bool:
    """Tell whether the role may rewrite a listener, and the rules of one that has some (aws-facts 7.2)."""
    role, allows = run.deployment.plan.role, run.ports.identity.allows
    rules = listener.replace(":listener/", ":listener-rule/") + "/*"
    has_rules = len(run.ports.elb.forwards(listener)) > 1
    return allows(role, "elasticloadbalancing:ModifyListener", listener) and (
        not has_rules or allows(role, "elasticloadbalancing:ModifyRule", rules)
    )


def of_ecs(run: Run, action: str, call: Callable[[], T]) -> T:
    """Return what `call` returns; what ECS refuses, and the role may not ask of it, ends the deployment."""
    plan = run.deployment.plan
    kind, rest = ("service", "") if action == "ecs:UpdateServicePrimaryTaskSet" else ("task-set", "/*")
    resource = f"arn:aws:ecs:{plan.region}:{ACCOUNT}:{kind}/{plan.cluster}/{plan.service}{rest}"
    if not run.ports.identity.allows(plan.role, action, resource):
        raise ends.permission_missing(plan.role, "AmazonECS")
    try:
        return call()
    except RefusedError as error:
        raise ends.ecs_refused(error.code, error.message, str(uuid.uuid4())) from error


def task_set(run: Run, identity: str | None) -> Any:
    """Return the service's task set with this id, None when it is gone."""
    plan = run.deployment.plan
    service = run.ports.ecs.service(plan.cluster, plan.service, plan.region)
    sets = service.task_sets if service is not None else ()
    return next((one for one in sets if one.id == identity), None)


_ACTIONS: Mapping[str, Callable[[Run], Script]] = {
    "Install": _install,
    "AllowTestTraffic": _allow_test_traffic,
    "AllowTraffic": _allow_traffic,
}
