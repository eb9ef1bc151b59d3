"""What the stack's things are called in IAM: every resource that an action may be allowed on. Pure.

What has a name of the stack's is allowed by that name, also before it carries tags: `--adopt` needs that. What EC2
keeps has no names, so tags are all there is to go by. A * at the end stands for an id that AWS chooses.
"""

from __future__ import annotations

from bgdeploy.permissions.call import Scope

# The Service Authorization Reference lists these actions without resources: no policy can narrow them.
ANYTHING = Scope("KnowNoResources", ("*",))

_OURS = "aws:ResourceTag/bgdeploy:stack"
_MADE = "aws:RequestTag/bgdeploy:stack"


def _arns(service: str, *resources: str) -> tuple[str, ...]:
    return tuple(f"arn:aws:{service}:{{region}}:{{account}}:{resource}" for resource in resources)


def _global(*resources: str) -> tuple[str, ...]:
    return tuple(f"arn:aws:iam::{{account}}:{resource}" for resource in resources)


# Storage, images, logs, alarms

BUCKET = Scope("Bucket", ("arn:aws:s3:::{bucket}",))
OBJECTS = Scope("Objects", ("arn:aws:s3:::{bucket}/*",))
ELECTIONS = Scope("Elections", ("arn:aws:s3:::{bucket}/elected/*",))
HOOKS = Scope("Hooks", ("arn:aws:s3:::{bucket}/hooks/*",))
RECORDS = Scope("Records", ("arn:aws:s3:::{bucket}/releases/*",))
# Whoever watches tells the story, and must not write the records beside it: those say which commands checks run.
STORIES = Scope("Stories", ("arn:aws:s3:::{bucket}/releases/*.story.json",))
IMAGES = Scope("Images", ("arn:aws:s3:::{bucket}/images/*",))
SUSPENSION = Scope("Suspension", ("arn:aws:s3:::{bucket}/scaling/*",))
TOPICS = Scope("Topics", ())  # those of the config: `Place` says which
REPOSITORY = Scope("Repository", _arns("ecr", "repository/{name}"))
LOGS = Scope(
    "Logs",
    _arns("logs", *(f"log-group:{group}{end}" for group in ("{logs}", "{hook_logs}") for end in ("", ":*"))),
)
APPLICATION_LOG = Scope("ApplicationLog", _arns("logs", "log-group:{logs}", "log-group:{logs}:*"))
HOOK_LOG = Scope("HookLog", _arns("logs", "log-group:{hook_logs}", "log-group:{hook_logs}:*"))
ALARMS = Scope("Alarms", _arns("cloudwatch", "alarm:{name}-*"))
# CloudWatch filters by name after it has checked the permission, so reading alarms means reading any.
ANY_ALARM = Scope("AnyAlarm", _arns("cloudwatch", "alarm:*"))

# Roles

ROLES = Scope(
    "Roles", _global(*(f"role/{{name}}-{use}" for use in ("codedeploy", "execution", "task", "hook")))
)
# The managed policies that the config names, and no others: `Place` says which.
MANAGED = Scope("ManagedPolicies", ROLES.arns)


def passing(use: str, service: str) -> Scope:
    """Return the handing over of one of the stack's roles to the service that acts by it, and to no other."""
    name = service.partition(".")[0].title().replace("-", "")
    only = ("StringEquals", "iam:PassedToService", service)
    return Scope(f"{use.title()}RoleTo{name}", _global(f"role/{{name}}-{use}"), (only,))


def linked(service: str) -> Scope:
    """Return the role that a service has for itself in an account, which whoever needs it first makes."""
    name = "".join(part.title() for part in service.split(".")[0].split("-"))
    only = ("StringEquals", "iam:AWSServiceName", service)
    return Scope(f"LinkedTo{name}", _global(f"role/aws-service-role/{service}/*"), (only,))


# Function, service, deployments

FUNCTION = Scope("Hook", _arns("lambda", "function:{hook}"))
CLUSTER = Scope("Cluster", _arns("ecs", "cluster/{name}"))
SERVICE = Scope("Service", _arns("ecs", "service/{name}/{name}"))
TASK_SETS = Scope("TaskSets", _arns("ecs", "task-set/{name}/{name}/*"))
FAMILY = Scope("TaskDefinitions", _arns("ecs", "task-definition/{name}:*"))
TASKS = Scope("Tasks", _arns("ecs", "task/{name}/*"))
# ListTasks knows container instances alone, of which Fargate has none; the cluster is what narrows it.
TASKS_OF_CLUSTER = Scope("TasksOfCluster", ("*",), (("ArnEquals", "ecs:cluster", CLUSTER.arns[0]),))
SCALING = Scope(
    "Scaling",
    _arns("application-autoscaling", "scalable-target/*"),
    (("StringEquals", "application-autoscaling:service-namespace", "ecs"),),
)
SCALING_TAGS = Scope("ScalingTags", SCALING.arns)
TRACKING = Scope("TargetTracking", _arns("cloudwatch", "alarm:TargetTracking-service/{name}/{name}-*"))
APPLICATION = Scope("Application", _arns("codedeploy", "application:{name}"))
# CodeDeploy's user guide names it for stopping, continuing and answering too ("CodeDeploy permissions reference").
GROUP = Scope("DeploymentGroup", _arns("codedeploy", "deploymentgroup:{name}/{name}"))
OWN_CONFIG = Scope("OwnDeploymentConfigs", _arns("codedeploy", "deploymentconfig:{name}-*"))
CONFIG = Scope(
    "DeploymentConfigs",
    _arns(
        "codedeploy",
        *(f"deploymentconfig:{each}" for each in ("CodeDeployDefault.ECS*", "{name}-*", "{strategy}")),
    ),
)

# The load balancer

BALANCER = Scope("LoadBalancer", _arns("elasticloadbalancing", "loadbalancer/{balancer}"))
LISTENERS = Scope("Listeners", _arns("elasticloadbalancing", "listener/{doors}"))
TARGET_GROUPS = Scope(
    "TargetGroups", _arns("elasticloadbalancing", "targetgroup/{name}-blue/*", "targetgroup/{name}-green/*")
)

# The network

# Kind → the ARNs of what EC2 keeps of it. A stack has some of them.
NETWORK_ARNS = {
    "vpc": _arns("ec2", "vpc/*")[0],
    "subnet": _arns("ec2", "subnet/*")[0],
    "internet-gateway": _arns("ec2", "internet-gateway/*")[0],
    "route-table": _arns("ec2", "route-table/*")[0],
    "security-group": _arns("ec2", "security-group/*")[0],
    "nat-gateway": _arns("ec2", "natgateway/*")[0],
    "address": _arns("ec2", "elastic-ip/*")[0],
    "endpoint": _arns("ec2", "vpc-endpoint/*")[0],
}
NETWORK = Scope("OwnNetwork", tuple(NETWORK_ARNS.values()), (("StringEquals", _OURS, "{name}"),))
_BY_US = ("StringEquals", _MADE, "{name}")
# Tags come with what is made, and go on what is ours: nobody can make somebody else's things ours.
NEW_TAGS = Scope("TagWhatIsMade", NETWORK.arns, (_BY_US, ("Null", "ec2:CreateAction", "false")))
# RevokeSecurityGroupIngress and its counterpart are checked on the group, and on the rule where that has tags.
_RULES = _arns("ec2", "security-group-rule/*")
OWN_GROUPS = Scope(
    "OwnSecurityGroups",
    (NETWORK_ARNS["security-group"], *_RULES),
    (("StringEquals", _OURS, "{name}"),),
)
NEW_RULES = Scope("LetCallersIn", _RULES, (_BY_US,))
EXISTING_VPC = Scope("ExistingVpc", _arns("ec2", "vpc/{vpc}"))  # by its id, or by tags: `Place` says which


def new(kind: str) -> Scope:
    """Return what EC2 has none of yet, of one type, tagged as the stack's in the same breath."""
    name = "".join(part.title() for part in kind.split("-"))
    return Scope(f"Make{name}", _arns("ec2", f"{kind}/*"), (_BY_US,))
