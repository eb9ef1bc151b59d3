"""The policies for operators, as documents: what they name, what they narrow, and what they leave out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from bgdeploy.config import Config, LoadBalancer, Settings, TaskRole, TestListener
from bgdeploy.permissions.call import Call, besides, calls
from bgdeploy.permissions.policy import Place, Use, document, length
from bgdeploy.permissions.scopes import BUCKET, OBJECTS
from bgdeploy.project import load
from bgdeploy.stack import build

ROOT = Path(__file__).parents[2]
USES: tuple[Use, ...] = get_args(Use)
THEIRS = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/theirs/0123"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"


def policy(use: Use, config: Config | None = None) -> dict[str, dict[str, Any]]:
    """Return the statements of a policy by their names."""
    settings = Settings("dev", config or Config(app="shop"))
    resources = build(settings, ROOT, "123456789012", "eu-central-1")
    written = document(use, Place(settings, resources, "123456789012", "eu-central-1"))
    return {statement["Sid"]: statement for statement in written["Statement"]}


def several(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def actions(use: Use, config: Config | None = None) -> set[str]:
    return {action for each in policy(use, config).values() for action in several(each["Action"])}


def config(folder: Path, text: str) -> Config:
    (folder / "config").mkdir()
    (folder / "config/base.yaml").write_text(f"app: shop\n{text}", encoding="utf-8")
    (folder / "config/dev.yaml").touch()
    return load(folder, "dev", {}).config


def test_iam_calls_some_operations_otherwise_than_boto3() -> None:
    (listener, encryption) = (
        *calls("elbv2", "CreateListener", BUCKET),
        *calls("s3", "GetBucketEncryption", BUCKET),
    )
    assert listener.action == "elasticloadbalancing:CreateListener"
    assert encryption.action == "s3:GetEncryptionConfiguration"


def test_what_iam_checks_besides_is_needed_too() -> None:
    call = Call("s3:DeleteObjects", (OBJECTS,), besides("s3:DeleteObjectVersion", OBJECTS))
    assert [need.action for need in call.needs] == ["s3:DeleteObject", "s3:DeleteObjectVersion"]


@pytest.mark.parametrize("use", USES)
def test_every_action_is_written_out_and_every_statement_has_a_name_of_its_own(use: Use) -> None:
    written = document(
        use,
        Place(
            Settings("dev", Config(app="shop")),
            build(Settings("dev", Config(app="shop")), ROOT, "123456789012", "eu-central-1"),
            "123456789012",
            "eu-central-1",
        ),
    )
    names = [each["Sid"] for each in written["Statement"]]
    assert len(names) == len(set(names))
    assert all(name.isalnum() for name in names)
    assert not any("*" in action for action in actions(use))
    assert not any("{" in arn for each in written["Statement"] for arn in several(each["Resource"]))


@pytest.mark.parametrize("use", USES)
def test_everything_is_on_this_stacks_own_but_what_knows_no_resources(use: Use) -> None:
    anywhere = {sid for sid, each in policy(use).items() if several(each["Resource"]) == ["*"]}
    assert anywhere <= {"KnowNoResources", "TasksOfCluster"}
    for sid, each in policy(use).items():
        own = all("shop-dev" in arn for arn in several(each["Resource"]))
        assert (
            own
            or sid in anywhere
            or "Condition" in each
            or sid in {"AnyAlarm", "DeploymentConfigs", "ScalingTags"}
        )


def test_roles_are_handed_over_to_the_services_that_act_by_them_and_to_no_others() -> None:
    passing = {
        several(each["Resource"])[0].rpartition("-")[2]: each["Condition"]["StringEquals"][
            "iam:PassedToService"
        ]
        for each in policy("provision").values()
        if "iam:PassRole" in several(each["Action"])
    }
    assert passing == {
        "codedeploy": "codedeploy.amazonaws.com",
        "execution": "ecs-tasks.amazonaws.com",
        "task": "ecs-tasks.amazonaws.com",
        "hook": "lambda.amazonaws.com",
    }
    assert "iam:PassRole" not in actions("watch") | actions("teardown")


def test_what_ec2_keeps_is_made_with_our_tag_and_changed_by_it() -> None:
    statements = policy("provision")
    ours = {"StringEquals": {"aws:ResourceTag/bgdeploy:stack": "shop-dev"}}
    made = {"StringEquals": {"aws:RequestTag/bgdeploy:stack": "shop-dev"}}
    assert statements["OwnNetwork"]["Condition"] == ours
    assert "ec2:DeleteVpc" in statements["OwnNetwork"]["Action"]
    assert statements["MakeVpc"]["Condition"] == made
    assert statements["MakeSubnet"]["Resource"] == "arn:aws:ec2:eu-central-1:123456789012:subnet/*"
    assert statements["TagWhatIsMade"]["Condition"] == {**made, "Null": {"ec2:CreateAction": "false"}}


def test_a_watcher_can_answer_the_hook_open_the_test_port_end_what_it_follows_and_change_nothing_else() -> (
    None
):
    changing = {
        each
        for each in actions("watch")
        if not each.partition(":")[2].startswith(("Describe", "Get", "List", "BatchGet", "Filter"))
    }
    assert changing == {
        "codedeploy:ContinueDeployment",
        "codedeploy:PutLifecycleEventHookExecutionStatus",
        "codedeploy:StopDeployment",
        "ec2:AuthorizeSecurityGroupIngress",
        "ec2:CreateTags",
        "ec2:RevokeSecurityGroupIngress",
        "s3:PutObject",
    }
    assert policy("watch")["Hooks"]["Resource"].endswith("/hooks/*")
    (rules,) = [each for each in policy("watch").values() if "ec2:CreateTags" in each["Action"]]
    assert rules["Resource"].endswith(":security-group-rule/*")
    assert rules["Condition"]["StringEquals"] == {"aws:RequestTag/bgdeploy:stack": "shop-dev"}


def test_where_no_caller_is_let_in_no_security_group_is_changed_by_a_release() -> None:
    closed = Config(app="shop", load_balancer=LoadBalancer(test=TestListener(allow=("vpc",))))
    assert not {each for each in actions("release", closed) if "SecurityGroupIngress" in each}


def test_a_pipeline_may_plan_and_release_and_cannot_provision() -> None:
    assert actions("watch") < actions("release") < actions("ci")
    assert not {each for each in actions("ci") if ":Create" in each} - {
        "codedeploy:CreateDeployment",
        "codedeploy:CreateDeploymentConfig",
        "ec2:CreateTags",  # on the rule that opens the test port
    }


def test_only_what_the_config_has_is_allowed(tmp_path: Path) -> None:
    plain = actions("provision")
    assert not {each for each in plain if "NatGateway" in each or "VpcEndpoint" in each}
    assert not {"iam:AttachRolePolicy", "application-autoscaling:PutScalingPolicy"} & plain
    rich = actions(
        "provision",
        config(
            tmp_path,
            "network: {create: {private: nat}}\nservice: {scale: {min: 1, max: 3, cpu: 60}}\n",
        ),
    )
    assert {"ec2:CreateNatGateway", "ec2:AllocateAddress", "application-autoscaling:PutScalingPolicy"} <= rich


def test_the_managed_policies_that_may_be_attached_are_those_of_the_config() -> None:
    with_policy = Config(app="shop", task_role=TaskRole(policies=(READ_ONLY,)))
    attaching = policy("provision", with_policy)["ManagedPolicies"]
    assert attaching["Action"] == "iam:AttachRolePolicy"
    assert attaching["Condition"] == {"ArnEquals": {"iam:PolicyARN": READ_ONLY}}


def test_an_existing_load_balancer_is_named_and_never_changed(tmp_path: Path) -> None:
    text = (
        "network: {use: {vpc: vpc-0123, task_subnets: [subnet-1, subnet-2]}}\n"
        f"load_balancer: {{use: '{THEIRS}', production: {{port: 81}}}}\n"
    )
    statements = policy("provision", config(tmp_path, text))
    assert (statements["LoadBalancer"]["Action"], statements["LoadBalancer"]["Resource"]) == (
        "elasticloadbalancing:CreateListener",
        THEIRS,
    )
    assert statements["Listeners"]["Resource"].endswith(":listener/app/theirs/0123/*")
    assert statements["ExistingVpc"]["Resource"] == "arn:aws:ec2:eu-central-1:123456789012:vpc/vpc-0123"


def test_the_length_that_iam_counts_has_no_white_space_in_it() -> None:
    assert length({"Sid": "a b", "Action": ["x"]}) == len('{"Sid":"ab","Action":["x"]}')


def test_who_watches_may_stop_what_gets_nowhere_and_read_last_words() -> None:
    assert {"codedeploy:StopDeployment", "logs:GetLogEvents", "cloudwatch:GetMetricData"} <= actions("watch")
    assert policy("watch")["HookLog"]["Action"] == "logs:FilterLogEvents"


def test_whoever_watches_tells_the_story_and_cannot_write_which_commands_checks_run() -> None:
    written = [
        arn
        for each in policy("watch").values()
        if "s3:PutObject" in several(each["Action"])
        for arn in several(each["Resource"])
    ]
    assert [arn.partition("/")[2] for arn in sorted(written)] == ["hooks/*", "releases/*.story.json"]


def test_who_releases_finds_the_load_balancers_addresses_for_a_hook_that_checks(tmp_path: Path) -> None:
    asking = config(tmp_path, "checks_from: hook\nnetwork: {create: {private: nat}}\n")
    assert "ec2:DescribeNetworkInterfaces" in actions("release", asking)
    assert "ec2:DescribeNetworkInterfaces" not in actions("release")


def test_whoever_follows_may_publish_to_the_configs_topics_and_to_no_others(tmp_path: Path) -> None:
    topic = "arn:aws:sns:eu-central-1:123456789012:releases"
    told = config(
        tmp_path, f"region: eu-central-1\nnotifications: [{{sns: {topic}}}, {{sns: {topic}, on: [end]}}]"
    )
    for use in ("release", "watch", "ci"):
        statement = policy(use, told)["Topics"]
        assert (statement["Action"], statement["Resource"]) == ("sns:Publish", topic)
    assert "sns:Publish" not in actions("provision", told) | actions("teardown", told) | actions("release")
