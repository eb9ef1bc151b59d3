"""The verdict: what kind of end it was, with which exit status, and what the sentences say."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bgdeploy.errors import Exit
from bgdeploy.release.cause import Kind
from bgdeploy.release.checks import CheckResult, ChecksState, Stage
from bgdeploy.release.ending import Page, cancelled, detached, ending, gave_up
from bgdeploy.release.evidence import Evidence, Series, Stop
from bgdeploy.release.snapshot import Alarm, Snapshot
from tests import deployments as d

HOOKS_FAILED = "The deployment failed because one or more of the lifecycle event validation functions failed."
NO_CALLBACK = (
    "The deployment timed out while waiting for a status callback. CodeDeploy expects a status callback within one "
    "hour after a deployment hook is invoked."
)
FAILED_CHECK = CheckResult(
    name="home page",
    request="GET http://shop.example:8080/",
    verdict="fail",
    wanted='body contains "Hello from v2"',
    got='"Hello from v1"',
    attempts=6,
    seconds=30.2,
)
PAGE = Page("http://shop.example/", 200)


def _held(code: str = "HOOK_EXECUTION_FAILURE", message: str = HOOKS_FAILED) -> Snapshot:
    """A deployment that failed while the hook held it, rolled back."""
    return d.rolled_back(d.ended(d.linear(130), "Failed", "AfterAllowTestTraffic", code, message, 135))


def test_a_finished_release_is_live_and_verified() -> None:
    ended = ending(d.linear(985), page=PAGE)
    assert (ended.kind, ended.exit) == (Kind.LIVE, Exit.DONE)
    assert ended.headline == "v2 is live and verified after 16m19s"
    assert ended.why == ("http://shop.example/ answers 200",)
    assert [(live.listener, live.version, live.percent) for live in ended.live] == [
        ("production", "v2", 100),
        ("test", "v2", 100),
    ]


def test_a_shifted_release_says_how_long_blue_is_kept() -> None:
    ended = ending(d.linear(761), page=PAGE)
    assert ended.exit is Exit.DONE
    assert ended.why[0] == "blue v1 is kept until 19:46:32Z: until then a rollback is instant"
    assert f"bgdeploy watch {d.ID}" in ended.next


def test_success_that_the_listener_contradicts_needs_a_person() -> None:
    ended = ending(replace(d.linear(985), production=d.listener("prod", 50, 50)), page=PAGE)
    assert (ended.kind, ended.exit, ended.verified) == (Kind.UNVERIFIED, Exit.NEEDS_A_PERSON, False)
    assert ended.why == (
        "the production listener's weights are shop-dev-blue 50, shop-dev-green 50, not all on shop-dev-green",
    )


def test_success_that_the_page_contradicts_needs_a_person() -> None:
    ended = ending(d.linear(985), page=Page("http://shop.example/", 503))
    assert ended.exit is Exit.NEEDS_A_PERSON
    assert ended.why == ("http://shop.example/ answers 503, which is not < 500",)


def test_success_without_a_healthy_task_needs_a_person() -> None:
    sets = tuple(replace(each, healthy=0) for each in d.linear(985).task_sets)
    ended = ending(replace(d.linear(985), task_sets=sets), page=PAGE)
    assert (ended.kind, ended.exit) == (Kind.UNVERIFIED, Exit.NEEDS_A_PERSON)
    assert ended.why == ("no task of v2 is healthy, of 1",)


def test_success_beside_more_healthy_targets_than_tasks_needs_a_person() -> None:
    sets = tuple(replace(each, healthy=2) for each in d.linear(985).task_sets)
    ended = ending(replace(d.linear(985), task_sets=sets), page=PAGE)
    assert (ended.kind, ended.exit, ended.verified) == (Kind.UNVERIFIED, Exit.NEEDS_A_PERSON, False)
    assert ended.why == (
        "2 targets of shop-dev-green are healthy, and v2 runs 1 task: something else answers beside it; "
        "`bgdeploy doctor` says what",
    )


def test_who_is_not_healthy_is_told_with_the_reason() -> None:
    why = "a target is unhealthy: Health checks failed with these codes: [500]"
    sets = tuple(replace(each, healthy=0, trouble=(why,)) for each in d.linear(985).task_sets)
    ended = ending(replace(d.linear(985), task_sets=sets), page=PAGE)
    assert ended.why == (f"no task of v2 is healthy, of 1: {why}",)


def test_a_page_that_this_machine_cannot_reach_is_no_failure() -> None:
    ended = ending(d.linear(985), page=Page("http://shop.example/", None, "ConnectTimeoutError: 3 s"))
    assert ended.exit is Exit.DONE
    assert "cannot be reached from here" in ended.why[0]


def test_an_old_release_that_a_later_one_replaced_did_succeed() -> None:
    ended = ending(replace(d.linear(985), task_sets=(), superseded_by="v3"))
    assert ended.exit is Exit.DONE
    assert ended.headline == "v2 went live after 16m19s; v3 is live now"


def test_a_failed_check_is_named_with_what_it_wanted_and_got() -> None:
    passed = replace(FAILED_CHECK, name="fine", verdict="pass")
    ended = ending(
        _held(), ChecksState(stage="failed", owner="me", results=(passed, FAILED_CHECK)), page=PAGE
    )
    assert (ended.kind, ended.exit) == (Kind.CHECK_FAILED, Exit.ROLLED_BACK)
    assert (
        ended.headline == "rolled back: v2 failed at AfterAllowTestTraffic after 2m15s; production is on v1"
    )
    assert ended.why == (
        'check "home page": wanted body contains "Hello from v2", got "Hello from v1" '
        "(GET http://shop.example:8080/, 6 attempts, 30.2 s)",
    )
    assert ended.rollback == d.ROLLBACK_ID


def test_checks_that_reach_nobody_are_not_the_applications_failure() -> None:
    unanswered = replace(FAILED_CHECK, got="ConnectTimeoutError: no answer in 5 s")
    ended = ending(_held(), ChecksState(stage="unreachable", owner="me", results=(unanswered,)), page=PAGE)
    assert ended.kind is Kind.CHECKS_UNREACHABLE
    assert ended.headline.startswith("rolled back: v2 could not be checked at")
    assert ended.why[0] == (
        "the checks could not reach http://shop.example:8080: ConnectTimeoutError: no answer in 5 s"
    )
    assert "load_balancer.test.allow" in ended.next[0]


def test_a_hook_that_failed_without_us_points_to_its_log() -> None:
    ended = ending(_held(), None, page=PAGE)
    assert ended.kind is Kind.HOOK_FAILED
    assert ended.why[-1].endswith("/aws/lambda/CodeDeployHook_shop-dev")


def test_checks_that_somebody_else_ran_are_said_to_be_theirs() -> None:
    ended = ending(_held(), ChecksState(stage="elsewhere", owner="ci-7", results=()), page=PAGE)
    assert "the checks were run by ci-7: its output says which failed" in ended.why


def test_a_hook_that_never_answered_is_silent() -> None:
    assert ending(_held("TIMEOUT", NO_CALLBACK), None).kind is Kind.HOOK_SILENT


def test_an_alarm_is_named_with_value_operator_and_limit() -> None:
    ended = ending(d.alarm_run()[-1], page=PAGE)
    assert (ended.kind, ended.exit) == (Kind.ALARM, Exit.ROLLED_BACK)
    assert ended.headline == (
        "rolled back: v2 was stopped by an alarm at AllowTraffic after 3m00s; production is on v1"
    )
    assert ended.why[0].startswith(
        "alarm shop-dev-not-found went off: 2 >= 1: Threshold Crossed: 1 datapoint"
    )


def test_an_alarm_that_recovered_is_still_named() -> None:
    back = replace(d.alarm_run()[-1], alarms=(Alarm("shop-dev-not-found", "OK"),))
    assert ending(back, page=PAGE).why == ("alarm shop-dev-not-found went off: it has recovered since",)


def test_tasks_that_never_came_up_say_why() -> None:
    failed = d.ended(
        d.linear(60), "Failed", "Install", "ECS_UPDATE_ERROR", "the set never became healthy", 61
    )
    reasons = ("a task stopped: Essential container in task exited; web exited with 1",)
    ended = ending(replace(d.rolled_back(failed), trouble=reasons), page=PAGE)
    assert (ended.kind, ended.exit) == (Kind.INSTALL_FAILED, Exit.ROLLED_BACK)
    assert ended.why == (
        "ECS_UPDATE_ERROR: the set never became healthy",
        *reasons,
        "the application ended by itself with an error",
    )
    assert ended.next[:2] == ("mend what its last words complain of", "bgdeploy logs --since 1h")


def test_a_stop_by_hand_is_no_failure_of_the_version() -> None:
    stopped = d.ended(d.linear(300), "Stopped", "AllowTraffic", "MANUAL_STOP", "Stopped by user", 301)
    ended = ending(d.rolled_back(stopped), page=PAGE)
    assert (ended.kind, ended.exit) == (Kind.STOPPED, Exit.ROLLED_BACK)
    assert "v2 was stopped at AllowTraffic" in ended.headline


def test_a_stop_of_what_would_not_come_up_tells_why_it_did_not() -> None:
    stopped = d.ended(d.linear(60), "Stopped", "Install", "MANUAL_STOP", "Stopped by user", 61)
    ended = ending(replace(d.rolled_back(stopped), trouble=("a task stopped: exited with 3",)), page=PAGE)
    assert "a task stopped: exited with 3" in ended.why


def test_who_stopped_it_is_told_where_bgdeploy_did_so() -> None:
    stopped = d.ended(d.linear(300), "Stopped", "AllowTraffic", "MANUAL_STOP", "Stopped by user", 301)
    known = Evidence(stop=Stop("ana@laptop", "`bgdeploy stop`"))
    ended = ending(d.rolled_back(stopped), page=PAGE, evidence=known)
    assert (ended.kind, ended.why) == (Kind.STOPPED, ("stopped by ana@laptop with `bgdeploy stop`",))
    unknown = ending(d.rolled_back(stopped), page=PAGE)
    assert "CloudTrail's StopDeployment event says who stopped it" in unknown.why


def test_a_release_that_was_given_up_says_why_how_soon_and_its_tasks_last_words() -> None:
    stopped = d.ended(d.linear(60), "Stopped", "Install", "MANUAL_STOP", "Stopped by user", 100)
    why = "a task stopped: Essential container in task exited; web exited with 137 (2 tasks)"
    gone = replace(d.rolled_back(stopped), trouble=(why,))
    stop = Stop("ana@laptop", "early_fail", "2 of its tasks stopped by themselves", early=True)
    ended = ending(gone, page=PAGE, evidence=Evidence(stop, log=("Killed",)))
    assert (ended.kind, ended.exit, ended.log) == (Kind.EARLY, Exit.ROLLED_BACK, ("Killed",))
    assert ended.headline == "rolled back: v2 failed early at Install after 1m40s; production is on v1"
    assert ended.why[0] == (
        "2 of its tasks stopped by themselves: stopped by ana@laptop after 1m40s instead of waiting CodeDeploy's hour"
    )
    assert ended.why[1] == why
    assert ended.next[0] == "raise container.memory, or have the application use less"


def test_an_alarm_that_recovered_is_told_with_what_it_had_measured() -> None:
    back = replace(d.alarm_run()[-1], alarms=(Alarm("shop-dev-not-found", "OK"),))
    minute = timedelta(minutes=1)
    measured = tuple((d.T0 + n * minute, float(value)) for n, value in enumerate((0, 3, 0)))
    series = Series("shop-dev-not-found", measured, minute, ">=", 1.0)
    ended = ending(back, page=PAGE, evidence=Evidence(series=(series,)))
    assert ended.why == ("alarm shop-dev-not-found went off: 3 >= 1 at 19:31:00Z; it has recovered since",)
    assert ended.series == (series,)


def test_the_hooks_own_last_words_are_told() -> None:
    ended = ending(
        _held(), None, page=PAGE, evidence=Evidence(hook_log=("the hook broke: KeyError: 'BUCKET'",))
    )
    assert "hook: the hook broke: KeyError: 'BUCKET'" in ended.why


def test_an_approval_that_never_came_is_said_so() -> None:
    text = "The deployment timed out while waiting for a notification to continue. This time out period is 5 minutes."
    expired = d.ended(d.linear(139.2), "Stopped", "BeforeAllowTraffic", "TIMEOUT", text, 440)
    assert ending(d.rolled_back(expired), page=PAGE).kind is Kind.APPROVAL_EXPIRED


def test_a_failure_without_rollback_leaves_green_behind_and_needs_a_person() -> None:
    failed = d.ended(
        d.linear(130), "Failed", "AfterAllowTestTraffic", "HOOK_EXECUTION_FAILURE", HOOKS_FAILED, 135
    )
    ended = ending(failed, None, page=PAGE)
    assert ended.exit is Exit.NEEDS_A_PERSON
    assert "nothing was rolled back" in ended.headline
    assert ended.why[-1].startswith("green v2 still runs beside production")
    assert ended.next == ("bgdeploy status", "bgdeploy doctor --fix", "bgdeploy release v1 --force")


def test_a_failure_before_anything_was_there_left_production_alone() -> None:
    failed = d.ended(
        d.linear(3.1), "Failed", "BeforeInstall", "ECS_UPDATE_ERROR", "container x does not exist", 4
    )
    ended = ending(failed, None, page=PAGE)
    assert ended.exit is Exit.ROLLED_BACK
    assert ended.headline == "v2 failed at BeforeInstall after 4s; production is on v1"


def test_a_split_listener_without_rollback_needs_a_person() -> None:
    stopped = d.ended(d.linear(300), "Stopped", "AllowTraffic", "MANUAL_STOP", "Stopped by user", 301)
    ended = ending(stopped, page=PAGE)
    assert ended.exit is Exit.NEEDS_A_PERSON
    assert "not all on shop-dev-blue" in ended.why[-1]


def test_a_failed_rollback_needs_a_person() -> None:
    failing = d.rolled_back(_held(), "Failed")
    assert failing.rollback is not None
    rollback = replace(failing.rollback, error_code="INTERNAL_ERROR", error_message="try again")
    ended = ending(replace(failing, rollback=rollback), page=PAGE)
    assert ended.exit is Exit.NEEDS_A_PERSON
    assert ended.why[-1] == f"rollback deployment {d.ROLLBACK_ID} ended Failed: INTERNAL_ERROR: try again"


def test_a_rollback_that_moved_nothing_back_is_not_believed() -> None:
    claimed = replace(d.alarm_run()[-1], production=d.listener("prod", 90, 10))
    ended = ending(claimed, page=PAGE)
    assert (ended.exit, ended.verified) == (Exit.NEEDS_A_PERSON, False)


def test_a_cancelled_job_says_what_it_has_stopped_and_leaves_the_rest_to_whoever_attaches() -> None:
    ended = cancelled(d.linear(150), d.ID, "Deployment is being stopped")
    assert (
        ended.headline == f"cancelled: deployment {d.ID} is being stopped and rolled back (it was shifting)"
    )
    assert (ended.kind, ended.exit) == (Kind.CANCELLED, Exit.INTERRUPTED)
    assert ended.why == ("CodeDeploy says: Deployment is being stopped",)
    assert ended.next == (f"bgdeploy watch {d.ID}",)


def test_who_stops_it_and_leaves_is_not_told_that_it_goes_on() -> None:
    ended = cancelled(d.linear(150), d.ID, "", how="stopped watching")
    assert ended.headline == (
        f"stopped watching: deployment {d.ID} is being stopped and rolled back (it was shifting)"
    )


@pytest.mark.parametrize("kind", [detached, lambda s, i: gave_up(s, i, "30m00s are over")])
def test_leaving_a_deployment_says_how_to_come_back(kind: object) -> None:
    assert callable(kind)
    left = kind(d.linear(130), d.ID)
    assert f"deployment {d.ID} goes on (it was checking)" in left.headline
    assert left.next[-1] == f"bgdeploy watch {d.ID}"
    assert left.exit in {Exit.INTERRUPTED, Exit.GAVE_UP_WAITING}


def test_an_ending_is_plain_data_for_programs() -> None:
    plain = ending(d.alarm_run()[-1], page=PAGE).as_dict()
    assert (plain["kind"], plain["exit"], plain["rollback"]) == ("alarm", 4, d.ROLLBACK_ID)
    assert plain["live"][0]["version"] == "v1"


def _shifted_and_stopped() -> Snapshot:
    shifted = d.linear(761)
    stopped = replace(shifted.deployment, status="Stopped", error_code="MANUAL_STOP", completed=d.moment(765))
    return d.rolled_back(replace(shifted, at=d.moment(765), deployment=stopped))


_LATER = replace(FAILED_CHECK, name="errors", wanted="", got="target_5xx_rate 3.1% > 1%", kind="metric")


def test_a_check_that_failed_after_the_shift_is_named_instead_of_the_stop_it_led_to() -> None:
    later = ChecksState(stage="failed", owner="me", results=(_LATER,))
    ended = ending(_shifted_and_stopped(), ChecksState(stage="passed", after=later), page=PAGE)
    assert (ended.kind, ended.exit) == (Kind.CHECK_FAILED_AFTER, Exit.ROLLED_BACK)
    assert ended.why[0].startswith('check "errors": target_5xx_rate 3.1% > 1% (')


def test_a_check_that_failed_elsewhere_after_the_shift_is_named_as_well() -> None:
    later = ChecksState(stage="elsewhere", owner="ben@elsewhere", why=('check "errors": 3.1% > 1%',))
    ended = ending(_shifted_and_stopped(), ChecksState(after=later), page=PAGE)
    assert (ended.kind, ended.why) == (Kind.CHECK_FAILED_AFTER, ('check "errors": 3.1% > 1%',))


def test_a_stop_by_hand_while_checks_went_on_is_a_stop_by_hand() -> None:
    later = ChecksState(stage="idle", owner="me", results=(replace(_LATER, verdict=None),))
    ended = ending(_shifted_and_stopped(), ChecksState(after=later), page=PAGE)
    assert ended.kind is Kind.STOPPED


def test_a_check_that_failed_when_all_was_over_needs_a_person() -> None:
    later = ChecksState(stage="late", owner="me", results=(_LATER,))
    ended = ending(d.linear(985), ChecksState(stage="passed", after=later), page=PAGE)
    assert (ended.kind, ended.exit) == (Kind.CHECK_FAILED_AFTER, Exit.NEEDS_A_PERSON)
    assert ended.headline == "v2 is live, and a check failed when it was too late to go back"


@pytest.mark.parametrize(
    ("stage", "why"),
    [("inconclusive", "nobody was there to decide"), ("declined", "somebody decided against it")],
)
def test_inconclusive_checks_are_an_ending_of_their_own(stage: Stage, why: str) -> None:
    unsure = replace(FAILED_CHECK, verdict="inconclusive", wanted="exit 0", got="exit 2")
    ended = ending(_held(), ChecksState(stage=stage, owner="me", results=(unsure,)), page=PAGE)
    assert (ended.kind, ended.exit) == (Kind.CHECK_INCONCLUSIVE, Exit.ROLLED_BACK)
    assert ended.why[0].startswith('check "home page": inconclusive: wanted exit 0, got exit 2 (')
    assert ended.why[1] == why


def test_a_failed_command_tells_the_last_it_has_said() -> None:
    said = tuple(f"line {number}" for number in range(9))
    failed = replace(FAILED_CHECK, got="exit 1: line 8", output=said)
    ended = ending(_held(), ChecksState(stage="failed", owner="me", results=(failed,)), page=PAGE)
    assert ended.why[1:] == ("line 3", "line 4", "line 5", "line 6", "line 7")


def test_what_is_only_observed_is_not_why_a_release_failed() -> None:
    seen = replace(FAILED_CHECK, name="seen", observed=True)
    ended = ending(_held(), ChecksState(stage="failed", owner="me", results=(seen, FAILED_CHECK)), page=PAGE)
    assert [line.partition(":")[0] for line in ended.why] == ['check "home page"']


@pytest.mark.parametrize("weights", [(90, 10), (100, 0)])
def test_what_is_split_or_left_is_mended_before_anything_can_be_released(weights: tuple[int, int]) -> None:
    left = replace(d.alarm_run()[2], production=d.listener("prod", *weights))
    assert ending(left).next == ("bgdeploy status", "bgdeploy doctor --fix", "bgdeploy release v1 --force")
