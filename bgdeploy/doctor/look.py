"""Looks at everything that a release depends on, all at once. Changes nothing, and what it may not see is Unread."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from bgdeploy.aws import Aws, absent, translated
from bgdeploy.config import Settings
from bgdeploy.doctor import alarms, deployments, roles, room
from bgdeploy.doctor.condition import Condition, HookSeen, TopicSeen, Unread
from bgdeploy.errors import BgdeployError
from bgdeploy.hookfiles import hook_doubts
from bgdeploy.provision.resource import Foreseen, Look, Resource
from bgdeploy.provision.walk import walk
from bgdeploy.release import preflight
from bgdeploy.release.reader import Reader, find_target
from bgdeploy.release.snapshot import Target
from bgdeploy.resources.function import Function
from bgdeploy.resources.identity import Role

T = TypeVar("T")


@dataclass(frozen=True)
class Patient:
    """The stack that is looked at."""

    aws: Aws
    settings: Settings
    resources: Sequence[Resource]

    def all(self, kind: type[T]) -> list[T]:
        """Return the resources of one kind."""
        return [each for each in self.resources if isinstance(each, kind)]


def look(aws: Aws, settings: Settings, resources: Sequence[Resource]) -> Condition:
    """Return the condition of a stack. Raises KeyboardInterrupt, and what AWS raises for bad credentials."""
    account, caller = aws.account, aws.caller
    patient = Patient(aws, settings, resources)
    target = _read(lambda: find_target(aws, settings.names))
    readings: Mapping[str, Callable[[], Any]] = {
        "roles": lambda: tuple(roles.seen(aws, role) for role in patient.all(Role)),
        "hook": lambda: _hook(patient),
        "linked": lambda: roles.linked(aws, scaling=settings.config.service.scale is not None),
        "standing": _with(target, lambda found: preflight.examine(Reader(aws, found), settings.names)),
        "alarms": _with(target, lambda found: alarms.seen(aws, found, resources)),
        "room": _with(target, lambda found: room.room(Reader(aws, found), settings.config)),
        "image": _with(target, lambda found: room.image(Reader(aws, found))),
        "in_flight": _with(target, lambda found: deployments.in_flight(Reader(aws, found))),
        "leftovers": _with(target, lambda found: deployments.leftovers(Reader(aws, found))),
        "topics": lambda: tuple(_topic(aws, arn) for arn in settings.config.topics),
        "let_in": lambda: deployments.let_in(aws, settings.names),
    }
    walked = walk(dict.fromkeys(readings, ()), lambda name: _read(readings[name]))
    for error in walked.errors.values():
        raise error
    if walked.interrupted:
        raise KeyboardInterrupt
    return Condition(account=account, caller=caller, region=aws.region, **walked.results)


def _read(reading: Callable[[], T]) -> T | Unread:
    """Return what `reading` finds, Unread when AWS does not let us see it, or a part of the stack is not there."""
    try:
        return reading()
    except BgdeployError as error:
        return Unread(error.message, error.hint, broken=True)
    except Exception as error:
        told = translated(error)
        if told is None:
            raise
        return Unread(told.message, told.hint)


def _with(target: Target | Unread, reading: Callable[[Target], T]) -> Callable[[], T | Unread]:
    """Return a reading that needs to know where the stack acts; the listeners tell why that is not known."""
    if isinstance(target, Unread):
        return lambda: target
    return lambda: reading(target)


def _topic(aws: Aws, arn: str) -> TopicSeen:
    with absent("NotFound", "NotFoundException"):
        aws.client("sns").get_topic_attributes(TopicArn=arn)
        return TopicSeen(arn, exists=True)
    return TopicSeen(arn, exists=False)


def _hook(patient: Patient) -> HookSeen:
    """Return the state of the hook's function, and whether it is the project's and may answer."""
    aws = patient.aws
    (function,) = patient.all(Function)
    doubts = tuple(hook_doubts(function.folder, patient.settings.config))
    found = function.find(Look(aws))
    if found is None:
        return HookSeen(function.name, doubts=doubts)
    code = function.desired(Foreseen(aws))["CodeSha256"]
    denied, simulated = roles.denied_answers(aws, function.role, patient.settings.names)
    return HookSeen(
        name=function.name,
        state=found.get("State", "Active"),
        update=found.get("LastUpdateStatus", ""),
        current=found.get("CodeSha256") == code,
        denied=denied,
        simulated=simulated,
        doubts=doubts,
    )
