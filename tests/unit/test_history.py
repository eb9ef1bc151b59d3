"""What a deployment and its rollback come to, told after the fact."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from bgdeploy.release.records.history import briefly, release
from bgdeploy.release.records.told import Release

T0 = datetime(2026, 1, 5, 12, 0, tzinfo=timezone.utc)


def info(status: str, **more: Any) -> dict[str, Any]:
    """Return a deployment as BatchGetDeployments describes it."""
    ended = (
        {"completeTime": T0 + timedelta(minutes=9)} if status in {"Succeeded", "Failed", "Stopped"} else {}
    )
    return {
        "applicationName": "shop-dev",
        "deploymentId": "d-AAAAAAAA1",
        "status": status,
        "creator": "user",
        "description": "bgdeploy release v2 [k3y] by ann@laptop",
        "deploymentConfigName": "CodeDeployDefault.ECSAllAtOnce",
        "createTime": T0,
        **ended,
        **more,
    }


def error(code: str, message: str) -> dict[str, Any]:
    return {"errorInformation": {"code": code, "message": message}}


def rollback(status: str) -> dict[str, Any]:
    undone = {"rollbackTriggeringDeploymentId": "d-AAAAAAAA1"}
    ended = {"completeTime": T0 + timedelta(minutes=10)} if status == "Succeeded" else {}
    return {
        **info(status, creator="codeDeployRollback", description="", rollbackInfo=undone),
        "deploymentId": "d-BBBBBBBB1",
        "createTime": T0 + timedelta(minutes=9),
        **ended,
    }


UNDONE = {"rollbackInfo": {"rollbackDeploymentId": "d-BBBBBBBB1"}}


@pytest.mark.parametrize(
    ("status", "more", "undoing", "result", "good"),
    [
        ("Succeeded", {}, None, "went live", True),
        ("InProgress", {}, None, "in flight", None),
        ("Ready", {}, None, "in flight", None),
        ("Failed", {}, None, "failed", False),
        ("Stopped", {}, None, "stopped", False),
        ("Stopped", UNDONE, rollback("Succeeded"), "rolled back", False),
        ("Stopped", UNDONE, rollback("InProgress"), "rolling back", False),
        ("Failed", UNDONE, rollback("Failed"), "rollback failed", False),
        ("Stopped", UNDONE, None, "rolled back", False),  # its rollback is beyond what was read
    ],
)
def test_each_ending_has_a_word(
    status: str, more: dict[str, Any], undoing: dict[str, Any] | None, result: str, good: bool | None
) -> None:
    told = release(info(status, **more), undoing, live="")
    assert (told.result, told.good) == (result, good)


@pytest.mark.parametrize(
    ("status", "more", "why"),
    [
        ("Succeeded", {}, ""),
        ("InProgress", {"instanceTerminationWaitTimeStarted": True}, "production is on it, blue is kept"),
        (
            "Stopped",
            error(
                "ALARM_ACTIVE", "One or more alarms …. Activated alarms: <shop-dev-slow> <shop-dev-errors>"
            ),
            "shop-dev-slow, shop-dev-errors went off",
        ),
        ("Stopped", error("MANUAL_STOP", "The deployment was stopped."), "stopped by hand"),
        (
            "Stopped",
            error("TIMEOUT", "The deployment timed out while waiting for a notification to continue. …"),
            "nobody approved it in time",
        ),
        (
            "Failed",
            error("TIMEOUT", "… while waiting for the replacement task set to become healthy. …"),
            "its tasks never became healthy",
        ),
        ("Failed", error("TIMEOUT", "… waiting for a status callback. …"), "the hook did not answer"),
        ("Failed", error("HOOK_EXECUTION_FAILURE", "…"), "a check or the hook failed"),
        ("Failed", error("ECS_UPDATE_ERROR", "No capacity."), "ECS_UPDATE_ERROR: No capacity."),
    ],
)
def test_why_is_told_in_a_few_words(status: str, more: dict[str, Any], why: str) -> None:
    assert release(info(status, **more), None, live="").why == why


def test_many_reasons_are_told_by_the_first_two_and_where_the_others_are() -> None:
    assert briefly((), "d-1") == ""
    assert briefly(("a", "b"), "d-1") == "a; b"
    assert briefly(("a", "b", "c", "d"), "d-1") == "a; b; 2 more in `bgdeploy report d-1`"


def test_a_release_takes_until_it_is_undone() -> None:
    told = release(info("Stopped", **UNDONE), rollback("Succeeded"), live="")
    assert told.as_dict()["seconds"] == 600
    assert told.rollback == "d-BBBBBBBB1"
    assert release(info("InProgress"), None, live="").as_dict()["seconds"] is None


def test_who_and_what_are_in_the_description_and_unknown_of_a_foreign_deployment() -> None:
    assert _who(release(info("Succeeded"), None, live="d-AAAAAAAA1")) == ("v2", "ann@laptop", True)
    assert _who(release(info("Succeeded", description="by hand"), None, live="")) == ("", "", False)


def _who(told: Release) -> tuple[str, str, bool]:
    return told.version, told.by, told.live
