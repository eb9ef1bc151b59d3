"""The checks that the hook runs itself: they mean what bgdeploy's own mean, and come to the same verdicts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from bgdeploy.checktypes import Check
from bgdeploy.quantities import Duration, Limit
from bgdeploy.release.analysis import expectations, tally
from bgdeploy.release.attending import inside
from bgdeploy.release.records.record import Door, Record, encode
from hook_lambda import checks as hooks
from hook_lambda.checks import Answer, Pursuit, Questions

_PAGE = json.dumps({"version": "v2", "checks": [{"ok": True}], "n": 1}, indent=2)


def written(check: Check, **more: Any) -> dict[str, Any]:
    """Return a check as the hook reads it in a record."""
    return dict(record(check, **more)["checks"][0])


def record(*checks: Check, door: Door | None = None, mode: Any = "all") -> dict[str, Any]:
    made = Record(
        "v2", "dev", "image", "arn", checks, mode, "ann@laptop", "2026-01-05T12:00:00+00:00", door=door
    )
    return dict(json.loads(encode(made)))


@pytest.mark.parametrize(
    "check",
    [
        Check(name="c", get="/"),
        Check(name="c", get="/", status=404),
        Check(name="c", get="/", contains="v2"),
        Check(name="c", get="/", contains="v3"),
        Check(name="c", get="/", matches=r"v\d"),
        Check(name="c", get="/", matches=r"w\d"),
        Check(name="c", get="/", json={"version": "v2", "checks.0.ok": True}),
        Check(name="c", get="/", json={"version": "v3"}),
        Check(name="c", get="/", json={"checks.0.ok": 1}),
        Check(name="c", get="/", json={"checks.1.ok": True}),
        Check(name="c", get="/", json={"n": 1.0}),
        Check(name="c", get="/", header={"X-App": "shop"}),
        Check(name="c", get="/", header={"X-App": "other"}),
        Check(name="c", get="/", header={"X-None": "shop"}),
        Check(name="c", get="/", below=Limit.parse("200ms")),
        Check(name="c", get="/", below=Limit.parse("300ms")),
        Check(name="c", get="/", below=Limit.parse("1.5s"), contains="v2"),
    ],
)
@pytest.mark.parametrize("status", [200, None])
def test_an_answer_is_worth_the_same_to_both(check: Check, status: int | None) -> None:
    told: dict[str, Any] = {"body": _PAGE, "headers": {"x-app": "shop"}, "seconds": 0.25, "error": "refused"}
    theirs = expectations.judge(check, expectations.Answer(status, **told))
    passed, wanted, got = hooks.judge(written(check), Answer(status, **told))
    assert (passed, wanted, got) == (theirs.passed, theirs.wanted, theirs.got)


@pytest.mark.parametrize(
    "check",
    [
        Check(name="c", get="/"),
        Check(name="c", get="/", within=Duration(10)),
        Check(name="c", get="/", consecutive_success=2),
        Check(name="c", get="/", failure_limit=1),
        Check(name="c", get="/", count=3),
        Check(name="c", get="/", count=4, failure_limit=2),
        Check(name="c", get="/", count=4, failure_limit=2, consecutive_success=3),
    ],
)
@pytest.mark.parametrize("found", ["p", "f", "fp", "pf", "ffpp", "fpfp", "ppp", "fffff", "pppf", "fppp"])
def test_measurements_come_to_the_same_with_both(check: Check, found: str) -> None:
    terms = tally.terms(check)
    verdicts: list[tally.Verdict] = ["pass" if one == "p" else "fail" for one in found]
    pursuit = Pursuit(written(check), hooks.Door(_door(1)), 0.0, observe=False)
    pursuit.found = [one == "p" for one in found]
    assert pursuit.verdict(1.0) == tally.verdict(verdicts, terms)
    assert pursuit.within == terms.within
    if terms.within is not None:
        over = tally.verdict(verdicts, terms) or tally.closing(verdicts, terms)
        assert pursuit.verdict(terms.within) == over


def _door(port: int, *addresses: str) -> dict[str, Any]:
    return {"url": f"http://shop.example:{port}", "port": port, "addresses": list(addresses), "host": ""}


class Shop(HTTPServer):
    """Answers with 503 until it has been asked a few times."""

    cold = 0
    asked: list[str]

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked = []


class _Handler(BaseHTTPRequestHandler):
    server: Shop

    def do_GET(self) -> None:
        self.server.asked.append(self.headers["Host"])
        self.send_response(200 if len(self.server.asked) > self.server.cold else 503)
        self.end_headers()
        self.wfile.write(b"Hello from v2")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def shop() -> Iterator[Shop]:
    server = Shop()
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


class Time:
    """A function's time, which passes while it sleeps."""

    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


def _asked(
    told: dict[str, Any], enough: Callable[[Time], bool] = lambda time: False
) -> tuple[str, list[dict[str, Any]]]:
    time, saved = Time(), list[dict[str, Any]]()
    return Questions(told, time.now, time.sleep).ask(saved.append, lambda: enough(time)), saved


def _of(shop: Shop, *addresses: str) -> Door:
    return Door(f"http://shop.example:{shop.server_port}", shop.server_port, addresses or ("127.0.0.1",))


def test_a_check_is_asked_by_the_visitors_name_until_it_passes(shop: Shop) -> None:
    shop.cold = 2
    stage, saved = _asked(
        record(Check(name="page", get="/", contains="{version}".format(version="v2")), door=_of(shop))
    )
    assert stage == "passed"
    assert set(shop.asked) == {f"shop.example:{shop.server_port}"}
    (result,) = inside.state(saved[-1]).results
    assert (result.verdict, result.attempts, result.failures) == ("pass", 3, 2)
    assert result.request == f"GET http://shop.example:{shop.server_port}/"
    assert [each["stage"] for each in saved] == ["running"] * 4 + ["passed"]


def test_an_address_that_lets_nobody_in_is_passed_over(shop: Shop) -> None:
    stage, _ = _asked(record(Check(name="page", get="/"), door=_of(shop, "127.0.0.99", "127.0.0.1")))
    assert stage == "passed"


def test_where_no_address_lets_us_in_that_is_not_the_applications_failure() -> None:
    door = Door("http://shop.example:1", 1, ("127.0.0.1",))
    stage, saved = _asked(record(Check(name="page", get="/", within=Duration(2)), door=door))
    assert stage == "unreachable"
    assert "the connection was not made: refused" in saved[-1]["results"][0]["got"]


def test_what_fails_is_told_with_what_was_wanted_and_what_came(shop: Shop) -> None:
    stage, saved = _asked(
        record(Check(name="page", get="/", contains="v3", within=Duration(2)), door=_of(shop))
    )
    assert stage == "failed"
    (result,) = inside.state(saved[-1]).results
    assert (result.wanted, result.got) == ('body contains "v3"', '"Hello from v2"')


def test_observed_checks_decide_nothing(shop: Shop) -> None:
    bad = Check(name="page", get="/", contains="v3", within=Duration(1), mode="observe")
    assert _asked(record(bad, Check(name="home", get="/"), door=_of(shop)))[0] == "passed"
    assert (
        _asked(
            record(
                Check(name="page", get="/", status=500, within=Duration(1)), door=_of(shop), mode="observe"
            )
        )[0]
        == "observed"
    )
    assert _asked(record(Check(name="page", get="/"), door=_of(shop), mode="none"))[0] == "skipped"


def test_checks_that_are_not_through_when_time_is_up_have_failed(shop: Shop) -> None:
    told = record(Check(name="page", get="/", status=500, within=Duration(600)), door=_of(shop))
    stage, saved = _asked(told, lambda time: time.at > 5)
    assert (stage, saved[-1]["results"][0]["verdict"]) == ("failed", None)


def test_what_the_hook_does_not_run_fails_and_says_so(shop: Shop) -> None:
    stage, saved = _asked(record(Check(name="smoke", command="true"), door=_of(shop)))
    assert (stage, saved[-1]["results"][0]["got"]) == ("failed", "command, which the hook does not run")


def test_checks_from_the_shift_on_are_left_to_others(shop: Shop) -> None:
    later = Check(name="cart", get="/cart", when="after")
    stage, saved = _asked(record(later, door=_of(shop)))
    assert (stage, saved[-1]["results"]) == ("passed", [])
