"""The way back when a release is finished: to what was live before it, by its own AppSpec, or to a version by its name.

CodeDeploy itself can go back only while the old tasks are kept (aws-facts 4.2). Later the old version is released once
more, which is a deployment like any other. Nothing is ever deregistered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from bgdeploy.aws import Attrs, absent
from bgdeploy.config import Settings
from bgdeploy.errors import WARNING, BgdeployError, Exit
from bgdeploy.names import PLACEHOLDER
from bgdeploy.release import appspec, preflight, revision, traffic
from bgdeploy.release.attending import inside
from bgdeploy.release.attending.claimant import who
from bgdeploy.release.checks import Mode, fill
from bgdeploy.release.ending import Ending
from bgdeploy.release.image import present
from bgdeploy.release.phase import new_version
from bgdeploy.release.reader import Reader
from bgdeploy.release.records import past, record
from bgdeploy.release.records.record import Record
from bgdeploy.release.sides import VERSION_TAG
from bgdeploy.release.start import Network, Prepared, Say, Started, config_made, launch


@dataclass(frozen=True)
class Live:
    """What is live now."""

    version: str
    task_definition: str
    deployment: str  # which made its tasks, "" when the service itself did


@dataclass(frozen=True)
class Good:
    """What can be gone back to."""

    version: str
    task_definition: str
    image: str
    deployment: str = ""  # with which it went live; "": it was named by its version
    text: str = ""  # that deployment's own AppSpec; "": the project's template, filled as for a release
    told: Record | None = None  # what its release left behind


@dataclass(frozen=True)
class How:
    """How to go back."""

    strategy: str
    checks: Mode
    network: Network
    undoes: str  # the deployment that is gone back from


def live(reader: Reader) -> Live:
    """Return what is live. Raises BgdeployError when nothing is."""
    sets = reader.sides.service().get("taskSets") or ()
    primary = next((one for one in sets if one["status"] == "PRIMARY"), None)
    if primary is None:
        raise BgdeployError("the service has no PRIMARY task set", "`bgdeploy status` shows what runs")
    arn = primary["taskDefinition"]
    return Live(reader.sides.version(arn), arn, primary.get("externalId") or "")


def leaving(reader: Reader) -> Live:
    """Return what is to be left: what is on its way in, or else what is live."""
    active = reader.active()
    snapshot = reader.read(active) if active else None
    if active is None or snapshot is None or snapshot.deployment.rolls_back:
        return live(reader)
    green = snapshot.side("green")
    return Live(new_version(snapshot), green.task_definition if green else "", active)


def before(reader: Reader, now: Live) -> Good:
    """Return what went live before what is live `now`, and says something else.

    Raises BgdeployError when there is nothing such, or when it cannot be released any more.
    """
    made = _deployment(reader, now.deployment) if now.version != PLACEHOLDER and now.deployment else None
    for info in past.deployments(reader.aws, reader.target, "Succeeded") if made else ():
        if info.get("creator") == past.ROLLBACK or not made or info["createTime"] >= made["createTime"]:
            continue
        text = past.own_appspec(reader.aws, info)
        if text is None:
            raise BgdeployError(
                f"deployment {info['deploymentId']}, which went live before {now.version}, had its AppSpec from S3",
                "name the version to go back to: `bgdeploy rollback --to VERSION`",
            )
        definition = appspec.task_definition(text)
        if definition != now.task_definition:
            return _usable(reader, info, text, definition)
    first = "nothing has gone live yet" if made is None else f"{now.version} is the first that went live"
    raise BgdeployError(
        f"there is nothing to go back to: {first}",
        "`bgdeploy history` shows what there was; `bgdeploy release VERSION` releases another version",
    )


def named(reader: Reader, family: str, version: str) -> Good:
    """Return the newest task definition of ours for a version whose image is still there.

    Raises BgdeployError when there is none.
    """
    gone = ""
    for found in revision.tagged(reader.aws, family, version):
        image, arn = _image(found, reader.target.container), found["taskDefinitionArn"]
        if present(reader.aws, image) is not False:
            return Good(version, arn, image, told=_release_of(reader, version, arn))
        gone = gone or image
    why = f"its image {gone} is gone" if gone else "no task definition of this stack is tagged with it"
    raise BgdeployError(
        f"there is no {version} to go back to: {why}",
        f"`bgdeploy history` shows what there was; `bgdeploy release {version}` builds it from what you see",
    )


def start(
    reader: Reader,
    settings: Settings,
    project: Path,
    good: Good,
    how: How,
    say: Say,
    begin: Callable[[], None],
) -> Started:
    """Start releasing what is `good` once more, and return the deployment.

    What it has to answer are the checks with which it went live, where they are known: it may not know what later ones
    ask for. An alarm that is on stops nobody from going back. Raises as `start.start` does.
    """
    aws = reader.aws
    strategy = traffic.asked(how.strategy)
    template = "" if good.text else appspec.read(project)
    there = traffic.look_up(aws, strategy)
    on = [alarm.name for alarm in reader.alarms() if alarm.state == "ALARM"]
    for warning in preflight.check(reader, settings.names, ignore_alarms=bool(on)):
        say(f"{WARNING}{warning}")
    if on:
        say(f"{WARNING}{', '.join(on)} in ALARM: no alarm stops this deployment")
    if not there:
        config_made(aws, strategy, say)
    told = _record(settings, good, how, aws.clock.now().isoformat(timespec="seconds"))
    if settings.config.checks_from == "hook":
        told = replace(told, door=inside.find_door(aws, reader.target))
    record.save(aws, reader.target.bucket, told)
    text = good.text
    if template:
        network = appspec.moved(how.network(), reader.sides.service()["networkConfiguration"])
        text = appspec.render(template, appspec.Filling.of(settings, good.task_definition, network))
    prepared = Prepared(reader, strategy.config(aws.stack), text, told, bool(on))
    begin()
    return launch(prepared, say)


def _record(settings: Settings, good: Good, how: How, started: str) -> Record:
    asked = tuple(fill(check, good.version) for check in settings.config.checks)
    return Record(
        version=good.version,
        env=settings.env,
        image=good.image,
        task_definition=good.task_definition,
        checks=good.told.checks if good.told else asked,
        mode=how.checks,
        by=who(),
        started=started,
        context=good.told.context if good.told else "",
        strategy=how.strategy,
        # Not the folder's by now: what goes out was made from what it was then.
        commit=good.told.commit if good.told else "",
        dirty=good.told.dirty if good.told else False,
        undoes=how.undoes,
    )


def undone(ended: Ending) -> Ending:
    """Return how a deployment ended that was stopped so that production goes back: going back is success.

    That production is where it was has been verified, or the ending would ask for a person.
    """
    if ended.exit is Exit.ROLLED_BACK:
        return replace(ended, exit=Exit.DONE, headline=f"{ended.headline}, verified", why=(), next=())
    if ended.exit is Exit.DONE:
        late = f"{ended.headline}: it was finished before it could be stopped"
        return replace(ended, exit=Exit.ERROR, headline=late, next=("bgdeploy rollback",))
    return ended


def returned(version: str) -> Callable[[Ending], Ending]:
    """Return what has the ending of a way back say that it came from `version`."""

    def judge(ended: Ending) -> Ending:
        told = f"back from {version}: {ended.headline}"
        return replace(ended, headline=told) if ended.exit is Exit.DONE else ended

    return judge


def _deployment(reader: Reader, ident: str) -> Attrs | None:
    with absent("DeploymentDoesNotExistException"):
        found: Attrs = reader.aws.client("codedeploy").get_deployment(deploymentId=ident)["deploymentInfo"]
        return found
    return None


def _usable(reader: Reader, info: Attrs, text: str, definition: str) -> Good:
    """Return a deployment's version as something to go back to. Raises BgdeployError when its parts are gone."""
    found, tags = revision.described(reader.aws, definition)
    version = tags.get(VERSION_TAG) or definition.rpartition("/")[2]
    image = _image(found, reader.target.container)
    gone = ""
    if found.get("status") != "ACTIVE":
        gone = f"its task definition {definition.rpartition('/')[2]} has been deregistered"
    elif present(reader.aws, image) is False:
        gone = f"its image {image} is gone"
    if gone:
        raise BgdeployError(
            f"{version}, which was live before, cannot be gone back to: {gone}",
            "`bgdeploy history` shows what else there was: `bgdeploy rollback --to VERSION`",
        )
    ident = info["deploymentId"]
    key = record.key_of(info.get("description") or "")
    told = record.load(reader.aws, reader.target.bucket, key) if key else None
    return Good(version, definition, image, ident, text, told)


def _image(definition: Attrs, container: str) -> str:
    images = {each["name"]: each["image"] for each in definition["containerDefinitions"]}
    return str(images.get(container) or next(iter(images.values())))


def _release_of(reader: Reader, version: str, definition: str) -> Record | None:
    """Return what the newest release of this very task definition left behind that went live, None if there is none."""
    for info in past.deployments(reader.aws, reader.target, "Succeeded"):
        told = record.described(info.get("description") or "")
        if told and told.version == version:
            found = record.load(reader.aws, reader.target.bucket, told.key)
            if found and found.task_definition == definition:
                return found
    return None
