"""A task set that a stopped deployment has left: what a release begins on, what the doctor says, how it is removed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bgdeploy.aws import Aws
from bgdeploy.doctor.finding import Finding, Mend
from bgdeploy.doctor.leftover import remove, task_sets
from bgdeploy.errors import BgdeployError, BusyError
from bgdeploy.names import Names
from bgdeploy.release.leftover import Leftover, leftovers
from bgdeploy.release.preflight import Standing, check, leftover_warnings, problems
from bgdeploy.release.reader import Reader
from bgdeploy.release.snapshot import Snapshot
from tests import deployments as d
from tests.clocks import HandClock

BLUE, GREEN = "shop-dev-blue", "shop-dev-green"
ARNS = {name: f"arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/{name}/1" for name in (BLUE, GREEN)}
TARGET = replace(d.TARGET, target_groups=ARNS, alarms=())
LEFT = Leftover("ecs-svc/7", "v7", GREEN, 1)
STANDING = Standing(
    target=TARGET,
    primary=BLUE,
    production=({BLUE: 100, GREEN: 0},),
    test=({BLUE: 0, GREEN: 100},),
    alarms=(),
    hook="Active",
    live="v6",
    leftovers=(LEFT,),
)


class Account(Aws):
    """An account whose service has what it is given, and that remembers what was removed."""

    def __init__(self, *sets: tuple[str, str, str], green_weight: int = 0, tag: str = "shop-dev") -> None:
        super().__init__(stack="shop-dev", region="us-east-1", clock=HandClock())
        self.sets = sets  # id, status, target group
        self.weights = {BLUE: 100 - green_weight, GREEN: green_weight}
        self.tag = tag
        self.active: list[str] = []
        self.ended_ago = 3600.0
        self.refusal = ""
        self.removed: list[str] = []
        self.draining_after = 0  # DescribeServices that still show the second one as ACTIVE; 0: all of them

    def client(self, service: str) -> Any:
        return self

    # CodeDeploy

    def list_deployments(self, **params: Any) -> Any:
        return {"deployments": self.active if "includeOnlyStatuses" in params else [d.ID]}

    def get_deployment(self, **params: Any) -> Any:
        ended = self.clock.now() - timedelta(seconds=self.ended_ago)
        return {"deploymentInfo": {"status": "Stopped", "completeTime": ended}}

    # ECS

    def describe_services(self, **params: Any) -> Any:
        self.draining_after -= 1
        sets = [self._told(*one) for one in self.sets]
        if self.draining_after == 0:
            sets[1]["status"] = "DRAINING"
            self.sets = (self.sets[0], (self.sets[1][0], "DRAINING", self.sets[1][2]))
        tags = [{"key": "bgdeploy:stack", "value": self.tag}]
        return {"services": [{"status": "ACTIVE", "taskSets": sets, "tags": tags}]}

    def _told(self, ident: str, status: str, group: str) -> dict[str, Any]:
        return {
            "id": ident,
            "status": status,
            "taskDefinition": f"arn:aws:ecs:us-east-1:1:task-definition/shop-dev:{ident[-1]}",
            "runningCount": 1,
            "loadBalancers": [{"targetGroupArn": ARNS[group]}],
        }

    def describe_task_definition(self, **params: Any) -> Any:
        number = params["taskDefinition"][-1]
        return {"tags": [{"key": "bgdeploy:version", "value": f"v{number}"}]}

    def delete_task_set(self, **params: Any) -> None:
        assert params["force"] is True
        if self.refusal:
            told = {"Error": {"Code": self.refusal, "Message": "not on CODE_DEPLOY"}}
            raise ClientError(told, "DeleteTaskSet")  # type: ignore[arg-type]
        self.removed.append(params["taskSet"])

    # The load balancer

    def describe_target_groups(self, **params: Any) -> Any:
        return {"TargetGroups": [{"LoadBalancerArns": ["arn:balancer"]}]}

    def get_paginator(self, operation: str) -> Any:
        return self

    def paginate(self, **params: Any) -> Any:
        return [{"Listeners": [{"ListenerArn": "arn:prod"}, {"ListenerArn": "arn:test"}]}]

    def describe_rules(self, **params: Any) -> Any:
        weights = self.weights if params["ListenerArn"] == "arn:prod" else {BLUE: 0, GREEN: 100}
        groups = [{"TargetGroupArn": ARNS[name], "Weight": weight} for name, weight in weights.items()]
        return {"Rules": [{"IsDefault": True, "Actions": [{"ForwardConfig": {"TargetGroups": groups}}]}]}

    # The hook

    def get_function_configuration(self, **params: Any) -> Any:
        return {"State": "Active"}


PRIMARY, SECOND = ("ecs-svc/6", "PRIMARY", BLUE), ("ecs-svc/7", "ACTIVE", GREEN)


class Watched(Reader):
    """A reader whose deployments all shift their traffic."""

    def read(self, deployment_id: str, *, fresh: bool = False) -> Snapshot:
        return d.linear(200)


def removed(aws: Account, ident: str = "ecs-svc/7") -> list[str]:
    remove(Watched(aws, TARGET), Names("shop-dev"), ident)
    return aws.removed


def checked(aws: Account) -> tuple[str, ...]:
    return check(Reader(aws, TARGET), Names("shop-dev"))


# What is left over


def test_an_active_task_set_beside_the_primary_one_is_left_over_and_a_draining_one_is_not() -> None:
    raws = [Account()._told(*one) for one in (PRIMARY, SECOND, ("ecs-svc/5", "DRAINING", GREEN))]
    assert leftovers(raws, lambda arn: f"v{arn[-1]}") == (LEFT,)


def test_a_release_is_refused_where_its_tasks_would_stand_beside_it() -> None:
    (problem,) = problems(STANDING)
    assert problem.text.startswith("the task set ecs-svc/7 of v7 (1 task) still runs beside production")
    assert GREEN in problem.text
    assert "stopped without a rollback" in problem.text
    assert problem.hint == "`bgdeploy doctor --fix` removes it"


def test_a_release_is_warned_of_one_where_production_is_for_it_moves_production_away() -> None:
    standing = replace(STANDING, leftovers=(replace(LEFT, target_group=BLUE),))
    assert list(problems(standing)) == []
    (warning,) = leftover_warnings(standing)
    assert "users get v7 and v6 in turn" in warning.text
    assert warning.hint.startswith("`bgdeploy release v6 --force` moves production")


def test_a_release_is_warned_of_one_in_a_group_of_nobodys() -> None:
    standing = replace(STANDING, leftovers=(replace(LEFT, target_group="other"),))
    assert list(problems(standing)) == []
    assert len(list(leftover_warnings(standing))) == 1


def test_the_preflight_refuses_what_stays() -> None:
    with pytest.raises(BgdeployError, match=r"the task set ecs-svc/7 of v7 \(1 task\) still runs"):
        checked(Account(PRIMARY, SECOND))


def test_the_preflight_waits_a_moment_for_one_that_is_going() -> None:
    aws = Account(PRIMARY, SECOND)
    aws.draining_after = 3
    assert checked(aws) == ()


def test_the_preflight_returns_what_it_warns_of() -> None:
    (warning,) = checked(Account(PRIMARY, ("ecs-svc/7", "ACTIVE", BLUE)))
    assert "users get v7 and v6 in turn" in warning


# What the doctor says of it


def only(standing: Standing) -> Finding:
    (finding,) = task_sets(standing, idle=True)
    return finding


def test_the_doctor_finds_it_and_offers_to_remove_it() -> None:
    assert only(STANDING).state == "fails"
    assert only(STANDING).mend == Mend(
        "task set",
        "ecs-svc/7",
        f"remove the task set ecs-svc/7 of v7 (1 task) from the service, and give the test listener to {BLUE}",
    )


def test_the_doctor_removes_nothing_from_where_production_is() -> None:
    found = only(replace(STANDING, leftovers=(replace(LEFT, target_group=BLUE),)))
    assert (found.state, found.mend) == ("fails", None)


def test_the_doctor_says_nothing_of_two_task_sets_while_a_deployment_is_active() -> None:
    assert list(task_sets(STANDING, idle=False)) == []


# How it is removed


def test_it_is_removed_when_no_users_are_on_it() -> None:
    assert removed(Account(PRIMARY, SECOND)) == ["ecs-svc/7"]


def test_the_test_listener_goes_home_when_it_led_to_what_was_removed() -> None:
    assert remove(Watched(Account(PRIMARY, SECOND), TARGET), Names("shop-dev"), "ecs-svc/7") == BLUE


def test_it_is_not_removed_while_a_deployment_is_active() -> None:
    aws = Account(PRIMARY, SECOND)
    aws.active = [d.ID]
    with pytest.raises(BusyError):
        removed(aws)
    assert aws.removed == []


def test_it_is_not_removed_while_a_rollback_may_still_begin() -> None:
    aws = Account(PRIMARY, SECOND)
    aws.ended_ago = 20.0
    before = aws.clock.monotonic()
    removed(aws)
    assert aws.clock.monotonic() - before == pytest.approx(40)


def test_the_primary_task_set_is_never_removed() -> None:
    aws = Account(PRIMARY, SECOND)
    with pytest.raises(BgdeployError, match="is PRIMARY"):
        removed(aws, "ecs-svc/6")
    assert aws.removed == []


def test_it_is_not_removed_while_a_listener_sends_it_users() -> None:
    aws = Account(PRIMARY, SECOND, green_weight=10)
    with pytest.raises(BgdeployError, match=f"the listener arn:prod sends requests to {GREEN}"):
        removed(aws)
    assert aws.removed == []


def test_nothing_is_removed_from_a_service_of_somebody_elses() -> None:
    aws = Account(PRIMARY, SECOND, tag="other-dev")
    with pytest.raises(BgdeployError, match="does not carry the tag bgdeploy:stack=shop-dev"):
        removed(aws)
    assert aws.removed == []


@pytest.mark.parametrize("sets", [(PRIMARY,), (PRIMARY, ("ecs-svc/7", "DRAINING", GREEN))])
def test_what_is_gone_or_going_needs_nothing(sets: tuple[tuple[str, str, str], ...]) -> None:
    assert removed(Account(*sets)) == []


def test_a_refusal_of_ecs_is_a_sentence_with_a_way_out() -> None:
    aws = Account(PRIMARY, SECOND)
    aws.refusal = "InvalidParameterException"
    with pytest.raises(BgdeployError, match="ECS does not let the task set ecs-svc/7 be removed") as refusal:
        removed(aws)
    assert "delete-service --cluster shop-dev --service shop-dev --force" in refusal.value.hint
