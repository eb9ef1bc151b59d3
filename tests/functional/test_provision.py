"""Provisioning a living account: twice, beside strangers, after a change of mind, and down to nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bgdeploy.cli import run
from bgdeploy.cli.invocation import Invocation
from bgdeploy.provision.plan import Action, Outcome
from tests.functional.inventory import everything, tally
from tests.functional.operators import Operator, project, write

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("account")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project(tmp_path_factory.mktemp("twice"), "twice", 8491)


@pytest.fixture(scope="module")
def operator(folder: Path) -> Operator:
    return Operator(folder)


@pytest.fixture
def provisioned(operator: Operator) -> Iterator[Operator]:
    """A stack that is there, and torn down after the test."""
    assert not operator.provision().failed
    yield operator
    assert not operator.teardown().failed


def addresses(outcome: Outcome) -> list[str]:
    return [each.change.address for each in outcome.changed]


def test_a_second_provision_changes_nothing(provisioned: Operator) -> None:
    before = everything(provisioned.aws)
    outcome = provisioned.provision()
    assert (addresses(outcome), outcome.failed, outcome.blocked) == ([], (), ())
    assert outcome.as_dict()["unchanged"] == len(provisioned.resources)
    assert everything(provisioned.aws) == before


def test_a_teardown_leaves_nothing_and_a_second_one_finds_nothing(operator: Operator) -> None:
    before = everything(operator.aws)
    assert not operator.provision().failed
    assert len(everything(operator.aws) - before) > len(operator.resources)
    assert not operator.teardown().failed
    assert everything(operator.aws) == before
    assert addresses(operator.teardown()) == []


# A change of mind


def command(folder: Path, *words: str) -> int:
    return run(["--project", str(folder), *words], Invocation())


def test_what_the_config_asks_for_no_more_goes_after_a_yes(
    provisioned: Operator, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder, "twice", 8491, alarms=("not-found", "broken"))
    assert addresses(provisioned.provision()) == ["metric-filter/broken", "alarm/broken", "deployment-group"]
    write(folder, "twice", 8491)
    assert command(folder, "provision") == 2
    assert "provision would remove" in capsys.readouterr().err
    alarm = {"AlarmNames": ["twice-dev-broken"]}
    assert provisioned.aws.client("cloudwatch").describe_alarms(**alarm)["MetricAlarms"]
    assert command(folder, "provision", "--yes") == 0
    assert not provisioned.aws.client("cloudwatch").describe_alarms(**alarm)["MetricAlarms"]
    assert provisioned.plan().pending == ()


def test_a_listener_that_nobody_asks_for_goes(provisioned: Operator) -> None:
    elbv2 = provisioned.aws.client("elbv2")
    balancer = elbv2.describe_load_balancers(Names=["twice-dev"])["LoadBalancers"][0]["LoadBalancerArn"]
    group = elbv2.describe_target_groups(Names=["twice-dev-blue"])["TargetGroups"][0]["TargetGroupArn"]
    tags = [{"Key": key, "Value": value} for key, value in provisioned.aws.tags("listener/old").items()]
    forward = {"Type": "forward", "TargetGroupArn": group}
    place = {"LoadBalancerArn": balancer, "Protocol": "HTTP"}
    elbv2.create_listener(**place, Port=8493, DefaultActions=[forward], Tags=tags)
    elbv2.create_listener(**place, Port=8494, DefaultActions=[forward])  # somebody else's
    assert [(each.address, each.action) for each in provisioned.plan().pending] == [
        ("listener/old", Action.DELETE)
    ]
    assert addresses(provisioned.provision()) == ["listener/old"]
    ports = [each["Port"] for each in elbv2.describe_listeners(LoadBalancerArn=balancer)["Listeners"]]
    assert sorted(ports) == [8491, 8492, 8494]


def test_what_somebody_removed_is_made_again(provisioned: Operator) -> None:
    provisioned.aws.client("lambda").delete_function(FunctionName="CodeDeployHook_twice-dev")
    provisioned.aws.client("logs").delete_metric_filter(logGroupName="/ecs/twice-dev", filterName="not-found")
    assert addresses(provisioned.provision()) == ["metric-filter/not-found", "function/hook"]
    assert provisioned.plan().pending == ()


# Two at the same moment


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Operator, Operator]:
    there = project(tmp_path, "pair", 8495)
    return Operator(there), Operator(there)


def at_once(*verbs: object) -> list[Outcome]:
    together = threading.Barrier(len(verbs))

    def do(verb: object) -> Outcome:
        together.wait(10)
        outcome: Outcome = verb()  # type: ignore[operator]
        return outcome

    with ThreadPoolExecutor(len(verbs)) as pool:
        return list(pool.map(do, verbs))


@pytest.mark.parametrize(
    "times", [pytest.param(2, marks=pytest.mark.slow), pytest.param(20, marks=pytest.mark.bench)]
)
def test_two_provisions_at_the_same_moment_make_one_stack(
    pair: tuple[Operator, Operator], times: int
) -> None:
    one, other = pair
    before = everything(one.aws)
    assert not one.provision().failed
    alone = (len(everything(one.aws) - before), tally(one.aws))
    assert set(tally(one.aws).values()) == {1}
    assert not one.teardown().failed
    for _ in range(times):
        for outcome in at_once(one.provision, other.provision):
            assert (outcome.failed, outcome.blocked) == ((), ())
        assert one.plan().pending == ()
        assert (len(everything(one.aws) - before), tally(one.aws)) == alone
        for outcome in at_once(one.teardown, other.teardown):
            assert outcome.failed == ()
        assert everything(one.aws) == before
