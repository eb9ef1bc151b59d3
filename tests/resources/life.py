"""What the lifecycle test has to know of a kind and cannot ask it: how somebody changes it behind our back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bgdeploy.provision.resource import Resource
from bgdeploy.sandbox.world import World
from bgdeploy.stack import build
from tests.resources.near import NearAws, Scene, small

ROOT = Path(__file__).parents[2]

Deed = Callable[[Scene], object]  # what somebody does to the resource of a scene, with plain boto3


@dataclass(frozen=True)
class Tags:
    """How the tags of a kind are set and removed."""

    put: Callable[[Scene, Mapping[str, str]], object]
    remove: Callable[[Scene, str], object]


def _small(world: World) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class Life:
    """One kind, in one stack that has it."""

    kind: type[Resource]
    tags: Tags | None  # None: it cannot carry any
    drift: tuple[tuple[str | tuple[str, ...], Deed], ...] = ()  # at least one for each mutable field
    moves: tuple[tuple[str, Deed], ...] = ()  # the same for each field that AWS itself moves
    # What AWS brings about and others wait for, and this one has from the start.
    at_once: frozenset[str] = frozenset()
    # Told from others by its tags alone: without them it is not ours, and in nobody's way.
    nameless: bool = False
    label: str = ""  # which of several
    tls: bool = False  # behind TLS, which the sandbox does not have
    config: Callable[[World], Mapping[str, Any]] = _small  # what has to be asked for to get one
    what: str = ""  # in the test's name, where a kind lives more than once

    @property
    def name(self) -> str:
        return " ".join(filter(None, (self.kind.__name__, self.what)))


def staged(world: World, life: Life, app: str) -> Scene:
    """Return a scene with one of the kind in a stack of its own, called after `app`."""
    settings = small(app, life.config(world))
    aws = NearAws(world, settings.names.stack, tls=life.tls)
    stack = build(settings, ROOT, aws.account, aws.region)
    alike = (each for each in stack if type(each) is life.kind and life.label in {"", each.label})
    return Scene(aws, stack, next(alike))


def nothing(scene: Scene) -> None:
    """Nobody can change it once it is made."""
