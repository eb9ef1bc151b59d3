"""How roles, the hook and what CodeDeploy holds are changed behind our back."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

from bgdeploy import config as c
from bgdeploy.aws import tag_list
from bgdeploy.resources.codedeploy import Application, DeploymentConfig, DeploymentGroup
from bgdeploy.resources.ecs import Service
from bgdeploy.resources.function import Function
from bgdeploy.resources.identity import Role
from bgdeploy.sandbox.world import World
from tests.resources.life import Deed, Life, Tags, nothing
from tests.resources.near import Scene

# Roles


def _document(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


_ADMIN = _document({"Effect": "Allow", "Action": "*", "Resource": "*"})


def _trust(**changed: Any) -> Deed:
    def update(scene: Scene) -> None:
        statement = scene.actual["AssumeRolePolicyDocument"]["Statement"]
        document = _document({**statement, **changed})
        scene("iam").update_assume_role_policy(RoleName=scene.resource.name, PolicyDocument=document)

    return update


def _role(call: str, **arguments: Any) -> Deed:
    return lambda scene: getattr(scene("iam"), call)(RoleName=scene.resource.name, **arguments)


_STRANGER = {"Service": "codedeploy.amazonaws.com", "AWS": "arn:aws:iam::999999999999:root"}
_MANAGED = "arn:aws:iam::aws:policy/{}".format
_ROLE = (
    ("AssumeRolePolicyDocument", _trust(Principal=_STRANGER)),
    ("AssumeRolePolicyDocument", _trust(Condition={})),
)


def _with_policies(world: World) -> Mapping[str, Any]:
    return {"task_role": c.TaskRole(policies=(_MANAGED("AmazonS3ReadOnlyAccess"),))}


def _other_role(scene: Scene) -> str:
    """Make a role of somebody else's, and return its ARN."""
    services = ["lambda.amazonaws.com", "codedeploy.amazonaws.com"]
    trust = _document({"Effect": "Allow", "Principal": {"Service": services}, "Action": "sts:AssumeRole"})
    name = f"{scene.aws.stack}-theirs"
    made = scene("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]
    scene("iam").put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=_ADMIN)
    scene.aws.clock.sleep(60)  # IAM takes a moment to tell the other services
    return str(made["Arn"])


# The hook


def _function(**settings: Any) -> Deed:
    return lambda scene: scene("lambda").update_function_configuration(
        FunctionName=scene.resource.name, **settings
    )


def _other_code(scene: Scene) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("handler.py", "def handler(event, context): pass\n")
    scene("lambda").update_function_code(FunctionName=scene.resource.name, ZipFile=made.getvalue())


def _into_a_vpc(scene: Scene) -> None:
    """Put it into a subnet that is not the stack's."""
    subnet = scene("ec2").describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])[
        "Subnets"
    ][0]
    near = [{"Name": "vpc-id", "Values": [subnet["VpcId"]]}]
    group = scene("ec2").describe_security_groups(Filters=near)["SecurityGroups"][0]["GroupId"]
    _function(VpcConfig={"SubnetIds": [subnet["SubnetId"]], "SecurityGroupIds": [group]})(scene)


def _asking(world: World) -> Mapping[str, Any]:
    return {"checks_from": "hook", "network": c.Network(create=c.CreateNetwork(private="nat"))}


_FUNCTION_TAGS = Tags(
    lambda scene, tags: scene("lambda").tag_resource(Resource=scene.born["FunctionArn"], Tags=dict(tags)),
    lambda scene, key: scene("lambda").untag_resource(Resource=scene.born["FunctionArn"], TagKeys=[key]),
)
_FUNCTION = (
    ("Handler", _function(Handler="other.handler")),
    ("Runtime", _function(Runtime="python3.11")),
    ("Role", lambda scene: _function(Role=_other_role(scene))(scene)),
    ("Timeout", _function(Timeout=3)),
    ("MemorySize", _function(MemorySize=256)),
    ("Environment", _function(Environment={"Variables": {"BUCKET": "theirs"}})),
    ("Environment", _function(Environment={"Variables": {}})),
    ("CodeSha256", _other_code),
)


# CodeDeploy


def _arn(scene: Scene) -> str:
    name = scene.resource.name
    group = isinstance(scene.resource, DeploymentGroup)
    return scene.aws.arn("codedeploy", f"deploymentgroup:{name}/{name}" if group else f"application:{name}")


_CODEDEPLOY_TAGS = Tags(
    lambda scene, tags: scene("codedeploy").tag_resource(ResourceArn=_arn(scene), Tags=tag_list(tags)),
    lambda scene, key: scene("codedeploy").untag_resource(ResourceArn=_arn(scene), TagKeys=[key]),
)


def _slow(world: World) -> Mapping[str, Any]:
    return {"deployment": c.Deployment(strategy="canary 20% 7m")}


def _group(**settings: Any) -> Deed:
    return lambda scene: scene("codedeploy").update_deployment_group(
        applicationName=scene.resource.name, currentDeploymentGroupName=scene.resource.name, **settings
    )


def _swapped_groups(scene: Scene) -> None:
    info = scene.actual["loadBalancerInfo"]["targetGroupPairInfoList"][0]
    pair = {**info, "targetGroups": info["targetGroups"][::-1]}
    _group(loadBalancerInfo={"targetGroupPairInfoList": [pair]})(scene)


def _other_service(scene: Scene) -> None:
    """Have the group deploy to a service of somebody else's in the same cluster, and its role allow it."""
    role, name = scene.declared(Role, "codedeploy").name, scene.resource.name
    scene("iam").put_role_policy(RoleName=role, PolicyName="theirs", PolicyDocument=_ADMIN)
    service = scene.needed(Service)
    copied = ("taskDefinition", "loadBalancers", "networkConfiguration", "deploymentController")
    scene("ecs").create_service(
        cluster=name,
        serviceName="theirs",
        desiredCount=0,
        launchType="FARGATE",
        **{key: service[key] for key in copied},
    )
    _group(ecsServices=[{"clusterName": name, "serviceName": "theirs"}])(scene)


_LONGER_WAITS = {
    "deploymentReadyOption": {"actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": 60},
    "terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": 120},
}
_CANARY = "CodeDeployDefault.ECSCanary10Percent15Minutes"

LIVES = (
    Life(
        Role,
        Tags(
            lambda scene, tags: _role("tag_role", Tags=tag_list(tags))(scene),
            lambda scene, key: _role("untag_role", TagKeys=[key])(scene),
        ),
        (
            *_ROLE,
            ("Policy", _role("delete_role_policy", PolicyName="bgdeploy")),
            ("Policy", _role("put_role_policy", PolicyName="bgdeploy", PolicyDocument=_ADMIN)),
        ),
        label="codedeploy",
    ),
    Life(
        Role,
        Tags(
            lambda scene, tags: _role("tag_role", Tags=tag_list(tags))(scene),
            lambda scene, key: _role("untag_role", TagKeys=[key])(scene),
        ),
        (
            *_ROLE,
            ("Policy", _role("put_role_policy", PolicyName="bgdeploy", PolicyDocument=_ADMIN)),
            (
                "ManagedPolicies",
                _role("detach_role_policy", PolicyArn=_MANAGED("AmazonS3ReadOnlyAccess")),
            ),
            ("ManagedPolicies", _role("attach_role_policy", PolicyArn=_MANAGED("AdministratorAccess"))),
        ),
        label="task",
        config=_with_policies,
        what="with policies attached",
    ),
    Life(Function, _FUNCTION_TAGS, (*_FUNCTION, ("VpcConfig", _into_a_vpc))),
    Life(
        Function,
        _FUNCTION_TAGS,
        (
            *_FUNCTION,
            ("VpcConfig", _function(VpcConfig={"SubnetIds": [], "SecurityGroupIds": []})),
            ("VpcConfig", _into_a_vpc),
        ),
        config=_asking,
        what="that runs the checks",
    ),
    Life(Application, _CODEDEPLOY_TAGS),
    Life(DeploymentConfig, None, config=_slow),
    Life(
        DeploymentGroup,
        _CODEDEPLOY_TAGS,
        (
            ("serviceRoleArn", lambda scene: _group(serviceRoleArn=_other_role(scene))(scene)),
            ("deploymentConfigName", _group(deploymentConfigName=_CANARY)),
            ("blueGreenDeploymentConfiguration", _group(blueGreenDeploymentConfiguration=_LONGER_WAITS)),
            ("loadBalancerInfo", _swapped_groups),
            ("ecsServices", _other_service),
            ("autoRollbackConfiguration", _group(autoRollbackConfiguration={"enabled": False, "events": []})),
            (
                "autoRollbackConfiguration",
                _group(autoRollbackConfiguration={"enabled": True, "events": ["DEPLOYMENT_FAILURE"]}),
            ),
            ("alarmConfiguration", _group(alarmConfiguration={"enabled": False, "alarms": []})),
            (
                "alarmConfiguration",
                _group(alarmConfiguration={"enabled": True, "alarms": [{"name": "theirs"}]}),
            ),
        ),
        (("deploymentStyle", nothing),),
    ),
)
