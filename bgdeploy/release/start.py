"""Starts a release: preflight, image, task definition, AppSpec, record, deployment. Following it is `watch`'s part."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bgdeploy.aws import Aws, error_code
from bgdeploy.config import Settings
from bgdeploy.errors import BgdeployError, UsageError
from bgdeploy.release import appspec, preflight, record, revision
from bgdeploy.release.checks import Mode, fill
from bgdeploy.release.claimant import who
from bgdeploy.release.image import Image, Images, require_version
from bgdeploy.release.reader import Reader, find_target
from bgdeploy.release.record import Record
from bgdeploy.release.snapshot import Target
from bgdeploy.strategy import config_name

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

_ACTIVE = re.compile(r"(d-[A-Z0-9]+)")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Started:
    """A release that is on its way."""

    deployment_id: str
    record: Record
    target: Target


def start(  # noqa: PLR0913 - the command line's options, one each
    aws: Aws,
    settings: Settings,
    project: Path,
    version: str,
    *,
    image: str | None = None,
    strategy: str | None = None,
    checks: Mode = "all",
    ignore_alarms: bool = False,
    say: Say = lambda line: None,
) -> Started:
    """Start releasing `version`, saying each step, and return the deployment.

    Nothing is built, registered or started unless everything that can be known beforehand is well. Raises UsageError
    for what the caller or the project has wrong, BusyError when another deployment is active, BgdeployError otherwise.
    """
    require_version(version)
    config = _strategy(strategy or settings.config.deployment.strategy)
    template = appspec.read(project)
    container, names = settings.config.container, settings.names
    appspec.render(template, _filling(settings, "arn:aws:ecs:us-east-1:000000000000:task-definition/any:1"))
    target = find_target(aws, names)
    reader = Reader(aws, target)
    preflight.check(reader, names, ignore_alarms=ignore_alarms)
    found = _image(aws, settings, project, version, image, say)
    content = revision.build(settings, revision.Place.of(aws, settings), found, version)
    registered = revision.register(aws, content, version, found.context)
    say(f"task definition {registered.name}{'' if registered.fresh else ' says all this already'}")
    told = Record(
        version=version,
        env=settings.env,
        image=found.reference,
        task_definition=registered.arn,
        checks=tuple(fill(check, version) for check in settings.config.checks),
        mode=checks,
        by=who(),
        started=aws.clock.now().isoformat(timespec="seconds"),
        context=found.context,
    )
    record.save(aws, target.bucket, told)
    text = appspec.render(template, _filling(settings, registered.arn))
    deployment = _create(reader, text, told, config, ignore_alarms=ignore_alarms)
    say(f"deployment {deployment} releases {version} ({config}), container {container.name}")
    return Started(deployment, told, target)


def _strategy(strategy: str) -> str:
    try:
        return config_name(strategy)
    except ValueError as error:
        raise UsageError(f"the strategy {error}") from error


def _filling(settings: Settings, task_definition: str) -> appspec.Filling:
    container = settings.config.container
    return appspec.Filling(task_definition, container.name, container.port, settings.names.hook)


def _image(aws: Aws, settings: Settings, project: Path, version: str, named: str | None, say: Say) -> Image:
    images = Images(aws, settings, project, say)
    if named is None:
        return images.resolve(version)
    found = images.given(named)
    say(f"the image is {found.reference}")
    return found


def _create(reader: Reader, text: str, told: Record, config: str, *, ignore_alarms: bool) -> str:
    from botocore.exceptions import ClientError

    target = reader.target
    # With its alarms off for this deployment alone, a release may be the cure for what they ring about (aws-facts 4.1).
    silenced: dict[str, Any] = {"overrideAlarmConfiguration": {"enabled": False, "alarms": []}}
    try:
        made = reader.aws.client("codedeploy").create_deployment(
            applicationName=target.application,
            deploymentGroupName=target.group,
            deploymentConfigName=config,
            revision=appspec.revision(text),
            description=told.description,
            **(silenced if ignore_alarms else {}),
        )
    except ClientError as error:
        raise _refused(reader, error) from error
    return str(made["deploymentId"])


def _refused(reader: Reader, error: ClientError) -> Exception:
    """Somebody else was faster than us between the preflight and now (aws-facts 5.6): say who."""
    if error_code(error) != "DeploymentLimitExceededException":
        return error
    active = _ACTIVE.search(str(error))
    if active is None:
        return BgdeployError(
            f"CodeDeploy starts no deployment now: {error}", "`bgdeploy watch` shows what runs"
        )
    return preflight.busy(reader, active[1])
