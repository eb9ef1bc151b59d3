"""What a release and those who watch it call, beside what is called for the kinds of resources. Pure."""

from __future__ import annotations

from bgdeploy.permissions import scopes as on
from bgdeploy.permissions.call import besides, calls
from bgdeploy.permissions.kind import SEEN
from bgdeploy.permissions.kinds import REGISTER

WHO = calls("sts", "GetCallerIdentity", on.ANYTHING)

# Where the stack acts: what every command begins with that does something to a release.
TARGET = (
    calls("codedeploy", "GetDeploymentGroup", on.GROUP)
    + calls("ecs", "DescribeServices", on.SERVICE)
    + calls("elbv2", "DescribeTargetGroups DescribeListeners DescribeLoadBalancers DescribeTags", on.ANYTHING)
)

# A release that was killed may have left auto scaling suspended: whoever comes by gives it back.
RESTORE = calls("s3", "GetObject", on.SUSPENSION, besides=SEEN) + calls(
    "application-autoscaling", "DescribeScalableTargets", on.ANYTHING
)

WATCH = (
    TARGET
    + RESTORE
    + calls("codedeploy", "ListDeployments GetDeployment", on.GROUP)
    + calls("codedeploy", "BatchGetDeploymentTargets", on.ANYTHING)
    + calls("cloudwatch", "DescribeAlarms", on.ANY_ALARM)
    + calls("ecs", "DescribeTaskDefinition", on.ANYTHING)
    + calls("ecs", "ListTasks", on.TASKS_OF_CLUSTER)
    + calls("ecs", "DescribeTasks", on.TASKS)
    + calls("elbv2", "DescribeTargetHealth", on.ANYTHING)
    # What was released before, and what the application says.
    + calls("codedeploy", "BatchGetDeployments", on.GROUP)
    + calls("logs", "DescribeLogGroups", on.ANYTHING)
    + calls("logs", "FilterLogEvents", on.APPLICATION_LOG, on.HOOK_LOG)
    + calls("logs", "GetLogEvents", on.APPLICATION_LOG)
    # The checks: what to ask, the hook's call, the claim on it, and the answer.
    + calls("s3", "GetObject", on.RECORDS, on.HOOKS, besides=SEEN)
    + calls("s3", "PutObject", on.HOOKS, on.STORIES)
    + calls("ec2", "DescribeSecurityGroupRules", on.ANYTHING)
    + calls("codedeploy", "PutLifecycleEventHookExecutionStatus ContinueDeployment", on.GROUP)
    # Whoever follows stops what gets nowhere, and what fails a check that users are on; and says what was measured.
    + calls("codedeploy", "StopDeployment", on.GROUP)
    + calls("cloudwatch", "GetMetricData", on.ANYTHING)
)

# Whoever follows tells the topics that the config names.
NOTIFY = calls("sns", "Publish", on.TOPICS)

# The test port is opened for who runs the checks, by a rule that is made with its tags, and goes by them.
OPENING = (
    calls("ec2", "DescribeSecurityGroups", on.ANYTHING)
    + calls(
        "ec2",
        "AuthorizeSecurityGroupIngress",
        on.OWN_GROUPS,
        on.NEW_RULES,
        besides=besides("ec2:CreateTags", on.NEW_RULES),
    )
    + calls("ec2", "RevokeSecurityGroupIngress", on.OWN_GROUPS)
)

# What `doctor --fix` removes: the task set that a deployment has left which was stopped without a rollback.
REMOVING = (
    calls("codedeploy", "ListDeployments GetDeployment", on.GROUP)
    + calls("elbv2", "DescribeRules", on.ANYTHING)
    + calls("ecs", "DeleteTaskSet", on.TASK_SETS)
)

# What a provision closes that somebody who was killed has left open.
CLOSING = (
    calls("ec2", "DescribeSecurityGroupRules", on.ANYTHING)
    + calls("ec2", "RevokeSecurityGroupIngress", on.OWN_GROUPS)
    + calls("codedeploy", "BatchGetDeploymentTargets", on.ANYTHING)
)

RELEASE = (
    WATCH
    + calls("elbv2", "DescribeRules", on.ANYTHING)
    + calls("lambda", "GetFunctionConfiguration", on.FUNCTION)
    + calls("ecr", "GetAuthorizationToken", on.ANYTHING)
    + calls("ecr", "DescribeRepositories DescribeImages", on.REPOSITORY)
    + calls(
        "ecr",
        "PutImage",
        on.REPOSITORY,
        # Docker pushes the layers before it.
        besides=besides(
            "ecr:BatchCheckLayerAvailability ecr:InitiateLayerUpload ecr:UploadLayerPart ecr:CompleteLayerUpload",
            on.REPOSITORY,
        ),
    )
    + calls("s3", "GetObject", on.IMAGES, besides=SEEN)
    + calls("s3", "PutObject", on.IMAGES, on.RECORDS)
    + calls("ecs", "ListTaskDefinitions", on.ANYTHING)
    + REGISTER
    + calls("codedeploy", "GetDeploymentConfig", on.CONFIG)
    + calls("codedeploy", "CreateDeploymentConfig", on.OWN_CONFIG)  # of a strategy that none predefines
    + calls(
        "codedeploy",
        "CreateDeployment",
        on.GROUP,
        # What its caller needs besides (aws-facts 8.2).
        besides=(
            *besides("codedeploy:GetDeploymentConfig", on.CONFIG),
            *besides("codedeploy:GetApplicationRevision", on.APPLICATION),
            *besides("codedeploy:RegisterApplicationRevision", on.APPLICATION),
        ),
    )
    + calls("codedeploy", "GetApplicationRevision", on.APPLICATION)  # what a rollback releases once more
)
