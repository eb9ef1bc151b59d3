"""Which keys the board offers where a deployment is, and what they mean there."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import cast

import pytest
from botocore.exceptions import ClientError

from bgdeploy.aws import Aws
from bgdeploy.names import PLACEHOLDER
from bgdeploy.release.changes import throttled_text
from bgdeploy.release.checks import Stage
from bgdeploy.release.keys import Action, Offer, chosen, offers
from bgdeploy.release.recent import Recent
from bgdeploy.release.records.told import Said
from bgdeploy.release.snapshot import Snapshot
from bgdeploy.release.tail import Tail
from tests import deployments as d
from tests.account import Account
from tests.clocks import HandClock


def _ready() -> Snapshot:
    held = d.linear(139.4)
    return replace(held, deployment=replace(held.deployment, status="Ready", approval=timedelta(minutes=30)))


def meaning(key: str, offered: tuple[Offer, ...]) -> Action | None:
    offer = chosen(key, offered)
    return offer.action if offer else None


@pytest.mark.parametrize(
    ("snapshot", "stage", "does"),
    [
        (d.linear(1), "idle", None),
        (d.linear(60), "idle", None),
        (d.linear(130), "running", None),
        (d.linear(130), "asking", Action.ACCEPT),
        (_ready(), "passed", Action.PROMOTE),
        (d.linear(300), "passed", None),
        (d.linear(761), "passed", Action.REMOVE),
        (d.linear(985), "passed", None),
        (d.alarm_run()[-1], "idle", None),
    ],
)
def test_p_ends_the_wait_that_it_is_in(snapshot: Snapshot, stage: Stage, does: Action | None) -> None:
    assert meaning("p", offers(snapshot, stage)) is does


@pytest.mark.parametrize(
    ("snapshot", "stoppable"),
    [(d.linear(at), at < 979) for at in (1, 60, 112, 130, 300, 761, 985)]
    + [(d.alarm_run()[3], False), (d.alarm_run()[-1], False)],
)
def test_a_stops_whatever_is_not_over_or_on_its_way_back(snapshot: Snapshot, stoppable: bool) -> None:
    assert (meaning("a", offers(snapshot)) is Action.STOP) is stoppable


def test_a_placeholder_is_removed_without_anybodys_key() -> None:
    shifted = d.linear(761)
    first = replace(
        shifted,
        task_sets=tuple(
            replace(one, version=PLACEHOLDER) if one.side == "blue" else one for one in shifted.task_sets
        ),
    )
    assert meaning("p", offers(first)) is None


@pytest.mark.parametrize("snapshot", [d.linear(1), d.linear(985), d.alarm_run()[3]])
def test_the_log_can_be_looked_at_and_the_board_left_everywhere(snapshot: Snapshot) -> None:
    assert [meaning(key, offers(snapshot)) for key in "lLdx"] == [
        Action.LOGS,
        Action.LOGS,
        Action.DETACH,
        None,
    ]


def test_throttling_is_told_with_how_much_was_sent_again() -> None:
    assert throttled_text(1) == "AWS is throttling us: 1 call was sent again in the last minute"
    assert throttled_text(12) == "AWS is throttling us: 12 calls were sent again in the last minute"


class Log:
    """The tail of an account's log, read by the second."""

    def __init__(self) -> None:
        self.clock = HandClock(d.T0)
        self.account = Account(self.clock, d.linear)
        self._tail = Tail(cast(Aws, self.account), "/ecs/shop-dev", Recent(self.clock))

    def read(self, at: float) -> tuple[Said, ...]:
        """Return what is read then, once what is looked for in a thread has been found."""
        self._tail.read("v2", d.moment(at))
        for thread in threading.enumerate():
            if thread.name == "background":
                thread.join(30)
        return self._tail.read("v2", d.moment(at))


def test_the_tail_has_each_line_once_by_time_and_only_the_newest() -> None:
    log = Log()
    log.account.log = [("2", d.moment(2), "two"), ("1", d.moment(1), "one")]
    assert log.read(3) == ((d.moment(1), "one"), (d.moment(2), "two"))
    log.account.log += [(f"n{number}", d.moment(10 + number), str(number)) for number in range(60)]
    assert len(log.read(80)) == 2, "an answer is good for some seconds"
    log.clock.sleep(5)
    assert [text for _, text in log.read(80)] == [str(number) for number in range(10, 60)]


def test_what_refuses_the_tail_is_told_until_it_is_over_and_not_asked_about_all_the_time() -> None:
    log = Log()
    log.account.failures.append(ClientError({"Error": {"Code": "AccessDenied"}}, "FilterLogEvents"))
    for _ in range(3):
        with pytest.raises(ClientError):
            log.read(1)
    assert len(log.account.calls) == 1
    log.clock.sleep(5)
    assert log.read(6) == ()
