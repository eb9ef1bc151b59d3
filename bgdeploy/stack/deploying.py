"""What deployments of a stack need: the hook, the CodeDeploy application and its deployment group."""

from __future__ import annotations

from pathlib import Path

from bgdeploy.config import Settings
from bgdeploy.provision.resource import Resource
from bgdeploy.resources.codedeploy import Application, DeploymentGroup
from bgdeploy.resources.function import Function
from bgdeploy.resources.storage import Bucket
from bgdeploy.stack.balancing import Balancing
from bgdeploy.stack.identity import Identities
from bgdeploy.stack.observing import Observing
from bgdeploy.stack.service import Served
from bgdeploy.strategy import config_name


def deploying(
    settings: Settings,
    project: Path,
    bucket: Bucket,
    balanced: Balancing,
    watched: Observing,
    roles: Identities,
    served: Served,
) -> tuple[Resource, ...]:
    """Return hook, application and deployment group."""
    config, names = settings.config, settings.names
    hook = Function(
        name=names.hook,
        label="hook",
        folder=project / "hook_lambda",
        handler="handler.handler",
        role=roles.hook,
        log_group=watched.hook_logs,
        environment=(("BUCKET", bucket.name), ("LEASE_SECONDS", str(int(config.hook.lease)))),
    )
    application = Application(name=names.plain)
    approval = config.deployment.approval
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
        config=config_name(config.deployment.strategy),
        keep_blue_minutes=config.deployment.keep_blue.minutes,
        approval_minutes=approval.minutes if approval else None,
        rollback_on=config.deployment.rollback_on,
    )
    return hook, application, group
