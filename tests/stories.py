"""Stories as whoever followed the recorded deployments would have told them, and their reports."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from bgdeploy.checktypes import Check
from bgdeploy.quantities import Comparison, Limit, Load
from bgdeploy.release.analysis.tally import Verdict
from bgdeploy.release.changes import Frame, changes
from bgdeploy.release.checks import CheckResult, ChecksState, Measurement
from bgdeploy.release.ending import ending
from bgdeploy.release.evidence import Evidence, Series
from bgdeploy.release.phase import phase
from bgdeploy.release.records import telling
from bgdeploy.release.records.record import Record
from bgdeploy.release.records.report import Seen, compose
from bgdeploy.release.records.reported import Report
from bgdeploy.release.records.story import Story
from bgdeploy.release.snapshot import Alarm, Event, Snapshot
from tests import deployments as d

CHECKS = (
    Check(name="home page", get="/", contains="Hello from v2", below=Limit.parse("300ms")),
    Check(name="under load", load=Load.parse("20 per second for 30s"), p95=Limit.parse("250ms")),
    Check(name="as fast as before", compare=Comparison.parse("p95 1.3x")),
    Check(name="smoke tests", command="pytest smoke"),
    Check(name="errors", metric="target_5xx_rate", below=Limit.parse("1%")),
    Check(name="front page stays up", get="/", when="after", below=Limit.parse("300ms")),
)
RECORD = Record(
    version="v2",
    env="dev",
    image="123456789012.dkr.ecr.us-east-1.amazonaws.com/shop-dev@sha256:" + "4f" * 32,
    task_definition="arn:aws:ecs:us-east-1:123456789012:task-definition/shop-dev:2",
    checks=CHECKS,
    mode="all",
    by="ann@laptop",
    started=d.T0.isoformat(),
    strategy="linear 10% 1m",
    commit="0123456789abcdef0123456789abcdef01234567",
    dirty=True,
    key="k3y",
)


def frame(snapshot: Snapshot, checks: ChecksState | None = None, before: Snapshot | None = None) -> Frame:
    return Frame(snapshot, phase(snapshot), snapshot.at, 0.0, changes(before, snapshot), checks)


def told(frames: Iterable[Frame], by: str = "ann@laptop", story: Story | None = None) -> Story:
    """Return the story that somebody tells who has seen these frames."""
    since = None
    for each in frames:
        story = story or telling.begun(each)
        since = since or each.now
        story = telling.told(story, each, by, since)
    assert story is not None
    return story


def measurement(
    at: float, verdict: Verdict, got: str, wanted: str = "", output: tuple[str, ...] = (), **values: float
) -> Measurement:
    return Measurement(verdict, wanted, got, values, output=output, at=d.moment(at), seconds=0.3)


def result(place: int, verdict: Verdict | None, *measured: Measurement) -> CheckResult:
    check = CHECKS[place]
    last = measured[-1]
    return CheckResult(
        name=check.name,
        request=f"GET http://shop.example{':8080' if check.moment == 'before' else ''}/",
        verdict=verdict,
        wanted="status 200",
        got=last.got,
        attempts=len(measured),
        seconds=3.0,
        kind=check.kind,
        measurements=measured,
    )


def passing() -> ChecksState:
    """Return checks before the shift that have passed."""
    warm = [
        measurement(119 + n, "fail", "412 ms > 300 ms", "an answer within 300 ms", latency=0.4 - n / 50)
        for n in range(4)
    ]
    page = result(0, "pass", *warm, measurement(124, "pass", "120 ms <= 300 ms", latency=0.12))
    load = result(1, "pass", measurement(130, "pass", "p95 180 ms <= 250 ms", p95=0.18, success=1.0))
    like = result(
        2, "pass", measurement(132, "pass", "p95 31 ms <= 38 ms", blue=0.03, green=0.031, ratio=1.03)
    )
    return ChecksState("passed", "ann@laptop", (page, load, like))


def guarding(seconds: float, *, fails: bool = False) -> ChecksState:
    """Return those checks, and those from the shift on as they stood so many seconds in."""
    times = list(range(150, int(seconds), 10))
    values = [0.08 + (at * 7919 % 97) / 900 for at in times]
    page = [measurement(at, "pass", "ok", latency=value) for at, value in zip(times, values, strict=True)]
    errors = [measurement(at, "pass", "0.2% <= 1%", value=(at * 31 % 50) / 10000) for at in times[::6]]
    if fails:
        page.append(measurement(seconds, "fail", "412 ms > 300 ms", "an answer within 300 ms", latency=0.412))
    verdict: Verdict | None = "fail" if fails else None
    found = (result(4, None, *errors), result(5, verdict, *page)) if errors else ()
    return replace(passing(), after=ChecksState("failed" if fails else "running", "ann@laptop", found))


def finished() -> Report:
    """Return the report of the linear run of aws-facts 2.1, followed from begin to end."""
    snapshots = [d.linear(at) for at in (1, 4, 30, 64, 101, 112, 118, 125, 136, *range(140, 980, 20), 980)]
    checks = [None if s.at < d.moment(125) else guarding((s.at - d.T0).total_seconds()) for s in snapshots]
    frames = [frame(*pair) for pair in zip(snapshots, checks, strict=True)]
    whole = telling.concluded(told(frames), frames[-1], ending(snapshots[-1]))
    return compose("shop-dev", "us-east-1", Seen(snapshots[-1]), whole, RECORD)


def alarmed() -> Report:
    """Return the report of the run of aws-facts 4.2: an alarm rolls it back."""
    run = d.alarm_run()
    early = [d.linear(at) for at in (1, 30, 64, 101, 112, 118, 136, 141, 150)]
    undone = replace(run[-1], rollback_events=_rollback_events(run[-1]))
    checks = guarding(170)
    frames = [frame(s, passing() if s.at > d.moment(120) else None) for s in early]
    frames += [frame(s, checks) for s in (*run[:-1], undone)]
    points = tuple((d.moment(60 * n), float(value)) for n, value in enumerate((0, 0, 2)))
    series = Series("shop-dev-not-found", points, timedelta(minutes=1), ">=", 1.0)
    evidence = Evidence(log=("config: no such file", "bye"), series=(series,))
    whole = telling.concluded(told(frames), frames[-1], ending(undone, checks, evidence=evidence))
    return compose("shop-dev", "us-east-1", Seen(undone), whole, RECORD)


def _rollback_events(snapshot: Snapshot) -> tuple[Event, ...]:
    start, ends = snapshot.at - timedelta(seconds=11), snapshot.at - timedelta(seconds=2)
    names = ("BeforeInstall", "Install", "AllowTraffic")
    return tuple(Event(name, "Succeeded", start, ends) for name in names)


EVIL = "</title></style><script>document.title='owned'</script><img src=x onerror=alert(1)>\u202e\x00&amp;\"'"


def hostile() -> Report:
    """Return the report of a release in which everything that somebody else wrote is an attack."""
    failing = d.ended(d.linear(120), "Failed", "AfterAllowTestTraffic", EVIL, EVIL, 130)
    green = replace(failing.task_sets[1], version=EVIL, trouble=(EVIL,))
    alarm = Alarm(EVIL, "ALARM", EVIL, d.moment(100), 2.0, ">=", 1.0)
    snapshot = replace(failing, task_sets=(failing.task_sets[0], green), alarms=(alarm,), trouble=(EVIL,))
    bad = measurement(125, "fail", EVIL, EVIL, (EVIL, "second line"))
    check = replace(result(0, "fail", bad), name=EVIL, request=EVIL)
    state = ChecksState("failed", EVIL, (check,), why=(EVIL,))
    seen = frame(snapshot, state)
    whole = telling.concluded(told([seen], by=EVIL), seen, ending(snapshot, state))
    record = replace(RECORD, version=EVIL, by=EVIL, image=EVIL, task_definition=EVIL, strategy=EVIL)
    return compose(EVIL, EVIL, Seen(snapshot), whole, record)


def in_flight() -> Report:
    """Return the report of a release that moves its traffic, of which nobody has kept a story."""
    return compose("shop-dev", "us-east-1", Seen(d.linear(300)), None, RECORD)


def foreign() -> Report:
    """Return the report of a deployment that bgdeploy neither started nor followed."""
    done = d.linear(980)
    other = replace(done.deployment, description="")
    later = replace(done, at=done.at + timedelta(days=1), deployment=other, task_sets=(), superseded_by="v3")
    return compose("shop-dev", "us-east-1", Seen(later), None, None)


REPORTS = {
    "finished": finished,
    "alarmed": alarmed,
    "hostile": hostile,
    "in-flight": in_flight,
    "foreign": foreign,
}
