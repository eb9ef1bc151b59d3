"""Stop and promote, with the sentences for AWS's refusals; and finding where a stack deploys to."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from bgdeploy.aws import Aws
from bgdeploy.cli.operate import _running
from bgdeploy.errors import BgdeployError
from bgdeploy.names import Names
from bgdeploy.release import operations
from bgdeploy.release.phase import Phase
from bgdeploy.release.reader import Reader
from bgdeploy.release.target import find_target
from tests import deployments as d
from tests.clocks import HandClock


class StubbedAws(Aws):
    """AWS whose CodeDeploy answers what the test queued, checked against botocore's model."""

    def __init__(self) -> None:
        super().__init__(stack="shop-dev", region="us-east-1", clock=HandClock())
        self._codedeploy = boto3.session.Session(
            aws_access_key_id="x", aws_secret_access_key="x", region_name="us-east-1"
        ).client("codedeploy", config=Config(retries={"max_attempts": 1}))
        self.stubber = Stubber(self._codedeploy)

    def client(self, service: str) -> Any:
        assert service == "codedeploy"
        return self._codedeploy


@pytest.fixture
def aws() -> Iterator[StubbedAws]:
    made = StubbedAws()
    with made.stubber:
        yield made
    made.stubber.assert_no_pending_responses()


@pytest.mark.parametrize("rollback", [True, False])
def test_stop_asks_for_the_rollback_that_was_wanted(aws: StubbedAws, rollback: bool) -> None:
    aws.stubber.add_response(
        "stop_deployment",
        {"status": "Pending", "statusMessage": "stopping"},
        {"deploymentId": d.ID, "autoRollbackEnabled": rollback},
    )
    assert operations.stop(aws, d.ID, rollback=rollback) == "stopping"


@pytest.mark.parametrize(
    ("phase", "wait"), [(Phase.READY, "READY_WAIT"), (Phase.SHIFTED, "TERMINATION_WAIT")]
)
def test_promote_ends_the_wait_that_it_is_in(aws: StubbedAws, phase: Phase, wait: str) -> None:
    aws.stubber.add_response("continue_deployment", {}, {"deploymentId": d.ID, "deploymentWaitType": wait})
    assert operations.promote(aws, d.ID, phase)


def test_promote_outside_of_a_wait_says_where_it_is(aws: StubbedAws) -> None:
    with pytest.raises(BgdeployError, match="is installing: it waits for nobody"):
        operations.promote(aws, d.ID, Phase.INSTALLING)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("DeploymentAlreadyCompletedException", "is over already"),
        ("DeploymentDoesNotExistException", "there is no deployment"),
        ("InvalidDeploymentIdException", "is no deployment's id"),
    ],
)
def test_a_refusal_is_a_sentence_with_a_way_out(aws: StubbedAws, code: str, sentence: str) -> None:
    aws.stubber.add_client_error("stop_deployment", code, "AWS's words", 400)
    with pytest.raises(BgdeployError, match=sentence) as caught:
        operations.stop(aws, d.ID)
    assert "bgdeploy status" in caught.value.hint


def test_a_promotion_that_came_too_late_is_said_so(aws: StubbedAws) -> None:
    aws.stubber.add_client_error("continue_deployment", "DeploymentIsNotInReadyStateException", "no", 400)
    with pytest.raises(BgdeployError, match="does not wait for approval"):
        operations.promote(aws, d.ID, Phase.READY)


@pytest.mark.parametrize("code", ["ApplicationDoesNotExistException", "DeploymentGroupDoesNotExistException"])
def test_a_stack_that_is_not_there_is_to_be_provisioned(aws: StubbedAws, code: str) -> None:
    aws.stubber.add_client_error("get_deployment_group", code, "none", 400)
    with pytest.raises(BgdeployError, match="is not provisioned") as caught:
        find_target(aws, Names("shop-dev"))
    assert "bgdeploy provision" in caught.value.hint


def test_a_group_that_deploys_no_service_is_not_ours(aws: StubbedAws) -> None:
    aws.stubber.add_response("get_deployment_group", {"deploymentGroupInfo": {"computePlatform": "Server"}})
    with pytest.raises(BgdeployError, match="deploys no ECS service"):
        find_target(aws, Names("shop-dev"))


def test_what_is_over_already_is_neither_stopped_nor_noted() -> None:
    reader = SimpleNamespace(read=lambda _: d.linear(985), aws=SimpleNamespace(region="us-east-1"))
    with pytest.raises(BgdeployError, match=f"deployment {d.ID} is over already"):
        _running(cast(Reader, reader), d.ID, "stop")
