"""What AWS's words mean: the messages as AWS writes them, each to the meaning that leads out."""

from __future__ import annotations

import pytest

from bgdeploy.release.hints import hints

_PULL = "a task stopped: CannotPullContainerError: pull image manifest has been retried"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (f"{_PULL} 1 time(s): failed to resolve ref repo:v9: repo:v9: not found", "not in its registry"),
        (f"{_PULL} 5 time(s): failed to resolve ref repo:v9: dial tcp 1.2.3.4:443: i/o timeout", "no route"),
        (
            f"{_PULL} 1 time(s): denied: User: arn is not authorized to perform: ecr:BatchGetImage",
            "may not pull",
        ),
        (
            f"{_PULL} 1 time(s): httpReadSeeker: toomanyrequests: You have reached your pull rate",
            "more pulls",
        ),
        (
            "CannotPullContainerError: image Manifest does not contain descriptor matching platform 'linux/amd64'",
            "another processor",
        ),
        ("exec /srv/app: exec format error", "another processor"),
        (
            "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval "
            "failed: unable to retrieve secret from asm: AccessDeniedException",
            "a secret cannot be read",
        ),
        (
            "ResourceInitializationError: failed to validate logger args: The task cannot find the Amazon CloudWatch "
            "log group defined in the task definition",
            "log cannot be written",
        ),
        (
            "ResourceInitializationError: unable to pull secrets or registry auth: unable to retrieve ecr registry "
            "auth: RequestError: send request failed: dial tcp: i/o timeout",
            "no route",
        ),
        ("OutOfMemoryError: Container killed due to memory usage", "more memory"),
        ("a task stopped: Essential container in task exited; web exited with 137", "more memory"),
        ("a task stopped: Essential container in task exited; web exited with 127", "command cannot be run"),
        ("a task stopped: Essential container in task exited; web exited with 139", "native code"),
        ("a task stopped: Essential container in task exited; web exited with 143", "SIGTERM"),
        ("a task stopped: Essential container in task exited; web exited with 2", "with an error"),
        ("a task stopped: Essential container in task exited", "although nothing failed"),
        ("a target is unhealthy: Health checks failed with these codes: [500]", "not with 200 to 399"),
        ("a target is unhealthy: Request timed out", "no answer in time"),
        ("a task stopped: Task failed container health checks", "container's own health check"),
        ("a task stopped: Task failed ELB health checks in (target-group t)", "as it should"),
        ("(service s) was unable to place a task. Reason: Capacity is unavailable at this time.", "capacity"),
        ("(service s) was unable to place a task: RESOURCE:ENI", "network interface"),
        ("You've reached the limit on the number of vCPUs you can run concurrently", "quota"),
        ("Primary taskset target group must be behind listener arn:x", "does not forward"),
        ("Green taskset target group cannot have non-zero weight prior to traffic shifting", "already sends"),
        (
            "IAM_ROLE_PERMISSIONS: The IAM role arn does not give you permission to perform operations in the "
            "following AWS service: AmazonElasticLoadBalancing.",
            "CodeDeploy's role",
        ),
        ("The container web did not have a container port 443 defined.", "AppSpec names"),
    ],
)
def test_a_message_of_awss_is_told_what_it_means(said: str, words: str) -> None:
    (hint,) = hints([said])
    assert words in hint.means
    assert hint.do


def test_the_same_meaning_is_told_once_and_what_nobody_knows_not_at_all() -> None:
    said = ["web exited with 1", "web exited with 3", "something new"]
    assert len(hints(said)) == 1
    assert hints(["something new"]) == ()


def test_how_a_health_check_fails_says_more_than_that_it_does() -> None:
    said = (
        "a task stopped: Task failed ELB health checks in (target-group t)",
        "a target is unhealthy: Health checks failed with these codes: [500]",
    )
    assert [hint.means for hint in hints(said)] == [
        "the application answers the health check, but not with 200 to 399"
    ]
