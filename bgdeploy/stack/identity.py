"""Who may do what in a stack: four roles, each with the actions and resources it needs and no more."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bgdeploy.config import Config
from bgdeploy.definition import repository_arns, secret_arns
from bgdeploy.names import Names, Use
from bgdeploy.resources.identity import Grant, Role
from bgdeploy.resources.storage import Bucket

# For the few actions that know no resources; the service authorization reference lists them as such.
NO_RESOURCE = ("*",)
_IN_A_VPC = (
    "CreateNetworkInterface",
    "DescribeNetworkInterfaces",
    "DescribeSubnets",
    "DeleteNetworkInterface",
    "AssignPrivateIpAddresses",
    "UnassignPrivateIpAddresses",
)


@dataclass(frozen=True)
class Identities:
    """The roles of a stack."""

    codedeploy: Role
    execution: Role  # in which ECS starts tasks
    task: Role  # in which the application runs
    hook: Role

    @property
    def resources(self) -> tuple[Role, ...]:
        return self.codedeploy, self.execution, self.task, self.hook


def identities(config: Config, names: Names, arns: Arns, bucket: Bucket, listeners: str) -> Identities:
    """Return the four roles. `listeners` is the path that the ARNs of the stack's listeners begin with."""

    def role(use: Use, service: str, grants: tuple[Grant, ...]) -> Role:
        return Role(name=names.role(use), label=use, service=service, account=arns.account, grants=grants)

    application = role("task", "ecs-tasks.amazonaws.com", arns.task(config))
    return Identities(
        codedeploy=role("codedeploy", "codedeploy.amazonaws.com", arns.codedeploy(listeners)),
        execution=role("execution", "ecs-tasks.amazonaws.com", arns.execution(config)),
        task=replace(application, managed=config.task_role.policies),
        hook=role("hook", "lambda.amazonaws.com", arns.hook(bucket.name, asks=config.checks_from == "hook")),
    )


class Arns:
    """The stack's ARNs before anything exists, and with them what each role may do."""

    def __init__(self, names: Names, account: str, region: str) -> None:
        self.names = names
        self.account = account
        self.region = region

    def of(self, service: str, resource: str) -> str:
        region = "" if service == "iam" else self.region
        return f"arn:aws:{service}:{region}:{self.account}:{resource}"

    def codedeploy(self, listeners: str) -> tuple[Grant, ...]:
        """What AWSCodeDeployRoleForECS grants on everything, on this stack's own (aws-facts 8.1)."""
        name = self.names.plain
        describe = (
            "elasticloadbalancing:DescribeTargetGroups",
            "elasticloadbalancing:DescribeListeners",
            "elasticloadbalancing:DescribeRules",
        )
        return (
            Grant(
                (
                    "ecs:DescribeServices",
                    "ecs:CreateTaskSet",
                    "ecs:UpdateServicePrimaryTaskSet",
                    "ecs:DeleteTaskSet",
                ),
                (self.of("ecs", f"service/{name}/{name}"), self.of("ecs", f"task-set/{name}/{name}/*")),
            ),
            Grant(describe, NO_RESOURCE),
            Grant(
                ("elasticloadbalancing:ModifyListener", "elasticloadbalancing:ModifyRule"),
                # The last parts of both ARNs are only known once the listeners exist.
                (
                    self.of("elasticloadbalancing", f"listener/{listeners}/*"),
                    self.of("elasticloadbalancing", f"listener-rule/{listeners}/*"),
                ),
            ),
            Grant(("lambda:InvokeFunction",), (self.of("lambda", f"function:{self.names.hook}"),)),
            Grant(("cloudwatch:DescribeAlarms",), (self.of("cloudwatch", "alarm:*"),)),
            Grant(
                ("iam:PassRole",),
                tuple(
                    self.of("iam", f"role/{role}")
                    for role in (self.names.role("execution"), self.names.role("task"))
                ),
                (("StringEquals", "iam:PassedToService", "ecs-tasks.amazonaws.com"),),
            ),
        )

    def execution(self, config: Config) -> tuple[Grant, ...]:
        """What ECS needs to start a task: its images, its log stream (aws-facts 8.2) and exactly its secrets."""
        pull = ("ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage")
        repositories = (self.of("ecr", f"repository/{self.names.plain}"), *repository_arns(config))
        parameters, secrets = secret_arns(config, self.region, self.account)
        grants = (
            Grant(("ecr:GetAuthorizationToken",), NO_RESOURCE),
            Grant(pull, tuple(dict.fromkeys(repositories))),
            Grant(
                ("logs:CreateLogStream", "logs:PutLogEvents"),
                (self.of("logs", f"log-group:{self.names.log_group}:*"),),
            ),
            Grant(("ssm:GetParameters",), tuple(parameters)),
            Grant(("secretsmanager:GetSecretValue",), tuple(secrets)),
            # Keys of AWS's own let whoever may read the secret decrypt it; of others, the config names them.
            Grant(("kms:Decrypt",), config.execution_role.kms_keys),
        )
        return tuple(grant for grant in grants if grant.resources)

    def task(self, config: Config) -> tuple[Grant, ...]:
        """What the application may do: what the config says, and to let people in with `execute-command`."""
        grants = tuple(Grant(each.actions, each.resources) for each in config.task_role.statements)
        if not config.service.exec:
            return grants
        channels = ("CreateControlChannel", "CreateDataChannel", "OpenControlChannel", "OpenDataChannel")
        return (*grants, Grant(tuple(f"ssmmessages:{each}" for each in channels), NO_RESOURCE))

    def hook(self, bucket: str, *, asks: bool) -> tuple[Grant, ...]:
        """What the hook needs: its log, its answer to CodeDeploy, its word in the bucket, and to ask from inside."""
        group = self.of("codedeploy", f"deploymentgroup:{self.names.plain}/{self.names.plain}")
        return (
            Grant(
                ("logs:CreateLogStream", "logs:PutLogEvents"),
                (self.of("logs", f"log-group:{self.names.hook_log_group}:*"),),
            ),
            Grant(("codedeploy:GetDeployment", "codedeploy:PutLifecycleEventHookExecutionStatus"), (group,)),
            Grant(("s3:GetObject", "s3:PutObject"), (f"arn:aws:s3:::{bucket}/hooks/*",)),
            # Without it a claim that is not there yet reads as forbidden instead of absent.
            Grant(("s3:ListBucket",), (f"arn:aws:s3:::{bucket}",), (("StringLike", "s3:prefix", "hooks/*"),)),
            *((Grant(("s3:GetObject",), (f"arn:aws:s3:::{bucket}/releases/*",)),) if asks else ()),
            # Lambda itself puts the function into its subnets, by this role; it wants these on everything
            # (AWSLambdaVPCAccessExecutionRole).
            *((Grant(tuple(f"ec2:{each}" for each in _IN_A_VPC), NO_RESOURCE),) if asks else ()),
        )
