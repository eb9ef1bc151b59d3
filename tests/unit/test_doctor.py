"""The doctor's judgement of a stack's condition: what a release would fail on, what would make it fail later."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from click.testing import CliRunner

from bgdeploy.cli.doctor import agrees, reported
from bgdeploy.cli.invocation import Invocation
from bgdeploy.doctor import roles, room
from bgdeploy.doctor.condition import (
    AlarmSeen,
    Condition,
    HookSeen,
    ImageSeen,
    InFlight,
    LinkedRole,
    RoleSeen,
    Room,
    TopicSeen,
    Unread,
)
from bgdeploy.doctor.finding import Finding, Mend
from bgdeploy.doctor.judge import findings
from bgdeploy.errors import Exit
from bgdeploy.names import Names
from bgdeploy.release.preflight import Standing
from bgdeploy.release.snapshot import Alarm
from bgdeploy.resources.identity import Role
from bgdeploy.views.doctor import doctor, summary
from tests import deployments as d
from tests.clocks import HandClock
from tests.golden import paper

BLUE, GREEN = "shop-dev-blue", "shop-dev-green"
OK = Alarm("shop-dev-errors", "OK")
WELL = Condition(
    account="123456789012",
    caller="arn:aws:iam::123456789012:user/ann",
    region="us-east-1",
    roles=(RoleSeen("shop-dev-hook", "lambda.amazonaws.com", exists=True, trusting=True),),
    hook=HookSeen("CodeDeployHook_shop-dev", "Active", "Successful", current=True),
    standing=Standing(
        target=d.TARGET,
        primary=BLUE,
        production=({BLUE: 100, GREEN: 0},),
        test=({BLUE: 100, GREEN: 0},),
        alarms=(OK,),
        hook="Active",
    ),
    alarms=(AlarmSeen(OK, declared=True, watched=True),),
    room=Room(tasks=2, addresses=200, vcpus=0.25, quota=6.0, used=0.5),
    image=ImageSeen("123456789012.dkr.ecr.us-east-1.amazonaws.com/shop-dev@sha256:ab12", present=True),
    linked=(LinkedRole("ecs.amazonaws.com", True, "ECS gives tasks their addresses with"),),
    in_flight=InFlight(),
    leftovers=(),
    let_in=(),
)
GIVE_BACK = Mend(
    "weights",
    BLUE,
    f"give all of production to {BLUE}, where its tasks are, and nothing to the other target group",
)


def found(**changed: Any) -> list[Finding]:
    """Return what is not well."""
    return [finding for finding in findings(replace(WELL, **changed)) if finding.state != "ok"]


def only(**changed: Any) -> Finding:
    (finding,) = found(**changed)
    return finding


def test_what_several_checks_fail_on_is_told_once() -> None:
    gone = Unread("the stack is not provisioned", "`bgdeploy provision` builds it", broken=True)
    told = found(in_flight=gone, standing=gone, room=Unread("the network is down"))
    assert [(one.check, one.state, one.text) for one in told] == [
        ("deployment", "fails", "the stack is not provisioned"),
        ("listeners", "not checked", "could not be looked at, for the same reason as deployment"),
        ("target groups", "not checked", "could not be looked at, for the same reason as deployment"),
        ("task sets", "not checked", "could not be looked at, for the same reason as deployment"),
        ("room", "not checked", "the network is down"),
    ]
    assert [one.hint for one in told] == ["`bgdeploy provision` builds it", "", "", "", ""]


def test_roles_that_do_not_exist_are_told_together() -> None:
    missing = tuple(RoleSeen(name, "lambda.amazonaws.com") for name in ("shop-hook", "shop-task"))
    assert only(roles=missing).text == "no role is called shop-hook or shop-task"


def production(*weights: dict[str, int]) -> Standing:
    assert isinstance(WELL.standing, Standing)
    return replace(WELL.standing, production=weights)


def alarm(**seen: Any) -> dict[str, tuple[AlarmSeen, ...]]:
    assert not isinstance(WELL.alarms, Unread)
    return {"alarms": (replace(WELL.alarms[0], **seen),)}


def test_where_all_is_well_every_check_says_so() -> None:
    told = list(findings(WELL))
    assert {finding.state for finding in told} == {"ok"}
    assert len(told) == 14
    assert summary(told) == "all is well: a release may start"


@pytest.mark.parametrize(
    ("changed", "check", "state", "part"),
    [
        ({"roles": (RoleSeen("r", "lambda.amazonaws.com"),)}, "roles", "fails", "no role is called r"),
        (
            {"roles": (RoleSeen("r", "lambda.amazonaws.com", exists=True),)},
            "roles",
            "fails",
            "does not let lambda.amazonaws.com assume it",
        ),
        (
            {"roles": (RoleSeen("r", "x", True, True, ("a on b", "c on d", "e on f", "g on h")),)},
            "roles",
            "fails",
            "may not a on b, c on d, e on f and 1 more",
        ),
        ({"hook": HookSeen("h")}, "hook", "fails", "the hook's function is missing"),
        ({"hook": HookSeen("h", "Pending", current=True)}, "hook", "fails", "is Pending, not Active"),
        ({"hook": HookSeen("h", "Active", "Failed", current=True)}, "hook", "fails", "last update"),
        (
            {"hook": HookSeen("h", "Active", current=True, doubts=(("it is older", "move it away"),))},
            "hook",
            "warning",
            "it is older",
        ),
        ({"hook": HookSeen("h", "Active")}, "hook", "warning", "is not the project's hook_lambda/"),
        (
            {"hook": HookSeen("h", "Active", current=True, denied=("codedeploy:Put",), simulated=True)},
            "hook",
            "fails",
            "may not codedeploy:Put (IAM says)",
        ),
        (
            alarm(alarm=Alarm("a", "ALARM", value=2, operator=">=", limit=1)),
            "alarms",
            "fails",
            "a is in ALARM (2 >= 1)",
        ),
        (
            alarm(alarm=Alarm("a", "MISSING")),
            "alarms",
            "fails",
            "a, which the deployment group watches, does not",
        ),
        (
            alarm(alarm=Alarm("a", "MISSING"), watched=False),
            "alarms",
            "warning",
            "a of the config does not exist",
        ),
        (alarm(watched=False), "alarms", "warning", "is not watched by the deployment group"),
        (alarm(declared=False), "alarms", "warning", "is not in the config"),
        (alarm(blind="nobody has published x"), "alarms", "warning", "cannot go off: nobody has published x"),
        (alarm(doubt="nothing matched"), "alarms", "warning", "may never go off: nothing matched"),
        (alarm(silent=True), "alarms", "warning", "ever since it was made"),
        (
            {"room": Room(tasks=3, addresses=2, vcpus=1, quota=100, used=3)},
            "addresses",
            "fails",
            "have 2 free addresses, and a release starts 3 tasks",
        ),
        (
            {"room": Room(tasks=4, addresses=20, vcpus=1, quota=6, used=4)},
            "vCPU quota",
            "fails",
            "4 of 6 Fargate vCPUs are in use, a release needs 4 more",
        ),
        (
            {"room": Room(tasks=4, addresses=20, vcpus=1, quota=6)},
            "vCPU quota",
            "fails",
            "4 of 6 Fargate vCPUs are in use",
        ),
        (
            {"room": Room(tasks=1, addresses=20, vcpus=1, unread="nobody tells")},
            "vCPU quota",
            "not checked",
            "nobody tells",
        ),
        (
            {"image": ImageSeen("r@sha256:0", present=False)},
            "image",
            "warning",
            "ECR does not have r@sha256:0",
        ),
        (
            {"image": ImageSeen("public/httpd")},
            "image",
            "not checked",
            "public/httpd, which is in no registry",
        ),
        ({"standing": production({BLUE: 50, GREEN: 50})}, "listeners", "fails", "non-zero weight"),
        ({"standing": production({BLUE: 0, GREEN: 100})}, "listeners", "fails", "must be behind listener"),
        ({"standing": production({BLUE: 1})}, "target groups", "warning", f"{GREEN} is not behind"),
    ],
)
def test_what_is_not_well_is_told_with_what_to_do(
    changed: dict[str, Any], check: str, state: str, part: str
) -> None:
    finding = only(**changed)
    assert (finding.check, finding.state) == (check, state)
    assert part in finding.text
    assert finding.hint or finding.state == "not checked"


def test_a_config_without_alarms_is_told_what_that_means() -> None:
    told = [finding.text for finding in findings(replace(WELL, alarms=())) if finding.check == "alarms"]
    assert told == ["the config has none: nothing but a person rolls a live release back"]


def test_what_may_not_be_looked_at_is_not_checked_and_does_not_hide_the_rest() -> None:
    told = found(standing=Unread("AWS refused DescribeRules"), hook=HookSeen("h"))
    assert [(finding.check, finding.state) for finding in told] == [
        ("listeners", "not checked"),
        ("target groups", "not checked"),
        ("task sets", "not checked"),
        ("hook", "fails"),
    ]


def test_a_part_of_the_stack_that_is_not_there_is_what_a_release_would_fail_on() -> None:
    finding = found(standing=Unread("it is not provisioned", "provision it", broken=True))[0]
    assert (finding.state, finding.text, finding.hint) == ("fails", "it is not provisioned", "provision it")


# What can be put right


def test_weights_can_be_put_right() -> None:
    assert only(standing=production({BLUE: 50, GREEN: 50})).mend == GIVE_BACK
    assert only(standing=production({BLUE: 1})).mend == GIVE_BACK


def test_weights_are_left_to_codedeploy_while_a_deployment_is_active() -> None:
    told = found(standing=production({BLUE: 50, GREEN: 50}), in_flight=InFlight(d.linear(300)))
    assert [finding.check for finding in told] == ["deployment", "listeners"]
    assert all(finding.mend is None for finding in told)


def test_weights_are_not_touched_when_nobody_knows_whether_a_deployment_is_active() -> None:
    told = found(standing=production({BLUE: 50, GREEN: 50}), in_flight=Unread("AWS refused it"))
    assert all(finding.mend is None for finding in told)


def test_a_listener_cannot_be_put_right_for_tasks_in_a_foreign_target_group() -> None:
    assert isinstance(WELL.standing, Standing)
    told = found(standing=replace(WELL.standing, primary="theirs"))
    assert all(finding.mend is None for finding in told)


def test_a_service_linked_role_can_be_made() -> None:
    finding = only(linked=(LinkedRole("ecs.amazonaws.com", False, "ECS gives tasks their addresses with"),))
    assert (finding.state, finding.mend) == (
        "fails",
        Mend(
            "service-linked role", "ecs.amazonaws.com", "create the service-linked role of ecs.amazonaws.com"
        ),
    )


def test_claims_that_are_left_over_can_be_removed() -> None:
    finding = only(leftovers=("hooks/d-1.claim.json", "hooks/d-2.claim.json"))
    assert finding.state == "warning"
    assert finding.mend is not None
    assert finding.mend.subject.split() == ["hooks/d-1.claim.json", "hooks/d-2.claim.json"]


def test_a_test_port_that_is_left_open_is_told() -> None:
    finding = only(let_in=("203.0.113.7/32",))
    assert (finding.check, finding.state) == ("test port", "warning")
    assert "203.0.113.7/32" in finding.text


# A deployment that runs


def test_a_deployment_that_gets_on_makes_a_release_wait() -> None:
    finding = only(in_flight=InFlight(d.linear(300)))
    assert (finding.state, finding.check) == ("warning", "deployment")
    assert "d-BDS7SUA1L of v2 is active, a release has to wait: it is shifting" in finding.text


def test_a_deployment_whose_checks_nobody_runs_is_stuck() -> None:
    held = InFlight(d.linear(130), held_for=timedelta(minutes=2), attended=False)
    finding = only(in_flight=held)
    assert finding.state == "fails"
    assert "its hook has held it for 2m00s, and nobody runs its checks" in finding.text
    assert finding.hint.startswith("`bgdeploy watch d-BDS7SUA1L` runs them")


@pytest.mark.parametrize(("seconds", "attended"), [(5, False), (120, True)])
def test_a_deployment_that_somebody_may_be_about_to_check_is_not_stuck(seconds: int, attended: bool) -> None:
    held = InFlight(d.linear(130), held_for=timedelta(seconds=seconds), attended=attended)
    assert only(in_flight=held).state == "warning"


def test_tasks_that_do_not_come_up_are_told_with_the_reason() -> None:
    snapshot = d.linear(60)
    late = replace(snapshot, at=d.moment(60 + 20 * 60), trouble=("CannotPullContainerError",))
    finding = only(in_flight=InFlight(late))
    assert finding.state == "fails"
    assert "its new tasks have not come up for 20m56s: CannotPullContainerError" in finding.text


def test_an_event_beyond_its_limit_is_stuck() -> None:
    late = replace(d.linear(300), at=d.moment(300 + 3600))
    assert "AllowTraffic has taken 1h02m" in only(in_flight=InFlight(late)).text


# Asking before it does


@pytest.mark.parametrize(("said", "agreed"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_a_deed_is_done_after_a_yes_alone(said: str, agreed: bool) -> None:
    with CliRunner().isolation(input=said) as (_, errors, _):
        assert agrees(GIVE_BACK) is agreed
        told = errors.getvalue() if errors else b""
    assert f"Give all of production to {BLUE}".encode() in told


def test_what_nobody_can_say_yes_to_is_told_below_the_report_and_is_a_wrong_call() -> None:
    told = tuple(findings(replace(WELL, standing=production({BLUE: 50, GREEN: 50}))))
    result = reported(Invocation(), "shop-dev  us-east-1", told, unanswered=(GIVE_BACK,))
    assert result.exit == Exit.USAGE
    assert result.data["findings"] == [each.as_dict() for each in told]
    assert callable(result.text)
    page = " ".join(paper.rendered(result.text()).split())
    assert "1 failure: a release would fail doctor would give all of production to shop-dev-blue" in page
    assert page.endswith("nobody is there to answer → `bgdeploy doctor --fix --yes` answers it")


def test_a_report_without_anything_to_mend_fails_by_what_a_release_would_fail_on() -> None:
    told = tuple(findings(replace(WELL, standing=production({BLUE: 50, GREEN: 50}))))
    assert reported(Invocation(), "shop-dev  us-east-1", told).exit == Exit.ERROR
    assert reported(Invocation(), "shop-dev  us-east-1", tuple(findings(WELL))).exit == Exit.DONE


# The page


def test_the_page_shows_each_check_its_state_and_what_to_do() -> None:
    ill: dict[str, Any] = {
        "standing": production({BLUE: 50, GREEN: 50}),
        "room": Room(tasks=2, addresses=200, vcpus=0.25, unread="Service Quotas does not tell: AccessDenied"),
        **alarm(silent=True),
    }
    told = list(findings(replace(WELL, **ill)))
    paper.check("doctor", paper.rendered(doctor("shop-dev  us-east-1", told)))


# What no sandbox has: IAM's own word, and quotas


class StubbedAws:
    """The part of `Aws` that these readings use, with a client that answers what it is told to."""

    region = "us-east-1"

    def __init__(self, *services: str) -> None:
        self.clock = HandClock()
        session = boto3.Session("AKIA", "secret", region_name=self.region)
        self.clients: dict[str, Any] = {service: session.client(service) for service in services}  # type: ignore[call-overload]
        self.stubs = {service: Stubber(client) for service, client in self.clients.items()}
        for stub in self.stubs.values():
            stub.activate()

    def client(self, service: str) -> Any:
        return self.clients[service]

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:us-east-1:123456789012:{resource}"


HOOK_ROLE = Role(name="shop-dev-hook", service="lambda.amazonaws.com", account="123456789012", grants=())
ANSWER = "codedeploy:PutLifecycleEventHookExecutionStatus"


@pytest.mark.parametrize(("decision", "denied"), [("allowed", ()), ("explicitDeny", (ANSWER,))])
def test_iams_own_word_on_the_hooks_role_counts(decision: str, denied: tuple[str, ...]) -> None:
    aws = StubbedAws("iam")
    result = {"EvalActionName": ANSWER, "EvalDecision": decision}
    aws.stubs["iam"].add_response("simulate_principal_policy", {"EvaluationResults": [result]})
    assert roles.denied_answers(aws, HOOK_ROLE, Names("shop-dev")) == (denied, True)  # type: ignore[arg-type]


@pytest.mark.parametrize(("resource", "denied"), [("*", ()), ("arn:aws:codedeploy:other", (ANSWER,))])
def test_where_iam_may_not_be_asked_the_hooks_policies_are_read(
    resource: str, denied: tuple[str, ...]
) -> None:
    aws = StubbedAws("iam")
    iam, role = aws.stubs["iam"], {"RoleName": HOOK_ROLE.name}
    iam.add_client_error("simulate_principal_policy", "AccessDenied")
    iam.add_response("list_role_policies", {"PolicyNames": ["bgdeploy"]}, role)
    statement = {"Effect": "Allow", "Action": ANSWER, "Resource": resource}
    policy = {**role, "PolicyName": "bgdeploy", "PolicyDocument": json.dumps({"Statement": [statement]})}
    iam.add_response("get_role_policy", policy, {**role, "PolicyName": "bgdeploy"})
    iam.add_response("list_attached_role_policies", {"AttachedPolicies": []}, role)
    assert roles.denied_answers(aws, HOOK_ROLE, Names("shop-dev")) == (denied, False)  # type: ignore[arg-type]


def test_what_is_in_use_of_a_quota_is_asked_of_the_metric_that_counts_it() -> None:
    aws = StubbedAws("service-quotas", "cloudwatch")
    metric = {
        "MetricNamespace": "AWS/Usage",
        "MetricName": "ResourceCount",
        "MetricDimensions": {"Service": "Fargate", "Resource": "vCPU"},
        "MetricStatisticRecommendation": "Maximum",
    }
    aws.stubs["service-quotas"].add_response(
        "get_service_quota",
        {"Quota": {"Value": 6.0, "UsageMetric": metric}},
        {"ServiceCode": "fargate", "QuotaCode": "L-3032A538"},
    )
    points = [{"Timestamp": d.moment(n), "Maximum": float(n)} for n in (1, 3, 2)]
    aws.stubs["cloudwatch"].add_response("get_metric_statistics", {"Datapoints": points})
    assert room.quota(aws) == (6.0, 3.0, "")  # type: ignore[arg-type]


def test_a_quota_that_may_not_be_read_is_no_reason_to_fail() -> None:
    aws = StubbedAws("service-quotas")
    aws.stubs["service-quotas"].add_client_error("get_service_quota", "AccessDeniedException")
    value, used, why = room.quota(aws)  # type: ignore[arg-type]
    assert (value, used) == (None, None)
    assert why.endswith("AccessDeniedException")


def test_a_topic_that_is_not_there_is_a_warning() -> None:
    topics = (
        TopicSeen("arn:aws:sns:us-east-1:1:a", exists=True),
        TopicSeen("arn:aws:sns:us-east-1:1:b", exists=False),
    )
    found = [one for one in findings(replace(WELL, topics=topics)) if one.check == "topics"]
    assert [(one.state, one.text.split("arn:")[1].split()[0][-1].strip(":")) for one in found] == [
        ("ok", "a"),
        ("warning", "b"),
    ]
