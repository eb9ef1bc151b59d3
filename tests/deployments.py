"""Deployments as snapshots: the live runs that aws-facts 2.1 and 4.2 recorded, second by second, and their parts."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

from bgdeploy.release.snapshot import Alarm, Deployment, Event, Listener, Side, Snapshot, Target, TaskSet

T0 = datetime(2026, 8, 8, 19, 30, tzinfo=timezone.utc)
ID, ROLLBACK_ID = "d-BDS7SUA1L", "d-GJKKPRA1L"
EVERY_TRIGGER = ("DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST")
EVENTS = (
    "BeforeInstall",
    "Install",
    "AfterInstall",
    "AllowTestTraffic",
    "AfterAllowTestTraffic",
    "BeforeAllowTraffic",
    "AllowTraffic",
    "AfterAllowTraffic",
)
# When each event of the linear run began and ended, in seconds after the deployment was created. The run told
# when traffic moved and when all was over; the rest lies between.
TIMES = {
    "BeforeInstall": (3.0, 3.2),
    "Install": (3.2, 110.0),
    "AfterInstall": (110.0, 110.3),
    "AllowTestTraffic": (110.3, 117.0),
    "AfterAllowTestTraffic": (117.0, 139.0),
    "BeforeAllowTraffic": (139.0, 139.4),
    "AllowTraffic": (140.0, 692.0),
    "AfterAllowTraffic": (692.0, 692.4),
}

TARGET = Target(
    application="shop-dev",
    group="shop-dev",
    cluster="shop-dev",
    service="shop-dev",
    container="web",
    port=80,
    production_listener="arn:prod",
    test_listener="arn:test",
    target_groups={"shop-dev-blue": "arn:blue", "shop-dev-green": "arn:green"},
    alarms=("shop-dev-not-found",),
    bucket="shop-dev-123456789012-us-east-1",
    log_group="/ecs/shop-dev",
    urls={"arn:prod": "http://shop.example", "arn:test": "http://shop.example:8080"},
    rollback_on=EVERY_TRIGGER,
)


def moment(seconds: float) -> datetime:
    """Return the time so many seconds after the deployment was created."""
    return T0 + timedelta(seconds=seconds)


def deployment(status: str = "InProgress", id_: str = ID) -> Deployment:
    return Deployment(
        id=id_,
        status=status,
        creator="user",
        description="bgdeploy release v2 [k3y] by ann@laptop",
        config="CodeDeployDefault.ECSLinear10PercentEvery1Minutes",
        created=T0,
        started=moment(3),
        rollback_on=EVERY_TRIGGER,
        keep_blue=timedelta(minutes=5),
    )


def task_set(side: Side, status: str, *, running: int = 1, healthy: int | None = None) -> TaskSet:
    desired = 0 if status == "DRAINING" else 1
    return TaskSet(
        id=f"ecs-svc/{'1' if side == 'blue' else '2'}" + "0" * 18,
        side=side,
        status=status,
        version="v1" if side == "blue" else "v2",
        task_definition=f"arn:aws:ecs:us-east-1:1:task-definition/shop-dev:{1 if side == 'blue' else 2}",
        target_group=f"shop-dev-{side}",
        desired=desired,
        running=running,
        pending=desired - running if desired else 0,
        steady=running == desired,
        healthy=running if healthy is None else healthy,
        deployment=ID if side == "green" else "",
    )


def listener(name: str, blue: int, green: int) -> Listener:
    port = ":8080" if name == "test" else ""
    return Listener(
        f"arn:{name}", f"http://shop.example{port}", {"shop-dev-blue": blue, "shop-dev-green": green}
    )


def events(seconds: float) -> tuple[Event, ...]:
    """Return the linear run's events as they stood so many seconds in."""
    found = []
    for name, (start, end) in TIMES.items():
        if seconds >= end:
            found.append(Event(name, "Succeeded", moment(start), moment(end)))
        elif seconds >= start:
            found.append(Event(name, "InProgress", moment(start)))
        else:
            found.append(Event(name, "Pending"))
    return tuple(found)


def green_weight(seconds: float) -> int:
    """Ten steps of ten percent: the first at once, then one every 61 s, the last at 692 s (aws-facts 2.1)."""
    if seconds < 140:
        return 0
    return 100 if seconds >= 692 else min(90, 10 + 10 * int((seconds - 140) // 61))


def linear(seconds: float) -> Snapshot:
    """Return the linear run of aws-facts 2.1 as it stood so many seconds after it was created."""
    over = seconds >= 979
    status = "Created" if seconds < 3 else "Succeeded" if over else "InProgress"
    weight = green_weight(seconds)
    moved = seconds >= 692
    sets = []
    if not over:
        sets.append(task_set("blue", "ACTIVE" if moved else "PRIMARY"))
    if seconds >= 10:
        up = int(seconds >= 60)
        sets.append(
            task_set("green", "PRIMARY" if moved else "ACTIVE", running=up, healthy=int(seconds >= 100))
        )
    return Snapshot(
        at=moment(seconds),
        target=TARGET,
        deployment=replace(
            deployment(status),
            completed=moment(979) if over else None,
            termination_wait_started=moved,
        ),
        events=() if seconds < 3 else events(seconds),
        task_sets=tuple(sets),
        production=listener("prod", 100 - weight, weight),
        test=listener("test", 0, 100) if seconds >= 117 else listener("test", 100, 0),
        alarms=(Alarm("shop-dev-not-found", "OK"),),
    )


MESSAGE = (
    "One or more alarms have been activated according to the Amazon CloudWatch metrics you selected, and the "
    "affected deployments have been stopped. Activated alarms: <shop-dev-not-found>"
)


def ended(snapshot: Snapshot, status: str, at: str, code: str, message: str, seconds: float) -> Snapshot:
    """Return the snapshot of a deployment that ended badly in the event `at`, the later ones skipped."""
    found, passed = [], True
    for event in snapshot.events:
        if event.name == at:
            passed = False
            found.append(Event(at, "Failed", event.start, moment(seconds)))
        else:
            found.append(event if passed else Event(event.name, "Skipped"))
    return replace(
        snapshot,
        at=moment(seconds),
        deployment=replace(
            snapshot.deployment,
            status=status,
            error_code=code,
            error_message=message,
            completed=moment(seconds),
        ),
        events=tuple(found),
    )


def rolled_back(snapshot: Snapshot, status: str = "Succeeded") -> Snapshot:
    """Return a failed deployment's snapshot after its rollback, which is a deployment of its own."""
    when = snapshot.at + timedelta(seconds=12)
    undone = replace(
        deployment(status, ROLLBACK_ID),
        creator="codeDeployRollback",
        config="CodeDeployDefault.ECSAllAtOnce",
        created=snapshot.at,
        completed=when if status in {"Succeeded", "Failed"} else None,
        rolls_back=ID,
    )
    done = status == "Succeeded"
    return replace(
        snapshot,
        at=when,
        deployment=replace(snapshot.deployment, rollback_id=ROLLBACK_ID),
        rollback=undone,
        task_sets=(task_set("blue", "PRIMARY"), task_set("green", "DRAINING"))
        if done
        else snapshot.task_sets,
        production=listener("prod", 100, 0) if done else snapshot.production,
        test=listener("test", 100, 0) if done else snapshot.test,
    )


def alarm_run() -> tuple[Snapshot, ...]:
    """Return the run of aws-facts 4.2: an alarm at the 10 % shift, and its rollback, the id lagging the status."""
    shifting = linear(160)
    alarm = Alarm(
        "shop-dev-not-found",
        "ALARM",
        "Threshold Crossed: 1 datapoint [2.0 (08/08/26 19:32:00)] was greater than or equal to the threshold (1.0).",
        moment(165),
        value=2.0,
        operator=">=",
        limit=1.0,
    )
    alarmed = replace(shifting, at=moment(166), alarms=(alarm,))
    stopped = ended(alarmed, "Stopped", "AllowTraffic", "ALARM_ACTIVE", MESSAGE, 180)
    return shifting, alarmed, stopped, rolled_back(stopped, "InProgress"), rolled_back(stopped)
