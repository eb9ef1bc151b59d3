"""What stands in the way of a stack's beginning, its use and its end."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from bgdeploy.aws import STACK_TAG, Attrs, Aws
from bgdeploy.provision import converge
from bgdeploy.provision.converge import RefusedError
from bgdeploy.provision.plan import Action, Progress, State
from bgdeploy.provision.resource import TAGS, Look, Remains, Resource, UnusableError
from tests.unit.things import STACK, Cupboard, Thing, aws


@dataclass(frozen=True, eq=False, kw_only=True)
class Street(Thing):
    """Somebody else's, which may be closed."""

    kind = "street"
    external = True

    def find(self, look: Look) -> Attrs | None:
        if self.name not in self.cupboard.held:
            raise UnusableError(f"{self.name} is closed", "choose another street")
        return {"Id": self.name}

    def told(self, actual: Attrs) -> str:
        return f"{actual['Id']}, open"


@dataclass(frozen=True, eq=False, kw_only=True)
class Shop(Thing):
    """Made, it opens only later; locked, it is not to be removed."""

    kind = "shop"

    def coming(self, actual: Attrs) -> bool:
        return not actual.get("Open")

    def await_use(self, aws: Aws, actual: Attrs) -> None:
        self.cupboard.do(f"await {self.name}")

    def held(self, actual: Attrs) -> str:
        return f"{self.name} is locked" if actual.get("Locked") else ""


@dataclass(frozen=True, eq=False, kw_only=True)
class Lodger(Thing):
    """What is forgotten of it is still lived in."""

    kind = "lodger"

    def forgotten(self, look: Look, declared: object) -> list[Remains]:
        held = self.cupboard.held.get("attic")
        gone = Remains(
            name="attic",
            was="room/attic",
            actual=held or {},
            remove=self._clear,
            waits="somebody lives there",
        )
        return [gone] if held else []

    def _clear(self, aws: Aws, actual: Attrs) -> None:
        self.cupboard.do("delete attic")
        del self.cupboard.held["attic"]


def ours(**fields: object) -> Attrs:
    return {"Id": "id", TAGS: {STACK_TAG: STACK}, **fields}


def quiet(news: Progress) -> None:
    """Nobody listens."""


def test_all_that_cannot_be_used_is_told_at_once_and_nothing_is_begun() -> None:
    cupboard = Cupboard(held={"open street": {}})
    streets = [Street(name=name, label=name, cupboard=cupboard) for name in ("north", "open street", "south")]
    stack: list[Resource] = [Thing(name="house", cupboard=cupboard), *streets]
    with pytest.raises(UnusableError) as caught:
        converge.provision(aws(), stack, quiet)
    assert caught.value.message == (
        "2 things that the config names cannot be used:\n  north is closed\n  south is closed"
    )
    assert caught.value.hint == "choose another street"
    assert cupboard.deeds == []


def test_what_several_need_and_cannot_use_is_told_once() -> None:
    cupboard = Cupboard()
    streets: list[Resource] = [Street(name="north", label=label, cupboard=cupboard) for label in "abc"]
    with pytest.raises(UnusableError, match=r"^north is closed$"):
        converge.provision(aws(), streets, quiet)


def test_one_thing_that_cannot_be_used_is_told_in_its_own_words() -> None:
    with pytest.raises(UnusableError, match=r"^north is closed$"):
        converge.examine(aws(), [Street(name="north", cupboard=Cupboard())])


def test_a_plan_tells_what_is_used_and_it_is_nothing_to_do() -> None:
    plan = converge.examine(aws(), [Street(name="north", cupboard=Cupboard(held={"north": {}}))])
    assert plan.pending == ()
    assert [(change.action, change.reason) for change in plan.used] == [(Action.USED, "north, open")]
    assert plan.as_dict()["used"][0]["reason"] == "north, open"


def test_what_comes_is_waited_for_last_and_by_those_outside_alone() -> None:
    cupboard, news = Cupboard(), list[Progress]()
    shop = Shop(name="shop", cupboard=cupboard)
    keeper = Thing(name="keeper", cupboard=cupboard, after=(shop,))
    outcome = converge.provision(aws(), [shop, keeper], news.append)
    assert cupboard.deeds == ["create shop", "create keeper", "await shop"]
    assert [each.change.address for each in outcome.changed] == ["shop", "thing"]
    waiting = [each.state for each in news if each.change.action is Action.AWAIT]
    assert waiting == [State.STARTED, State.DONE]


def test_what_has_come_is_not_waited_for_again() -> None:
    cupboard = Cupboard(held={"shop": ours(Open=True)})
    converge.provision(aws(), [Shop(name="shop", cupboard=cupboard)], quiet)
    assert "await shop" not in cupboard.deeds


def test_what_does_not_come_is_a_failure() -> None:
    cupboard = Cupboard(failing={"await shop": RuntimeError("no licence")})
    outcome = converge.provision(aws(), [Shop(name="shop", cupboard=cupboard)], quiet)
    assert [(each.change.address, each.error) for each in outcome.failed] == [
        ("shop", "RuntimeError: no licence")
    ]


def test_what_is_held_keeps_a_teardown_from_beginning() -> None:
    cupboard = Cupboard(held={"shop": ours(Locked=True), "keeper": ours()})
    stack: list[Resource] = [Shop(name="shop", cupboard=cupboard), Thing(name="keeper", cupboard=cupboard)]
    with pytest.raises(RefusedError, match="shop is locked"):
        converge.teardown(aws(), stack, quiet)
    assert cupboard.deeds == []


def test_what_is_held_by_somebody_else_is_no_concern_of_ours() -> None:
    cupboard = Cupboard(held={"shop": {"Id": "id", "Locked": True, TAGS: {STACK_TAG: "theirs"}}})
    outcome = converge.teardown(aws(), [Shop(name="shop", cupboard=cupboard)], quiet)
    assert [each.change.address for each in outcome.left_alone] == ["shop"]


def test_what_is_still_lived_in_stays_when_it_is_forgotten_and_goes_with_all_the_rest() -> None:
    cupboard = Cupboard(held={"attic": ours()})
    stack = [Lodger(name="lodger", cupboard=cupboard)]
    converge.provision(aws(), stack, quiet)
    (change,) = converge.examine(aws(), stack).pending
    assert (change.action, change.address, change.reason) == (
        Action.BLOCKED,
        "room/attic",
        "somebody lives there",
    )
    assert "attic" in cupboard.held
    converge.teardown(aws(), stack, quiet)
    assert cupboard.held == {}


def test_nothing_forgotten_is_to_go_while_something_is_refused() -> None:
    cupboard = Cupboard(held={"house": ours(Size=1), "shed": ours(Id="id-shed")})
    house = Thing(name="house", cupboard=cupboard, wanted=(("Size", 2),))
    refused, forgotten = converge.examine(aws(), [house]).changes
    assert (refused.action, forgotten.action) == (Action.REFUSED, Action.BLOCKED)
    assert forgotten.reason == "goes once nothing is refused any more"
