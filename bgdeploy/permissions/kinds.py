"""What bgdeploy calls for each kind of resource: to find it, to make it or put it right, and to remove it. Pure.

Beside every kind stands what its class in `resources/` calls. A test holds the two together: everything that a sandbox
has seen called is here, and everything here has been called. Network and load balancer have a chapter of their own.
"""

from __future__ import annotations

from collections.abc import Mapping

from bgdeploy.permissions import scopes as on
from bgdeploy.permissions.call import besides, calls
from bgdeploy.permissions.kind import TOLD, Kind
from bgdeploy.permissions.network import BALANCING, NETWORK
from bgdeploy.provision.resource import Resource
from bgdeploy.resources import (
    alarms,
    codedeploy,
    ecs,
    function,
    identity,
    observe,
    registry,
    scaling,
    storage,
)

REGISTER = calls(
    "ecs",
    "RegisterTaskDefinition",
    on.FAMILY,
    besides=(
        *besides("ecs:TagResource", on.FAMILY),
        *besides("iam:PassRole", on.passing("execution", "ecs-tasks.amazonaws.com")),
        *besides("iam:PassRole", on.passing("task", "ecs-tasks.amazonaws.com")),
    ),
)
_PASS_TO_CODEDEPLOY = besides("iam:PassRole", on.passing("codedeploy", "codedeploy.amazonaws.com"))
_PASS_TO_LAMBDA = besides("iam:PassRole", on.passing("hook", "lambda.amazonaws.com"))
# Application Auto Scaling does as its caller may (its user guide, "identity-based policies").
SUSPEND = calls(
    "application-autoscaling",
    "RegisterScalableTarget",
    on.SCALING,
    besides=besides("ecs:DescribeServices ecs:UpdateService", on.SERVICE),
)
_TRACKS = besides("cloudwatch:PutMetricAlarm cloudwatch:DescribeAlarms cloudwatch:DeleteAlarms", on.TRACKING)
_SCALABLE = calls("application-autoscaling", "DescribeScalableTargets", on.ANYTHING)

_WATCHING: Mapping[type[Resource], Kind] = {
    observe.LogGroup: Kind(
        survey=TOLD,
        look=calls("logs", "DescribeLogGroups", on.ANYTHING)
        + calls("logs", "ListTagsForResource DescribeMetricFilters", on.LOGS),
        make=calls("logs", "CreateLogGroup", on.LOGS, besides=besides("logs:TagResource", on.LOGS))
        # The filters that nobody asks for any more are its own to remove.
        + calls("logs", "PutRetentionPolicy TagResource DeleteMetricFilter", on.LOGS),
        drop=calls("logs", "DeleteLogGroup", on.LOGS),
    ),
    observe.MetricFilter: Kind(
        make=calls("logs", "PutMetricFilter", on.LOGS), drop=calls("logs", "DeleteMetricFilter", on.LOGS)
    ),
    alarms.Alarm: Kind(
        survey=TOLD,
        look=calls("cloudwatch", "ListTagsForResource", on.ALARMS),
        make=calls(
            "cloudwatch", "PutMetricAlarm", on.ALARMS, besides=besides("cloudwatch:TagResource", on.ALARMS)
        )
        + calls("cloudwatch", "TagResource", on.ALARMS),
        drop=calls("cloudwatch", "DeleteAlarms", on.ALARMS),
    ),
}

_SERVING: Mapping[type[Resource], Kind] = {
    ecs.Cluster: Kind(
        look=calls("ecs", "DescribeClusters", on.CLUSTER),
        make=calls("ecs", "CreateCluster", on.CLUSTER, besides=besides("ecs:TagResource", on.CLUSTER))
        + calls("ecs", "TagResource", on.CLUSTER)
        + calls("iam", "CreateServiceLinkedRole", on.linked("ecs.amazonaws.com")),
        drop=calls("ecs", "DeleteCluster", on.CLUSTER),
    ),
    ecs.TaskDefinition: Kind(
        look=calls("ecs", "ListTaskDefinitions DescribeTaskDefinition", on.ANYTHING),
        make=REGISTER + calls("ecs", "TagResource", on.FAMILY),
        drop=calls("ecs", "DeregisterTaskDefinition", on.ANYTHING)
        + calls("ecs", "DeleteTaskDefinitions", on.FAMILY),
    ),
    ecs.Service: Kind(
        look=calls("ecs", "DescribeServices", on.SERVICE) + _SCALABLE,
        survey=calls("application-autoscaling", "ListTagsForResource", on.SCALING_TAGS),
        make=calls("ecs", "CreateService", on.SERVICE, besides=besides("ecs:TagResource", on.SERVICE))
        + calls("ecs", "UpdateService TagResource", on.SERVICE)
        # A scalable target that nobody asks for any more is its own to remove.
        + calls("application-autoscaling", "DeregisterScalableTarget", on.SCALING),
        drop=calls("ecs", "DeleteService", on.SERVICE),
    ),
    scaling.ScalableTarget: Kind(
        look=calls("application-autoscaling", "ListTagsForResource", on.SCALING_TAGS)
        + calls("application-autoscaling", "DescribeScalingPolicies", on.ANYTHING),
        make=calls(
            "application-autoscaling",
            "RegisterScalableTarget",
            on.SCALING,
            besides=(
                *SUSPEND[0].besides,
                *besides("application-autoscaling:TagResource", on.SCALING_TAGS),
                *besides(
                    "iam:CreateServiceLinkedRole", on.linked("ecs.application-autoscaling.amazonaws.com")
                ),
            ),
        )
        + calls("application-autoscaling", "TagResource", on.SCALING_TAGS),
        drop=calls("application-autoscaling", "DeregisterScalableTarget", on.SCALING),
    ),
    scaling.ScalingPolicy: Kind(
        make=calls("application-autoscaling", "PutScalingPolicy", on.SCALING, besides=_TRACKS),
        drop=calls("application-autoscaling", "DeleteScalingPolicy", on.SCALING, besides=_TRACKS),
        sweeps=True,
    ),
}

_DEPLOYING: Mapping[type[Resource], Kind] = {
    function.Function: Kind(
        # Without ListTags it would come without its tags, and be nobody's.
        look=calls("lambda", "GetFunction", on.FUNCTION, besides=besides("lambda:ListTags", on.FUNCTION)),
        make=calls(
            "lambda",
            "CreateFunction",
            on.FUNCTION,
            besides=(*besides("lambda:TagResource", on.FUNCTION), *_PASS_TO_LAMBDA),
        )
        + calls("lambda", "UpdateFunctionConfiguration", on.FUNCTION, besides=_PASS_TO_LAMBDA)
        + calls("lambda", "UpdateFunctionCode TagResource", on.FUNCTION),
        drop=calls("lambda", "DeleteFunction", on.FUNCTION),
    ),
    codedeploy.Application: Kind(
        survey=TOLD,
        look=calls("codedeploy", "GetApplication ListTagsForResource", on.APPLICATION),
        make=calls(
            "codedeploy",
            "CreateApplication",
            on.APPLICATION,
            besides=besides("codedeploy:TagResource", on.APPLICATION),
        )
        + calls("codedeploy", "TagResource", on.APPLICATION),
        # The deployment configs that were made for its releases go with it.
        drop=calls("codedeploy", "ListDeploymentConfigs", on.ANYTHING)
        + calls("codedeploy", "DeleteDeploymentConfig", on.OWN_CONFIG)
        + calls("codedeploy", "DeleteApplication", on.APPLICATION),
    ),
    codedeploy.DeploymentConfig: Kind(
        look=calls("codedeploy", "GetDeploymentConfig", on.CONFIG),
        make=calls("codedeploy", "CreateDeploymentConfig", on.OWN_CONFIG),
        drop=calls("codedeploy", "DeleteDeploymentConfig", on.OWN_CONFIG),
    ),
    codedeploy.ExistingDeploymentConfig: Kind(survey=calls("codedeploy", "GetDeploymentConfig", on.CONFIG)),
    codedeploy.DeploymentGroup: Kind(
        survey=TOLD,
        look=calls("codedeploy", "GetDeploymentGroup ListTagsForResource", on.GROUP)
        + calls("cloudwatch", "DescribeAlarms", on.ANY_ALARM),
        make=calls(
            "codedeploy",
            "CreateDeploymentGroup",
            on.GROUP,
            besides=(*besides("codedeploy:TagResource", on.GROUP), *_PASS_TO_CODEDEPLOY),
        )
        + calls("codedeploy", "UpdateDeploymentGroup", on.GROUP, besides=_PASS_TO_CODEDEPLOY)
        + calls("codedeploy", "TagResource", on.GROUP)
        # The alarms that nobody asks for any more are its own to remove.
        + calls("cloudwatch", "ListTagsForResource DeleteAlarms", on.ALARMS),
        drop=calls("codedeploy", "ListDeployments StopDeployment GetDeployment", on.GROUP)
        + calls("codedeploy", "DeleteDeploymentGroup", on.GROUP),
    ),
}

KINDS: Mapping[type[Resource], Kind] = {
    storage.Bucket: Kind(
        look=calls("s3", "GetBucketTagging GetPublicAccessBlock GetBucketEncryption", on.BUCKET)
        + calls("s3", "GetBucketVersioning GetBucketLifecycleConfiguration", on.BUCKET)
        + calls("s3", "GetBucketPolicy", on.BUCKET, tls=True),
        make=calls("s3", "CreateBucket", on.BUCKET, besides=besides("s3:TagResource", on.BUCKET))
        + calls("s3", "PutPublicAccessBlock PutBucketEncryption PutBucketVersioning", on.BUCKET)
        + calls("s3", "PutBucketLifecycleConfiguration PutBucketTagging", on.BUCKET)
        + calls("s3", "PutBucketPolicy", on.BUCKET, tls=True),
        drop=calls("s3", "ListObjectVersions DeleteBucket", on.BUCKET)
        + calls("s3", "DeleteObjects", on.OBJECTS, besides=besides("s3:DeleteObjectVersion", on.OBJECTS)),
    ),
    registry.Repository: Kind(
        survey=TOLD,
        look=calls("ecr", "DescribeRepositories ListTagsForResource", on.REPOSITORY),
        make=calls(
            "ecr", "CreateRepository", on.REPOSITORY, besides=besides("ecr:TagResource", on.REPOSITORY)
        )
        + calls("ecr", "PutImageTagMutability PutImageScanningConfiguration TagResource", on.REPOSITORY),
        drop=calls("ecr", "DeleteRepository", on.REPOSITORY),
    ),
    identity.Role: Kind(
        look=calls("iam", "GetRole GetRolePolicy ListAttachedRolePolicies", on.ROLES),
        make=calls("iam", "CreateRole", on.ROLES, besides=besides("iam:TagRole", on.ROLES))
        + calls("iam", "TagRole UpdateAssumeRolePolicy PutRolePolicy DeleteRolePolicy", on.ROLES)
        + calls("iam", "DetachRolePolicy", on.ROLES)
        + calls("iam", "AttachRolePolicy", on.MANAGED),
        drop=calls("iam", "ListRolePolicies DeleteRolePolicy DetachRolePolicy DeleteRole", on.ROLES),
    ),
    **NETWORK,
    **BALANCING,
    **_WATCHING,
    **_SERVING,
    **_DEPLOYING,
}
