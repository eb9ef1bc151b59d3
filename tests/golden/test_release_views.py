"""The board, the card, the lines and the status page, as people see them."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console, ConsoleDimensions

from bgdeploy.release.changes import Frame, Silence, changes, check_changes
from bgdeploy.release.checks import CheckResult, ChecksState
from bgdeploy.release.ending import Ending, Page, detached, ending
from bgdeploy.release.evidence import Evidence, Series, Stop
from bgdeploy.release.keys import offers
from bgdeploy.release.phase import phase
from bgdeploy.release.records.told import Said
from bgdeploy.release.snapshot import Alarm, Snapshot
from bgdeploy.release.standing import (
    DeploymentStatus,
    ListenerStatus,
    Status,
    TargetStatus,
    TaskSetStatus,
)
from bgdeploy.views.card import card
from bgdeploy.views.lines import Lines
from bgdeploy.views.panel import Panel
from bgdeploy.views.release import board, showing, threshold
from bgdeploy.views.status import status
from bgdeploy.views.theme import ASCII, UNICODE, Glyphs, glyphs
from tests import deployments as d
from tests.golden import paper

ALPHABETS = [pytest.param(UNICODE, "utf-8", id="unicode"), pytest.param(ASCII, "ascii", id="ascii")]
HOOKS_FAILED = "The deployment failed because one or more of the lifecycle event validation functions failed."


def _result(
    name: str, passed: bool | None, wanted: str = "status 200", got: str = "status 200"
) -> CheckResult:
    return CheckResult(
        name=name,
        request=f"GET http://shop.example:8080/{name}",
        verdict=None if passed is None else "pass" if passed else "fail",
        wanted=wanted,
        got="" if passed is None else got,
        attempts=0 if passed is None else 3,
        seconds=0.0 if passed is None else 4.2,
    )


RUNNING = ChecksState(
    stage="running",
    owner="ann@laptop",
    results=(
        _result("health", True),
        _result("version", False, 'body.version = "v2"', '"v1"'),
        _result("cart", None),
    ),
)
FAILED = replace(RUNNING, stage="failed")
_LOAD = CheckResult(
    name="load",
    request="20 per second for 30s, GET http://shop.example:8080/cart",
    verdict=None,
    wanted="success >= 99%, p95 <= 200 ms",
    got="",
    attempts=0,
    seconds=20.6,
    kind="load",
    count=1,
    live="412/600 requests, 20/s, p95 31.2 ms",
    left=9.4,
)
_SMOKE = CheckResult(
    name="smoke tests",
    request="$ pytest -q tests/smoke",
    verdict="inconclusive",
    wanted="exit 0",
    got="exit 2: no baseline for the cart",
    attempts=1,
    seconds=12.3,
    kind="command",
    count=1,
    output=("cart: 14 passed", "no baseline for the cart"),
)
MEASURING = ChecksState("running", "ann@laptop", (_result("health", True), _LOAD))
_PASSED = replace(
    _LOAD,
    verdict="pass",
    wanted="",
    got="success 100% >= 99%, p95 31.2 ms <= 200 ms (600 requests, 20/s)",
    attempts=1,
    seconds=30.1,
    live="",
    left=None,
)
ASKING = ChecksState("asking", "ann@laptop", (_PASSED, _SMOKE))
_CART = CheckResult(
    name="cart",
    request="GET http://shop.example/cart",
    verdict=None,
    wanted="",
    got="status 200",
    attempts=9,
    seconds=88.0,
    failures=1,
    due=7.0,
)
_ERRORS = CheckResult(
    name="errors",
    request="CloudWatch, green's target group",
    verdict=None,
    wanted="",
    got="target_5xx_rate 0.2% <= 1%",
    attempts=2,
    seconds=88.0,
    kind="metric",
    due=31.0,
)
GUARDING = ChecksState(
    "passed", "ann@laptop", (_PASSED,), after=ChecksState("running", "ann@laptop", results=(_CART, _ERRORS))
)
TAKEN_BACK = replace(
    GUARDING,
    after=ChecksState(
        "failed",
        "ann@laptop",
        (
            replace(_CART, due=None),
            replace(
                _ERRORS, verdict="fail", got="target_5xx_rate 3.1% > 1%", attempts=3, failures=1, due=None
            ),
        ),
    ),
)


def _frame(snapshot: Snapshot, checks: ChecksState | None = None, notice: str = "") -> Frame:
    return Frame(
        snapshot=snapshot,
        phase=phase(snapshot),
        now=snapshot.at + timedelta(seconds=2),
        elapsed=(snapshot.at - d.T0).total_seconds(),
        checks=checks,
        notice=notice,
    )


def _held_and_failed() -> Snapshot:
    failed = d.ended(
        d.linear(130), "Failed", "AfterAllowTestTraffic", "HOOK_EXECUTION_FAILURE", HOOKS_FAILED, 135
    )
    return d.rolled_back(failed)


def _ready() -> Snapshot:
    snapshot = d.linear(139.4)
    waiting = replace(snapshot.deployment, status="Ready", approval=timedelta(minutes=30))
    return replace(snapshot, deployment=waiting)


def _taken_back() -> Snapshot:
    """A check after the shift failed, and the deployment was stopped while blue was kept."""
    shifted = d.linear(761)
    stopped = replace(shifted.deployment, status="Stopped", error_code="MANUAL_STOP", completed=d.moment(765))
    return d.rolled_back(replace(shifted, at=d.moment(765), deployment=stopped))


FRAMES = {
    "created": _frame(d.linear(1)),
    "installing": _frame(
        replace(
            d.linear(40),
            task_sets=(
                d.task_set("blue", "PRIMARY"),
                replace(
                    d.task_set("green", "ACTIVE", running=0),
                    trouble=("a task stopped: Essential container in task exited; web exited with 1",),
                ),
            ),
        )
    ),
    "checking": _frame(d.linear(130), RUNNING),
    "measuring": _frame(d.linear(138), MEASURING),
    "asking": _frame(d.linear(138), ASKING),
    "ready": _frame(_ready()),
    "shifting": _frame(d.linear(330), notice="AWS is throttling us"),
    "shifted": _frame(d.linear(761)),
    "guarding": _frame(d.linear(780), GUARDING),
    "taken-back": _frame(_taken_back(), TAKEN_BACK),
    "finished": _frame(d.linear(985)),
    "alarmed": _frame(d.alarm_run()[1]),
    "rolling-back": _frame(d.alarm_run()[3]),
    "rolled-back": _frame(_held_and_failed(), FAILED),
}


@pytest.mark.parametrize(("signs", "encoding"), ALPHABETS)
@pytest.mark.parametrize("name", FRAMES)
def test_the_board_looks_like_this(name: str, signs: Glyphs, encoding: str) -> None:
    text = paper.rendered(board(FRAMES[name], signs), encoding)
    paper.check(f"board-{name}-{'ascii' if signs is ASCII else 'unicode'}", text)


_texts = st.text(max_size=100)
_checks = st.lists(
    st.builds(_result, _texts, st.sampled_from([True, False, None]), _texts, _texts), max_size=20
)
_alarms = st.lists(st.builds(Alarm, _texts, st.sampled_from(["OK", "ALARM", "MISSING"]), _texts), max_size=5)


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(list(FRAMES)),
    results=_checks,
    alarms=_alarms,
    notice=_texts,
    log=st.none() | st.lists(st.tuples(st.just(d.T0), _texts), max_size=30).map(tuple),
    width=st.integers(40, 200),
    height=st.integers(5, 60),
)
def test_the_board_always_fits_the_terminal_and_24_lines_of_80_columns(
    name: str,
    results: list[CheckResult],
    alarms: list[Alarm],
    notice: str,
    log: tuple[Said, ...] | None,
    width: int,
    height: int,
) -> None:
    state = ChecksState(stage="running", owner="me", results=tuple(results))
    frame = replace(
        FRAMES[name],
        snapshot=replace(FRAMES[name].snapshot, alarms=tuple(alarms)),
        checks=state,
        notice=notice,
    )
    panel = Panel(offers(frame.snapshot), log=log, of="green v2")
    lines = paper.rendered(board(frame, ASCII, width, height, panel), "ascii").splitlines()
    assert len(lines) <= min(height, 24)
    assert max(map(len, lines)) <= min(width, 80)


_LOG = tuple((d.moment(30 + n), f"listening, request {n}") for n in range(20))
PANELS = {
    "keys": (FRAMES["ready"], Panel(offers(_ready()))),
    "keys-asked": (FRAMES["shifted"], Panel(offers(d.linear(761)), "press a again within 5 s to stop it")),
    "logs-pane": (FRAMES["checking"], Panel(offers(d.linear(130)), log=_LOG, of="green v2")),
    "logs-pane-empty": (FRAMES["installing"], Panel(offers(d.linear(40)), log=(), of="green v2")),
    "throttled": (replace(FRAMES["shifting"], notice="", throttled=12), Panel(offers(d.linear(330)))),
}


@pytest.mark.parametrize(("signs", "encoding"), ALPHABETS)
@pytest.mark.parametrize("name", PANELS)
def test_the_board_with_keys_looks_like_this(name: str, signs: Glyphs, encoding: str) -> None:
    frame, panel = PANELS[name]
    text = paper.rendered(board(frame, signs, panel=panel), encoding)
    paper.check(f"board-{name}-{'ascii' if signs is ASCII else 'unicode'}", text)


def test_checks_that_have_made_way_leave_their_room_to_the_events() -> None:
    frame = replace(FRAMES["ready"], checks=GUARDING)
    lines = paper.rendered(board(frame, ASCII, 80, 14), "ascii").splitlines()
    assert len(lines) == 14, "no line is left empty while there is more to show"


@pytest.mark.parametrize(
    ("environ", "signs"),
    [
        ({}, UNICODE),
        ({"LANG": "C.UTF-8"}, UNICODE),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, ASCII),
        ({"LC_CTYPE": "C.UTF-8"}, UNICODE),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "POSIX"}, ASCII),
        ({"LANG": "C", "LC_ALL": "", "LC_CTYPE": "en_US.UTF-8"}, UNICODE),
    ],
)
def test_who_asks_for_the_locale_c_gets_plain_signs(environ: dict[str, str], signs: Glyphs) -> None:
    utf8 = Console(file=io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    assert glyphs(utf8, environ=environ) == signs


def test_checks_of_which_there_is_nothing_to_say_promise_nothing() -> None:
    idle = replace(GUARDING, after=ChecksState("idle", "", (_CART,)))
    lines = paper.rendered(board(replace(FRAMES["guarding"], checks=idle), ASCII), "ascii").splitlines()
    assert any(line.endswith(" checks after the shift") for line in lines)


def test_what_stays_on_the_screen_offers_no_keys() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, color_system=None, width=80, height=24)
    with showing(console, ASCII, True, lambda: Panel(offers(_ready()))) as show:
        show(FRAMES["ready"])
    drawn = screen.getvalue()
    assert "d detach" in drawn
    last = drawn.rpartition("ready: the new version waits")[2]
    assert "it waits for" in last
    assert "d detach" not in last


@pytest.mark.parametrize(
    ("sizes", "cleared"),
    [([(120, 30), (90, 26), (80, 24)], 0), ([(80, 24), (60, 24)], 1), ([(80, 24), (80, 14), (80, 24)], 1)],
)
def test_a_terminal_that_shrinks_is_cleared_of_the_old_board(
    sizes: list[tuple[int, int]], cleared: int
) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, color_system=None, width=120, height=30)
    with showing(console, ASCII, True) as show:
        for size in sizes:
            console.size = ConsoleDimensions(*size)
            show(FRAMES["ready"])
    assert screen.getvalue().count("\x1b[2J") == cleared


@pytest.mark.parametrize(("signs", "encoding"), ALPHABETS)
def test_before_aws_has_said_where_it_is_the_board_looks_like_this(signs: Glyphs, encoding: str) -> None:
    text = paper.rendered(threshold(Silence(d.ID, 34.2, throttled=11), signs), encoding)
    paper.check(f"board-silence-{'ascii' if signs is ASCII else 'unicode'}", text)


def test_where_there_is_little_room_what_is_over_makes_way_for_what_runs_and_what_it_waits_for() -> None:
    text = paper.rendered(board(FRAMES["checking"], UNICODE, 60, 14))
    paper.check("board-checking-small", text)


_VALUES = (0, 0, 0, 0, None, 0, 1, 0, 4, 12, 3)
_MEASURED = Series(
    "shop-dev-not-found",
    tuple((d.moment(60 * n - 480), float(value)) for n, value in enumerate(_VALUES) if value is not None),
    timedelta(minutes=1),
    ">=",
    2.0,
)
_GIVEN_UP = Stop(
    "ana@laptop",
    "deployment.early_fail",
    "2 of its tasks stopped by themselves (early_fail.stopped_tasks: 2)",
    early=True,
)


def _given_up() -> Snapshot:
    stopped = d.ended(d.linear(60), "Stopped", "Install", "MANUAL_STOP", "Stopped by ana", 100)
    why = "a task stopped: Essential container in task exited; web exited with 1 (2 tasks)"
    return replace(d.rolled_back(stopped), trouble=(why,))


ENDINGS: dict[str, Callable[[], Ending]] = {
    "live": lambda: ending(d.linear(985), page=Page("http://shop.example/", 200)),
    "shifted": lambda: ending(d.linear(761), page=Page("http://shop.example/", 200)),
    "check-failed": lambda: ending(_held_and_failed(), FAILED, page=Page("http://shop.example/", 200)),
    "check-failed-after": lambda: ending(_taken_back(), TAKEN_BACK, page=Page("http://shop.example/", 200)),
    "inconclusive": lambda: ending(_held_and_failed(), replace(ASKING, stage="inconclusive")),
    "guarded": lambda: ending(
        d.linear(985),
        replace(
            GUARDING, after=replace(TAKEN_BACK.after or GUARDING, stage="passed", results=(_CART, _ERRORS))
        ),
        page=Page("http://shop.example/", 200),
    ),
    "unreachable": lambda: ending(_held_and_failed(), replace(FAILED, stage="unreachable")),
    "alarm": lambda: ending(d.alarm_run()[-1], page=Page("http://shop.example/", 200)),
    "alarm-measured": lambda: ending(
        replace(d.alarm_run()[-1], alarms=(Alarm("shop-dev-not-found", "OK"),)),
        page=Page("http://shop.example/", 200),
        evidence=Evidence(series=(_MEASURED,)),
    ),
    "early": lambda: ending(
        _given_up(),
        page=Page("http://shop.example/", 200),
        evidence=Evidence(_GIVEN_UP, log=("connecting to db.internal:5432", "no database: giving up")),
    ),
    "stopped": lambda: ending(
        d.rolled_back(d.ended(d.linear(300), "Stopped", "AllowTraffic", "MANUAL_STOP", "", 301)),
        page=Page("http://shop.example/", 200),
        evidence=Evidence(Stop("ana@laptop", "`bgdeploy stop`")),
    ),
    "no-rollback": lambda: ending(d.alarm_run()[2]),
    "detached": lambda: detached(d.linear(130), d.ID),
}


@pytest.mark.parametrize(("signs", "encoding"), ALPHABETS)
@pytest.mark.parametrize("name", ENDINGS)
def test_the_card_looks_like_this(name: str, signs: Glyphs, encoding: str) -> None:
    text = paper.rendered(card(ENDINGS[name](), signs), encoding)
    paper.check(f"card-{name}-{'ascii' if signs is ASCII else 'unicode'}", text)


def test_a_command_on_a_card_is_never_folded() -> None:
    signs = replace(UNICODE, program="bgdeploy --sandbox --env production --project '/home/ann/my shop'")
    lines = paper.rendered(card(ENDINGS["detached"](), signs, width=40)).splitlines()
    assert lines[-1] == f"  next     {signs.program} watch {d.ID}"
    assert max(map(len, lines[:-1])) <= 40


@pytest.mark.parametrize("signs", [UNICODE, ASCII], ids=["unicode", "ascii"])
def test_a_release_in_a_ci_job_reads_like_this(signs: Glyphs) -> None:
    printer = Lines(signs)
    printed: list[str] = []
    before: Snapshot | None = None
    states: dict[float, ChecksState] = {124.0: RUNNING, 132.0: replace(RUNNING, stage="passed")}
    checks: ChecksState | None = None
    for second in range(0, 984, 4):
        snapshot, state = d.linear(second), states.get(second, checks)
        found = changes(before, snapshot) + check_changes(checks, state, snapshot.at)
        before, checks = snapshot, state
        printed += printer.feed(replace(_frame(snapshot, state), changes=found))
    paper.check(f"lines-{'ascii' if signs is ASCII else 'unicode'}", "\n".join(printed) + "\n")


def test_silence_is_broken_every_thirty_seconds() -> None:
    printer = Lines()
    frame = _frame(d.linear(200))
    beats = [second for second in range(0, 100) if printer.feed(replace(frame, elapsed=float(second)))]
    assert beats == [30, 60, 90]


def test_trouble_with_aws_is_told_once_not_at_every_round() -> None:
    printer = Lines()
    frame = _frame(d.linear(2), notice="AWS is throttling us")
    told = [line for second in range(5) for line in printer.feed(replace(frame, elapsed=float(second)))]
    assert len(told) == 1


def test_an_aws_that_does_not_say_where_it_is_is_told_of() -> None:
    printer = Lines(ASCII)
    told = [
        line
        for second in range(70)
        for line in printer.feed(Silence(d.ID, float(second), "AWS cannot be reached"))
    ]
    assert told == [
        "! AWS cannot be reached",
        "| AWS has been asked where it is for 30s",
        "| AWS has been asked where it is for 1m00s",
    ]


def _status(active: bool) -> Status:
    deployment = DeploymentStatus(
        id=d.ID,
        status="InProgress" if active else "Stopped",
        phase="shifted" if active else "rolled back",
        version="v2",
        previous="v1",
        created=d.T0,
        completed=None if active else d.moment(180),
        error="" if active else "ALARM_ACTIVE: One or more alarms have been activated",
        rollback="" if active else d.ROLLBACK_ID,
        wait="blue is kept, a rollback is instant" if active else "",
        until=d.moment(992) if active else None,
    )
    sets = (
        _task_set("v2", "PRIMARY", "shop-dev-green", "healthy"),
        _task_set("v1", "ACTIVE", "shop-dev-blue", "unhealthy"),
    )
    return Status(
        stack="shop-dev",
        region="us-east-1",
        service="ACTIVE",
        desired=1,
        running=2,
        pending=0,
        task_sets=sets,
        production=ListenerStatus(
            "http://shop.example", {"shop-dev-blue": 0, "shop-dev-green": 100}, {"v2": 100}
        ),
        test=ListenerStatus("http://shop.example:8080", {"shop-dev-green": 100}, {"v2": 100}),
        alarms=(
            Alarm("shop-dev-not-found", "ALARM", "Threshold Crossed", d.T0, 2.0, ">=", 1.0),
            Alarm("shop-dev-slow", "INSUFFICIENT_DATA"),
        ),
        active=deployment if active else None,
        last=None if active else deployment,
    )


def _task_set(version: str, state: str, group: str, health: str) -> TaskSetStatus:
    reason = "Health checks failed with these codes: [500]" if health == "unhealthy" else ""
    targets = (TargetStatus("10.20.0.7", 80, health, reason),)
    return TaskSetStatus("ecs-svc/1", state, version, "f:1", group, "", 1, 1, 0, "STEADY_STATE", targets)


@pytest.mark.parametrize(("signs", "encoding"), ALPHABETS)
@pytest.mark.parametrize("active", [True, False], ids=["active", "idle"])
def test_the_status_page_looks_like_this(active: bool, signs: Glyphs, encoding: str) -> None:
    text = paper.rendered(status(_status(active), signs), encoding)
    name = f"status-{'active' if active else 'idle'}-{'ascii' if signs is ASCII else 'unicode'}"
    paper.check(name, text)


def test_a_status_does_not_say_twice_that_it_was_stopped() -> None:
    idle = _status(active=False)
    assert idle.last is not None
    left = replace(idle, last=replace(idle.last, phase="stopped", rollback=""))
    text = paper.rendered(status(left, ASCII), "ascii")
    assert f"{d.ID}  Stopped at 2026-08-08 19:33:00Z" in text


def test_a_status_is_plain_data_for_programs() -> None:
    plain = _status(active=True).as_dict()
    assert plain["active"]["until"] == "2026-08-08T19:46:32+00:00"
    assert plain["task_sets"][0]["targets"][0] == {
        "id": "10.20.0.7",
        "port": 80,
        "state": "healthy",
        "reason": "",
    }
    assert not isinstance(plain["alarms"][0]["since"], datetime)
