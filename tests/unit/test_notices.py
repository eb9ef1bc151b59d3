"""Who is told what of a release: occasions, their words, and the sending of each one once."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bgdeploy.cli.invocation import Invocation
from bgdeploy.cli.notifying import Notifier
from bgdeploy.clock import FastClock, SystemClock
from bgdeploy.config import Notification
from bgdeploy.quantities import SecretUrl
from bgdeploy.release.attending.claimant import Claimant
from bgdeploy.release.changes import Frame
from bgdeploy.release.checks import ChecksState
from bgdeploy.release.ending import cancelled, detached, ending
from bgdeploy.release.occasions import Occasion, at_end, occasions
from bgdeploy.release.phase import phase
from bgdeploy.release.posting import Notices, claimed, post
from bgdeploy.release.records import record as records
from bgdeploy.release.snapshot import Snapshot
from bgdeploy.views.notice import notice
from tests.attending import BUCKET, DEPLOYMENT, ELSEWHERE, TARGET, Account, Rig, rigged
from tests.deployments import alarm_run, linear
from tests.servers import say, serving

FAST = FastClock(50, SystemClock())


def frame(snapshot: Snapshot, stage: str = "idle", later: int = 0) -> Frame:
    state = ChecksState(stage=stage)  # type: ignore[arg-type]
    return Frame(snapshot, phase(snapshot), snapshot.at + timedelta(seconds=later), 0, checks=state)


def ready() -> Snapshot:
    snapshot = linear(139.5)
    return replace(
        snapshot, deployment=replace(snapshot.deployment, status="Ready", approval=timedelta(hours=1))
    )


def spelled(text: str) -> str:
    return text.replace("bgdeploy ", "bgdeploy --env prod ")


# Occasions


def test_a_release_that_has_just_begun_is_told_and_an_old_one_is_not() -> None:
    assert [one.name for one in occasions(frame(linear(5)))] == ["start"]
    assert not list(occasions(frame(linear(5), later=3600)))


def test_both_kinds_of_decisions_are_told_of() -> None:
    assert [one.name for one in occasions(frame(ready()))] == ["start", "approval"]
    assert [one.name for one in occasions(frame(linear(120), "asking"))] == ["start", "inconclusive"]


def test_what_went_live_and_is_rolled_back_later_ends_twice() -> None:
    live, undone = linear(700), alarm_run()[-1]
    names = [at_end(frame(each), ending(each)) for each in (live, undone)]
    assert [one and one.name for one in names] == ["live", "undone"]


def test_who_only_leaves_tells_nobody_and_who_stops_it_does() -> None:
    snapshot = linear(150)
    assert at_end(frame(snapshot), detached(snapshot, "d-1")) is None
    told = at_end(frame(snapshot), cancelled(snapshot, "d-1", ""))
    assert told is not None
    assert told.name == "cancelled"


def test_looking_back_at_an_old_release_tells_nobody() -> None:
    snapshot = linear(979)
    assert at_end(frame(snapshot), ending(snapshot)) is not None
    assert at_end(frame(snapshot, later=2 * 3600), ending(snapshot)) is None


# Words


def test_an_ending_is_told_with_why_what_is_live_and_what_to_type() -> None:
    snapshot = alarm_run()[-1]
    told = notice(Occasion("end", "undone", snapshot, ending(snapshot)), "ann@laptop", spelled)
    assert told.subject.startswith("shop-dev: rolled back: v2 was stopped by an alarm at AllowTraffic")
    assert "alarm shop-dev-not-found went off: 2 >= 1" in told.text
    assert "production: blue v1 100%  http://shop.example" in told.text
    assert "  bgdeploy --env prod status\n" in told.text
    assert told.text.rstrip().endswith("started by ann@laptop")


def test_an_approval_is_told_with_its_end_and_both_ways_on() -> None:
    told = notice(Occasion("approval", "approval", ready()), "ann@laptop", spelled)
    assert told.headline == "shop-dev: v2 waits for approval"
    assert told.lines[0] == "it waits until 2026-08-08 20:32:19Z"
    assert [command.split()[3] for command in told.commands] == ["promote", "stop"]


def test_a_subject_is_what_sns_takes() -> None:
    snapshot = alarm_run()[-1]
    ended = replace(ending(snapshot), headline="größer\nals " + "x" * 200)
    subject = notice(Occasion("end", "undone", snapshot, ended), "ann@laptop", spelled).subject
    assert (len(subject), subject.isascii(), "\n" in subject) == (100, True, False)


def test_slack_shows_what_was_said_and_rings_no_bell() -> None:
    snapshot = alarm_run()[-1]
    ended = replace(ending(snapshot), headline="<!channel> & ```", why=("x" * 9000,))
    payload = notice(Occasion("end", "undone", snapshot, ended), "ann@laptop", spelled).slack()
    assert payload["text"] == "❌ shop-dev: &lt;!channel&gt; &amp; ```"
    kinds = [block["type"] for block in payload["blocks"]]
    assert kinds == ["section", "section", "section", "context"]
    assert all(len(block["text"]["text"]) <= 3000 for block in payload["blocks"][:3])
    assert "<!" not in json.dumps(payload)


# Sending


@pytest.fixture
def rig() -> Iterator[Rig]:
    with rigged() as made:
        yield made


def notices(aws: Account, me: Claimant) -> Notices:
    return Notices(aws, BUCKET, DEPLOYMENT, me, name="live")


def test_of_two_who_follow_it_one_tells(rig: Rig) -> None:
    first, second = notices(rig.aws, Claimant.me()), notices(rig.aws, Claimant.me())
    mine = claimed(first, lambda: True)
    assert mine is not None
    assert claimed(second, lambda: True) is None
    first.close(mine, "Succeeded")
    assert claimed(second, lambda: False) is None


def test_what_a_killed_one_has_not_sent_another_sends(rig: Rig) -> None:
    dead = replace(Claimant.me(), pid=2**22 + 1, token="other")
    assert claimed(notices(rig.aws, dead), lambda: True)
    assert claimed(notices(rig.aws, Claimant.me()), lambda: True)


def test_one_elsewhere_that_says_nothing_more_is_waited_for_and_then_replaced() -> None:
    with rigged() as rig:
        clock = FastClock(1, FastClock(200, SystemClock()))  # of a machine whose own time flies
        rig.aws.clock = clock
        assert claimed(notices(rig.aws, ELSEWHERE), lambda: True)
        began = clock.monotonic()
        assert claimed(notices(rig.aws, Claimant.me()), lambda: False)
        assert clock.monotonic() - began >= 30


def test_a_webhook_gets_json(rig: Rig) -> None:
    with serving(say(200, b"ok")) as server:
        assert post(SecretUrl(f"{server.url}/T0/s3cret"), {"text": "hé"}, FAST) == ""
        assert [json.loads(body) for body in server.bodies] == [{"text": "hé"}]


def test_a_webhook_in_trouble_is_asked_again_and_one_that_refuses_is_not() -> None:
    with serving(say(503), say(429), say(200)) as server:
        assert post(SecretUrl(f"{server.url}/s3cret"), {}, FAST) == ""
        assert len(server.bodies) == 3
    with serving(say(404)) as server:
        assert post(SecretUrl(f"{server.url}/s3cret"), {}, FAST) == "the webhook at 127.0.0.1 answers 404"
        assert len(server.bodies) == 1


def test_a_secret_goes_nowhere_else() -> None:
    with serving(say(200)) as elsewhere, serving(say(302, Location=elsewhere.url)) as server:
        assert post(SecretUrl(f"{server.url}/s3cret"), {}, FAST) == "the webhook at 127.0.0.1 answers 302"
        assert elsewhere.requests == []


@pytest.mark.parametrize("port", [1, 99999])
def test_what_is_wrong_never_holds_the_secret(port: int) -> None:
    wrong = post(SecretUrl(f"http://127.0.0.1:{port}/s3cret"), {}, FAST)
    assert wrong.startswith("the webhook at 127.0.0.1 was not told: ")
    assert "s3cret" not in wrong


def test_a_secret_url_is_printed_as_its_host() -> None:
    url = SecretUrl.parse("https://hooks.example/T0/s3cret")
    assert f"{url} {url!r}" == "hooks.example/… (hidden) hooks.example/… (hidden)"


@pytest.mark.parametrize(
    "wrong", ["http://hooks.example/x", "hooks.example", "https://a b", "http://127.0.0.1.evil/"]
)
def test_a_webhook_is_https_except_on_loopback(wrong: str) -> None:
    with pytest.raises(ValueError, match="https") as raised:
        SecretUrl.parse(wrong)
    assert wrong not in str(raised.value)
    assert SecretUrl.parse("http://127.0.0.1:8000/x").host == "127.0.0.1"


# Going along with a following


class Spoken(Invocation):
    """An invocation that keeps what it says."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.said: list[str] = []

    def say(self, line: str) -> None:
        self.said.append(line)


class Where:
    """What a notifier needs of a reader."""

    def __init__(self, aws: Account) -> None:
        self.aws = aws
        self.target = TARGET


def notifier(rig: Rig, url: str, **more: Any) -> tuple[Notifier, Spoken]:
    by, reader = Spoken(), Where(rig.aws)
    return Notifier(by, reader, (Notification(webhook=SecretUrl(url), **more),)), by  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_webhook_that_hangs_keeps_nobody_waiting(rig: Rig) -> None:
    over = threading.Event()

    def hang(request: object) -> None:
        over.wait(30)

    with serving(hang) as server:
        told, by = notifier(rig, server.url)
        began = time.monotonic()
        told.see(frame(linear(5)))
        assert time.monotonic() - began < 1
        told.end(detached(linear(5), "d-1"))
        assert time.monotonic() - began < 4
        over.set()
    assert by.said == ["warning: not everybody was told in time; whoever attaches soon tells them"]


def test_only_what_is_asked_for_is_told(rig: Rig) -> None:
    with serving(say(200)) as server:
        told, by = notifier(rig, server.url, on=("end",))
        snapshot = linear(979)
        for seen in (linear(5), ready(), snapshot):
            told.see(frame(seen))
        told.end(ending(snapshot))
        assert [json.loads(body)["text"][:1] for body in server.bodies] == ["✅"]
    assert by.said == []


@pytest.mark.parametrize(("undoes", "asked"), [("", 1), ("d-BAD", 0)])
def test_nobody_is_asked_to_approve_a_way_back(rig: Rig, undoes: str, asked: int) -> None:
    records.save(rig.aws, BUCKET, replace(rig.record, undoes=undoes))
    snapshot = ready()
    snapshot = replace(snapshot, deployment=replace(snapshot.deployment, description=rig.record.description))
    with serving(say(200)) as server:
        told, _ = notifier(rig, server.url, on=("approval",))
        told.see(frame(snapshot))
        told.end(detached(snapshot, "d-1"))
        assert len(server.bodies) == asked


def test_an_environment_without_a_webhook_tells_nobody(rig: Rig) -> None:
    told, by = notifier(rig, "")
    told.see(frame(linear(5)))
    told.end(detached(linear(5), "d-1"))
    assert by.said == []
