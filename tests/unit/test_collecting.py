"""What is looked up of a deployment that has failed: last words, who stopped it, what its alarm compared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from botocore.exceptions import ClientError

from bgdeploy.aws import Aws
from bgdeploy.release.attending.stopping import stop
from bgdeploy.release.collecting import collect
from bgdeploy.release.evidence import Evidence, Stop
from bgdeploy.release.snapshot import Snapshot, StoppedTask
from tests import deployments as d
from tests.account import Account
from tests.clocks import HandClock

_NOT_FOUND = {
    "AlarmName": "shop-dev-not-found",
    "Namespace": "bgdeploy/shop-dev",
    "MetricName": "not-found",
    "Statistic": "Sum",
    "Period": 60,
    "Threshold": 1.0,
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
}
_ERRORS = {
    "AlarmName": "shop-dev-not-found",
    "Threshold": 5.0,
    "ComparisonOperator": "GreaterThanThreshold",
    "Metrics": [
        {"Id": "compared", "Expression": "errors_blue + errors_green", "ReturnData": True},
        {
            "Id": "errors_blue",
            "MetricStat": {"Period": 300, "Stat": "Sum", "Metric": {}},
            "ReturnData": False,
        },
    ],
}


class Witness(Account):
    """An account whose alarms and logs say what a test wants, and that keeps what was asked."""

    def __init__(self) -> None:
        super().__init__(HandClock(d.T0), d.linear)
        self.alarm: dict[str, Any] = _NOT_FOUND
        self.asked: dict[str, dict[str, Any]] = {}
        self.words: list[str] = []

    def answer(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        self.asked[operation] = params
        return super().answer(operation, params)

    def _describe_alarms(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"MetricAlarms": [self.alarm]}

    def _get_log_events(self, params: dict[str, Any]) -> dict[str, Any]:
        if not self.words:
            raise ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": "no stream"}}, "x")
        return {"events": [{"message": word} for word in self.words]}


def _crashed() -> Snapshot:
    stopped = d.ended(d.linear(60), "Stopped", "Install", "MANUAL_STOP", "Stopped", 100)
    tasks = (StoppedTask("t2", "crashed", container="web"), StoppedTask("t1", "crashed", container="web"))
    return replace(d.rolled_back(stopped), stopped=tasks)


def _collect(account: Account, snapshot: Snapshot) -> Evidence:
    return collect(cast(Aws, account), snapshot)


def test_nothing_is_asked_about_a_deployment_that_goes_on_or_went_well() -> None:
    account = Witness()
    assert _collect(account, d.linear(300)) == _collect(account, d.linear(985)) == Evidence()
    assert not account.calls


def test_the_last_words_are_those_of_the_task_that_stopped_last() -> None:
    account = Witness()
    account.words = ["connecting\n", "", "no database\nbye\n"]
    assert _collect(account, _crashed()).log == ("connecting", "no database", "bye")
    assert account.asked["get_log_events"]["logStreamName"] == "v2/web/t2"


def test_a_task_that_never_wrote_a_line_has_no_last_words() -> None:
    assert _collect(Witness(), _crashed()).log == ()


def test_who_stopped_it_first_is_who_stopped_it() -> None:
    account = Witness()
    stop(cast(Aws, account), d.TARGET.bucket, d.ID, Stop("ana@laptop", "`bgdeploy stop`"))
    assert account.asked["put_object"]["IfNoneMatch"] == "*"
    assert _collect(account, _crashed()).stop == Stop("ana@laptop", "`bgdeploy stop`")


def test_a_note_that_somebody_else_wrote_otherwise_is_nobodys() -> None:
    account = Witness()
    account.objects[f"hooks/{d.ID}.stop.json"] = b"[]"
    assert _collect(account, _crashed()).stop is None


def test_an_alarm_on_one_metric_is_read_as_it_compares_it() -> None:
    account = Witness()
    (series,) = _collect(account, d.alarm_run()[-1]).series
    (query,) = account.asked["get_metric_data"]["MetricDataQueries"]
    assert (query["MetricStat"]["Stat"], query["MetricStat"]["Period"]) == ("Sum", 60)
    assert (series.operator, series.limit, [value for _, value in series.points]) == (">=", 1.0, [0.0, 2.0])


def test_an_alarm_on_several_metrics_is_read_by_its_own_queries_and_period() -> None:
    account = Witness()
    account.alarm = _ERRORS
    (series,) = _collect(account, d.alarm_run()[-1]).series
    assert account.asked["get_metric_data"]["MetricDataQueries"] == _ERRORS["Metrics"]
    assert series.period.total_seconds() == 300
    assert account.asked["get_metric_data"]["StartTime"].timestamp() % 300 == 0


def test_what_may_not_be_read_is_left_out() -> None:
    account = Witness()
    denied = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetMetricData")
    account.failures.append(denied)
    assert _collect(account, d.alarm_run()[-1]).series == ()
