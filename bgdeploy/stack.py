"""The topology: from a project's config to the list of resources it needs, top to bottom. Start reading here."""

from __future__ import annotations

from pathlib import Path

from bgdeploy.config import Config, Settings
from bgdeploy.names import Names, Use
from bgdeploy.provision.resource import Resource
from bgdeploy.resources.codedeploy import Application, DeploymentGroup
from bgdeploy.resources.ecs import Cluster, Service, TaskDefinition
from bgdeploy.resources.function import Function
from bgdeploy.resources.identity import Grant, Role
from bgdeploy.resources.load_balancer import Listener, LoadBalancer, TargetGroup
from bgdeploy.resources.network import ANYWHERE, InternetGateway, RouteTable, Subnet, Vpc
from bgdeploy.resources.observe import Alarm, LogGroup, MetricFilter
from bgdeploy.resources.registry import Repository
from bgdeploy.resources.security import Rule, SecurityGroup
from bgdeploy.resources.storage import Bucket
from bgdeploy.strategy import config_name

# For the few actions that know no resources; the service authorization reference lists them as such.
NO_RESOURCE = ("*",)


def build(settings: Settings, project: Path, account: str, region: str) -> list[Resource]:
    """Return every resource of the stack, each after those it needs."""
    config, names = settings.config, settings.names
    name, container = names.plain, config.container

    bucket = Bucket(name=names.bucket(account, region))

    # The network
    vpc = Vpc(name=name, cidr=config.network.create.cidr, bucket=bucket)
    subnets = tuple(Subnet(name=f"{name}-{n}", label=str(n), vpc=vpc, number=n) for n in range(2))
    gateway = InternetGateway(name=name, vpc=vpc)
    routes = RouteTable(name=name, vpc=vpc, gateway=gateway, subnets=subnets)
    front = SecurityGroup(
        name=f"{name}-load-balancer",
        label="load-balancer",
        vpc=vpc,
        bucket=bucket,
        ingress=(Rule(config.load_balancer.production.port, ANYWHERE), *_test_rules(config)),
        egress=(Rule(container.port, vpc.cidr),),
    )
    back = SecurityGroup(
        name=f"{name}-tasks",
        label="tasks",
        vpc=vpc,
        bucket=bucket,
        ingress=(Rule(container.port, group=front),),
        egress=(Rule(None, ANYWHERE),),
    )

    # The load balancer
    balancer = LoadBalancer(name=name, subnets=subnets, security_group=front, after=(routes,))
    blue, green = (
        TargetGroup(
            name=names.target_group(colour),
            label=colour,
            vpc=vpc,
            port=container.port,
            health=config.load_balancer.health_check,
            deregistration_delay=config.load_balancer.deregistration_delay,
        )
        for colour in ("blue", "green")
    )
    production, test = (
        Listener(name=f"{name}-{label}", label=label, balancer=balancer, port=port, blue=blue, green=green)
        for label, port in (
            ("production", config.load_balancer.production.port),
            ("test", config.load_balancer.test.port),
        )
    )

    # What the application needs
    repository = Repository(name=name)
    logs = LogGroup(
        name=names.log_group,
        label="application",
        days=config.logs.retention // 86400,
        namespace=names.metric_namespace,
    )
    hook_logs = LogGroup(name=names.hook_log_group, label="hook", days=config.logs.retention // 86400)
    filters = tuple(
        MetricFilter(
            name=alarm.name,
            label=alarm.name,
            log_group=logs,
            namespace=names.metric_namespace,
            pattern=alarm.log_filter,
        )
        for alarm in config.alarms
    )
    alarms = tuple(
        Alarm(
            name=names.alarm(alarm.name),
            prefix=names.alarm(""),
            label=alarm.name,
            metric=metric,
            threshold=alarm.threshold,
            period=alarm.period,
            evaluation_periods=alarm.evaluation_periods,
        )
        for alarm, metric in zip(config.alarms, filters, strict=True)
    )

    # Who may do what
    arns = Arns(names, account, region)
    roles: tuple[tuple[Use, str, tuple[Grant, ...]], ...] = (
        ("codedeploy", "codedeploy.amazonaws.com", arns.codedeploy()),
        ("execution", "ecs-tasks.amazonaws.com", arns.execution()),
        ("task", "ecs-tasks.amazonaws.com", ()),
        ("hook", "lambda.amazonaws.com", arns.hook(bucket.name)),
    )
    codedeploy_role, execution_role, task_role, hook_role = (
        Role(name=names.role(use), label=use, service=service, grants=grants)
        for use, service, grants in roles
    )
    hook = Function(
        name=names.hook,
        label="hook",
        folder=project / "hook_lambda",
        handler="handler.handler",
        role=hook_role,
        log_group=hook_logs,
        environment=(("BUCKET", bucket.name), ("LEASE_SECONDS", str(int(config.hook.lease)))),
    )

    # The service and its deployments
    cluster = Cluster(name=name)
    first = TaskDefinition(
        name=name,
        container=container.name,
        port=container.port,
        execution_role=execution_role,
        task_role=task_role,
        log_group=logs,
    )
    service = Service(
        name=name,
        cluster=cluster,
        task_definition=first,
        target_group=blue,
        subnets=subnets,
        security_group=back,
        tasks=config.service.tasks,
        listeners=(production, test),
        after=(routes,),
    )
    application = Application(name=name)
    group = DeploymentGroup(
        name=name,
        application=application,
        role=codedeploy_role,
        service=service,
        production=production,
        test=test,
        blue=blue,
        green=green,
        alarms=alarms,
        config=config_name(config.deployment.strategy),
        keep_blue_minutes=config.deployment.keep_blue.minutes,
        approval_minutes=config.deployment.approval.minutes if config.deployment.approval else None,
        rollback_on=config.deployment.rollback_on,
    )

    return [
        bucket, vpc, *subnets, gateway, routes, front, back, balancer, blue, green, production, test, repository, logs,
        hook_logs, *filters, *alarms, codedeploy_role, execution_role, task_role, hook_role, hook, cluster,
        first, service, application, group,
    ]  # fmt: skip


def _test_rules(config: Config) -> tuple[Rule, ...]:
    """Return who may reach the test listener: from inside the network, and from what the config adds."""
    test, inside = config.load_balancer.test, config.network.create.cidr
    return tuple(Rule(test.port, inside if source == "vpc" else source) for source in test.allow)


class Arns:
    """The stack's ARNs before anything exists, and with them what each role may do."""

    def __init__(self, names: Names, account: str, region: str) -> None:
        self.names = names
        self.account = account
        self.region = region

    def of(self, service: str, resource: str) -> str:
        region = "" if service == "iam" else self.region
        return f"arn:aws:{service}:{region}:{self.account}:{resource}"

    def codedeploy(self) -> tuple[Grant, ...]:
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
                # The last part of both ARNs is only known once the load balancer exists.
                (
                    self.of("elasticloadbalancing", f"listener/app/{name}/*"),
                    self.of("elasticloadbalancing", f"listener-rule/app/{name}/*"),
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

    def execution(self) -> tuple[Grant, ...]:
        """What ECS needs to start a task: its image and its log stream (aws-facts 8.2)."""
        pull = ("ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage")
        return (
            Grant(("ecr:GetAuthorizationToken",), NO_RESOURCE),
            Grant(pull, (self.of("ecr", f"repository/{self.names.plain}"),)),
            Grant(
                ("logs:CreateLogStream", "logs:PutLogEvents"),
                (self.of("logs", f"log-group:{self.names.log_group}:*"),),
            ),
        )

    def hook(self, bucket: str) -> tuple[Grant, ...]:
        """What the hook needs: its log, its answer to CodeDeploy, and its word in the bucket."""
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
        )
