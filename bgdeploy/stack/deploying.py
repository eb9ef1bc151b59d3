"""What deployments of a stack need: the hook, the CodeDeploy application and its deployment group."""

from __future__ import annotations

from pathlib import Path

from bgdeploy.config import Settings
from bgdeploy.names import Names
from bgdeploy.provision.resource import Resource
from bgdeploy.resources.codedeploy import (
    Application,
    DeploymentConfig,
    DeploymentGroup,
    ExistingDeploymentConfig,
)
from bgdeploy.resources.function import Function
from bgdeploy.resources.storage import Bucket
from bgdeploy.stack.balancing import Balancing
from bgdeploy.stack.identity import Identities
from bgdeploy.stack.network import Network
from bgdeploy.stack.observing import Observing
from bgdeploy.stack.service import Served
from bgdeploy.strategy import Strategy, parse


def deploying(  # noqa: PLR0913 - a chapter for each
    settings: Settings,
    project: Path,
    bucket: Bucket,
    net: Network,
    balanced: Balancing,
    watched: Observing,
    roles: Identities,
    served: Served,
) -> tuple[Resource, ...]:
    """Return hook, application, the deployment config if one has to be there, and the deployment group."""
    config, names = settings.config, settings.names
    hook = Function(
        name=names.hook,
        label="hook",
        folder=project / "hook_lambda",
        handler="handler.handler",
        role=roles.hook,
        log_group=watched.hook_logs,
        environment=(
            ("BUCKET", bucket.name),
            ("LEASE_SECONDS", str(int(config.hook.lease))),
            *((("CHECKS_FROM", "hook"),) if net.hook else ()),
        ),
        subnets=net.task_subnets if net.hook else (),
        security_group=net.hook,
        after=net.ready if net.hook else (),
    )
    application = Application(name=names.plain)
    strategy, approval = parse(config.deployment.strategy), config.deployment.approval
    shifting = _shifting(strategy, names, application)
    group = DeploymentGroup(
        name=names.plain,
        application=application,
        role=roles.codedeploy,
        service=served.service,
        production=balanced.production,
        test=balanced.test,
        blue=balanced.blue,
        green=balanced.green,
        alarms=watched.alarms,
        config=strategy.config(names.stack),
        keep_blue_minutes=config.deployment.keep_blue.minutes,
        approval_minutes=approval.minutes if approval else None,
        rollback_on=config.deployment.rollback_on,
        after=shifting,
    )
    return hook, application, *shifting, group


def _shifting(strategy: Strategy, names: Names, application: Application) -> tuple[Resource, ...]:
    """Return the deployment config of a strategy, nothing where CodeDeploy brings it along."""
    name = strategy.config(names.stack)
    if strategy.predefined:
        return ()
    if strategy.kind == "named":
        return (ExistingDeploymentConfig(name=name),)
    return (DeploymentConfig(name=name, application=application, routing=strategy.routing),)
