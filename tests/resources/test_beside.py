"""What somebody puts beside what a stack declares stays there, also when what is declared is set right."""

from __future__ import annotations

import json

from bgdeploy.provision.resource import Resource
from bgdeploy.resources.alarms import LogAlarm
from bgdeploy.resources.identity import Role
from bgdeploy.resources.observe import LogGroup
from bgdeploy.resources.storage import Bucket
from bgdeploy.sandbox.world import World
from tests.resources.life import Life, staged
from tests.resources.near import Scene


def made(world: World, kind: type[Resource], app: str) -> Scene:
    """Return a scene whose resource is there and as it should be."""
    scene = staged(world, Life(kind, None), app)
    scene.pending()
    assert not scene.provision().failed
    assert scene.pending() == []
    scene.born = scene.actual
    return scene


def test_whom_an_alarm_tells_stays_when_its_threshold_is_set_right(world: World) -> None:
    scene = made(world, LogAlarm, "told")
    topic = "arn:aws:sns:us-east-1:123456789012:people"
    keys = ("AlarmName", "Namespace", "MetricName", "Statistic", "Period", "EvaluationPeriods")
    whole = {key: scene.actual[key] for key in (*keys, "ComparisonOperator", "TreatMissingData")}
    scene("cloudwatch").put_metric_alarm(
        **whole, Threshold=99.0, AlarmActions=[topic], AlarmDescription="call somebody"
    )
    assert {each.field for each in scene.change().differences} == {"Threshold"}
    scene.heal()
    assert (scene.actual["AlarmActions"], scene.actual["AlarmDescription"]) == ([topic], "call somebody")


def test_a_rule_of_somebody_elses_stays_when_the_buckets_own_are_set_right(world: World) -> None:
    scene = made(world, Bucket, "kept")
    theirs = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "theirs/"}, "Expiration": {"Days": 1}}
    rules = {"Rules": [theirs]}
    scene("s3").put_bucket_lifecycle_configuration(Bucket=scene.resource.name, LifecycleConfiguration=rules)
    scene.change()
    scene.heal()
    found = scene("s3").get_bucket_lifecycle_configuration(Bucket=scene.resource.name)["Rules"]
    assert {rule["ID"] for rule in found} == {"hooks", "old-versions", "theirs"}


def test_a_policy_of_somebody_elses_stays_on_a_role_until_the_role_goes(world: World) -> None:
    scene = made(world, Role, "granted")
    iam, name = scene("iam"), scene.resource.name
    allow = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_role_policy(RoleName=name, PolicyName="theirs", PolicyDocument=document)
    iam.delete_role_policy(RoleName=name, PolicyName="bgdeploy")
    scene.change()
    scene.heal()
    assert sorted(iam.list_role_policies(RoleName=name)["PolicyNames"]) == ["bgdeploy", "theirs"]
    assert not scene.remove().failed
    assert scene.find() is None


def test_a_bucket_is_emptied_to_its_oldest_version_when_it_goes(world: World) -> None:
    scene = made(world, Bucket, "emptied")
    s3, name = scene("s3"), scene.resource.name
    for body in (b"first", b"second"):
        s3.put_object(Bucket=name, Key="releases/one.json", Body=body)
    s3.delete_object(Bucket=name, Key="releases/one.json")
    assert len(s3.list_object_versions(Bucket=name)["Versions"]) == 2
    assert not scene.remove().failed
    assert scene.find() is None


def test_a_log_group_whose_name_is_the_beginning_of_anothers_is_not_mistaken_for_it(world: World) -> None:
    scene = staged(world, Life(LogGroup, None), "longer")
    scene("logs").create_log_group(logGroupName=f"{scene.resource.name}-of-somebody-else")
    assert scene.find() is None
