"""What a resource is: a value with five verbs, and the engine's view of it. Knows no AWS service."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar

from bgdeploy.aws import Attrs, Aws
from bgdeploy.errors import BgdeployError
from bgdeploy.provision.diff import Difference
from bgdeploy.provision.values import Unmade

T = TypeVar("T")


class UnusableError(BgdeployError):
    """Something external cannot be used: nothing is begun then."""


TAGS = "Tags"  # where `find` puts a resource's tags, as a dict


class Look:
    """What one pass has seen of AWS: each question is asked once, however many resources need the answer."""

    def __init__(self, aws: Aws, *, for_removal: bool = False) -> None:
        self.aws = aws
        # What is on its way out counts as gone for those who build, and as still there for those who remove.
        self.for_removal = for_removal
        self._lock = threading.Lock()
        self._answers: dict[object, Future[Any]] = {}

    def once(self, question: object, ask: Callable[[], T]) -> T:
        """Return what `ask` returned the first time `question` came up in this pass; others wait for it."""
        with self._lock:
            answer = self._answers.get(question)
            first = answer is None
            if answer is None:
                answer = self._answers[question] = Future()
        if first:
            try:
                answer.set_result(ask())
            except BaseException as error:
                answer.set_exception(error)
        result: T = answer.result()
        return result


class Known:
    """What is known of the resources that exist by now: `known[vpc]["VpcId"]`."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws
        self._actual: dict[Resource, Attrs] = {}

    def __getitem__(self, resource: Resource) -> Attrs:
        return self._actual[resource]

    def __setitem__(self, resource: Resource, actual: Attrs) -> None:
        self._actual[resource] = actual

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._actual)

    def __contains__(self, resource: object) -> bool:
        return resource in self._actual


class Foreseen(Known):
    """What a plan knows: of resources that are still to be made, it says that their attributes come later."""

    def __getitem__(self, resource: Resource) -> Attrs:
        return self._actual[resource] if resource in self else _Later(resource.address)


class _Later(dict[str, Any]):
    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address

    def __missing__(self, key: str) -> str:
        return Unmade(f"(the {key} of {self._address}, once it is made)")


@dataclass(frozen=True, eq=False, kw_only=True)
class Resource:
    """One thing in AWS. A field that holds another resource is a dependency; `after` names those that none holds."""

    kind: ClassVar[str]
    # How it is known again, without a state file: AWS keeps the name unique, or the tags tell.
    found_by: ClassVar[str] = "its name"
    # Compared, but never changed in place: a difference is refused, with the way out.
    immutable: ClassVar[frozenset[str]] = frozenset()
    # Given at creation and never compared: AWS itself moves them afterwards. Each kind says why.
    create_only: ClassVar[frozenset[str]] = frozenset()
    # Cannot carry tags: it belongs to whoever owns the resources it is part of.
    part_of_another: ClassVar[bool] = False
    # Somebody else's, that the stack uses: it must be there, and is never made, changed or removed.
    external: ClassVar[bool] = False
    # AWS's codes, or words where the code says too little, for "there is one by that name already": another was
    # faster, or a lost answer was asked for again.
    taken: ClassVar[frozenset[str]] = frozenset()

    name: str
    label: str = ""  # what tells it from others of its kind within the stack
    after: tuple[Resource, ...] = ()

    @property
    def address(self) -> str:
        """What plans and tags call it: `target-group/blue`."""
        return f"{self.kind}/{self.label}" if self.label else self.kind

    @property
    def depends_on(self) -> tuple[Resource, ...]:
        """The resources that must be there before this one."""
        held = (value for field in fields(self) for value in _resources(getattr(self, field.name)))
        return tuple(dict.fromkeys(held))

    def desired(self, known: Known) -> Attrs:
        """Return what it should be, in AWS's own words. Calls nobody."""
        raise NotImplementedError

    def find(self, look: Look) -> Attrs | None:
        """Return what it is, with its tags under TAGS; None when it is not there. Never changes anything."""
        raise NotImplementedError

    def create(self, aws: Aws, desired: Attrs) -> Attrs:
        """Make it, tagged as ours, and return what it is."""
        raise NotImplementedError

    def update(self, aws: Aws, actual: Attrs, changed: Attrs) -> Attrs:
        """Change the fields in `changed`, and return what it is now."""
        raise NotImplementedError

    def delete(self, aws: Aws, actual: Attrs) -> None:
        """Remove it; what is gone already is no error."""
        raise NotImplementedError

    def retag(self, aws: Aws, actual: Attrs, tags: Mapping[str, str]) -> None:
        """Put `tags` on it, keeping those that it has beside them."""
        raise NotImplementedError

    def forgotten(self, look: Look, declared: Collection[Resource]) -> list[Remains]:
        """Return what is ours, belongs to this resource's like, and is not what any of `declared` stands for."""
        return []

    def awaits_release(self, known: Known, actual: Attrs) -> tuple[Difference, ...]:
        """Return what differs from the config and no provision can change: the next release brings it. Calls nobody."""
        return ()

    def told(self, actual: Attrs) -> str:
        """Return what there is to tell of something external that was found, "" when its name says it all."""
        return ""

    def held(self, actual: Attrs) -> str:
        """Return why it must not be removed as it is: a sentence with a way out; "" when it may be."""
        return ""

    def coming(self, actual: Attrs) -> bool:
        """Tell whether it is made and of use within the stack, but not yet to those outside."""
        return False

    def await_use(self, aws: Aws, actual: Attrs) -> None:
        """Return once what is `coming` has come."""

    def stranger(self, actual: Attrs) -> tuple[str, str]:
        """Return how to call what is in its place and not ours, and how to step aside."""
        return f"{self.kind} {self.name!r}", "remove or rename it, choose another app name"

    @property
    def adoptable(self) -> bool:
        """Tell whether what is in its place and not ours may be taken over, if somebody says so."""
        return True

    def missing(self) -> str:
        """Return what there is to tell when it is external and not there: a sentence with a way out."""
        return f"{self.kind} {self.name!r} does not exist, and is not the stack's to make: correct the config"

    def tags(self, aws: Aws) -> Mapping[str, str]:
        """Return the tags it is made with."""
        return {**aws.tags(self.address), "Name": self.name}


@dataclass(frozen=True, eq=False, kw_only=True)
class Remains(Resource):
    """Something of ours that the config does not ask for any more. All that can be done with it is to remove it."""

    kind = "remains"
    was: str  # its address when it was asked for
    actual: Attrs
    remove: Callable[[Aws, Attrs], None]
    waits: str = ""  # why provision cannot remove it yet, "" when it can

    @property
    def address(self) -> str:
        return self.was

    def delete(self, aws: Aws, actual: Attrs) -> None:
        self.remove(aws, actual)


def _resources(value: object) -> Iterator[Resource]:
    if isinstance(value, Resource):
        yield value
    elif isinstance(value, tuple):
        for each in value:
            yield from _resources(each)
