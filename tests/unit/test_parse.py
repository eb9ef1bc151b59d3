"""AWS's answers as values, in every form in which AWS gives them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdeploy.release import parse
from tests import deployments as d

ARN = "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/{}/0123456789abcdef"


def _forward(**action: Any) -> dict[str, Any]:
    return {"ListenerArn": "arn:x", "DefaultActions": [{"Type": "forward", **action}]}


@given(blue=st.integers(0, 999), green=st.integers(0, 999))
def test_two_weighted_groups_are_read_as_they_are(blue: int, green: int) -> None:
    groups = [
        {"TargetGroupArn": ARN.format("blue"), "Weight": blue},
        {"TargetGroupArn": ARN.format("green"), "Weight": green},
    ]
    assert parse.weights(_forward(ForwardConfig={"TargetGroups": groups})) == {"blue": blue, "green": green}


@pytest.mark.parametrize(
    "action",
    [
        {"TargetGroupArn": ARN.format("blue")},
        {"ForwardConfig": {"TargetGroups": [{"TargetGroupArn": ARN.format("blue"), "Weight": 1}]}},
        {"ForwardConfig": {"TargetGroups": [{"TargetGroupArn": ARN.format("blue")}]}},
        {"TargetGroupArn": ARN.format("blue"), "ForwardConfig": {"TargetGroups": []}},
    ],
)
def test_a_single_group_gets_everything_in_whatever_form_it_is_named(action: dict[str, Any]) -> None:
    assert parse.weights(_forward(**action)) == {"blue": 100}


def test_a_listener_that_forwards_nowhere_has_no_weights() -> None:
    assert parse.weights({"DefaultActions": [{"Type": "fixed-response"}]}) == {}


@pytest.mark.parametrize(
    ("protocol", "port", "tag", "url"),
    [
        ("HTTP", 80, None, "http://lb.example"),
        ("HTTP", 8080, None, "http://lb.example:8080"),
        ("HTTPS", 443, None, "https://lb.example"),
        ("HTTPS", 8443, None, "https://lb.example:8443"),
        ("HTTPS", 443, "https://shop.example/", "https://shop.example"),
    ],
)
def test_a_listener_is_reached_at_its_tag_or_else_at_its_port(
    protocol: str, port: int, tag: str | None, url: str
) -> None:
    assert parse.url({"Protocol": protocol, "Port": port}, "lb.example", tag) == url


def test_an_alarm_tells_value_operator_and_limit() -> None:
    data = json.dumps({"recentDatapoints": [0.0, 2.0], "threshold": 1.0})
    raw = {
        "AlarmName": "a",
        "StateValue": "ALARM",
        "StateReason": "Threshold Crossed",
        "StateReasonData": data,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "Threshold": 1.0,
    }
    found = parse.alarm(raw)
    assert (found.value, found.operator, found.limit) == (2.0, ">=", 1.0)


@given(
    st.text(max_size=50)
    | st.sampled_from(["[]", "{}", "null", '{"recentDatapoints": []}', '{"recentDatapoints": {}}'])
)
def test_an_alarm_set_by_hand_may_give_any_data(data: str) -> None:
    assert parse.alarm({"AlarmName": "a", "StateReasonData": data}).value is None


@pytest.mark.parametrize(
    ("raw", "known", "status", "side"),
    [
        ({"id": "1", "status": "ACTIVE"}, {"1": "blue"}, "InProgress", "blue"),
        ({"id": "2", "status": "ACTIVE", "externalId": d.ID}, {}, "InProgress", "green"),
        ({"id": "1", "status": "PRIMARY"}, {}, "Created", "blue"),
        ({"id": "1", "status": "PRIMARY"}, {"2": "green"}, "InProgress", "blue"),
        (
            {"id": "3", "status": "PRIMARY", "externalId": "d-LATER"},
            {"1": "blue", "2": "green"},
            "Failed",
            None,
        ),
        ({"id": "3", "status": "PRIMARY", "externalId": "d-LATER"}, {"2": "green"}, "Succeeded", None),
        ({"id": "0", "status": "DRAINING", "externalId": "d-EARLIER"}, {}, "Created", None),
    ],
)
def test_sides_are_told_by_label_then_by_maker_then_by_who_is_primary(
    raw: dict[str, Any], known: dict[str, Any], status: str, side: str | None
) -> None:
    assert parse.side(raw, d.deployment(status), known) == side


def test_a_deployment_without_rollback_settings_of_its_own_has_its_groups() -> None:
    info = {"deploymentId": d.ID, "status": "Failed", "createTime": d.T0}
    assert parse.deployment(info, ("DEPLOYMENT_FAILURE",)).rollback_on == ("DEPLOYMENT_FAILURE",)
    switched_off = {**info, "autoRollbackConfiguration": {"enabled": False, "events": ["DEPLOYMENT_FAILURE"]}}
    assert parse.deployment(switched_off, ("DEPLOYMENT_FAILURE",)).rollback_on == ()


def test_targets_that_are_unhealthy_say_why_once() -> None:
    sick = {
        "TargetHealth": {"State": "unhealthy", "Description": "Health checks failed with these codes: [500]"}
    }
    found = parse.target_trouble([{"TargetHealth": {"State": "healthy"}}, sick, sick])
    assert found == (1, ("a target is unhealthy: Health checks failed with these codes: [500]",))


def test_stopped_tasks_are_told_newest_first_with_how_many_stopped_alike() -> None:
    def task(reason: str, seconds: float, **more: Any) -> dict[str, Any]:
        return {"startedBy": "ecs-svc/2", "stoppedReason": reason, "stoppedAt": d.moment(seconds), **more}

    tasks = [
        task("crashed", 1),
        task("crashed", 3),
        task("CannotPullContainerError: no such image", 5),
        task("scaled in", 9, startedBy="ecs-svc/1"),
        task("stopped by hand", 9, stopCode="UserInitiated"),
    ]
    assert parse.stopped_reasons(parse.stopped_tasks(tasks, "ecs-svc/2", "f:2")) == (
        "a task stopped: CannotPullContainerError: no such image",
        "a task stopped: crashed (2 tasks)",
    )


def test_a_service_event_counts_when_it_is_new_bad_and_of_this_task_set() -> None:
    def event(message: str, seconds: float = 5) -> dict[str, Any]:
        return {"message": message, "createdAt": d.moment(seconds)}

    events = [
        event("(service s, taskSet ecs-svc/2) (port 80) is unhealthy in (target-group t)"),
        event("(service s, taskSet ecs-svc/1) (port 80) is unhealthy in (target-group t)"),
        event("(service s) was unable to place a task."),
        event("(service s) was unable to place a task.", -5),
        event("(service s, taskSet ecs-svc/2) updated state to STEADY_STATE."),
    ]
    assert parse.service_trouble({"events": events}, "ecs-svc/2", d.T0) == (
        events[0]["message"],
        events[2]["message"],
    )


def test_a_service_event_names_the_target_group_and_not_its_whole_arn() -> None:
    arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/shop-dev-blue/9be6362c92744684"
    event = {"message": f"(service s) (port 80) is unhealthy in (target-group {arn})", "createdAt": d.T0}
    assert parse.service_trouble({"events": [event]}, "ecs-svc/2", d.T0) == (
        "(service s) (port 80) is unhealthy in (target-group shop-dev-blue)",
    )


def test_the_targets_numbers_replace_the_services_and_nothing_else() -> None:
    green = d.task_set("green", "ACTIVE", running=0)
    info = {
        "identifer": green.id,
        "status": "PRIMARY",
        "desiredCount": 3,
        "runningCount": 2,
        "pendingCount": 1,
    }
    expected = replace(green, status="PRIMARY", desired=3, running=2, pending=1)
    assert parse.counted(green, info) == expected
