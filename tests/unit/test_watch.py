"""The loop: when it ends, what it survives, and how soon it shows what happened."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from bgdeploy.aws import Aws
from bgdeploy.errors import Exit
from bgdeploy.release import watch
from bgdeploy.release.cause import Kind
from bgdeploy.release.checks import CheckResult, ChecksState
from bgdeploy.release.ending import Ending, Page
from bgdeploy.release.phase import Phase
from bgdeploy.release.reader import Reader
from bgdeploy.release.snapshot import Snapshot
from bgdeploy.release.watch import Frame, Silence
from tests import deployments as d
from tests.account import Account
from tests.clocks import HandClock


class HealthyPage(Reader):
    """A reader for which production answers 200: the account of these tests has no load balancer that serves."""

    def page(self) -> Page | None:
        return Page("http://shop.example/", 200)


class Run:
    """One watching of a story."""

    def __init__(self, story: Callable[[float], Snapshot]) -> None:
        self.clock = HandClock(d.T0)
        self.account = Account(self.clock, story)
        self.frames: list[Frame] = []
        self.silences: list[Silence] = []
        self.shown_at: list[float] = []

    def show(self, frame: Frame) -> None:
        self.frames.append(frame)
        self.shown_at.append(self.clock.monotonic())

    def follow(self, deployment_id: str = d.ID, **options: Any) -> Ending:
        reader = HealthyPage(cast(Aws, self.account), d.TARGET)
        return watch.follow(reader, deployment_id, show=self.show, hear=self.silences.append, **options)

    @property
    def told(self) -> list[str]:
        return [f"{c.subject}: {c.text}" for frame in self.frames for c in frame.changes]


def _alarm_story(seconds: float) -> Snapshot:
    """The alarm run: one snapshot every four seconds, the rollback's id lagging."""
    run = d.alarm_run()
    return run[min(int(seconds / 4), len(run) - 1)]


def test_a_linear_run_is_followed_to_its_end() -> None:
    run = Run(d.linear)
    ended = run.follow()
    assert (ended.kind, ended.exit) == (Kind.LIVE, Exit.DONE)
    assert "AllowTraffic: succeeded after 9m12s" in run.told
    assert run.told[-1] != ""
    assert run.clock.monotonic() < 979 + 3.5


def test_until_shifted_it_does_not_wait_for_blue() -> None:
    run = Run(d.linear)
    assert run.follow(until="shifted").exit is Exit.DONE
    assert run.clock.monotonic() < 692.4 + 3.5


def test_every_lifecycle_change_is_on_the_screen_within_three_seconds() -> None:
    run = Run(d.linear)
    run.follow()
    for name, (_, end) in d.TIMES.items():
        shown = next(
            at
            for at, frame in zip(run.shown_at, run.frames, strict=True)
            if any(c.subject == name and c.text.startswith("succeeded") for c in frame.changes)
        )
        assert shown - end <= 3


def test_an_alarm_is_followed_through_the_rollback() -> None:
    run = Run(_alarm_story)
    ended = run.follow()
    assert (ended.kind, ended.exit) == (Kind.ALARM, Exit.ROLLED_BACK)
    assert [
        phase
        for n, phase in enumerate(f.phase for f in run.frames)
        if phase != run.frames[n - 1].phase or not n
    ] == [
        Phase.SHIFTING,
        Phase.STOPPED,
        Phase.ROLLING_BACK,
        Phase.ROLLED_BACK,
    ]


def test_watching_the_rollback_tells_the_whole_story() -> None:
    run = Run(_RollbackStory())
    ended = run.follow(d.ROLLBACK_ID)
    assert (ended.deployment, ended.exit) == (d.ID, Exit.ROLLED_BACK)


class _RollbackStory:
    def __call__(self, seconds: float) -> Snapshot:
        return d.alarm_run()[-1]


def test_a_rollback_that_never_comes_is_waited_for_a_minute() -> None:
    stopped = d.alarm_run()[2]
    run = Run(lambda seconds: stopped)
    ended = run.follow()
    assert ended.exit is Exit.NEEDS_A_PERSON
    assert 60 <= run.clock.monotonic() < 85


def test_a_rollback_that_waits_for_approval_is_let_go_on_once() -> None:
    run_ = d.alarm_run()
    ready = d.rolled_back(run_[2], "Ready")
    run = Run(lambda seconds: ready if seconds < 20 else run_[-1])
    assert run.follow().exit is Exit.ROLLED_BACK
    assert [operation for _, operation in run.account.calls].count("continue_deployment") == 1


class Reluctant(Account):
    """An account that throttles the first call which lets a deployment go on."""

    def _continue_deployment(self, params: dict[str, Any]) -> dict[str, Any]:
        if sum(operation == "continue_deployment" for _, operation in self.calls) == 1:
            raise _throttled()
        return {}


def test_a_rollback_that_aws_was_too_busy_to_let_go_on_is_let_go_on_later() -> None:
    run_ = d.alarm_run()
    ready = d.rolled_back(run_[2], "Ready")
    run = Run(lambda seconds: ready if seconds < 20 else run_[-1])
    run.account = Reluctant(run.clock, run.account.story)
    assert run.follow().exit is Exit.ROLLED_BACK
    assert [operation for _, operation in run.account.calls].count("continue_deployment") == 2


def test_what_is_live_gets_a_second_look_before_it_is_called_wrong() -> None:
    good = d.linear(985)
    lagging = replace(good, production=d.listener("prod", 50, 50))
    run = Run(lambda seconds: lagging if seconds < 6 else good)
    assert run.follow().exit is Exit.DONE


def _throttled() -> ClientError:
    return ClientError(
        {"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, "GetDeployment"
    )


@pytest.mark.parametrize(
    ("error", "notice"),
    [
        (_throttled(), "AWS is throttling us"),
        (EndpointConnectionError(endpoint_url="https://codedeploy"), "AWS cannot be reached"),
    ],
)
def test_trouble_that_passes_is_shown_and_survived(error: Exception, notice: str) -> None:
    run = Run(d.linear)
    troubled = [100.0]

    def story(seconds: float) -> Snapshot:
        if troubled and seconds > troubled[0]:
            troubled.clear()
            run.account.failures.append(error)
        return d.linear(seconds)

    run.account.story = story
    assert run.follow().exit is Exit.DONE
    assert notice in {frame.notice for frame in run.frames}
    assert run.frames[-1].notice == ""


def test_trouble_that_was_there_from_the_beginning_is_shown_too() -> None:
    run = Run(d.linear)
    run.account.failures.extend(_throttled() for _ in range(3))
    assert run.follow().exit is Exit.DONE
    assert {silence.notice for silence in run.silences} == {"AWS is throttling us"}
    assert run.silences[-1].deployment == d.ID


def test_trouble_that_does_not_pass_ends_the_watching_not_the_deployment() -> None:
    run = Run(d.linear)
    run.account.failures.extend(_throttled() for _ in range(500))
    ended = run.follow()
    assert ended.exit is Exit.GAVE_UP_WAITING
    assert "AWS is throttling us for 5m" in ended.headline


def test_a_refusal_is_not_survived() -> None:
    run = Run(d.linear)
    denied = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "GetDeployment")
    run.account.failures.append(denied)
    with pytest.raises(ClientError):
        run.follow()


def test_a_timeout_gives_up_and_the_deployment_goes_on() -> None:
    run = Run(d.linear)
    ended = run.follow(timeout=120)
    assert (ended.kind, ended.exit) == (Kind.GAVE_UP, Exit.GAVE_UP_WAITING)
    on = f"deployment {d.ID} goes on (it was checking)"
    assert ended.headline == f"gave up waiting: the time of --timeout is over; {on}"


def test_an_interrupt_detaches_and_says_how_to_attach() -> None:
    run = Run(d.linear)

    def interrupt(frame: Frame) -> None:
        raise KeyboardInterrupt

    reader = HealthyPage(cast(Aws, run.account), d.TARGET)
    ended = watch.follow(reader, d.ID, show=interrupt)
    assert ended.exit is Exit.INTERRUPTED
    assert ended.next == (f"bgdeploy watch {d.ID}",)


class Attendant:
    """Runs one check that fails, when the hook holds the deployment."""

    def __init__(self) -> None:
        self.state = ChecksState(stage="idle", owner="", results=())

    def attend(self, snapshot: Snapshot) -> None:
        held = snapshot.event("AfterAllowTestTraffic")
        if held and held.status == "InProgress":
            failed = CheckResult("home", "GET http://t/", "fail", "status 200", "status 500", 3, 9.0)
            self.state = ChecksState(stage="failed", owner="me", results=(failed,))


def test_how_the_checks_stand_is_shown_more_than_once_a_second() -> None:
    run = Run(d.linear)
    attendant = Attendant()
    run.follow(attendant=attendant, timeout=140)
    gaps = [late - early for early, late in zip(run.shown_at, run.shown_at[1:], strict=False)]
    assert max(gaps) <= 1
    assert "home: wanted status 200, got status 500 (GET http://t/, 3 attempts, 9.0 s)" in run.told
    assert run.frames[-1].checks == attendant.state


class Stuck(Run):
    """A watching of an AWS that answers nothing from the test traffic on, until somebody has seen enough of it."""

    def __init__(self) -> None:
        super().__init__(self._stuck)
        self._stuck_since: int | None = None
        self.seen_meanwhile = 0
        self.seen_enough = threading.Event()

    def _stuck(self, seconds: float) -> Snapshot:
        if seconds > 112 and not self.seen_enough.is_set():
            self._stuck_since = self._stuck_since or len(self.frames)
            assert self.seen_enough.wait(60), "nothing was shown while AWS was asked"
        return d.linear(seconds)

    def show(self, frame: Frame) -> None:
        super().show(frame)
        if self._stuck_since is not None and not self.seen_enough.is_set():
            self.seen_meanwhile = len(self.frames) - self._stuck_since
            if self.seen_meanwhile == 3:
                self.seen_enough.set()


def test_the_view_goes_on_while_aws_does_not_answer() -> None:
    run = Stuck()
    assert run.follow().exit is Exit.DONE
    assert run.seen_meanwhile == 3


def test_who_waits_for_an_answer_may_leave() -> None:
    run = Stuck()

    def leave(frame: Frame) -> None:
        run.show(frame)
        if run.seen_meanwhile:
            raise KeyboardInterrupt

    reader = HealthyPage(cast(Aws, run.account), d.TARGET)
    ended = watch.follow(reader, d.ID, show=leave)
    run.seen_enough.set()
    assert ended.exit is Exit.INTERRUPTED


def _first(seconds: float) -> Snapshot:
    """The linear run as a stack's first release: blue is the placeholder."""
    snapshot = d.linear(seconds)
    sets = (replace(s, version="bootstrap") if s.side == "blue" else s for s in snapshot.task_sets)
    return replace(snapshot, task_sets=tuple(sets))


def test_the_placeholder_is_let_go_once_when_the_first_release_has_moved() -> None:
    run = Run(_first)
    ended = run.follow(until="shifted", attendant=Attendant())
    asked = [at for at, operation in run.account.calls if operation == "continue_deployment"]
    assert ended.exit is Exit.DONE
    assert len(asked) == 1
    assert 692 < asked[0] < 692.4 + 3.5


def test_who_only_watches_ends_nobodys_wait() -> None:
    run = Run(_first)
    run.follow(timeout=800)
    assert "continue_deployment" not in {operation for _, operation in run.account.calls}
