"""Starts a release: preflight, image, task definition, AppSpec, record, deployment. Following it is `watch`'s part."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bgdeploy.aws import Attrs, Aws, error_code
from bgdeploy.config import Settings
from bgdeploy.errors import WARNING, BgdeployError, InterruptError
from bgdeploy.release import appspec, preflight, revision, scaling, traffic
from bgdeploy.release.attending import inside
from bgdeploy.release.attending.claimant import who
from bgdeploy.release.checks import Mode, fill
from bgdeploy.release.image import Image, Images, require_version
from bgdeploy.release.reader import Reader, find_target
from bgdeploy.release.records import commit, record
from bgdeploy.release.records.record import Record
from bgdeploy.release.scaling import Suspension
from bgdeploy.release.snapshot import Target
from bgdeploy.strategy import Strategy

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

_ACTIVE = re.compile(r"(d-[A-Z0-9]+)")
_BUSY = "DeploymentLimitExceededException"

Say = Callable[[str], None]
Network = Callable[[], "Attrs | None"]  # in ECS's words


@dataclass(frozen=True)
class Started:
    """A release that is on its way."""

    deployment_id: str
    record: Record
    target: Target
    scaling_suspended: bool = False


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
    network: Network = lambda: None,
    target: Target | None = None,
    say: Say = lambda line: None,
    begin: Callable[[], None] = lambda: None,
) -> Started:
    """Start releasing `version`, saying each step, and return the deployment.

    Nothing is built, registered or started unless everything that can be known beforehand is well. `network` tells
    where the tasks are to stand, and None when they are to stay where the service has them. `target` spares finding
    out where the stack deploys to. `begin` is called right before the deployment is created: from then on, Ctrl-C
    must not lose what is returned. Raises UsageError for what the caller or the project has wrong, BusyError when
    another deployment is active, InterruptError when Ctrl-C came before `begin`, BgdeployError otherwise.
    """
    done: list[str] = []
    asked = _Asked(version, image, strategy, checks, ignore_alarms, network, target)
    try:
        prepared = _prepare(aws, settings, project, asked, say, done)
    except KeyboardInterrupt:
        raise _interrupted(version, done) from None
    begin()
    return launch(prepared, say)


def require(settings: Settings, project: Path, version: str, strategy: str | None) -> tuple[Strategy, str]:
    """Return the strategy and the AppSpec's template of a release. Raises UsageError, before AWS is asked anything."""
    require_version(version)
    asked = traffic.asked(strategy or settings.config.deployment.strategy)
    template = appspec.read(project)
    appspec.render(template, appspec.Filling.of(settings, appspec.ANY_REVISION))
    return asked, template


@dataclass(frozen=True)
class _Asked:
    """What the command line asks for."""

    version: str
    image: str | None
    strategy: str | None
    checks: Mode
    ignore_alarms: bool
    network: Network
    target: Target | None


@dataclass(frozen=True)
class Prepared:
    """All that a deployment is created from."""

    reader: Reader
    config: str  # the deployment config's name
    text: str  # the AppSpec
    told: Record
    ignore_alarms: bool


def _prepare(
    aws: Aws, settings: Settings, project: Path, asked: _Asked, say: Say, done: list[str]
) -> Prepared:
    """Do what comes before the deployment, noting in `done` what it leaves behind."""
    strategy, template = require(settings, project, asked.version, asked.strategy)
    reader = Reader(aws, asked.target or find_target(aws, settings.names))
    there = traffic.look_up(aws, strategy)
    for warning in preflight.check(reader, settings.names, ignore_alarms=asked.ignore_alarms):
        say(f"{WARNING}{warning}")
    image = _image(aws, settings, project, asked, say)
    if image.source == "built":
        done.append(f"image {image.reference} was pushed")
    content = revision.build(settings, revision.place(aws, settings), image, asked.version)
    registered = revision.register(aws, content, asked.version, image.context)
    if registered.fresh:
        done.append(f"task definition {registered.name} was registered")
    say(f"task definition {registered.name}{'' if registered.fresh else ' says all this already'}")
    if not there:
        done.append(config_made(aws, strategy, say))
    source = commit.of(project)
    told = Record(
        version=asked.version,
        env=settings.env,
        image=image.reference,
        task_definition=registered.arn,
        checks=tuple(fill(check, asked.version) for check in settings.config.checks),
        mode=asked.checks,
        by=who(),
        started=aws.clock.now().isoformat(timespec="seconds"),
        context=image.context,
        strategy=asked.strategy or settings.config.deployment.strategy,
        commit=source.hash,
        dirty=source.dirty,
        door=inside.find_door(aws, reader.target) if settings.config.checks_from == "hook" else None,
    )
    record.save(aws, reader.target.bucket, told)
    network = appspec.moved(asked.network(), reader.sides.service()["networkConfiguration"])
    text = appspec.render(template, appspec.Filling.of(settings, registered.arn, network))
    return Prepared(reader, strategy.config(aws.stack), text, told, asked.ignore_alarms)


def _interrupted(version: str, done: list[str]) -> InterruptError:
    """A release that is begun again finds what the interrupted one left behind."""
    left = f"; {', '.join(done)}" if done else ""
    return InterruptError(
        f"interrupted: no deployment was started, production is untouched{left}",
        f"`bgdeploy release {version}` begins again" + (", and uses what is there" if done else ""),
        {"version": version, "done": done},
    )


def config_made(aws: Aws, strategy: Strategy, say: Say) -> str:
    """Make the deployment config of a strategy, and return a sentence that says so."""
    traffic.make(aws, strategy)
    made = f"deployment config {strategy.config(aws.stack)} was made"
    say(made)
    return made


def _image(aws: Aws, settings: Settings, project: Path, asked: _Asked, say: Say) -> Image:
    images = Images(aws, settings, project, say)
    if asked.image is None:
        return images.resolve(asked.version)
    found = images.given(asked.image)
    say(f"the image is {found.reference}")
    return found


def launch(prepared: Prepared, say: Say) -> Started:
    """Create the deployment of a release that is prepared. Raises BusyError when somebody else was faster."""
    deployment, suspension = _create(prepared)
    say(f"deployment {deployment} releases {prepared.told.version} ({prepared.config})")
    if suspension:
        say("auto scaling is suspended until the deployment is over")
    return Started(deployment, prepared.told, prepared.reader.target, suspension is not None)


def _create(prepared: Prepared) -> tuple[str, Suspension | None]:
    """Create the deployment, and return its id and what of auto scaling was suspended for it."""
    from botocore.exceptions import ClientError

    reader, target, told = prepared.reader, prepared.reader.target, prepared.told
    suspension = scaling.suspend(reader.aws, target, told.key, told.by)
    # With its alarms off for this deployment alone, a release may be the cure for what they ring about (aws-facts 4.1).
    silenced: dict[str, Any] = {"overrideAlarmConfiguration": {"enabled": False, "alarms": []}}
    try:
        made = reader.aws.client("codedeploy").create_deployment(
            applicationName=target.application,
            deploymentGroupName=target.group,
            deploymentConfigName=prepared.config,
            revision=appspec.revision(prepared.text),
            description=told.description,
            **(silenced if prepared.ignore_alarms else {}),
        )
    except ClientError as error:
        active = _ACTIVE.search(str(error)) if error_code(error) == _BUSY else None
        if active and _is_ours(prepared, active[1]):
            return active[1], suspension
        if suspension:
            scaling.withdraw(reader, suspension)
        raise _refused(reader, error, active) from error
    return str(made["deploymentId"]), suspension


def _is_ours(prepared: Prepared, deployment_id: str) -> bool:
    """A request that is sent again, because its answer was lost, meets itself: the description holds our own key."""
    found = prepared.reader.aws.client("codedeploy").get_deployment(deploymentId=deployment_id)
    return bool(found["deploymentInfo"].get("description") == prepared.told.description)


def _refused(reader: Reader, error: ClientError, active: re.Match[str] | None) -> Exception:
    """Somebody else was faster than us between the preflight and now (aws-facts 5.6): say who."""
    if error_code(error) != _BUSY:
        return error
    if active is None:
        return BgdeployError(
            f"CodeDeploy starts no deployment now: {error}", "`bgdeploy watch` shows what runs"
        )
    return preflight.busy(reader, active[1])
